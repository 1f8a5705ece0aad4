"""`Engine.serve`: the service of an engine that a bot runs in its own process (promise G13: it leaves nothing)."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine import ConfigError, Engine, Settings
from engine.errors import EngineStopped
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
