"""Where the gates' limits lie exactly, and by which names a scanner may speak of the plan's pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.rules.gates.capital import known
from engine.rules.gates.gates import capital_validation
from engine.rules.gates.plan import MOST_PAIRS, Candidate, TradePlan
from engine.rules.gates.view import MOST_CANDIDATES, read_candidates
from tests.rules.gates.test_gates import MARKET, amount, balance, reasons, view

SECONDS = ("max_balance_age", "max_data_age", "max_skew", "patience")


@pytest.mark.parametrize("name", SECONDS)
def test_seconds_of_a_plan_are_positive_and_less_than_a_million(name: str) -> None:
    wrong: list[Any] = [0, 0.0, -1, 1e6, 1_000_000, float("nan"), float("inf"), True, "5"]
    for value in wrong:
        with pytest.raises(ConfigError, match=name):
            TradePlan(**{name: value})
    right: list[Any] = [0.001, 1, 999_999.9]
    for value in right:
        assert getattr(TradePlan(**{name: value}), name) == value


def test_a_plan_has_a_thousand_pairs_at_most() -> None:
    names = [f"A{number}USD" for number in range(MOST_PAIRS + 1)]
    assert len(TradePlan(pairs=names[:MOST_PAIRS]).pairs) == MOST_PAIRS == 1000
    with pytest.raises(ConfigError):
        TradePlan(pairs=names)


def test_a_scanner_may_pick_so_many_candidates_and_no_more() -> None:
    plan = TradePlan(pairs=["XBTUSD"])
    assert len(read_candidates(["XBTUSD"] * MOST_CANDIDATES, plan).candidates) == MOST_CANDIDATES
    assert "more than" in (read_candidates(["XBTUSD"] * (MOST_CANDIDATES + 1), plan).problem or "")


@pytest.mark.parametrize("name", ["XBT/USD", "XBTUSD", "BTC/USD"])
def test_a_scanner_may_use_any_name_of_a_pair_of_the_plan(name: str) -> None:
    """The candidate then has the plan's name."""
    assert read_candidates([name], TradePlan(pairs=["XBT/USD", "ETH/USD"])).candidates == (Candidate("XBT/USD"),)


def test_a_market_of_which_half_is_known_is_not_counted_with() -> None:
    for half in (replace(MARKET, pair=None), replace(MARKET, ticker=None)):
        with pytest.raises(ValueError, match="nothing is known"):
            known(half)
    assert known(MARKET) == (MARKET.pair, MARKET.ticker)
    assert view().market("XBTUSD") == MARKET


@pytest.mark.parametrize("unknown", ["USD", "XBT"])
def test_capital_is_denied_where_half_of_what_is_free_is_not_known(unknown: str) -> None:
    assets = {name: amount("1000", None if name == unknown else "0") for name in ("USD", "XBT")}
    assert "What is free of USD and XBT is not known." in reasons(
        capital_validation, view(balance=balance(assets=assets))
    )
