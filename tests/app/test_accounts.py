"""Accounts at run time: added, removed and given other keys while the others go on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Account, BalanceState, Engine, Settings
from engine.errors import (
    ConfigError,
    DeadlinePassed,
    EngineStopped,
    OtpNeeded,
    PermissionDenied,
    StoreInUse,
    UnknownName,
)
from engine.simulator import Fault, Simulator
from engine.store.nonces import read_marks
from tests.conftest import QUICK, Events, private_calls

PATIENCE = 20.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


@pytest.fixture
def master(sim: Simulator, tmp_path: Path) -> Engine:
    """An engine that has MASTER only, not started."""
    return Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=QUICK)


def test_an_added_account_is_kept_and_called(sim: Simulator, master: Engine) -> None:
    with master as engine:
        engine.add_account(sim.accounts[1])
        snapshot = engine.balance("ALICE", max_age=60, timeout=PATIENCE)
        assert snapshot.state is BalanceState.FRESH
        assert engine.is_available("ALICE")
        assert engine.call("ALICE", "Balance", timeout=PATIENCE)
        status = engine.status()
        assert [each.account for each in status.accounts] == ["MASTER", "ALICE"]
        assert set(status.keys) == set(status.refresh_intervals) == set(engine.balances) == {"MASTER", "ALICE"}
    assert not sim.refused_nonces


def test_an_account_may_be_added_before_the_start_and_after_the_stop(sim: Simulator, master: Engine) -> None:
    master.add_account(sim.accounts[1])
    with master as engine:
        assert engine.balance("ALICE", max_age=60, timeout=PATIENCE).cash is not None
    master.remove_account("ALICE")
    with master as engine, pytest.raises(UnknownName):
        engine.balance("ALICE")


@pytest.mark.parametrize("what", ["name", "key"])
def test_an_account_that_exists_is_refused_and_nothing_changes(sim: Simulator, master: Engine, what: str) -> None:
    own, other = sim.accounts[0], sim.accounts[1]
    twin = (own.name, other.key, other.secret) if what == "name" else ("TWIN", own.key, own.secret)
    with master as engine:
        with pytest.raises(ConfigError):
            engine.add_account(twin)
        assert [each.account for each in engine.status().accounts] == ["MASTER"]
        engine.add_account(other)  # its key was not taken by the failed try


def test_a_key_of_another_engine_is_refused(sim: Simulator, master: Engine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with master as engine, Engine(sim.accounts[1:2], url=sim.url, state_dir=elsewhere, settings=QUICK) as other:
        with pytest.raises(StoreInUse):
            engine.add_account(sim.accounts[1])
        other.remove_account("ALICE")
        engine.add_account(sim.accounts[1])  # a removed account's key is free at once
        assert engine.balance("ALICE", max_age=60, timeout=PATIENCE).cash is not None


def test_a_removed_account_is_gone_and_its_waiting_calls_end_as_not_sent(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(refresh_every=600, call_timeout=PATIENCE, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, balances=["MASTER"]) as engine:
        engine.balance("MASTER", max_age=60, timeout=PATIENCE)
        hang = sim.fault(Fault.hang(endpoint="TradeBalance", account="MASTER"))
        blocking = engine.submit("MASTER", "TradeBalance")
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        removal = threading.Thread(target=engine.remove_account, args=("ALICE",))
        removal.start()
        waiting = engine.submit("ALICE", "Balance")
        until(lambda: engine.status().waiting["cancel"] == 1)  # the removal is in the queue, ahead of what waits
        hang.remove()
        removal.join(PATIENCE)
        assert blocking.result(PATIENCE) is not None
        assert isinstance(waiting.exception(PATIENCE), UnknownName)
        assert not [call for call in private_calls(sim) if call.account == "ALICE"]
        with pytest.raises(UnknownName):
            engine.balance("ALICE")
        with pytest.raises(UnknownName):
            engine.call("ALICE", "Balance")
        assert "ALICE" not in engine.status().to_dict()["keys"]


def test_an_account_that_comes_back_goes_on_above_its_nonces(sim: Simulator, master: Engine, tmp_path: Path) -> None:
    """G1, and G6: its last known balance is there at once, STALE with its old `as_of`."""
    with master as engine:
        for _ in range(3):
            engine.add_account(sim.accounts[1])
            before = engine.balance("ALICE", max_age=0, timeout=PATIENCE)
            marks = read_marks(tmp_path)
            engine.remove_account("ALICE")
            assert read_marks(tmp_path) == marks
        sim.fault(Fault.http(502, account="ALICE"))
        engine.add_account(sim.accounts[1])
        again = engine.balance("ALICE")
        assert (again.state, again.cash) == (BalanceState.STALE, before.cash)
        assert again.as_of is not None
        assert before.as_of is not None
        assert again.as_of >= before.as_of, "the newest was written before it was read"
    assert not sim.refused_nonces


def test_others_go_on_undisturbed(sim: Simulator, master: Engine) -> None:
    """BOB comes and goes while MASTER is called from four threads; every call is done and every nonce is taken."""
    done, stop = itertools.count(), threading.Event()
    failed: list[BaseException] = []

    def call() -> None:
        while not stop.is_set():
            try:
                master.call("MASTER", "Balance", timeout=PATIENCE)
            except BaseException as error:
                failed.append(error)
                return
            next(done)

    with master as engine:
        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for _ in range(10):
            engine.add_account(sim.accounts[2])
            assert engine.balance("BOB", max_age=60, timeout=PATIENCE).cash is not None
            engine.remove_account("BOB")
        stop.set()
        for caller in callers:
            caller.join(PATIENCE)
    assert not failed
    assert next(done) > 10
    assert not sim.refused_nonces


def test_a_reader_gets_an_answer_or_an_error_while_accounts_come_and_go(
    sim: Simulator, master: Engine
) -> None:
    stop, odd = threading.Event(), []

    def read(look: Callable[[], object]) -> None:
        while not stop.wait(0.0005):
            try:
                look()
            except UnknownName:
                pass
            except BaseException as error:
                odd.append(error)
                return

    looks: tuple[Callable[[], object], ...] = (
        lambda: (master.balance("BOB"), master.is_available("BOB"), master.error_count("BOB")),
        lambda: master.balance("BOB", max_age=0, timeout=PATIENCE),
        lambda: master.status().to_dict(),
        lambda: master.balances,
        lambda: master.history("BOB"),
    )
    with master as engine:
        readers = [threading.Thread(target=read, args=(look,)) for look in looks]
        for reader in readers:
            reader.start()
        for _ in range(15):
            engine.add_account(sim.accounts[2])
            engine.remove_account("BOB")
        stop.set()
        for reader in readers:
            reader.join(PATIENCE)
        assert set(engine.balances) == {"MASTER"}
    assert not odd


@pytest.mark.parametrize("age", ["5", float("nan"), (), 1j])
def test_an_invalid_age_is_refused(master: Engine, age: object) -> None:
    with pytest.raises(ConfigError, match="max_age"):
        master.balance("MASTER", max_age=age)  # type: ignore[arg-type]


def test_a_busy_lane_changes_nothing(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(refresh_every=600, call_timeout=0.3, local_limits=False)
    with Engine(sim.accounts[:2], url=sim.url, state_dir=tmp_path, settings=settings, balances=()) as engine:
        engine.call("MASTER", "Balance", timeout=PATIENCE)
        hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
        blocking = engine.submit("MASTER", "TradeBalance", timeout=PATIENCE)
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        with pytest.raises(DeadlinePassed):
            engine.add_account(sim.accounts[2])
        with pytest.raises(DeadlinePassed):
            engine.remove_account("ALICE")
        hang.remove()
        blocking.result(PATIENCE)
        assert engine.call("ALICE", "Balance", timeout=PATIENCE)
        engine.add_account(sim.accounts[2])


def test_a_stopped_engine_takes_no_key(sim: Simulator, master: Engine) -> None:
    with pytest.raises(EngineStopped):
        master.replace_key("MASTER", sim.accounts[1].key, sim.accounts[1].secret)


def test_a_key_with_two_factor_brings_its_password(sim: Simulator, tmp_path: Path) -> None:
    """Every call of that key has it, also after `replace_key`; without it the account is unavailable, and says why."""
    sim.set_otp("MASTER", "tr-4711")
    name, key, secret = sim.accounts[0]
    events = Events()
    with Engine([Account(name, key, secret)], url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        engine.subscribe(events)
        with pytest.raises(OtpNeeded, match=r"has no otp: .* KRAKEN_API_OTP"):
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
        assert engine.balance("MASTER").cash is None
        engine.replace_key("MASTER", key, secret, otp="tr-4712")
        with pytest.raises(OtpNeeded, match="is not the key's two-factor password") as wrong:
            engine.call("MASTER", "OpenPositions", timeout=PATIENCE)
        assert "permission '" not in str(wrong.value)
        assert "tr-471" not in str(wrong.value)
        engine.replace_key("MASTER", key, secret, otp="tr-4711")
        assert engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
        assert engine.balance("MASTER", max_age=0, timeout=PATIENCE).is_available
        assert "tr-4711" not in repr(events.seen) + repr(engine.status()) + str(engine.status().to_dict())


def test_a_missing_permission_is_not_taken_for_a_missing_password(sim: Simulator, tmp_path: Path) -> None:
    """The key is asked about once; after that every denied call says which permission it wants."""
    sim.set_permissions("MASTER", {"query-ledger"})
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        for endpoint in ("TradeBalance", "OpenPositions"):
            with pytest.raises(PermissionDenied, match="Query open orders") as denied:
                engine.call("MASTER", endpoint, timeout=PATIENCE)
            assert not isinstance(denied.value, OtpNeeded)
    assert [each.endpoint for each in sim.calls].count("GetApiKeyInfo") == 1
