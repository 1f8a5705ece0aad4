"""Markets through the whole engine: any name leads to the market, and each is fenced and held back alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine import CallRefused, KeyChanged, Order, OrderState, OrderUnknown, PairUnsettled, TradePlan
from engine.errors import LockedOut, PermissionDenied
from engine.simulator import Fault, Simulator
from engine.values import Pair
from tests.actors.trading.test_view_builder import Around, look
from tests.app.test_place import RESTS, running
from tests.conftest import Events
from tests.kraken.test_pair_names import SHARE, pair
from tests.rules.gates.test_gates import XBT
from tests.stopwatch import PATIENCE

NAMES = ["XBTUSD", "XXBTZUSD", "BTC/USD", "XBT/USD", "BTCUSD", "xbtusd", "xxbtzusd", "btc/usd", "xbt/usd", "btcusd"]
TICKER_ROW = {"a": ["30000.0", "1", "1"], "b": ["29999.9", "1", "1"], "c": ["30000.0", "1"]}


def _sent_pairs(sim: Simulator) -> set[str]:
    return {each.params["pair"] for each in sim.placements("MASTER")}


def _said(events: Events, market: str) -> KeyChanged:
    said = events.wait_for(lambda event: isinstance(event, KeyChanged) and market in event.sentence)
    assert isinstance(said, KeyChanged)
    return said


@pytest.mark.parametrize("name", NAMES)
def test_an_order_a_plan_and_a_call_take_any_name_of_a_market(sim: Simulator, tmp_path: Path, name: str) -> None:
    params = {"pair": name, "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
    with running(sim, tmp_path) as engine:
        receipt = engine.place("MASTER", Order(name, "buy", "limit", "0.01", "30000"))
        assert engine.gates("MASTER", TradePlan(order=Order(name, "buy", "limit", "0.02", "30000")), dry=True).passed
        if name != "BTC/USD":  # goes out as it is, which Kraken takes today and did not always
            engine.call("MASTER", "AddOrder", {**params, "validate": True})
    assert receipt.order.pair == name
    assert _sent_pairs(sim) == {"XBTUSD"}


def test_g9_the_fence_of_an_unsettled_order_is_the_markets_under_every_name_and_after_a_restart(
    sim: Simulator, tmp_path: Path
) -> None:
    for blind in ("OpenOrders", "ClosedOrders", "QueryOrders"):
        sim.fault(Fault.error("EService:Unavailable", endpoint=blind))
    with running(sim, tmp_path) as engine:
        sim.fault(Fault.http(502, endpoint="AddOrder", times=1))
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", RESTS, timeout=0.5)
    for names in (NAMES[:5], NAMES[5:]):
        with running(sim, tmp_path) as engine:
            for name in names:
                with pytest.raises(PairUnsettled):
                    engine.place("MASTER", Order(name, "buy", "limit", "0.01", "30000"))
            other = engine.place("MASTER", Order("eth/usd", "buy", "limit", "1", "1000"))
            assert other.state is OrderState.PLACED
    assert _sent_pairs(sim) == {"ETHUSD"}


def test_a_refusal_of_one_market_holds_back_no_other(sim: Simulator, tmp_path: Path) -> None:
    denied = Order("DOTUSD", "buy", "limit", "5", "2")
    with running(sim, tmp_path) as engine:
        engine.place("MASTER", RESTS)
        sim.fault(Fault.error("EGeneral:Permission denied", endpoint="AddOrder", times=1))
        with pytest.raises(PermissionDenied):
            engine.place("MASTER", denied)
        for name in ("DOTUSD", "dot/usd"):
            with pytest.raises(LockedOut, match="on this market"):
                engine.place("MASTER", Order(name, "buy", "limit", "5", "2"))
        assert engine.place("MASTER", RESTS).state is OrderState.PLACED
        assert engine.is_available("MASTER")
        report = engine.gates("MASTER", TradePlan(order=denied))
        assert any("denied an order on DOTUSD" in reason for reason in report.reasons)
        assert engine.status().lane.keys["MASTER"].to_dict()["denied_markets"] == ["DOTUSD"]
        assert engine.gates("MASTER", TradePlan(order=RESTS)).passed
        engine.resume("MASTER")
        assert engine.place("MASTER", denied).state is OrderState.PLACED


def test_each_market_that_is_denied_is_said(sim: Simulator, tmp_path: Path) -> None:
    events = Events()
    with running(sim, tmp_path) as engine:
        engine.place("MASTER", RESTS)
        engine.subscribe(events)
        sim.fault(Fault.error("EAccount:Invalid permissions:not in your country", endpoint="AddOrder", times=2))
        for name, market in (("DOTUSD", "DOTUSD"), ("eth/usd", "ETHUSD")):
            with pytest.raises(PermissionDenied):
                engine.place("MASTER", Order(name, "buy", "limit", "5", "2"))
            assert _said(events, market).state == "product-refused"
        assert engine.place("MASTER", RESTS).state is OrderState.PLACED


def test_a_name_that_kraken_does_not_list_is_refused(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine, pytest.raises(CallRefused, match="no pair 'NOPEUSD'"):
        engine.place("MASTER", Order("NOPEUSD", "buy", "limit", "1", "1"))


class Shares(Around):
    """An engine that knows a coin, both listings of a share, and a market of another venue; Ticker calls are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Mapping[str, Any]] = []
        self.known_pairs: dict[str, Pair] = {
            "BTC/USD": XBT,
            "AAPLxUSD": pair("AAPLxUSD", **SHARE),
            "AAPLSPVUSD": pair("AAPLSPVUSD", **SHARE),
            "XBTUSD:BTNL": pair("XBTUSD:BTNL", altname="XBTUSD:BTNL"),
        }

    def pair(self, name: str, seconds: float) -> Pair:
        return self.known_pairs[name]

    def plain_name(self, asset: str) -> str:
        return asset

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        if endpoint != "Ticker":
            return super().public(endpoint, params, seconds)
        self.asked.append(params)
        names = params["pair"].replace("XBTUSD", "BTC/USD").split(",")
        return dict.fromkeys(names, TICKER_ROW)


def test_prices_of_shares_are_asked_for_apart_and_those_of_another_venue_never() -> None:
    around = Shares()
    view = look(around, seconds=PATIENCE, pairs=tuple(around.known_pairs))
    assert sorted(each["pair"] for each in around.asked) == ["AAPLxUSD,AAPLSPVUSD", "XBTUSD"]
    assert [each.get("asset_class") for each in sorted(around.asked, key=lambda each: len(each["pair"]))] == [
        None, "tokenized_asset",
    ]  # fmt: skip
    for name in ("BTC/USD", "XXBTZUSD", "xbt/usd", "AAPLxUSD", "AAPLSPVUSD"):
        assert view.market(name).ticker is not None
    there = view.market("xbtusd:btnl")
    assert there.ticker is None
    assert "venue BTNL" in there.problem
    assert view.market("AAPLSPVUSD").pair.id == "AAPLSPVUSD"
