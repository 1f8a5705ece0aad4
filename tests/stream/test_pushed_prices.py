"""Prices by push, with a real engine and real sockets: no call while they are believed, and REST in every doubt."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from engine import Engine, TradePlan
from engine.rules.gates.report import GateReport, GateState
from engine.rules.stream.subscription import StreamState
from engine.simulator import Fault, Simulator, StreamFault
from engine.simulator.stream_faults import PUBLIC
from engine.stream.price_board import NOT_ASKED, PricesReport
from engine.values import Ticker
from tests.stopwatch import PATIENCE
from tests.stream.conftest import pushing, until


class Passes:
    """Takes MASTER through its gates, and keeps what the last pass saw."""

    def __init__(self, engine: Engine, sim: Simulator, *pairs: str) -> None:
        self._engine, self._sim = engine, sim
        self._plan = TradePlan(pairs=pairs or ("XBTUSD",), scanner=self._scan, max_data_age=20.0)
        self.tickers: dict[str, Ticker | None] = {}
        self.report: GateReport | None = None

    def _scan(self, view: Any) -> Any:
        self.tickers = {name: each.ticker for name, each in view.markets.items()}
        return view.plan.pairs

    def run(self) -> list[str]:
        """One pass; the pairs that it asked REST for."""
        before = len(self._asked())
        self.tickers = {}
        self.report = self._engine.gates("MASTER", self._plan, timeout=PATIENCE)
        return self._asked()[before:]

    def _asked(self) -> list[str]:
        return [call.params["pair"] for call in self._sim.calls if call.endpoint == "Ticker"]

    def until_pushed(self) -> None:
        until(lambda: not self.run())

    def until_asked(self) -> None:
        until(self.run)

    @property
    def bid(self) -> Decimal | None:
        ticker = self.tickers.get("XBTUSD")
        return None if ticker is None else ticker.bid

    @property
    def market(self) -> GateState:
        assert self.report is not None
        return next(each.state for each in self.report.results if each.gate == "Market scan")


@pytest.fixture
def passes(engine: Engine, sim: Simulator) -> Passes:
    return Passes(engine, sim)


def told(engine: Engine) -> PricesReport:
    report = engine.status().push_prices
    assert report is not None
    return report


def test_nobody_connects_until_a_gate_asks(engine: Engine, sim: Simulator, passes: Passes) -> None:
    assert (told(engine).state, told(engine).reason, told(engine).connects) == (StreamState.DOWN, NOT_ASKED, 0)
    assert passes.run() == ["XBTUSD"], "the first pass is without push"
    passes.until_pushed()
    until(lambda: (told(engine).state, told(engine).pairs) == (StreamState.LIVE, 1))
    assert told(engine).frames >= 3
    assert json.loads(json.dumps(engine.status().to_dict()))["push_prices"]["connects"] >= 1


def test_a_changed_price_is_seen_by_the_next_pass(sim: Simulator, passes: Passes) -> None:
    passes.until_pushed()
    assert passes.bid == Decimal("29999.9")
    sim.set_price("XBTUSD", "29999.8", "30000.0")  # by no trade
    until(lambda: not passes.run() and passes.bid == Decimal("29999.8"))
    assert passes.market is GateState.PASSED


def test_a_silent_stream_is_not_believed_and_without_rest_the_gate_denies(
    engine: Engine, sim: Simulator, passes: Passes
) -> None:
    passes.until_pushed()
    sim.streams.state.add(StreamFault.MUTE, PUBLIC)
    sim.set_price("XBTUSD", "29000.0", "29000.1")
    passes.until_asked()
    assert passes.bid == Decimal("29000.0")
    assert passes.market is GateState.PASSED
    sim.fault(Fault.error("EService:Unavailable", endpoint="Ticker"))
    passes.run()
    assert passes.market is GateState.DENIED
    sim.clear_faults()
    sim.streams.state.clear()
    passes.until_pushed()
    assert passes.market is GateState.PASSED
    assert told(engine).gaps >= 1


@pytest.mark.parametrize("fault", [StreamFault.UNKNOWN_TYPE, StreamFault.HALF, StreamFault.BINARY])
def test_a_frame_that_cannot_be_read_is_a_doubt_and_the_stream_begins_anew(
    engine: Engine, sim: Simulator, passes: Passes, fault: StreamFault
) -> None:
    passes.until_pushed()
    sim.streams.state.add(fault, PUBLIC)
    sim.set_price("XBTUSD", "29000.0", "29000.1")
    until(lambda: told(engine).gaps >= 1)
    until(lambda: not passes.run() and passes.bid == Decimal("29000.0"))
    assert told(engine).connects >= 2


@pytest.mark.parametrize("code", [1001, None])
def test_a_closed_connection_is_opened_anew(
    engine: Engine, sim: Simulator, passes: Passes, code: int | None
) -> None:
    passes.until_pushed()
    assert sim.streams.close(code, PUBLIC) == 1
    until(lambda: told(engine).connects >= 2)
    passes.until_pushed()


def test_an_acknowledgement_without_a_price_is_none(engine: Engine, sim: Simulator, passes: Passes) -> None:
    sim.streams.state.add(StreamFault.NO_SNAPSHOT, PUBLIC)
    assert passes.run() == ["XBTUSD"]
    until(lambda: told(engine).reason == "no price within 5 seconds")
    assert passes.run() == ["XBTUSD"]
    sim.streams.state.clear()
    passes.until_pushed()


def test_a_refused_upgrade_leaves_the_prices_to_rest(engine: Engine, sim: Simulator, passes: Passes) -> None:
    sim.streams.state.refused = 403
    assert passes.run() == ["XBTUSD"]
    until(lambda: told(engine).state is StreamState.ENDED)
    assert told(engine).reason == "Kraken refuses it (HTTP 403)"
    assert passes.run() == ["XBTUSD"]


def test_shares_and_pairs_of_other_venues_stay_on_rest(engine: Engine, sim: Simulator) -> None:
    passes = Passes(engine, sim, "XBTUSD", "AAPLxUSD", "ETH/EUR")
    until(lambda: passes.run() == ["AAPLxUSD"])
    assert all(passes.tickers.values())


def test_stop_closes_the_public_socket(engine: Engine, sim: Simulator, passes: Passes) -> None:
    passes.until_pushed()
    assert any(each.owner == PUBLIC for each in sim.streams.open)
    engine.stop()
    until(lambda: not sim.streams.open)


# A server of another make, which answers as it is told


ACK = '{"method":"subscribe","result":{"channel":"ticker","symbol":"BTC/USD","new":[1]},"success":true,"more":{}}'
ROW = '{"symbol":"BTC/USD","bid":%s,"ask":%s,"last":30000.0,"volume":1.5,"extra":null}'
SNAPSHOT = '{"channel":"ticker","type":"snapshot","data":[%s],"later":7}'
BEAT = '{"channel":"heartbeat"}'


class Server:
    """Sends these texts after a subscription, and then heartbeats."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.heard: list[dict[str, Any]] = []
        self.is_over = threading.Event()

    def serve(self, socket: ServerConnection) -> None:
        self.heard.append(json.loads(socket.recv(timeout=PATIENCE)))
        for text in self.texts:
            socket.send(text)
        while not self.is_over.wait(0.2):
            socket.send(BEAT)


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    it = Server()
    with serve(it.serve, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield it, f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/v2"
        finally:
            it.is_over.set()
            listening.shutdown()
            thread.join(PATIENCE)


def running(sim: Simulator, url: str, tmp_path: Any) -> Engine:
    settings = pushing(sim, ws_public_url=url)
    return Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=settings, live=True)


