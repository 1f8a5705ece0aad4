"""Parameters of orders as well-known clients send them: kept, made canonical, passed over, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CallNotSent, ConfigError, WrongParameter
from engine.kraken.endpoints import private_endpoint
from engine.kraken.params import PARAMETERS, canonical
from engine.kraken.signing import encode

PLAIN: dict[str, Any] = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"}
PASSED_OVER: tuple[dict[str, Any], ...] = (
    {"trading_agreement": "agree"}, {"broker": "B123456"}, {"asset_class": "currency"}, {"stptype": "cancel-newest"},
    {"stp_type": "cancel_newest"}, {"oflags": ""}, {"oflags": "nompp"}, {"oflags": []}, {"oflags": "no_mpp, "},
    {"reduce_only": False}, {"reduce_only": "False"}, {"reduce_only": "false"}, {"reduce_only": "0"},
    {"reduce_only": 0}, {"leverage": 0}, {"leverage": "none"}, {"leverage": "None"}, {"leverage": "0"},
    {"price2": 0}, {"price2": "0.0"}, {"price2": "0E-8"}, {"price2": None}, {"price2": ""}, {"starttm": "0"},
    {"starttm": 0}, {"starttm": "+0"}, {"expiretm": "0"}, {"userref": 0}, {"userref": "0"}, {"userref": None},
    {"timeinforce": "GTC"}, {"timeinforce": "gtc"}, {"timeinforce": ""}, {"displayvol": "0"}, {"position": ""},
    {"close": {}}, {"close": None}, {"close": "{}"}, {"close[ordertype]": ""}, {"close[price]": "0"},
    {"validate": False}, {"validate": "False"}, {"cl_ord_id": None}, {"trigger": ""},
)  # fmt: skip
KEPT: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"volume": "9e-05"}, {"volume": "0.00009"}), ({"volume": 9e-05}, {"volume": "0.00009"}),
    ({"volume": Decimal("1E+2")}, {"volume": "100"}), ({"volume": 2}, {"volume": "2"}),
    ({"volume": "9E-005"}, {"volume": "0.00009"}),
    ({"price": 30000.5}, {"price": "30000.5"}), ({"price": "+1.5%"}, {"price": "+1.5%"}),
    ({"price": "#5"}, {"price": "#5"}),
    ({"type": "BUY"}, {"type": "buy"}), ({"ordertype": "stop_loss_limit"}, {"ordertype": "stop-loss-limit"}),
    ({"leverage": "2:1"}, {"leverage": "2"}), ({"leverage": Decimal("3.0")}, {"leverage": "3"}),
    ({"reduce_only": "True"}, {"reduce_only": True}), ({"reduce_only": 1}, {"reduce_only": True}),
    ({"oflags": "fciq,post,post"}, {"oflags": "fciq,post"}), ({"oflags": ["post"]}, {"oflags": "post"}),
    ({"oflags": "VIQC,nompp"}, {"oflags": "viqc"}), ({"timeinforce": "ioc"}, {"timeinforce": "IOC"}),
    ({"stptype": "cancel-both"}, {"stptype": "cancel-both"}),
    ({"stp_type": "CANCEL_OLDEST"}, {"stptype": "cancel-oldest"}),
    ({"userref": "-2147483648"}, {"userref": -(2**31)}), ({"userref": 7}, {"userref": 7}),
    ({"starttm": "+060"}, {"starttm": "+60"}), ({"expiretm": 1800000000}, {"expiretm": "1800000000"}),
    ({"expiretm": "1800000000.50"}, {"expiretm": "1800000000.5"}), ({"cl_ord_id": 17}, {"cl_ord_id": "17"}),
    ({"deadline": "2026-11-28t21:15:00.5+01:00"}, {"deadline": "2026-11-28T20:15:00.500Z"}),
    ({"deadline": "2026-11-28 20:15:00Z"}, {"deadline": "2026-11-28T20:15:00.000Z"}),
    ({"validate": "True"}, {"validate": True}),
    ({"asset_class": "tokenized_asset"}, {"asset_class": "tokenized_asset"}),
    ({"close": {"ordertype": "limit", "price": 31000}}, {"close[ordertype]": "limit", "close[price]": "31000"}),
    ({"close": "", "close[ordertype]": "STOP-LOSS", "close[price]": "-5%"},
     {"close[ordertype]": "stop-loss", "close[price]": "-5%"}),
)  # fmt: skip
REFUSED: tuple[tuple[str, Any], ...] = (
    ("hedge_mode", "1"), ("Price", "1"), ("volume", "-1"), ("volume", "1,5"), ("volume", "1_0"), ("volume", True),
    ("volume", "inf"), ("volume", "1e99"), ("price", " 5"), ("price", "soon"), ("price", "1%2"), ("price2", "+"),
    ("leverage", "much"), ("leverage", "2.5"), ("leverage", ":1"), ("leverage", True), ("leverage", -2),
    ("reduce_only", "perhaps"), ("reduce_only", 2), ("reduce_only", []), ("oflags", "post,hidden"), ("oflags", 3),
    ("oflags", "fcib,fciq"), ("userref", 2**31), ("userref", "5.0"), ("userref", True), ("userref", "grid"),
    ("starttm", " 60"), ("starttm", "60"), ("starttm", "1e9"), ("expiretm", "soon"), ("expiretm", 1800000000000),
    ("expiretm", "-60"), ("timeinforce", "DAY"), ("stptype", "none"), ("trigger", "mark"),
    ("ordertype", "settle-position"),
    ("type", "short"), ("deadline", "2026-11-28T20:15:00"), ("deadline", "2026-13-28T20:15:00Z"), ("deadline", 5),
    ("cl_ord_id", "a" * 19), ("cl_ord_id", "two words"), ("cl_ord_id", ["a"]), ("asset_class", "forex"), ("broker", {}),
    ("trading_agreement", "no"), ("position", "TXID"), ("close[ordertype]", "market"), ("close[price]", "much"),
    ("close", "limit"), ("close", {"kind": "limit"}), ("validate", "0"), ("validate", ""), ("validate", None),
    ("displayvol", "some"), ("txid", "OAAAAA-BBBBB-CCCCCC"), ("pair", {"a": 1}),
)  # fmt: skip


def read(params: Mapping[str, Any], endpoint: str = "AddOrder") -> Mapping[str, Any]:
    return canonical(private_endpoint(endpoint), params)


@pytest.mark.parametrize("more", PASSED_OVER, ids=str)
def test_what_says_nothing_is_passed_over(more: dict[str, Any]) -> None:
    assert read({**PLAIN, **more}) == PLAIN


@pytest.mark.parametrize(("more", "kept"), KEPT, ids=str)
def test_what_says_something_is_kept_as_kraken_takes_it(more: dict[str, Any], kept: dict[str, Any]) -> None:
    told = read({**PLAIN, **more})
    assert told == {**PLAIN, **kept}
    assert read(told) == told, "read twice it is the same"


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=str)
def test_what_must_not_be_guessed_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(WrongParameter) as raised:
        read({**PLAIN, name: value})
    assert raised.value.name == name
    assert name in str(raised.value)
    assert isinstance(raised.value, CallNotSent)
    assert isinstance(raised.value, ConfigError)


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    for params in (
        {"stptype": "cancel-both", "stp_type": "cancel-newest"},
        {"close": {"price": "1"}, "close[price]": "2"},
    ):
        with pytest.raises(WrongParameter, match="twice"):
            read({**PLAIN, **params})


SDK = {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "volume": "0.002", "stptype": "cancel-newest",
       "starttm": "0", "validate": "False", "reduce_only": "False", "price": "30000"}  # fmt: skip
BODIES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("freqtrade over ccxt", {**PLAIN, "trading_agreement": "agree", "timeinforce": "GTC"}, PLAIN),
    ("freqtrade, a stop on the exchange", {"pair": "XXBTZUSD", "type": "sell", "ordertype": "stop-loss-limit",
     "volume": "0.01", "price": "29000.0", "price2": "28900.0", "trading_agreement": "agree"},
     {"pair": "XXBTZUSD", "type": "sell", "ordertype": "stop-loss-limit", "volume": "0.01", "price": "29000.0",
      "price2": "28900.0"}),
    ("ccxt, a trailing stop in JSON", {"pair": "XXBTZUSD", "type": "sell", "ordertype": "trailing-stop",
     "volume": "0.01", "price": "+5%", "trigger": "last"},
     {"pair": "XXBTZUSD", "type": "sell", "ordertype": "trailing-stop", "volume": "0.01", "price": "+5%",
      "trigger": "last"}),
    ("python-kraken-sdk", SDK, {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "volume": "0.002",
                                "price": "30000"}),
    ("python-kraken-sdk, a close", {**SDK, "close[ordertype]": "limit", "close[price]": "31000", "expiretm": "+120"},
     {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "volume": "0.002", "price": "30000",
      "close[ordertype]": "limit", "close[price]": "31000", "expiretm": "+120"}),
    ("NautilusTrader", {**PLAIN, "cl_ord_id": "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3", "oflags": "post",
                        "broker": "B000001", "asset_class": "currency", "timeinforce": "GTC"},
     {**PLAIN, "cl_ord_id": "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3", "oflags": "post"}),
    ("hummingbot", {**PLAIN, "userref": "1834567890", "oflags": "post"},
     {**PLAIN, "userref": 1834567890, "oflags": "post"}),
    ("Kraken.Net", {**PLAIN, "trading_agreement": "agree", "reduce_only": "False", "leverage": "2",
                    "starttm": "1800000000", "stptype": "cancel-newest", "timeinforce": "IOC"},
     {**PLAIN, "leverage": "2", "starttm": "1800000000", "timeinforce": "IOC"}),
    ("XChange", {**PLAIN, "oflags": "", "userref": "", "position": "", "timeinforce": ""}, PLAIN),
    ("pykrakenapi", {**PLAIN, "starttm": "0", "expiretm": "0", "trading_agreement": "agree", "leverage": "none"},
     PLAIN),
)  # fmt: skip


@pytest.mark.parametrize(("client", "body", "kept"), BODIES, ids=[each[0] for each in BODIES])
def test_the_bodies_of_well_known_clients(client: str, body: dict[str, Any], kept: dict[str, Any]) -> None:
    assert read(body) == kept, client


def test_a_batch_as_kraken_net_and_ccxt_send_it() -> None:
    rows: list[dict[str, Any]] = json.loads(
        '[{"type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01", "userref": 0},'
        '{"type": "sell", "ordertype": "market", "volume": 9e-05, "price": null, "pair": "XBTUSD"},'
        '{"type": "buy", "ordertype": "limit", "price": 1, "volume": 1, "close": {"ordertype": "limit", "price": "2"}}]'
    )
    told = read({"pair": "XBTUSD", "trading_agreement": "agree", "orders": rows, "validate": False}, "AddOrderBatch")
    assert told == {"pair": "XBTUSD", "orders": [
        {"type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"},
        {"type": "sell", "ordertype": "market", "volume": "0.00009"},
        {"type": "buy", "ordertype": "limit", "price": "1", "volume": "1",
         "close": {"ordertype": "limit", "price": "2"}},
    ]}  # fmt: skip
    assert read(told, "AddOrderBatch") == told
    assert b'"close":{"ordertype":"limit","price":"2"}' in encode(private_endpoint("AddOrderBatch"), told).after_nonce


@pytest.mark.parametrize(
    ("orders", "name"),
    [("[]", "orders"), ([1], "orders"), ([{"pair": "ETHUSD"}], "pair"), ([{"hedge": "1"}], "hedge"),
     ([{"deadline": "2026-11-28T20:15:00Z"}], "deadline"), ([{"validate": True}], "validate")],
)  # fmt: skip
def test_a_batch_with_something_else_in_it_is_refused_by_name(orders: Any, name: str) -> None:
    with pytest.raises(WrongParameter) as raised:
        read({"pair": "XBTUSD", "orders": orders}, "AddOrderBatch")
    assert raised.value.name == name


def test_changes_and_cancels() -> None:
    assert read({"txid": "O", "limit_price": 9e-05, "post_only": "False"}, "AmendOrder") == {
        "txid": "O", "limit_price": "0.00009",
    }  # fmt: skip
    assert read({"txid": ["O"], "pair": "XBTUSD", "cancel_response": "true", "validate": "False"}, "EditOrder") == {
        "txid": "O", "pair": "XBTUSD", "cancel_response": True,
    }  # fmt: skip
    assert read({"txid": 12}, "CancelOrder") == {"txid": "12"}
    for endpoint, name, value in (
        ("CancelOrder", "pair", "1"), ("EditOrder", "cl_ord_id", "1"), ("AmendOrder", "volume", "1"),
        ("AmendOrder", "order_qty", "0"), ("AmendOrder", "limit_price", 0), ("EditOrder", "volume", "0.0"),
    ):  # fmt: skip
        with pytest.raises(WrongParameter) as raised:
            read({"txid": "O", name: value}, endpoint)
        assert raised.value.name == name


def test_other_calls_are_left_alone() -> None:
    params = {"asset": "ZUSD", "unheard_of": ""}
    assert read(params, "TradeBalance") is params


@given(st.sampled_from(sorted(PARAMETERS["AddOrder"])), st.one_of(
    st.text(max_size=12), st.integers(), st.floats(), st.booleans(), st.none(), st.decimals(), st.lists(st.text()),
))  # fmt: skip
def test_whatever_is_given_is_refused_by_name_or_can_be_sent(name: str, value: Any) -> None:
    refused: list[str] = []
    try:
        told = read({name: value})
    except WrongParameter as error:
        refused.append(error.name)
        told = {}
    assert refused in ([], [name])
    assert read(told) == told
    encode(private_endpoint("AddOrder"), told)
