"""`orders`, `order`, `cancel`, `resume`, `status`: what a person needs at 3 am, with and without a running service."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import CallUnknown, Engine, Order, OrderUnknown, Settings
from engine.cli.exits import advice
from engine.simulator import Fault, Simulator
from tests.cli.test_cli import Ran, _of, _process, cli  # noqa: F401 - `cli` is a fixture
from tests.served import served, until
from tests.stopwatch import PATIENCE

Cli = Callable[..., Ran]

OTHER, ANOTHER = "OQ1237-AB4DE-GH1JKL", "OQ1237-AB4DE-GH1JKM"
LOOKS = ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory")
SOON = "[settings]\nlocal_limits = false\norder_deadline = 1\nsettle_margin = 0.5\n"
"""An unknown outcome is settled a moment after the start."""


@pytest.fixture
def at_home(sim: Simulator, tmp_path: Path, cli: Cli) -> Callable[..., Ran]:  # noqa: F811
    """Runs a command with a configuration under which an unknown outcome is soon settled."""
    config = tmp_path / "soon.toml"
    config.write_text(SOON, encoding="utf-8")
    return lambda *words: cli(*words, "--config", str(config), env=_of(sim, tmp_path))


@pytest.fixture
def placed(sim: Simulator, tmp_path: Path) -> list[str]:
    """The txids of two orders of ours, o0 and o1, beside one that somebody else placed."""
    settings = Settings(local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", live=True, settings=settings) as engine:
        orders = [Order("XBTUSD", "buy", "limit", "0.01", str(30_000 + number)) for number in range(2)]
        txids = [engine.place("MASTER", each, id=f"o{n}").txids[0] for n, each in enumerate(orders)]
    sim.add_open_order("MASTER", OTHER)
    return txids


def _lost(sim: Simulator, tmp_path: Path, *, executed: bool) -> None:
    """An engine that ended while the outcome of the order 'lost' was unknown, and Kraken could not be asked."""
    settings = Settings(local_limits=False, order_deadline=1.0, settle_margin=0.5, call_timeout=1.0)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", live=True, settings=settings) as engine:
        faults = [sim.fault(Fault.close(executed=executed, endpoint="AddOrder"))]
        faults += [sim.fault(Fault.http(502, endpoint=each)) for each in LOOKS]
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.01", "30000"), id="lost", timeout=1)
    for fault in faults:
        fault.remove()


def _open(sim: Simulator) -> set[str]:
    return {each["txid"] for each in sim.orders("MASTER") if each["status"] == "open"}


# With nobody else there


def test_orders_lists_ours_with_their_ids_and_marks_the_others(placed: list[str], at_home: Cli) -> None:
    listed = at_home("orders", "MASTER", "--json").document["accounts"]
    assert [each["account"] for each in listed] == ["MASTER"]
    rows = {each["txid"]: each for each in listed[0]["orders"]}
    assert rows.keys() == {*placed, OTHER}
    assert [rows[txid]["id"] for txid in (*placed, OTHER)] == ["o0", "o1", None]
    assert [rows[txid]["is_ours"] for txid in (*placed, OTHER)] == [True, True, False]
    shown = at_home("orders", "MASTER")
    assert shown.code == 0
    lines = {line.split()[1 if "(not ours)" not in line else 3]: line for line in shown.out.splitlines() if "-" in line}
    assert "(not ours)" in next(line for line in shown.out.splitlines() if OTHER in line)
    assert "30001" in lines["o1"]


def test_orders_fit_80_columns(placed: list[str], at_home: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", at_home("orders", "MASTER").out).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines.index("MASTER  o1  placed") + 2 == lines.index(f"  {placed[1]}")
    assert "  buy limit 0.01000000 XBTUSD at 30001.0, filled 0.00000000" in lines
    assert "MASTER  (not ours)  open" in lines


def test_orders_of_every_account_go_on_when_one_cannot_be_asked(sim: Simulator, at_home: Cli) -> None:
    sim.add_open_order("BOB", OTHER)
    sim.revoke("ALICE")
    ran = at_home("orders", "--json")
    assert ran.code == 1
    master, alice, bob = ran.document["accounts"]
    assert master == {"account": "MASTER", "orders": []}
    assert (alice["orders"], alice["error"]["kraken_code"]) == (None, "EAPI:Invalid key")
    assert [each["txid"] for each in bob["orders"]] == [OTHER]
    assert "ALICE" in ran.err
    assert "No open order: MASTER." in at_home("orders", "MASTER").out


def test_an_order_is_told_by_its_id_and_by_its_txid(placed: list[str], sim: Simulator, at_home: Cli) -> None:
    sim.fill("MASTER", placed[1], "0.01")
    for name in ("o1", placed[1]):
        told = at_home("order", "MASTER", name)
        assert told.code == 0
        assert "closed" in told.out
        assert f"{placed[1]}; buy 0.01 XBTUSD limit 30001; filled 0.01" in told.out
    other = at_home("order", "MASTER", OTHER, "--json").document
    assert (other["is_ours"], other["state"], other["txids"]) == (False, "open", [OTHER])


@pytest.mark.parametrize("arguments", [("order", "MASTER", "never"), ("cancel", "MASTER", "never")])
def test_a_name_that_is_none_is_wrong_usage(arguments: tuple[str, ...], sim: Simulator, at_home: Cli) -> None:
    ran = at_home(*arguments)
    assert ran.code == 2
    assert "no placement 'never'" in ran.err
    assert "kraken-engine orders MASTER lists" in ran.err
    assert not [each for each in sim.calls if each.private]


@pytest.mark.parametrize("command", ["order", "cancel"])
def test_a_txid_that_kraken_does_not_know_is_refused(command: str, at_home: Cli) -> None:
    ran = at_home(command, "MASTER", OTHER, "--timeout", "1")
    assert ran.code == 1


@pytest.mark.parametrize("executed", [True, False])
def test_an_unknown_order_is_looked_up(executed: bool, sim: Simulator, tmp_path: Path, at_home: Cli) -> None:
    """G9: also the next order goes out, once it is known what became of the first one."""
    _lost(sim, tmp_path, executed=executed)
    unknown = next(each for each in at_home("doctor", "--json").document["findings"] if "'lost'" in each["found"])
    assert unknown["level"] == "warn"
    assert "kraken-engine order" in unknown["advice"]
    told = at_home("order", "MASTER", "lost")
    assert told.code == 0
    assert ("placed, " + str(*_open(sim)) if executed else "not placed, no txid") in told.out


def test_what_is_still_unknown_is_5(sim: Simulator, tmp_path: Path, at_home: Cli) -> None:
    _lost(sim, tmp_path, executed=False)
    sim.fault(Fault.http(502, endpoint="OpenOrders"))
    told = at_home("order", "MASTER", "lost", "--timeout", "0.5", "--json")
    assert told.code == 5
    assert (told.document["state"], told.document["is_settled"]) == ("unknown", False)
    assert "do not place it again" in told.err


def test_what_is_known_is_told_when_kraken_cannot_be_asked(placed: list[str], sim: Simulator, at_home: Cli) -> None:
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="OpenOrders"))
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="QueryOrders"))
    told = at_home("order", "MASTER", "o0", "--json")
    assert (told.code, told.document["state"]) == (0, "placed")
    assert "Kraken could not be asked" in told.err


def test_cancels_by_id_by_txid_and_all(placed: list[str], sim: Simulator, at_home: Cli) -> None:
    assert at_home("cancel", "MASTER", "o0").code == 0
    assert _open(sim) == {placed[1], OTHER}
    by_txid = at_home("cancel", "MASTER", OTHER)
    assert by_txid.code == 0
    assert f"(not ours): canceled, {OTHER}" in by_txid.out
    assert _open(sim) == {placed[1]}
    again = at_home("cancel", "MASTER", OTHER, "--json")
    assert (again.code, again.document["state"], again.document["is_over"]) == (0, "canceled", True)
    sim.add_open_order("MASTER", ANOTHER)
    every = at_home("cancel", "MASTER", "--all", "--json")
    assert (every.code, every.document["count"]) == (0, 2)
    assert _open(sim) == set()


def test_a_cancel_whose_reply_is_lost_is_sent_again(sim: Simulator, at_home: Cli) -> None:
    """G5: what cannot be done twice is tried again within the caller's time."""
    sim.add_open_order("MASTER", OTHER)
    sim.fault(Fault.http(502, endpoint="CancelOrder", times=1))
    assert at_home("cancel", "MASTER", OTHER).code == 0
    assert _open(sim) == set()


