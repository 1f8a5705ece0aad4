"""The holdings of an account: balance rows as they were set, changed by fills, and the holds of open orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal

from engine.simulator.market import decimals_of, find_asset

Rows = dict[str, dict[str, str]]
NOTHING = Decimal(0)
_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)


class Wallet:
    """The rows of one account. Amounts are exact; an unchanged row is returned as it was set.

    hold_on_earn: holds are shown on the ``.F`` row instead of the plain one, if there is one.
    """

    def __init__(self, rows: Rows, *, hold_on_earn: bool = False) -> None:
        self.rows = rows
        self._hold_on_earn = hold_on_earn

    def free(self, asset: str, holds: Mapping[str, Decimal]) -> Decimal:
        """What a new order on this asset could use: the plain row and the ``.F`` row, less what is held."""
        mine = [self.rows[name] for name in self._spendable(asset)]
        held = sum((Decimal(row["hold_trade"]) for row in mine), NOTHING)
        credit = sum((Decimal(row.get("credit", "0")) - Decimal(row.get("credit_used", "0")) for row in mine), NOTHING)
        owned = sum((Decimal(row["balance"]) for row in mine), NOTHING)
        return owned + credit - held - holds.get(asset, NOTHING)

    def change(self, asset: str, amount: Decimal) -> Decimal:
        """Add an amount, or subtract it if negative, the plain row first. Returns the balance of all its rows."""
        names = self._spendable(asset) or [asset]
        self.rows.setdefault(asset, {"balance": "0", "hold_trade": "0.0000"})
        if amount >= 0:
            self._set(asset, self._balance(asset) + amount)
        else:
            left = -amount
            for name in names:
                taken = left if name == names[-1] else min(left, max(NOTHING, self._balance(name)))
                if taken:
                    self._set(name, self._balance(name) - taken)
                left -= taken
        return sum((self._balance(name) for name in self._spendable(asset)), NOTHING)

    def told(self, holds: Mapping[str, Decimal]) -> Rows:
        """The rows of `BalanceEx`, with what open orders hold."""
        rows = {name: dict(row) for name, row in self.rows.items()}
        for asset, held in holds.items():
            if held:
                names = self._spendable(asset) or [asset]
                name = names[-1] if self._hold_on_earn else names[0]
                row = rows.setdefault(name, {"balance": "0.0000", "hold_trade": "0"})
                row["hold_trade"] = _text(name, Decimal(row["hold_trade"]) + held)
        return rows

    def _spendable(self, asset: str) -> list[str]:
        """The rows an order on the asset uses: the plain one, then that of Auto Earn."""
        earn = [name for name in self.rows if name.endswith(".F") and find_asset(name[:-2]) == asset]
        return [asset, *earn] if asset in self.rows else earn

    def _balance(self, name: str) -> Decimal:
        return Decimal(self.rows[name]["balance"])

    def _set(self, name: str, amount: Decimal) -> None:
        self.rows[name]["balance"] = _text(name, amount)


def _text(name: str, amount: Decimal) -> str:
    exponent = amount.as_tuple().exponent
    shown = max(decimals_of(name), -exponent if isinstance(exponent, int) else 0)
    return f"{amount.quantize(Decimal(1).scaleb(-shown), context=_WIDE):f}"
