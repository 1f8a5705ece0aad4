"""Orders as values, their states, and what is checked before anything is sent (promise G9)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import CallError, ConfigError, Order, OrderReceipt, OrderRejected, OrderState
from engine.actors.order.pair_cache import PairCache
from engine.errors import ConnectFailed, InvalidArguments, MarketUnavailable
from engine.kraken.pairs import read_pairs
from engine.rules.order.states import TABLE, IllegalTransition, OrderEvent, after
from engine.rules.order.validation import fit, params_of, reserves

LIMIT = Order("XBTUSD", "buy", "limit", "0.01", "30000")


@given(volume=st.decimals(Decimal("1e-10"), Decimal("1e10"), allow_nan=False, places=18))
def test_an_amount_is_kept_exactly_however_it_is_given(volume: Decimal) -> None:
    assert Order("XBTUSD", "buy", "market", volume).volume == volume
    assert Order("XBTUSD", "buy", "market", format(volume, "f")).volume == volume


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("float", {"volume": 0.1}),
        ("float", {"price": 0.1}),
        ("volume", {"volume": "0"}),
        ("volume", {"volume": "-1"}),
        ("volume", {"volume": "1e3"}),
        ("volume", {"volume": Decimal("NaN")}),
        ("volume", {"volume": True}),
        ("volume", {"volume": "1" * 40}),
        ("side", {"side": "long"}),
        ("type", {"type": "settle-position"}),
        ("pair", {"pair": ""}),
        ("price", {"price": None}),
        ("price", {"price": "0"}),
        ("price", {"type": "market"}),
        ("price2", {"price2": "29000"}),
        ("flags", {"flags": ("nompp",)}),
        ("viqc", {"flags": ("viqc",)}),
        ("post", {"type": "stop-loss", "flags": ("post",)}),
        ("time_in_force", {"time_in_force": "DAY"}),
        ("expires", {"time_in_force": "GTD"}),
        ("expires", {"expires": 60}),
        ("display_volume", {"display_volume": "0.001"}),
        ("trigger", {"trigger": "mark"}),
        ("leverage", {"leverage": 0}),
        ("reduce_only", {"reduce_only": 1}),
    ],
)
def test_an_invalid_order_is_refused_with_the_name_of_the_wrong_part(what: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=what):
        Order(**{"pair": "XBTUSD", "side": "buy", "type": "limit", "volume": "0.01", "price": "30000", **changes})


def test_an_order_and_its_receipt_go_through_json_unchanged() -> None:
    order = Order("XBT/USD", "sell", "trailing-stop", 2, "+1.5%", flags="fcib", time_in_force="GTD", expires=60)
    assert Order.from_dict(order.to_dict()) == order
    shown = OrderReceipt("x", "MASTER", order, OrderState.CLOSED, ("O1",), filled=Decimal("0.10")).to_dict()
    assert shown["state"] == "closed"
    assert shown["txids"] == ["O1"]
    assert shown["filled"] == "0.10"
    assert shown["order"]["volume"] == "2"


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event", OrderEvent)
def test_what_cannot_happen_raises(state: OrderState, event: OrderEvent) -> None:
    expected = TABLE[state].get(event)
    if expected is None:
        with pytest.raises(IllegalTransition):
            after(state, event)
    else:
        assert after(state, event) is expected


def test_g9_only_what_was_never_sent_and_what_was_looked_for_is_not_placed() -> None:
    rows = TABLE.items()
    ways = {(state, event) for state, row in rows for event, end in row.items() if end is OrderState.NOT_PLACED}
    assert ways == {
        (OrderState.PLANNED, OrderEvent.NOT_SENT),
        (OrderState.SENT, OrderEvent.NOT_SENT),
        (OrderState.UNKNOWN, OrderEvent.ABSENT),
    }
    assert not any(end is OrderState.SENT for state, row in TABLE.items() if state is not OrderState.PLANNED
                   for end in row.values()), "nothing is sent twice"  # fmt: skip


AMOUNTS = st.decimals(Decimal("0.00000001"), Decimal("1000000"), allow_nan=False, places=12)
BOOK = read_pairs({
    "XXBTZUSD": {
        "altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online",
        "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8, "ordermin": "0.00005", "costmin": "0.5",
        "tick_size": "0.1", "fees": [[0, Decimal("0.4")], [10000, Decimal("0.35")]],
    },
})  # fmt: skip
XBTUSD = BOOK["XBTUSD"]


def test_a_pair_is_known_by_all_its_names_and_a_row_that_cannot_be_read_is_left_out() -> None:
    assert set(BOOK) == {"XXBTZUSD", "XBTUSD", "XBT/USD"}
    assert (XBTUSD.tick_size, XBTUSD.fee) == (Decimal("0.1"), Decimal("0.004"))
    assert read_pairs({"A": {"altname": "A"}, "B": None}) == {}


@given(volume=AMOUNTS, price=AMOUNTS, side=st.sampled_from(["buy", "sell"]), flags=st.sampled_from([(), ("post",)]))
def test_rounding_never_exceeds_what_was_asked(
    volume: Decimal, price: Decimal, side: str, flags: tuple[str, ...]
) -> None:
    asked = Order("XBTUSD", side, "limit", volume or "1", price or "1", flags=flags)
    try:
        order = fit(asked, XBTUSD)
    except OrderRejected:
        return
    assert isinstance(order.price, Decimal)
    assert isinstance(asked.price, Decimal)
    assert asked.volume - Decimal("1e-8") < order.volume <= asked.volume
    assert order.volume >= XBTUSD.ordermin
    assert order.volume * order.price >= XBTUSD.costmin
    assert order.price % XBTUSD.tick_size == 0
    away = asked.price - order.price if side == "buy" else order.price - asked.price
    assert 0 <= away < XBTUSD.tick_size
    assert fit(order, XBTUSD) == order
    asset, amount = reserves(order, XBTUSD, Decimal("0.008"))
    least = order.volume * order.price if side == "buy" else order.volume
    assert asset == ("ZUSD" if side == "buy" else "XXBT")
    assert amount >= least


@pytest.mark.parametrize(
    ("side", "kind", "price", "rounded"),
    [
        ("sell", "stop-loss", "30000.07", "30000.0"),
        ("buy", "stop-loss", "30000.03", "30000.1"),
        ("sell", "take-profit", "30000.03", "30000.1"),
        ("buy", "take-profit", "30000.07", "30000.0"),
        ("buy", "stop-loss", "+100.5", "+100.5"),
        ("sell", "trailing-stop", "+1.25%", "+1.25%"),
    ],
)
def test_a_trigger_is_not_reached_earlier_than_asked(side: str, kind: str, price: str, rounded: str) -> None:
    order = fit(Order("XBTUSD", side, kind, "1", price), XBTUSD)
    assert params_of(order, XBTUSD)["price"] == rounded


@pytest.mark.parametrize(
    ("order", "status", "error"),
    [
        (Order("XBTUSD", "buy", "limit", "0.00004999", "30000"), "online", OrderRejected),
        (Order("XBTUSD", "buy", "limit", "0.00006", "100"), "online", OrderRejected),
        (Order("XBTUSD", "buy", "limit", "0.01", "0.04"), "online", OrderRejected),
        (Order("XBTUSD", "buy", "market", "0.4", flags=("viqc",)), "online", OrderRejected),
        (Order("XBTUSD", "sell", "trailing-stop", "1", "100"), "online", OrderRejected),
        (Order("XBTUSD", "sell", "stop-loss", "1", "+1.25"), "online", OrderRejected),
        (LIMIT, "cancel_only", MarketUnavailable),
        (LIMIT, "post_only", MarketUnavailable),
        (Order("XBTUSD", "buy", "market", "1"), "limit_only", MarketUnavailable),
        (LIMIT, "reduce_only", MarketUnavailable),
        (LIMIT, "something_new", MarketUnavailable),
    ],
)
def test_what_the_pair_does_not_take_is_not_sent(order: Order, status: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        fit(order, replace(XBTUSD, status=status))


def test_a_market_buy_reserves_everything_as_nobody_knows_what_it_will_cost() -> None:
    asset, amount = reserves(Order("XBTUSD", "buy", "market", "1"), XBTUSD, Decimal("0.008"))
    assert asset == "ZUSD"
    assert Decimal(10) ** 30 - amount < 0


class PairSource:
    """Answers for AssetPairs, as long as it does."""

    def __init__(self) -> None:
        self.error: CallError | None = None
        self.asked = 0

    def __call__(self, endpoint: str, params: Any, seconds: float) -> Any:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {"XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD",
                             "status": "online", "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8,
                             "ordermin": "0.00005", "fees": [[0, 1]]}}  # fmt: skip


def test_a_pair_is_asked_for_once_and_serves_on_when_kraken_is_away() -> None:
    source, now = PairSource(), [0.0]
    book = PairCache(source, lambda: now[0])
    pair = book.get("XBT/USD", 1)
    assert book.get("XXBTZUSD", 1) is pair
    assert source.asked == 1
    now[0], source.error = 1000.0, ConnectFailed("away")
    assert book.get("XBTUSD", 1) is pair
    now[0] = 100_000.0
    with pytest.raises(ConnectFailed):
        book.get("XBTUSD", 1)
    source.error = InvalidArguments("EQuery:Unknown asset pair")
    with pytest.raises(OrderRejected, match="no pair"):
        book.get("NOPE", 1)


def test_a_comma_in_an_amount_is_told_as_such() -> None:
    with pytest.raises(ConfigError, match=r"Order.volume is '0,001', which is not an amount: write it with a point"):
        Order("XBTUSD", "buy", "market", "0,001")