def test_a_cancel_that_cannot_be_read_back_counts_as_kraken_said_it(sim: Simulator, at_home: Cli) -> None:
    sim.add_open_order("MASTER", OTHER)
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="QueryOrders"))
    told = at_home("cancel", "MASTER", OTHER)
    assert told.code == 0
    assert "canceled" in told.out
    assert "could not be read" in told.err
    assert _open(sim) == set()


def test_a_cancel_of_which_nobody_knows_may_be_sent_again(sim: Simulator, at_home: Cli) -> None:
    sim.add_open_order("MASTER", OTHER)
    sim.fault(Fault.http(502))
    ran = at_home("cancel", "MASTER", OTHER, "--timeout", "1")
    assert ran.code == 5
    assert "may be sent again" in ran.err
    assert "do not send it again" not in ran.err
    lost = CallUnknown("No answer.", endpoint="CancelAll")
    assert list(advice(lost)) == ["It may have been done: the same cancel may be sent again."]


@pytest.mark.parametrize(("endpoint", "told"), [
    ("Ticker", "It changes nothing at Kraken: the same call may be made again."),
    ("Balance", "It changes nothing at Kraken: the same call may be made again."),
    ("AddOrder", "It may have been done: look it up, do not send it again."),
    ("OfNextYear", "It may have been done: look it up, do not send it again."),
])  # fmt: skip
def test_a_read_without_an_answer_may_be_repeated(endpoint: str, told: str) -> None:
    assert list(advice(CallUnknown("No answer.", endpoint=endpoint))) == [told]


