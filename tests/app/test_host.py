"""Programs in which the engine cannot keep its promises are refused in a sentence; others may start it anywhere."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Order
from engine.errors import ConfigError, EngineStopped, StoreInUse
from engine.simulator import Simulator
from tests import ROOT
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE

SUB = """
import importlib, sys
try:
    interpreters = importlib.import_module("_xxsubinterpreters")
except ImportError:
    interpreters = importlib.import_module("_interpreters")
run = getattr(interpreters, "run_string", None) or interpreters.exec
run(interpreters.create(), '''
import sys
sys.path.insert(0, %r)
from engine import Engine
from engine.errors import ConfigError
try:
    Engine([("MASTER", "key", "c2VjcmV0")], url="http://127.0.0.1:9", state_dir=%r).start()
except ConfigError as error:
    assert "sub-interpreter" in str(error)
    print("refused", flush=True)
''')
"""


def test_a_sub_interpreter_is_refused(tmp_path: Path) -> None:
    script = SUB % (str(ROOT), str(tmp_path / "state"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "refused\n", done.stderr
    assert not (tmp_path / "state").exists()


def test_eventlet_is_named_as_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patcher: Any = types.ModuleType("eventlet.patcher")
    patched = ["os"]
    patcher.is_monkey_patched = patched.__contains__
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    engine = Engine([("MASTER", os.urandom(8).hex(), "c2VjcmV0")], url="http://127.0.0.1:9", state_dir=tmp_path)
    engine.start().stop()
    patched.append("thread")
    with pytest.raises(ConfigError, match="eventlet"):
        engine.start()


def _in_a_child(accounts: list[tuple[str, str, str]], url: str, directory: str, told: Any) -> None:
    try:
        with Engine(accounts, url=url, state_dir=directory, settings=QUICK) as engine:
            told.put(engine.call("MASTER", "TradeBalance") is not None)
    except StoreInUse as error:
        told.put(error.pid)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_of_multiprocessing_has_an_engine_of_its_own(sim: Simulator, tmp_path: Path, method: str) -> None:
    """It is refused while the parent's runs, with the parent's pid, and takes over after that."""
    context: Any = multiprocessing.get_context(method)
    told = context.SimpleQueue()
    accounts = [tuple(account) for account in sim.accounts]
    with Engine(accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:  # type: ignore[arg-type]
        engine.call("MASTER", "TradeBalance")
        for expected in (multiprocessing.current_process().pid, True):
            child = context.Process(target=_in_a_child, args=(accounts, sim.url, str(tmp_path), told))
            child.start()
            child.join(PATIENCE)
            assert child.exitcode == 0
            assert told.get() == expected
            engine.stop()
    told.close()
    assert sim.refused_nonces == 0


def test_a_forked_child_that_uses_the_engine_is_refused_with_a_reason(sim: Simulator, engine: Engine) -> None:
    """Quickly, whatever it asks for; and the parent's goes on."""
    pid, order = os.getpid(), Order("XBTUSD", "buy", "limit", "0.01", "30000")
    asks = (
        lambda: engine.call("MASTER", "Balance"),
        lambda: engine.submit("MASTER", "Balance").result(PATIENCE),
        lambda: engine.place("MASTER", order),
        lambda: engine.cancel_all("MASTER"),
        lambda: engine.public("Time"),
        lambda: engine.gates("MASTER"),
        lambda: engine.private,
    )
    child = os.fork()
    if child == 0:
        refused = 0
        for ask in asks:
            try:
                ask()
            except EngineStopped as error:
                refused += f"runs in process {pid}" in str(error)
        os._exit(len(asks) - refused)
    assert os.waitpid(child, 0)[1] == 0
    assert not sim.placements("MASTER")
    assert engine.call("MASTER", "Balance")
