"""Where the limits of an order lie exactly: what is just allowed, and what is just not (promise G9)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine import ConfigError, Order, OrderReceipt, OrderRejected, OrderState
from engine.rules.order.order import check_id
from engine.rules.order.placement import REMEMBERED, REMEMBERED_UNNAMED, Placement
from engine.rules.order.states import OrderEvent
from engine.rules.order.validation import fit, params_of, reserves, worst_price
from tests.rules.order.test_validation import LIMIT, XBTUSD


@pytest.mark.parametrize("name", ["leverage", "expires"])
def test_whole_numbers_are_positive_and_have_ten_digits_at_most(name: str) -> None:
    in_force = {"time_in_force": "GTD"} if name == "expires" else {}
    wrong: list[Any] = [0, -1, 10**10, True, 1.0, "2"]
    for value in wrong:
        with pytest.raises(ConfigError, match=name):
            Order("XBTUSD", "buy", "limit", "1", "1", **{**in_force, name: value})
    for value in (1, 2, 101, 10**10 - 1):
        order = Order("XBTUSD", "buy", "limit", "1", "1", **{**in_force, name: value})  # type: ignore[arg-type]
        assert getattr(order, name) == value


def test_names_are_so_long_and_no_longer() -> None:
    for good in ("a", "x" * 128, "!~"):
        assert check_id(good) == good
    wrong: list[Any] = ["", "x" * 129, "a b", "é", 7, None]
    for bad in wrong:
        with pytest.raises(ConfigError, match="1 to 128"):
            check_id(bad)
    assert Order("X" * 32, "buy", "market", "1").pair == "X" * 32
    for pair in ("X" * 33, "", "XBT€USD", "XBT\nUSD"):
        with pytest.raises(ConfigError, match="pair"):
            Order(pair, "buy", "market", "1")


def test_amounts_have_thirty_digits_at_most_on_either_side() -> None:
    for good in ("9" * 30, "0." + "0" * 29 + "1", Decimal(10) ** 29, Decimal(10) ** -30):
        assert Order("XBTUSD", "buy", "market", good).volume == Decimal(good)
    for bad in ("9" * 31, "0." + "0" * 30 + "1", Decimal(10) ** 30, Decimal(10) ** -31):
        with pytest.raises(ConfigError, match="volume"):
            Order("XBTUSD", "buy", "market", bad)


def test_the_least_that_a_pair_takes_is_enough() -> None:
    for order in (
        Order("XBTUSD", "buy", "limit", "0.00005", "30000"),  # ordermin
        Order("XBTUSD", "sell", "limit", "0.005", "100"),  # costmin
        Order("XBTUSD", "buy", "market", "0.5", flags=("viqc",)),  # costmin, in the quote asset
    ):
        assert fit(order, XBTUSD) == order


@pytest.mark.parametrize(
    "order",
    [
        Order("XBTUSD", "sell", "stop-loss", "0.00005", "100"),  # the price is only its trigger
        Order("XBTUSD", "sell", "market", "0.00005"),
        Order("XBTUSD", "buy", "limit", "0.00005", "+1"),  # relative: Kraken works it out
    ],
)
def test_the_value_of_an_order_without_a_limit_is_not_judged(order: Order) -> None:
    assert fit(order, XBTUSD) == order
    assert worst_price(order) is None


def test_of_two_prices_the_limit_counts() -> None:
    order = Order("XBTUSD", "sell", "stop-loss-limit", "0.00005", "30000", "100")
    with pytest.raises(OrderRejected, match="worth"):
        fit(order, XBTUSD)
    assert worst_price(order) == 100
    buys = Order("XBTUSD", "buy", "stop-loss-limit", "2", "100", "200")
    assert reserves(buys, XBTUSD, Decimal("0.25")) == ("ZUSD", 500)


def test_the_volume_that_an_iceberg_shows_is_rounded_down_to_a_step_of_the_pair() -> None:
    order = Order("XBTUSD", "buy", "iceberg", "1", "30000", display_volume="0.1239")
    coarse = fit(order, replace(XBTUSD, lot_decimals=3))
    assert (coarse.volume, coarse.display_volume) == (1, Decimal("0.123"))
    assert params_of(coarse, XBTUSD)["displayvol"] == "0.123"


def test_relative_prices_have_the_decimals_of_the_pair_at_most() -> None:
    for price in ("+100", "+100.5", "1.234%", "#2.55%"):
        order = Order("XBTUSD", "sell", "stop-loss", "1", price)
        assert fit(order, XBTUSD).price == price
    with pytest.raises(OrderRejected, match="1 decimals"):
        fit(Order("XBTUSD", "sell", "stop-loss", "1", "+100.55"), XBTUSD)


def test_what_gets_too_small_by_rounding_is_refused_and_not_sent() -> None:
    for order in (
        replace_of(LIMIT, volume="0.000000001"),
        Order("XBTUSD", "buy", "iceberg", "1", "30000", display_volume="0.000000001"),
        Order("XBTUSD", "buy", "stop-loss-limit", "1", "30000", "0.04"),
    ):
        with pytest.raises(OrderRejected):
            fit(order, XBTUSD)


def replace_of(order: Order, **changes: Any) -> Order:
    return Order.from_dict({**order.to_dict(), **changes})


def placed(named: bool = True) -> Placement:
    return Placement(
        account="MASTER", id="x", cl_ord_id="0" * 32, key_id="k", order=LIMIT, fitted=LIMIT, pair="XBT/USD",
        params={"pair": "XBTUSD"}, reserved=("ZUSD", Decimal(300)), named=named, times={"planned": 50.0},
    )  # fmt: skip


def test_of_a_new_placement_nothing_is_filled() -> None:
    receipt = placed().receipt
    assert (receipt.state, receipt.txids) == (OrderState.PLANNED, ())
    assert (receipt.filled, receipt.cost, receipt.fee) == (0, 0, 0)
    checked = OrderReceipt("x", "MASTER", LIMIT, OrderState.NOT_PLACED, (), "0" * 32, False)
    assert (checked.filled, checked.cost, checked.fee) == (0, 0, 0)


@pytest.mark.parametrize(("named", "seconds"), [(True, 30 * 86_400.0), (False, 3600.0)])
def test_a_placement_is_forgotten_so_long_after_its_end_and_not_before(named: bool, seconds: float) -> None:
    assert (REMEMBERED, REMEMBERED_UNNAMED) == (30 * 86_400.0, 3600.0)
    row = placed(named).after(OrderEvent.NOT_SENT, 100.0)
    assert not row.is_forgotten(100.0 + seconds)
    assert row.is_forgotten(100.5 + seconds)
    assert not placed(named).is_forgotten(1e12), "what is not over is kept"