def test_what_is_new_in_a_frame_is_passed_over(sim: Simulator, server: tuple[Server, str], tmp_path: Any) -> None:
    it, url = server
    it.texts = [ACK, SNAPSHOT % (ROW % ("29990.5", "30001"))]
    with running(sim, url, tmp_path) as engine:
        passes = Passes(engine, sim)
        passes.until_pushed()
        assert passes.tickers["XBTUSD"] == Ticker(Decimal(30001), Decimal("29990.5"), Decimal(30000))
    (asked, *_) = it.heard
    assert asked["params"] == {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True}


@pytest.mark.parametrize("texts", [
    ['{"method":"subscribe","error":"Currency pair not supported BTC/USD","symbol":"BTC/USD","success":false}'],
    [ACK, SNAPSHOT % (ROW % ('"29990.5"', "30001"))],
    [ACK, SNAPSHOT % (ROW % ("0", "30001"))],
    [ACK, SNAPSHOT % (ROW % ("null", "30001"))],
    [ACK, SNAPSHOT % (ROW % ("true", "30001"))],
    [ACK, SNAPSHOT % (ROW % ("-1", "30001"))],
    [ACK, SNAPSHOT % '{"symbol":"BTC/USD"}'],
    [ACK, SNAPSHOT % "7"],
    [ACK, SNAPSHOT % '{"bid":1,"ask":2}'],
    [SNAPSHOT % (ROW % ("29990.5", "30001"))],
    [ACK, '{"channel":"ticker","type":"update","data":[%s]}' % (ROW % ("29990.5", "30001"))],
    ["garbage"],
    ['{"error":"Malformed request","success":false}'],
])  # fmt: skip
def test_a_pair_without_a_price_that_can_be_read_stays_on_rest(
    sim: Simulator, server: tuple[Server, str], tmp_path: Any, texts: list[str]
) -> None:
    it, url = server
    it.texts = texts
    with running(sim, url, tmp_path) as engine:
        passes = Passes(engine, sim)
        assert passes.run() == ["XBTUSD"]
        until(lambda: it.heard and told(engine).frames >= len(texts))
        assert passes.run() == ["XBTUSD"]
        assert passes.bid == Decimal("29999.9")
