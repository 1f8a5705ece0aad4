"""What an account holds is worked out again when it has changed, and not with every poll that has brought the same."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from engine.rules.balance.history import BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.balance.valuation import Prices
from engine.values import AssetBalance
from engine.web.page.holdings import Holdings, holding_of
from engine.web.page.quotes import Quotes
from tests.web.page.status import NOW, account_of

QUOTES = Quotes(Prices({("XBT", "USD"): Decimal(60000)}), {}, {"USD": 2})
ASSETS = {"USD": AssetBalance(Decimal(10), Decimal(9), Decimal(1))}
MORE = {"USD": AssetBalance(Decimal(11), Decimal(10), Decimal(1))}


def test_the_same_balance_of_a_later_poll_is_what_it_was() -> None:
    kept = Holdings()
    first = kept.get(account_of(assets=ASSETS), QUOTES, None)
    later = account_of(assets=dict(ASSETS), as_of=NOW + timedelta(seconds=5))
    assert kept.get(later, QUOTES, None) is first


def test_whatever_it_is_made_of_makes_it_anew() -> None:
    before = BalancePoint(NOW - timedelta(hours=1), Decimal(1), Decimal(1), {"USD": Decimal(9)})
    last: tuple[BalanceSnapshot, Quotes, BalancePoint | None] = account_of(assets=ASSETS), QUOTES, None
    for now in (
        (account_of(assets=MORE), QUOTES, None),
        (account_of(assets=MORE, cash=Decimal(3)), QUOTES, None),
        (account_of(assets=MORE, cash=None, as_of=None), QUOTES, None),
        (account_of(assets=MORE), QUOTES, before),
        (account_of(assets=MORE, as_of=NOW + timedelta(days=2)), QUOTES, before),
        (account_of(assets=MORE), Quotes(), before),
    ):
        kept = Holdings()
        was = kept.get(*last)
        assert kept.get(*now) is not was
        assert kept.get(*now) == holding_of(*now)
        last = now


def test_an_account_that_was_removed_is_forgotten() -> None:
    kept = Holdings()
    first = kept.get(account_of("A"), QUOTES, None)
    kept.get(account_of("B"), QUOTES, None)
    kept.keep(["B"])
    assert kept.get(account_of("A"), QUOTES, None) is not first
