"""Which assets are cash, and money that is there and not counted (G6)."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.assets import AssetTable
from engine.kraken.cash_names import plain_names, unlisted, unlisted_sentence
from engine.rules.balance.cash import currency_of, elsewhere, elsewhere_sentence, in_words, line_to_count

TABLE = AssetTable.shipped()
USUAL = ("USD", "USDT")


def amounts(**given: str) -> dict[str, Decimal]:
    return {name: Decimal(each) for name, each in given.items()}


@pytest.mark.parametrize(
    ("there", "cash", "found"),
    [
        (amounts(EUR="5000"), USUAL, ("EUR",)),
        (amounts(EUR="5000", USD="0"), USUAL, ("EUR",)),
        (amounts(EUR="5000", USD="0.0100"), USUAL, ("EUR",)),
        (amounts(USDC="5000", USD="499"), USUAL, ("USDC",)),
        (amounts(USDC="5000", USD="500"), USUAL, ()),
        (amounts(EUR="5000", USD="5000"), USUAL, ()),
        (amounts(EUR="50", GBP="900", USDC="70"), USUAL, ("GBP", "USDC", "EUR")),
        (amounts(JPY="900000"), USUAL, ("JPY",)),
        (amounts(JPY="900"), ("USD",), ("JPY",)),
        (amounts(JPY="900", USD="7"), ("USD",), ()),
        (amounts(JPY="100"), ("USD",), ()),
        (amounts(EUR="0.99"), USUAL, ()),
        (amounts(XBT="3", ETH="40"), USUAL, ()),
        (amounts(EUR="5000", XBT="0.5"), ("XBT",), ()),
        (amounts(EUR="5000", XBT="0"), ("XBT",), ("EUR",)),
        (amounts(EUR="5000"), ("EUR",), ()),
        ({}, USUAL, ()),
    ],
)
def test_money_beside_no_or_much_less_cash_is_found(
    there: dict[str, Decimal], cash: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert elsewhere(there, cash) == found


@pytest.mark.parametrize(
    ("found", "cash", "line"),
    [
        (("EUR",), USUAL, 'cash = ["EUR"]'),
        (("USDC",), USUAL, 'cash = ["USD", "USDT", "USDC"]'),
        (("EUR", "USDC"), USUAL, 'cash = ["EUR"]'),
        (("EURQ",), ("EUR", "USD"), 'cash = ["EUR", "EURQ"]'),
    ],
)
def test_the_line_counts_one_currency(found: tuple[str, ...], cash: tuple[str, ...], line: str) -> None:
    """Euros and dollars are not added up: cash is one sum."""
    assert line_to_count(found, cash) == line
    assert line in elsewhere_sentence("MASTER", found, cash)
    assert in_words(cash) in elsewhere_sentence("MASTER", found, cash)


MONEY = st.dictionaries(st.sampled_from(["USD", "USDT", "EUR", "GBP", "JPY", "XBT"]), st.decimals(0, 10**30, places=8))


@given(MONEY, st.lists(st.sampled_from(["USD", "EUR", "XBT", "JPY"]), max_size=3), st.integers(1, 60))
def test_following_the_line_ends_the_warning_for_that_currency(
    there: dict[str, Decimal], cash: list[str], host_precision: int
) -> None:
    """Whatever the host's decimal context is."""
    with decimal.localcontext(decimal.Context(prec=host_precision, traps=[decimal.Inexact])):
        found = elsewhere(there, cash)
        assert not set(found) & set(cash)
        if found:
            counted = [name.strip('"') for name in line_to_count(found, cash)[8:-1].split(", ")]
            assert found[0] in counted
            assert found[0] not in elsewhere(there, counted)


def test_names_of_cash_are_read_as_people_write_them() -> None:
    assert plain_names(("ZUSD", "usd", "USD", "BTC", "doge", "eur", "NEWCOIN"), TABLE) == (
        "USD", "XBT", "XDG", "EUR", "NEWCOIN",
    )  # fmt: skip
    assert unlisted(("USD", "btc", "EURO", "NEWCOIN"), TABLE) == ("EURO", "NEWCOIN")


def test_a_name_that_is_not_listed_is_told_with_the_nearest() -> None:
    told = unlisted_sentence(("EURO", "DOLLAR"), TABLE)
    assert "'EURO', 'DOLLAR'" in told
    assert "Kraken lists no such asset; it lists EUROP, EUR." in told
    assert "such as USD" in unlisted_sentence(("QQQQQQ",), TABLE)


def test_cash_is_named_in_words_and_by_its_currency() -> None:
    assert in_words(["USD", "USDT"]) == "USD + USDT"
    assert in_words([]) == "nothing"
    of = {currency_of(cash): cash for cash in (["EUR", "USD"], ["USDT"], ["XBT", "EUR"])}
    assert of == {"EUR": ["EUR", "USD"], "USD": ["USDT"], "XBT": ["XBT", "EUR"]}
    assert currency_of([]) == "USD"
