"""`kraken-engine simulate`: the same keys at each start, and an outage that is rehearsed by typing."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import CallError, ConfigError, Engine, Settings
from engine.cli.fault_words import described, fault_of
from engine.cli.simulator_console import SimulatorConsole
from engine.simulator import Simulator
from tests import ROOT
from tests.cli.test_cli import _environment, _run
from tests.stopwatch import PATIENCE

PATIENT = Settings(local_limits=False, refresh_every=1000.0, max_age=1000.0)
ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "50000", "volume": "0.01"}


@contextmanager
def simulate(tmp_path: Path, *arguments: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """A running `simulate`: what it printed, and the process, to type into."""
    command = [sys.executable, "-W", "error", "-m", "engine", "simulate", "--json", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=_environment(tmp_path), cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            told = ""
            while not told.endswith("}\n") or told.count("{") > told.count("}"):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                told += line
            yield json.loads(told), process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def typed(process: subprocess.Popen[str], line: str) -> str:
    """What it says about a line."""
    assert process.stdin
    assert process.stderr
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stderr.readline()


def test_an_outage_is_rehearsed_by_typing(tmp_path: Path) -> None:
    with simulate(tmp_path) as (told, process):
        assert process.stderr
        process.stderr.readline()
        accounts = [(each["name"], each["key"], each["secret"]) for each in told["accounts"]]
        with Engine(accounts, url=told["url"], state_dir=tmp_path / "s", settings=PATIENT) as engine:
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
            echo = typed(process, "fault endpoint=TradeBalance 502")
            assert "Fault: http 502 for calls of TradeBalance, from now on." in echo
            with pytest.raises(CallError):
                engine.call("MASTER", "TradeBalance", timeout=1)
            assert "All is well" in typed(process, "clear")
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
            assert "No connection is accepted" in typed(process, "outage")
            with pytest.raises(CallError):
                engine.call("MASTER", "TradeBalance", timeout=1)
            typed(process, "clear")
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
        assert "The simulator ends" in typed(process, "quit")
        assert process.wait(PATIENCE) == 0


def test_its_keys_are_the_same_at_each_start(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    with simulate(tmp_path, "--keys", str(keys), "--accounts", "MASTER") as (first, _):
        pass
    with simulate(tmp_path, "--keys", str(keys), "--accounts", "MASTER,BOB") as (second, _):
        pass
    with simulate(tmp_path, "--keys", str(keys), "--accounts", "MASTER,BOB") as (third, _):
        pass
    assert second["accounts"] == third["accounts"]
    assert second["accounts"][0] == first["accounts"][0]
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["{", "[]", '{"MASTER": 1}', '{"MASTER": {"key": "a"}}', '{"A": {"key": 1}}'])
def test_a_wrong_file_of_keys_is_one_sentence_and_is_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(content)
    ran = _run("simulate", "--keys", str(tmp_path / "keys"), env=_environment(tmp_path))
    assert ran.code == 2
    assert "is not a file that simulate --keys has written" in ran.err
    assert (tmp_path / "keys").read_text() == content


def test_a_fault_from_the_start(tmp_path: Path) -> None:
    with simulate(tmp_path, "--accounts", "MASTER", "--fault", "error=EService:Unavailable") as (told, _):
        (account,) = [(each["name"], each["key"], each["secret"]) for each in told["accounts"]]
        with Engine([account], url=told["url"], state_dir=tmp_path / "s", settings=PATIENT) as engine:
            with pytest.raises(CallError) as caught:
                engine.call("MASTER", "TradeBalance", timeout=1)
            assert caught.value.kraken_code == "EService:Unavailable"


@pytest.mark.parametrize("text", [
    "", "fire", "200", "delay", "delay=x", "delay=-1", "502 503", "times=3", "times=0 502", "account=EVE 502", "error=",
    "hang=3", "502 endpoint=a/b", "nan", "delay=nan",
])  # fmt: skip
def test_a_wrong_fault_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError):
        fault_of(text, ["MASTER"])


@pytest.mark.parametrize(("text", "name"), [
    ("502", "http 502"), ("hang", "hang"), ("reset", "reset"), ("close", "close"), ("empty", "empty"),
    ("delay=0.5", "delay"), ("error=EGeneral:Internal error", "error"),
])  # fmt: skip
def test_a_fault_in_words_strikes_what_it_names(text: str, name: str) -> None:
    fault = fault_of(f"endpoint=AddOrder account=ALICE times=2 executed {text}", ["MASTER", "ALICE"])
    assert name in fault.name
    assert (fault.endpoint, fault.account, fault.times, fault.executed) == ("AddOrder", "ALICE", 2, True)


@pytest.mark.parametrize(("text", "told"), [
    ("502", "http 502 for every call, from now on"),
    ("account=ALICE times=1 hang", "hang for every call of ALICE, once"),
    ("endpoint=AddOrder account=ALICE times=2 executed reset",
     "reset for calls of AddOrder of ALICE, 2 times, after they took effect"),
])  # fmt: skip
def test_a_fault_that_is_typed_is_told_back_with_what_it_strikes(text: str, told: str) -> None:
    assert described(fault_of(text, ["ALICE"])) == told


@pytest.fixture
def console(sim: Simulator) -> SimulatorConsole:
    return SimulatorConsole(sim)


def test_events_can_be_typed(sim: Simulator, console: SimulatorConsole, tmp_path: Path) -> None:
    assert console.do("balance MASTER ZUSD=5000 XXBT=1") == "MASTER has 5000 ZUSD, 1 XXBT"
    assert console.do("orders MASTER") == "None is open."
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "s", settings=PATIENT, live=True) as engine:
        (txid,) = engine.call("MASTER", "AddOrder", ORDER)["txid"]
        assert txid in console.do("orders MASTER")
        assert console.do(f"fill MASTER {txid} 0.004") == f"0.004 of {txid} traded"
        assert console.do("price XBTUSD 49990 50000") == "XBTUSD: 49990 / 50000"
    assert sim.orders("MASTER")[0]["status"] == "closed"
    assert console.do("mode maintenance") == "The market is in mode maintenance."
    assert "nonces up to" in console.do(f"nonce MASTER {2**60 * 8}")
    assert "calls are remembered" in console.do("calls")
    assert "accepted" in console.do("restore BOB")
    assert "refused" in console.do("revoke BOB")


@pytest.mark.parametrize("line", [
    "fire", "price XBTUSD", "price NOPE 1 2", "price XBTUSD a b", "balance", "balance EVE ZUSD=1",
    "balance MASTER ZUSD", "balance MASTER ZUSD=x", "fill MASTER OAAAAA-BBBBB-CCCCCC 1", "orders EVE",
    "mode party", "nonce MASTER x",
    "nonce MASTER 1 2", "revoke EVE", "fault", "fault fire",
])  # fmt: skip
def test_a_line_that_cannot_be_done_is_answered_and_does_nothing(console: SimulatorConsole, line: str) -> None:
    said = console.do(line)
    assert said
    assert "\n" not in said


def test_help_names_every_verb(console: SimulatorConsole) -> None:
    told = console.do("help")
    assert all(word in told for word in ("fault", "outage", "clear", "price", "balance", "fill", "quit", "delay=0.5"))
