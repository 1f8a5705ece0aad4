"""Kraken's parameters of an order become the `Order` that they ask for, and go to Kraken as they came."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import ConfigError, WrongParameter
from engine.kraken.endpoints import private_endpoint
from engine.kraken.params import canonical
from engine.rules.order.close import ConditionalClose
from engine.rules.order.order import Order
from engine.rules.order.order_params import order_of
from engine.rules.order.order_values import WrongPart
from engine.rules.order.validation import fit, params_of
from engine.values import Pair

PLAIN: dict[str, Any] = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"}
STOP = {"ordertype": "stop-loss"}
PAIR = Pair(id="XXBTZUSD", altname="XBTUSD", base="XXBT", quote="ZUSD", wsname="XBT/USD", pair_decimals=1,
            lot_decimals=8, cost_decimals=5, ordermin=Decimal("0.0001"), costmin=Decimal("0.5"),
            tick_size=Decimal("0.1"), status="online")  # fmt: skip


def asked(**more: Any) -> Order:
    return order_of(canonical(private_endpoint("AddOrder"), {**PLAIN, **more}))


@pytest.mark.parametrize(
    "more",
    [
        {"oflags": "fcib,post"}, {"timeinforce": "IOC"}, {"leverage": 2}, {"reduce_only": True}, {"starttm": "+60"},
        {"starttm": "1800000000"}, {"timeinforce": "GTD", "expiretm": "+60"}, {"stptype": "cancel-both"},
        {"timeinforce": "GTD", "expiretm": "1800000000.25"}, {"trigger": "index", **STOP},
        {"ordertype": "iceberg", "displayvol": "0.005"},
        {"close[ordertype]": "stop-loss-limit", "close[price]": "29000", "close[price2]": "28900.5"},
        {"close[ordertype]": "take-profit", "close[price]": "+5%"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_for_goes_to_kraken(more: dict[str, Any]) -> None:
    order = asked(**more)
    assert params_of(fit(order, PAIR), PAIR) == {**PLAIN, **more}
    assert Order.from_dict(order.to_dict()) == order
    assert pickle.loads(pickle.dumps(order)) == order


def test_a_userref_and_a_deadline_are_kept_by_the_engine() -> None:
    order = asked(userref="-5", deadline="2026-11-28T20:15:00Z")
    assert (order.userref, order.deadline) == (-5, datetime(2026, 11, 28, 20, 15, tzinfo=UTC))
    assert params_of(order, PAIR) == PLAIN
    assert order == asked(userref=-5), "another try has another deadline"
    assert order != asked()
    assert Order.from_dict(order.to_dict()).deadline == order.deadline


def test_an_order_that_expires_is_good_until_then() -> None:
    assert asked(expiretm="+60").time_in_force == "GTD"
    with pytest.raises(WrongParameter) as raised:
        asked(expiretm="+60", timeinforce="IOC")
    assert raised.value.name == "expiretm"


def test_a_market_order_has_no_price_whatever_is_given() -> None:
    order = asked(ordertype="market", price="29000", price2="1")
    assert (order.price, order.price2) == (None, None)


def test_a_share_is_named_as_one() -> None:
    assert asked(pair="AAPLxUSD", asset_class="tokenized_asset").pair == "AAPLxUSD"
    with pytest.raises(WrongParameter) as raised:
        asked(asset_class="tokenized_asset")
    assert raised.value.name == "asset_class"


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"volume": "0"}, "volume"), ({"price": "0"}, "price"), ({"price2": "1"}, "price2"), ({"type": None}, "type"),
        ({"pair": ""}, "pair"), ({"oflags": "viqc"}, "oflags"), ({"oflags": "post", "timeinforce": "IOC"}, "oflags"),
        ({"displayvol": "1"}, "displayvol"), ({"trigger": "index"}, "trigger"), ({"timeinforce": "GTD"}, "expiretm"),
        ({"close[price]": "5"}, "close[ordertype]"), ({"close[ordertype]": "limit"}, "close[price]"),
        ({"close[ordertype]": "limit", "close[price]": "5", "close[price2]": "6"}, "close[price2]"),
        ({"timeinforce": "FOK", "ordertype": "market"}, "timeinforce"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_missing_or_does_not_go_together_is_named(more: dict[str, Any], name: str) -> None:
    with pytest.raises(WrongParameter) as raised:
        asked(**more)
    assert raised.value.name == name


@pytest.mark.parametrize(
    "wrong",
    [
        {"userref": 0}, {"userref": 2**31}, {"userref": True}, {"deadline": 5}, {"deadline": "soon"},
        {"starts": datetime(2026, 1, 1)}, {"starts": 0}, {"self_trade": "none"}, {"close": "limit"},
        {"close": {"type": "limit", "price": "1", "amount": "2"}}, {"flags": "fcib,fciq"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_parts_of_an_order_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Order("XBTUSD", "buy", "limit", "1", "1", **wrong)


def test_a_wrong_part_survives_a_process() -> None:
    with pytest.raises(WrongPart) as raised:
        ConditionalClose("limit")
    copied = pickle.loads(pickle.dumps(raised.value))
    assert (copied.part, str(copied)) == ("close[price]", str(raised.value))


def test_the_prices_of_a_close_are_rounded_as_those_of_an_order_on_the_other_side() -> None:
    order = asked(**{"close[ordertype]": "limit", "close[price]": "31000.01"})
    assert fit(order, PAIR).close == ConditionalClose("limit", "31000.1")