@pytest.mark.parametrize("words", [("MASTER",), ("MASTER", "o0", "--all")])
def test_a_cancel_names_one_order_or_all(words: tuple[str, ...], sim: Simulator, at_home: Cli) -> None:
    assert at_home("cancel", *words).code == 2
    assert sim.calls == []


def test_resume_tries_the_key(sim: Simulator, at_home: Cli) -> None:
    assert "ALICE is available" in at_home("resume", "ALICE").out
    sim.revoke("ALICE")
    ran = at_home("resume", "ALICE")
    assert ran.code == 1
    assert "EAPI:Invalid key" in ran.out
    assert at_home("resume", "NOBODY").code == 2


def test_a_pause_holds_for_the_next_engine_until_it_is_taken_back(sim: Simulator, at_home: Cli) -> None:
    words = "--live trade MASTER --pair XBTUSD --side buy --type limit --volume 0.001 --price 20000"
    trade = words.split()
    assert "Trading of MASTER is paused since 20" in at_home("pause-trading", "MASTER").out
    ran = at_home(*trade)
    assert ran.code != 0
    assert "kraken-engine resume-trading" in ran.out + ran.err
    assert sim.placements("MASTER") == []
    told = json.loads(at_home("--json", "resume-trading", "MASTER").out)
    assert told == {"account": "MASTER", "paused_since": None}
    assert at_home(*trade).code == 0
    assert at_home("pause-trading", "NOBODY").code == 2


