"""`Engine.serve`: the service of an engine that a bot runs in its own process (promise G13: it leaves nothing)."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from engine import ConfigError, Engine, Order, Secret, Settings
from engine.errors import EngineStopped
from engine.kraken.signing import Signer
from engine.simulator import Fault, Simulator
from tests.stopwatch import PATIENCE


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=Settings(local_limits=False)) as engine:
        yield engine


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
        return str(reply.read().decode())


def is_open(url: str) -> bool:
    address = urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port or 0), PATIENCE):
        return True
    return False


def test_it_serves_that_engine_and_leaves_nothing_when_it_ends(engine: Engine, tmp_path: Path) -> None:
    engine.call("MASTER", "TradeBalance", timeout=PATIENCE)  # with all the threads that a call needs
    threads = {each.name for each in threading.enumerate()}
    with engine.serve(port=0) as service:
        assert "kraken_engine_up 1.0" in get(service.url + "metrics")
        assert "MASTER" in get(service.url)
        assert (tmp_path / "serve.sock").exists()
    assert service.stop(), "a second stop is harmless"
    assert not is_open(service.url)
    assert not (tmp_path / "serve.sock").exists()
    assert {each.name for each in threading.enumerate()} <= threads
    assert engine.call("MASTER", "TradeBalance", timeout=PATIENCE), "the engine goes on"
    with engine.serve(port=0) as again:
        assert get(again.url + "healthz")
        with pytest.raises(ConfigError, match="served already"):
            engine.serve(port=0)


def ask_gateway(url: str, key: dict[str, str], endpoint: str, **params: str) -> Any:
    """One call as a client of Kraken's makes it."""
    nonce, path = time.time_ns(), f"/0/private/{endpoint}"
    body = urlencode({"nonce": nonce, **params}).encode()
    headers = {"API-Key": key["key"], "API-Sign": Signer(Secret(key["secret"])).sign(path, body, nonce)}
    asked = urllib.request.Request(url.rstrip("/") + path, body, headers)
    with urllib.request.urlopen(asked, timeout=PATIENCE) as reply:
        return json.load(reply)


def test_its_gateway_has_credentials_that_outlive_the_service(sim: Simulator, tmp_path: Path) -> None:
    """Made through the Unix socket, as the command line does; the orders of both go through one lane."""
    sim.set_balance("MASTER", {"ZUSD": "10000"})
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.001"}
    pace = Settings(local_limits=False, tier="pro")
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pace, live=True) as engine:
        with engine.serve(port=0) as service, Engine.connect(tmp_path) as client:
            made = [
                client.service("issue", account="MASTER", label=label, may_trade=label == "bot")
                for label in ("bot", "page")
            ]
            assert [each["key"] for each in client.service("gateway-keys")] == ["MASTER.bot", "MASTER.page"]
            assert ask_gateway(service.url, made[0], "AddOrder", **order)["error"] == []
            assert ask_gateway(service.url, made[1], "AddOrder", **order)["error"] == ["EGeneral:Permission denied"]
            assert "ZUSD" in ask_gateway(service.url, made[1], "Balance")["result"]
            engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.001", "20000"))
            client.service("revoke", account="MASTER", label="page")
            assert ask_gateway(service.url, made[1], "Balance")["error"] == ["EAPI:Invalid key"]
        with engine.serve(port=0) as again:
            assert len(ask_gateway(again.url, made[0], "OpenOrders")["result"]["open"]) == 2
    assert (len(sim.placements("MASTER")), sim.highest_in_flight) == (2, 1)


def test_it_ends_with_its_engine_while_the_exchange_hangs(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=Settings(local_limits=False)).start()
    service = engine.serve(port=0)
    sim.fault(Fault.hang())
    engine.stop(timeout=PATIENCE)
    assert not is_open(service.url)
    assert not [each for each in threading.enumerate() if each.name == "kraken-engine service"]


def test_it_needs_a_running_engine(sim: Simulator, tmp_path: Path) -> None:
    with pytest.raises(EngineStopped, match="start it"):
        Engine(sim.accounts, url=sim.url, state_dir=tmp_path).serve(port=0)


def test_what_cannot_be_served_is_one_clear_sentence_and_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="cannot be listened on"):
        engine.serve(port=taken.getsockname()[1])
    with pytest.raises(ConfigError, match="no such option"):
        engine.serve(port=0, colour="green")
    with pytest.raises(ConfigError):
        engine.serve(port=0, host="0.0.0.0")  # off loopback a token is mandatory
    assert not (tmp_path / "serve.sock").exists()
    assert not [each for each in threading.enumerate() if each.name == "kraken-engine service"]
    with engine.serve(port=0) as service:
        assert get(service.url + "healthz")
