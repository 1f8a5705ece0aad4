"""What the page says of accounts: amounts that are exact, a total by public prices, and what a day has changed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.balance.availability import Standing
from engine.rules.balance.history import BalancePoint
from engine.rules.balance.valuation import Prices, Valuation, markets_for, worth
from engine.values import AssetBalance, BalanceRow, Bucket
from engine.web.page.accounts import account_rows
from engine.web.page.cell import Link, Number, Row, Worth
from engine.web.page.holdings import asset_rows
from engine.web.page.number import amount, number, short, signed
from engine.web.page.quotes import Quotes
from engine.web.page.seen import Seen
from tests.web.page.status import NOW, account_of, status_of

PRICES = Prices({("XBT", "USD"): Decimal(60000), ("EUR", "USD"): Decimal("1.25"), ("ETH", "XBT"): Decimal("0.05")})
QUOTES = Quotes(PRICES, {}, {"USD": 2, "XBT": 5, "EUR": 2})


def holds(total: str, held: str = "0") -> AssetBalance:
    return AssetBalance(Decimal(total), Decimal(total) - Decimal(held), Decimal(held))


def row(seen: Seen) -> Row:
    (found,) = account_rows(seen)
    return found


def texts(found: Row) -> list[str]:
    return [each.text for each in found.cells]


def test_the_columns_of_an_account() -> None:
    assets = {"USD": holds("1234.5678", "34.5"), "XBT": holds("0.5")}
    snapshot = account_of(cash=Decimal("1234.5678"), available_cash=Decimal("1200.0678"), cash_assets=("USD",),
                          assets=assets)  # fmt: skip
    shown = texts(row(Seen(status_of(snapshot), quotes=QUOTES)))
    assert shown == ["MASTER", "available", "31,234.56", "1,234.56", "1,200.06", "34.50", "0 s", "no history yet", ""]


def test_a_total_is_in_every_currency_that_prices_lead_to() -> None:
    snapshot = account_of(assets={"USD": holds("125"), "EUR": holds("100"), "ETH": holds("1"), "NEW": holds("3")})
    total = row(Seen(status_of(snapshot), quotes=QUOTES)).cells[2]
    (told, beside) = total.pieces
    assert isinstance(told, Worth)
    assert told.by_currency["USD"] == Number("3,250.00", "3250.00")
    assert told.by_currency["EUR"].text == "2,600.00"
    assert told.by_currency["GBP"].text == "no price"
    assert (beside, total.state) == (" without NEW", "warn")


def test_without_prices_there_is_no_total() -> None:
    assert row(Seen(status_of(account_of(assets={"XBT": holds("1")})))).cells[2].text == "no price"
    assert row(Seen(status_of(account_of(assets={"NEW": holds("1")})), quotes=QUOTES)).cells[2].text == "no price"


def test_an_unknown_balance_is_not_a_number() -> None:
    """G6, on the page."""
    snapshot = account_of(cash=None, as_of=None, standing=Standing.UNKNOWN)
    shown = texts(row(Seen(status_of(snapshot), quotes=QUOTES)))
    assert shown[2:7] == ["unknown", "unknown", "unknown", "unknown", "never"]


def test_what_has_changed_in_a_day_is_told_at_today_s_prices() -> None:
    """Bitcoin bought for 600 dollars is no loss, and a price that rose no gain."""
    before = BalancePoint(NOW - timedelta(days=1), Decimal(1000), None, {"USD": Decimal(1000)})
    snapshot = account_of(assets={"USD": holds("399"), "XBT": holds("0.01")})
    day = row(Seen(status_of(snapshot), quotes=QUOTES, day_ago={"MASTER": before})).cells[7]
    assert day.text == "-1.00"
    young = BalancePoint(NOW - timedelta(hours=3), Decimal(0), None, {})
    day = row(Seen(status_of(snapshot), quotes=QUOTES, day_ago={"MASTER": young})).cells[7]
    assert day.text == "+999.00 since\u00a021:00:00 UTC"


def test_what_cash_does_not_count_is_said_with_the_line_to_configure() -> None:
    asset = AssetBalance(Decimal(5000), Decimal(5000), Decimal(0), (BalanceRow("ZEUR", Bucket.SPOT, Decimal(5000)),))
    snapshot = account_of(cash=Decimal(0), cash_assets=("USD", "USDT"), assets={"EUR": asset})
    status = row(Seen(status_of(snapshot))).cells[1].text
    assert status == 'available. EUR not counted; to count it, configure cash = ["EUR"]'
    assert row(Seen(status_of())).cells[1].text == "available"


def test_pauses_switches_and_errors_are_said() -> None:
    snapshot = account_of(error_count=2, last_error="No reply.", next_attempt=NOW + timedelta(seconds=7))
    found = row(Seen(status_of(snapshot, paused={"MASTER": NOW}, switches={"MASTER": 60}))).cells[1]
    assert found.text == (
        "available: No reply (2 errors in a row, next attempt in 7 s). Trading is paused since 00:00:00 UTC. "
        "Dead man's switch: armed with 60 s"
    )
    assert found.state == "warn"


@pytest.mark.parametrize(
    ("facts", "offered"),
    [
        ({}, ["cancel-all", "pause-trading", "arm"]),
        ({"paused": {"MASTER": NOW}, "switches": {"MASTER": 60}}, ["cancel-all", "resume-trading", "disarm"]),
    ],
)
def test_actions_are_offered_only_where_they_are_allowed(facts: dict[str, Any], offered: list[str]) -> None:
    links = [each for each in row(Seen(status_of(**facts), may_act=True)).cells[-1].pieces if isinstance(each, Link)]
    assert [each.path for each in links] == [f"/act?action={each}&account=MASTER" for each in offered]
    assert not row(Seen(status_of(**facts))).cells[-1].pieces


def test_assets_are_shown_to_their_decimals() -> None:
    snapshot = account_of(assets={"XBT": holds("1.123456789", "0.1"), "NEW": holds("0.000000001")})
    found = [texts(each) for each in asset_rows(snapshot, QUOTES)]
    assert found == [["NEW", "0.000000001", "0.000000001", "0"], ["XBT", "1.12345", "1.02345", "0.10000"]]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_an_amount_keeps_every_digit(value: Decimal) -> None:
    """G12: in full, and on hover where it is cut."""
    assert amount(value).replace(",", "") == format(value, "f")
    for shown in (number(value, 2), number(value, None), short(value)):
        assert shown.exact == format(value, "f")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=0, max_value=10**12), st.integers(0, 8))
def test_an_amount_that_is_cut_never_promises_more(value: Decimal, decimals: int) -> None:
    shown = number(value, decimals).text.replace(",", "")
    if shown.startswith("<"):
        assert 0 < value < Decimal(shown[1:])
    else:
        assert value - Decimal(1).scaleb(-decimals) < Decimal(shown) <= value
        assert (Decimal(shown) == 0) == (value == 0)


def test_numbers_for_people() -> None:
    assert number(Decimal("1234.5"), 2) == Number("1,234.50", "1234.5")
    assert number(Decimal("-0.001"), 2) == Number("-<0.01", "-0.001")
    shown = [short(Decimal(each)).text for each in ("0.20000000", "90000.0", "1E+3", "0")]
    assert shown == ["0.2", "90,000", "1,000", "0"]
    assert [signed(Decimal(each), 2).text for each in ("1", "0", "-1")] == ["+1.00", "0.00", "-1.00"]


def test_a_rate_goes_either_way_and_over_others() -> None:
    assert Prices().rate("USD", "USD") == 1
    assert PRICES.rate("USD", "EUR") == Decimal("0.8")
    assert PRICES.rate("ETH", "USD") == 3000
    assert PRICES.rate("ETH", "EUR") == 2400
    assert PRICES.rate("ETH", "GBP") is None
    assert worth({"XBT": Decimal(2), "NONE": Decimal(0), "NEW": Decimal(1)}, "USD", PRICES) == Valuation(
        Decimal(120000), ("NEW",)
    )


def test_only_the_markets_that_are_needed_are_asked_for() -> None:
    listed = [("XBT", "USD"), ("ETH", "USD"), ("ETH", "EUR"), ("EUR", "USD"), ("DOT", "USD")]
    assert set(markets_for(["ETH", "NEW"], listed)) == {("ETH", "USD"), ("XBT", "USD"), ("EUR", "USD")}
