"""What an account holds, as the page shows it: worked out again only where it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.kraken.balances import spendable_total
from engine.rules.balance.cash import elsewhere, line_to_count
from engine.rules.balance.history import BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.balance.valuation import CURRENCIES, worth
from engine.values import AssetBalance
from engine.web.page.cell import Cell, Moment, Number, Row, Worth, cell
from engine.web.page.number import UNKNOWN, number, of_asset, signed
from engine.web.page.quotes import Quotes

NO_MONEY = frozenset({"FEE"})
"""What has no price: Kraken's fee credits."""
DAY = 86_000.0  # seconds; points are five minutes apart


@dataclass(frozen=True, slots=True)
class Holding:
    """The cells of one account that its amounts and the prices decide, and the rows of its assets."""

    total: Cell
    cash: Cell
    available: Cell
    held: Cell
    day: Cell
    not_counted: str
    """The money that cash does not count, with the line to configure; empty where there is none."""
    assets: Sequence[Row]


def holding_of(snapshot: BalanceSnapshot, quotes: Quotes, before: BalancePoint | None) -> Holding:
    """What a balance holds; `before`: what it held a day ago."""
    decimals, not_counted = _cash_decimals(snapshot, quotes), _not_counted(snapshot)
    return Holding(
        _total(snapshot, quotes),
        _cash(snapshot, decimals, not_counted),
        cell(number(snapshot.available_cash, decimals)),
        cell(number(_held(snapshot), decimals)),
        _day(snapshot, quotes, before),
        not_counted,
        asset_rows(snapshot, quotes),
    )


class Holdings:
    """The holdings of all accounts, as they were last worked out: most balances come back as they were. Any thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[BalanceSnapshot, Quotes, BalancePoint | None, Holding]] = {}

    def get(self, snapshot: BalanceSnapshot, quotes: Quotes, before: BalancePoint | None) -> Holding:
        """What a balance holds; `before`: what it held a day ago."""
        known = self._known.get(snapshot.account)
        if known is not None and known[1] is quotes and known[2] == before and _alike(known[0], snapshot, before):
            return known[3]
        found = holding_of(snapshot, quotes, before)
        self._known[snapshot.account] = (snapshot, quotes, before, found)
        return found

    def keep(self, accounts: Sequence[str]) -> None:
        """Forget all others."""
        if len(self._known) > len(accounts):
            for gone in self._known.keys() - set(accounts):
                self._known.pop(gone, None)


def _alike(then: BalanceSnapshot, now: BalanceSnapshot, before: BalancePoint | None) -> bool:
    """Whether two balances of an account hold the same, and are both younger than a day after `before`, or older."""
    if then is now:
        return True
    same_day = before is None or _is_young(then, before) == _is_young(now, before)
    return same_day and (then.as_of is None, then.cash, then.available_cash, then.cash_assets, then.assets) == (
        now.as_of is None, now.cash, now.available_cash, now.cash_assets, now.assets
    )  # fmt: skip


def asset_rows(snapshot: BalanceSnapshot, quotes: Quotes) -> list[Row]:
    """One row for each asset of an account."""
    return [
        Row(name, (cell(name), *(cell(of_asset(part, name, quotes.decimals)) for part in _parts(each))))
        for name, each in sorted(snapshot.assets.items())
    ]


def _total(snapshot: BalanceSnapshot, quotes: Quotes) -> Cell:
    if snapshot.as_of is None:
        return cell("unknown", state="bad")
    amounts = {name: each.total for name, each in snapshot.assets.items() if name not in NO_MONEY}
    found = {each: worth(amounts, each, quotes.prices) for each in CURRENCIES}
    shown = {each: number(found[each].total, quotes.decimals.get(each, 2)) for each in CURRENCIES}
    missing = set.intersection(*(set(each.missing) for each in found.values()))
    told = {each: UNPRICED if set(found[each].missing) - missing else shown[each] for each in CURRENCIES}
    if missing and len(missing) == sum(1 for each in amounts.values() if each):
        return cell("no price")
    beside = f" without {', '.join(sorted(missing)[:3])}{' and more' if len(missing) > 3 else ''}" if missing else ""
    return cell(Worth(told), beside, state="warn" if missing else "plain")


UNPRICED = Number("no price", "Kraken's prices lead to no value in this currency")


def _cash(snapshot: BalanceSnapshot, decimals: int | None, not_counted: str) -> Cell:
    if snapshot.cash is None:
        return cell(UNKNOWN, state="bad")
    return cell(number(snapshot.cash, decimals), state="warn" if not_counted else "plain")


def _not_counted(snapshot: BalanceSnapshot) -> str:
    """The money that cash does not count, with the line to configure."""
    amounts = {name: spendable_total(each) for name, each in snapshot.assets.items()}
    found = elsewhere(amounts, snapshot.cash_assets)
    if not found:
        return ""
    return f"{', '.join(found)} not counted; to count it, configure {line_to_count(found, snapshot.cash_assets)}"


def _held(snapshot: BalanceSnapshot) -> Decimal | None:
    if snapshot.available_cash is None:
        return None
    held = [snapshot.assets[name].held for name in snapshot.cash_assets if name in snapshot.assets]
    return None if None in held else sum((each for each in held if each is not None), Decimal(0))


def _day(snapshot: BalanceSnapshot, quotes: Quotes, before: BalancePoint | None) -> Cell:
    """What has come and gone in 24 hours, at today's prices: a price that rose does not change what is held."""
    if before is None or snapshot.as_of is None:
        return cell("no history yet")
    changes = _changes(before, snapshot)
    told: dict[str, Number] = {}
    for each in CURRENCIES:
        found = worth(changes, each, quotes.prices)
        told[each] = UNPRICED if found.missing else signed(found.total, quotes.decimals.get(each, 2))
    return cell(Worth(told), *((" since\u00a0", Moment(before.as_of)) if _is_young(snapshot, before) else ()))


def _is_young(snapshot: BalanceSnapshot, before: BalancePoint) -> bool:
    """Whether the history does not reach back a day yet."""
    return snapshot.as_of is not None and (snapshot.as_of - before.as_of).total_seconds() < DAY


def _changes(before: BalancePoint, snapshot: BalanceSnapshot) -> Mapping[str, Decimal]:
    now = {name: each.total for name, each in snapshot.assets.items()}
    names = {*now, *before.assets} - NO_MONEY
    return {name: now.get(name, Decimal(0)) - before.assets.get(name, Decimal(0)) for name in names}


def _cash_decimals(snapshot: BalanceSnapshot, quotes: Quotes) -> int | None:
    """Those of the first cash asset, which the others are counted as; `None` until they are known."""
    return quotes.decimals.get(next(iter(snapshot.cash_assets), ""))


def _parts(balance: AssetBalance) -> Iterable[Decimal | None]:
    return balance.total, balance.available, balance.held
