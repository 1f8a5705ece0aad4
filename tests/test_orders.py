"""Orders as values, their states, and what is checked before anything is sent (promise G9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import ConfigError, Order, OrderReceipt, OrderState
from engine.rules.order_states import TABLE, IllegalNews, OrderNews, after

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
def test_what_is_no_order_is_refused_with_the_name_of_what_is_wrong(what: str, changes: dict[str, Any]) -> None:
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
@pytest.mark.parametrize("news", OrderNews)
def test_what_cannot_happen_raises(state: OrderState, news: OrderNews) -> None:
    expected = TABLE[state].get(news)
    if expected is None:
        with pytest.raises(IllegalNews):
            after(state, news)
    else:
        assert after(state, news) is expected


def test_g9_only_what_was_never_sent_and_what_was_looked_for_is_not_placed() -> None:
    ways = {(state, news) for state, row in TABLE.items() for news, end in row.items() if end is OrderState.NOT_PLACED}
    assert ways == {
        (OrderState.PLANNED, OrderNews.NOT_SENT),
        (OrderState.SENT, OrderNews.NOT_SENT),
        (OrderState.UNKNOWN, OrderNews.ABSENT),
    }
    assert not any(end is OrderState.SENT for state, row in TABLE.items() if state is not OrderState.PLANNED
                   for end in row.values()), "nothing is sent twice"  # fmt: skip
