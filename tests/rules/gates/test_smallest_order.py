"""The smallest order that Kraken takes: exactly that, in whole steps, and never less."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.gates.plan import Candidate
from engine.rules.gates.smallest_order import far_below, smallest_order, smallest_volume
from engine.rules.order.order import Order
from tests.rules.gates.test_gates import PRICES, XBT, amount, balance, view

CENTS = st.decimals(Decimal("0.01"), Decimal("100000"), places=2)


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        ("30000", "0.0001"),  # ordermin
        ("5000", "0.0001"),  # both
        ("1000", "0.0005"),  # costmin
        ("3", "0.16666667"),  # costmin, rounded up
    ],
)
def test_it_is_what_ordermin_and_costmin_leave(price: str, volume: str) -> None:
    assert smallest_volume(XBT, Decimal(price)) == Decimal(volume)


@given(price=CENTS, lot_decimals=st.integers(0, 8), least=CENTS, cost=CENTS)
def test_it_is_enough_and_one_step_less_is_not(
    price: Decimal, lot_decimals: int, least: Decimal, cost: Decimal
) -> None:
    pair = replace(XBT, lot_decimals=lot_decimals, ordermin=least, costmin=cost)
    volume, step = smallest_volume(pair, price), Decimal(1).scaleb(-lot_decimals)
    assert volume % step == 0
    for each, enough in ((volume, True), (volume - step, False)):
        assert (each >= least and each * price >= cost) is enough


@pytest.mark.parametrize(
    ("bid", "price"), [("30000.0", "15000.0"), ("0.3", "0.2"), ("0.1", "0.1"), ("29999.9", "15000.0")]
)
def test_half_of_the_bid_is_rounded_up_to_a_step_of_the_price(bid: str, price: str) -> None:
    order = far_below(XBT, Decimal(bid))
    volume = smallest_volume(XBT, Decimal(price))
    assert order == Order("XBTUSD", "buy", "limit", volume, Decimal(price), flags=("post",))


@pytest.mark.parametrize(
    ("usd", "side", "price"),
    [
        ("1000", "buy", PRICES.bid),
        ("3.0120", "buy", PRICES.bid),
        ("3.0119", "sell", PRICES.ask),
        ("0", "sell", PRICES.ask),
    ],
)
def test_it_buys_where_there_is_cash_for_it_and_sells_otherwise(usd: str, side: str, price: Decimal) -> None:
    order = smallest_order(Candidate("XBTUSD"), view(balance=balance(usd=usd)))
    assert (order.pair, order.side, order.type, order.price) == ("XBTUSD", side, "limit", price)
    assert order.volume == smallest_volume(XBT, price)


def test_it_sells_where_the_cash_is_not_known() -> None:
    unknown = balance(assets={"USD": amount("1000", None), "XBT": amount("1")})
    assert smallest_order(Candidate("XBTUSD"), view(balance=unknown)).side == "sell"
