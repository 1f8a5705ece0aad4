"""Money in a balance that its cash does not count (promise G6).

Currencies are compared by their rough value in dollars: that is enough to tell 5,000 euros from nothing and from dust,
and needs no price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

MUCH_SMALLER = 10
"""Cash is much smaller than other money that is worth more than this many times as much."""
DUST = 1
"""Dollars: a smaller amount of an asset is not reported."""

_DOLLARS = ("USD", "USDT", "USDC", "USDG", "USDD", "USDE", "USDQ", "USDR", "USDS", "USD1", "DAI", "PYUSD", "RLUSD",
            "TUSD", "FDUSD")  # fmt: skip
_EUROS = ("EUR", "EURC", "EURQ", "EURR", "EURT", "EUROP")
_MONEY: Mapping[str, tuple[str, int]] = MappingProxyType(
    dict.fromkeys(_DOLLARS, ("USD", 1)) | dict.fromkeys(_EUROS, ("EUR", 1))
    | {"GBP": ("GBP", 1), "CHF": ("CHF", 1), "CAD": ("CAD", 1), "AUD": ("AUD", 1), "SGD": ("SGD", 1),
       "NZD": ("NZD", 2), "AED": ("AED", 4), "BRL": ("BRL", 5), "PLN": ("PLN", 4), "SEK": ("SEK", 10),
       "NOK": ("NOK", 10), "DKK": ("DKK", 7), "CZK": ("CZK", 20), "MXN": ("MXN", 20), "ZAR": ("ZAR", 20),
       "TRY": ("TRY", 40), "THB": ("THB", 30), "INR": ("INR", 90), "JPY": ("JPY", 150), "NGN": ("NGN", 1500),
       "ARS": ("ARS", 1500), "KRW": ("KRW", 1500), "COP": ("COP", 4000), "IDR": ("IDR", 16000)}
)  # fmt: skip
"""Fiat and stablecoins by plain name: the currency of each, and roughly how many units are worth a dollar."""


def in_words(names: Iterable[str]) -> str:
    """The assets that cash counts, as every display writes them: ``USD + USDT``."""
    return " + ".join(names) or "nothing"


def currency_of(cash: Iterable[str]) -> str:
    """The currency that what counts as cash is mostly in: that of its first name, or dollars if that is no currency."""
    first = next(iter(cash), "USD")
    return _MONEY[first][0] if first in _MONEY else first


def elsewhere(amounts: Mapping[str, Decimal], cash: Sequence[str]) -> tuple[str, ...]:
    """The fiat and stablecoins of a balance that cash does not count, the largest first; none beside enough cash.

    `amounts`: what an order could use of each asset, by plain name. Enough is a tenth of what is not counted, or any
    amount of a counted asset that is not in the list of money, since its value is not known here. Dust does not count.
    """
    worth = {name: _worth(name, each) for name, each in amounts.items() if name in _MONEY and name not in cash}
    found = [name for name in worth if worth[name] >= DUST]
    counted = {name: amounts[name] for name in cash if name in amounts}
    if any(counted[name] > 0 for name in counted if name not in _MONEY):
        return ()
    worth_of_cash = sum(_worth(name, each) for name, each in counted.items() if name in _MONEY)
    if worth_of_cash * MUCH_SMALLER >= sum(worth[name] for name in found):
        return ()
    return tuple(sorted(found, key=lambda name: (-worth[name], name)))


def line_to_count(found: Sequence[str], cash: Sequence[str]) -> str:
    """The line of the configuration that counts what was found, as far as it is in one currency."""
    currency = _MONEY[found[0]][0]
    names = [name for name in (*cash, *found) if name in _MONEY and _MONEY[name][0] == currency]
    quoted = ", ".join(f'"{name}"' for name in dict.fromkeys(names))
    return f"cash = [{quoted}]"


def elsewhere_sentence(account: str, found: Sequence[str], cash: Sequence[str]) -> str:
    """The message about money that cash does not count, with the line to configure."""
    return (
        f"Account {account} holds {', '.join(found)}, which is not counted: its cash is {in_words(cash)}. "
        f"To count it, write {line_to_count(found, cash)} under [settings] in the configuration file."
    )


def _worth(name: str, amount: Decimal) -> Fraction:
    """The rough value in dollars."""
    return Fraction(amount) / _MONEY[name][1]