def test_a_pause_reaches_the_running_service(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        since = json.loads(service.command("pause-trading", "ALICE", "--json").stdout)["paused_since"]
        assert list(json.loads(service.command("status", "--json").stdout)["paused"]) == ["ALICE"]
        assert since is not None
        assert service.command("resume-trading", "ALICE").stdout == "Trading of ALICE is not paused.\n"


def test_status_shows_an_engine_of_its_own(at_home: Cli) -> None:
    shown = at_home("status")
    assert shown.code == 0
    for words in ("MASTER", "ALICE", "BOB", "dry run"):
        assert words in shown.out
    assert at_home("status", "--json").document["live"] is False


def test_status_cuts_no_amount_in_a_terminal_that_is_too_narrow(
    sim: Simulator, tmp_path: Path, cli: Cli  # noqa: F811
) -> None:
    sim.set_balance("MASTER", {"ZUSD": "1234567890.12345678"})
    environment = _of(sim, tmp_path)
    for part in ("KEY", "SECRET"):
        environment[f"KRAKEN_USER_{'LONG' * 15}_API_{part}"] = environment.pop(f"KRAKEN_USER_BOB_API_{part}")
    shown = cli("status", env={**environment, "FORCE_COLOR": "1", "COLUMNS": "30"})
    assert shown.out.count("1,234,567,890.12345678") == 2, "the cash, and what of it is available"
    for heading in ("Available", "Held", "Age", "Counter", "Nonce lead"):
        assert heading in shown.out
    assert shown.out.count("✓") == 7, "the headline, and for each account its own and that of its key"


def test_another_engine_that_is_no_service_is_named(sim: Simulator, tmp_path: Path, at_home: Cli) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state"):
        for words in (("orders",), ("order", "MASTER", "o0"), ("cancel", "MASTER", "--all"), ("resume", "MASTER")):
            ran = at_home(*words)
            assert ran.code == 3, words
            assert "process" in ran.err


# trade --live after an order that was lost


def test_trade_looks_up_first_what_an_earlier_run_left_unknown(sim: Simulator, tmp_path: Path, at_home: Cli) -> None:
    _lost(sim, tmp_path, executed=True)
    ran = at_home("trade", "MASTER", "--pair", "XBTUSD", "--side", "buy", "--volume", "0.01", "--live")
    assert ran.code == 0
    first, second = sim.orders("MASTER")
    assert "Order lost on XBTUSD is unknown: it is looked up first" in ran.err
    assert first["txid"] in ran.err
    assert f"{second['txid']}; buy 0.01 XBTUSD market; filled 0.01" in " ".join(ran.out.split())


def test_ctrl_c_in_a_pass_says_where_to_look(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang(endpoint="AddOrder", executed=True))
    words = ("trade", "MASTER", "--pair", "XBTUSD", "--side", "buy", "--volume", "0.001", "--live")
    with _process(*words, env=_of(sim, tmp_path)) as process:
        sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "run kraken-engine orders MASTER" in err


def test_ctrl_c_in_a_cancel_says_that_an_order_may_be_open(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang(endpoint="CancelAll"))
    with _process("cancel", "MASTER", "--all", env=_of(sim, tmp_path)) as process:
        sim.wait_for_calls(1, endpoint="CancelAll", ended=False)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "an order may still be open: run the same command again" in err


# Beside a running service


@pytest.mark.parametrize("mode", [(), ("--live",)])
def test_a_running_service_is_asked(mode: tuple[str, ...], sim: Simulator, tmp_path: Path) -> None:
    sim.add_open_order("MASTER", OTHER)
    sim.add_open_order("MASTER", ANOTHER)
    with served(sim, tmp_path, *mode) as service:
        def run(*words: str) -> str:
            done = service.command(*words)
            assert (done.returncode, done.stderr) == (0, ""), words
            return done.stdout

        listed = json.loads(run("orders", "--json"))["accounts"]
        assert [each["account"] for each in listed] == ["MASTER", "ALICE", "BOB"]
        assert {each["txid"] for each in listed[0]["orders"]} == {OTHER, ANOTHER}
        assert OTHER in run("order", "MASTER", OTHER)
        assert "canceled" in run("cancel", "MASTER", OTHER)
        assert _open(sim) == {ANOTHER}
        assert run("cancel", "MASTER", "--all") == "1 order of MASTER canceled.\n"
        status: dict[str, Any] = json.loads(run("status", "--json"))
        assert (status["live"], status["pid"]) == (bool(mode), service.process.pid)
        assert service.command("order", "MASTER", "never").returncode == 2
        assert service.command("cancel", "NOBODY", OTHER).returncode == 2


def test_resume_brings_an_account_of_the_service_back_at_once(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        def is_available() -> bool:
            told = json.loads(service.command("status", "--json").stdout)["accounts"]
            return next(bool(each["is_available"]) for each in told if each["account"] == "ALICE")

        sim.revoke("ALICE")
        until(lambda: not is_available())
        assert service.command("resume", "ALICE").returncode == 1
        sim.restore("ALICE")
        done = service.command("resume", "ALICE")
        assert (done.returncode, done.stdout) == (0, "Account ALICE is available.\n")
        assert is_available()
