"""The lane under refusals and limits, over real sockets: refused calls are not repeated blindly (G7)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import Account, CallError, Engine, EngineWarning, KeyChanged, Settings
from engine.errors import CounterFull, InvalidKey, LockedOut, PermissionDenied, RateLimited, TemporaryLockout
from engine.simulator import Fault, Simulator
from engine.store import read_documents
from tests.conftest import Events, private_calls
from tests.stopwatch import PATIENCE, Stopwatch, again_if_stalled

CALM = Settings(refresh_every=3600, call_timeout=PATIENCE, local_limits=False)
"""Nothing happens by itself, so that every call seen is one the test made (but for the first balance)."""


class Shifted:
    """The machine's clocks, moved on by the test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def wall_ns(self) -> int:
        return time.time_ns() + int(self.ahead * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@contextmanager
def calm_engine(
    sim: Simulator, directory: Path, settings: Settings = CALM, *, live: bool = False, clock: Shifted | None = None
) -> Iterator[Engine]:
    """An engine whose first balances are there already."""
    engine = Engine(
        sim.accounts, url=sim.url, state_dir=directory, settings=settings, live=live, clock=clock or Shifted()
    )
    with engine:
        for account in sim.accounts:
            engine.balance(account.name, max_age=3600)
        yield engine


def attempts(engine: Engine, count: int, endpoint: str = "TradeBalance", account: str = "MASTER") -> list[CallError]:
    """The failures of so many single attempts."""
    futures = [engine.submit(account, endpoint) for _ in range(count)]
    errors = [future.exception(PATIENCE) for future in futures]
    assert all(isinstance(error, CallError) for error in errors)
    return [error for error in errors if isinstance(error, CallError)]


def count(sim: Simulator, account: str = "MASTER") -> int:
    return len([call for call in private_calls(sim) if call.account == account])


def test_a_thousand_calls_into_a_nonce_storm_send_three_and_name_the_state(sim: Simulator, tmp_path: Path) -> None:
    with calm_engine(sim, tmp_path) as engine:
        events = Events()
        engine.subscribe(events)
        before = count(sim)
        sim.fault(Fault.error("EAPI:Invalid nonce", account="MASTER"))
        errors = attempts(engine, 1000)
        assert count(sim) - before == 3
        assert isinstance(errors[-1], LockedOut)
        assert errors[-1].retry_after is not None
        event = events.wait_for(lambda event: isinstance(event, KeyChanged) and event.state == "nonces-refused")
        assert "another program uses the key" in event.sentence
        assert "new key" in event.sentence
        assert engine.status().keys["MASTER"] == event
        assert engine.call("ALICE", "TradeBalance"), "the others go on"
        nonces = [call.nonce for call in private_calls(sim) if call.account == "MASTER" and call.nonce]
        assert nonces == sorted(set(nonces))
        assert max(nonces) < time.time_ns() + 2 * 10**9, "the nonce never jumps ahead"


def test_a_probe_ends_a_nonce_storm(sim: Simulator, tmp_path: Path) -> None:
    clock = Shifted()
    with calm_engine(sim, tmp_path, clock=clock) as engine:
        fault = sim.fault(Fault.error("EAPI:Invalid nonce", account="MASTER"))
        attempts(engine, 5)
        fault.remove()
        assert isinstance(attempts(engine, 1)[0], LockedOut)
        clock.ahead += 900.0
        assert engine.submit("MASTER", "TradeBalance").result(PATIENCE)
        assert engine.status().keys["MASTER"].state == "open"


@pytest.mark.parametrize(
    ("string", "state", "error"),
    [
        ("EAPI:Invalid key", "key-refused", InvalidKey),
        ("EGeneral:Permission denied", "call-refused", PermissionDenied),
    ],
)
def test_auth_errors_are_not_hammered_and_resume_tries_again(
    sim: Simulator, tmp_path: Path, string: str, state: str, error: type[CallError]
) -> None:
    with calm_engine(sim, tmp_path) as engine:
        fault = sim.fault(Fault.error(string, account="MASTER", endpoint="TradeBalance"))
        before = count(sim)
        errors = attempts(engine, 100)
        assert isinstance(errors[0], error)
        assert all(isinstance(each, LockedOut) for each in errors[1:])
        assert count(sim) - before == 1
        assert engine.status().keys["MASTER"].state == state
        fault.remove()
        engine.resume("MASTER")
        assert engine.call("MASTER", "TradeBalance")
        assert engine.status().keys["MASTER"].state == "open"


def test_another_key_ends_it_too(sim: Simulator, tmp_path: Path) -> None:
    with calm_engine(sim, tmp_path) as engine:
        new = sim.replace_key("MASTER")
        assert isinstance(attempts(engine, 3)[-1], LockedOut)
        engine.replace_key("MASTER", new.key, new.secret)
        assert engine.call("MASTER", "TradeBalance")
        assert engine.balance("MASTER", max_age=0).is_available


def test_lockout_is_waited_out_stops_cancels_and_survives_a_restart(sim: Simulator, tmp_path: Path) -> None:
    clock = Shifted()
    with calm_engine(sim, tmp_path, clock=clock) as engine:
        sim.fault(Fault.error("EGeneral:Temporary lockout", account="MASTER", times=1))
        assert isinstance(attempts(engine, 1)[0], TemporaryLockout)
        before = count(sim)
        assert isinstance(attempts(engine, 5, "CancelAll")[0], LockedOut)
        assert engine.status().keys["MASTER"].state == "locked-out"
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=CALM, clock=clock) as engine:
        held = attempts(engine, 3)[0]
        assert isinstance(held, LockedOut)
        assert held.retry_after is not None
        assert 800 < held.retry_after <= 900
        assert count(sim) == before
        clock.ahead += 901
        assert engine.submit("MASTER", "TradeBalance").result(PATIENCE)


def test_two_locked_keys_stop_all_until_both_are_free_also_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    clock = Shifted()
    with calm_engine(sim, tmp_path, clock=clock) as engine:
        sim.fault(Fault.error("EGeneral:Temporary lockout", times=2))
        attempts(engine, 1)
        attempts(engine, 1, account="ALICE")
        before = count(sim, "BOB")
        held = attempts(engine, 3, account="BOB")
        assert all(isinstance(each, LockedOut) for each in held)
        assert count(sim, "BOB") == before
        codes = [warning.code for warning in engine.status().warnings]
        assert codes.count("all-locked-out") == 1, "BOB's own key stands well, and somebody has to say why it is silent"
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=CALM, clock=clock) as engine:
        error = attempts(engine, 1, "CancelAll", account="BOB")[0]
        assert isinstance(error, LockedOut)
        assert "two keys" in str(error)
        assert 800 < (error.retry_after or 0) <= 900
        engine.resume("BOB")
        assert isinstance(attempts(engine, 1, account="BOB")[0], LockedOut), "no command ends what Kraken does"
        assert count(sim, "BOB") == before
        clock.ahead += 901
        for name in ("BOB", "MASTER", "ALICE"):
            assert engine.submit(name, "TradeBalance").result(PATIENCE)


def test_counter_refuses_before_a_nonce_is_drawn_and_never_a_cancel(sim: Simulator, tmp_path: Path) -> None:
    """The simulator's own counter, of the same tier, refuses nothing."""
    settings = Settings(refresh_every=3600, call_timeout=PATIENCE)
    with Simulator(call_limit=(15, 0.33)) as strict, calm_engine(strict, tmp_path, settings) as engine:
        futures = [engine.submit("MASTER", "TradeBalance") for _ in range(40)]
        errors = [future.exception(PATIENCE) for future in futures]
        full = [error for error in errors if error is not None]
        assert full
        assert all(isinstance(error, CounterFull) and error.retry_after is not None for error in full)
        assert count(strict) < 16
        for _ in range(3):
            engine.submit("MASTER", "CancelAll").exception(PATIENCE)
        assert not [call for call in private_calls(strict) if call.error and call.endpoint != "CancelAll"]


def test_live_engine_keeps_headroom_for_a_settlement_round(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(refresh_every=3600, call_timeout=PATIENCE)
    with Simulator(call_limit=(15, 0.33)) as strict, calm_engine(strict, tmp_path, settings, live=True) as engine:
        attempts_left = [engine.submit("MASTER", "TradeBalance").exception(PATIENCE) for _ in range(10)]
        assert isinstance(attempts_left[-1], CounterFull)
        for endpoint in ("OpenOrders", "ClosedOrders", "TradesHistory"):
            error = engine.submit("MASTER", endpoint, {"cl_ord_id": "a"}).exception(PATIENCE)
            assert not isinstance(error, CounterFull | RateLimited)


def test_refusal_by_kraken_fills_the_counter_and_the_level_survives_a_restart(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(refresh_every=3600, call_timeout=PATIENCE)
    with calm_engine(sim, tmp_path, settings) as engine:
        sim.fault(Fault.error("EAPI:Rate limit exceeded", account="MASTER", times=1))
        assert isinstance(attempts(engine, 1)[0], RateLimited)
        assert isinstance(attempts(engine, 1)[0], CounterFull)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        assert isinstance(attempts(engine, 1)[0], CounterFull)


def test_throttling_with_a_time_is_honoured(sim: Simulator, tmp_path: Path) -> None:
    with calm_engine(sim, tmp_path, Settings(refresh_every=3600, call_timeout=PATIENCE)) as engine:
        until = int(time.time()) + 60
        sim.fault(Fault.error(f"EService: Throttled: {until}", account="MASTER", times=1))
        assert isinstance(attempts(engine, 1)[0], RateLimited)
        held = attempts(engine, 1)[0]
        assert isinstance(held, CounterFull)
        assert held.retry_after is not None
        assert 50 < held.retry_after <= 60, "less what has passed since"


@again_if_stalled
def test_reads_wait_at_their_sender(sim: Simulator, tmp_path: Path) -> None:
    """`call` asks again when there is room; the lane is free meanwhile."""
    pro = Settings(refresh_every=3600, call_timeout=PATIENCE, tier="pro")
    with calm_engine(sim, tmp_path, pro) as engine:
        futures = [engine.submit("MASTER", "TradeBalance") for _ in range(20)]
        assert any(isinstance(future.exception(PATIENCE), CounterFull) for future in futures)
        with Stopwatch() as watch:
            assert engine.call("MASTER", "TradeBalance")
        assert watch.wall > 0.2
        assert watch.seconds < 5


def test_damaged_limits_count_as_full_and_lock_nobody_out(sim: Simulator, tmp_path: Path) -> None:
    """A file that we lost says nothing about Kraken: reads wait for the counter, a cancel goes at once."""
    settings = Settings(refresh_every=3600, call_timeout=PATIENCE)
    with calm_engine(sim, tmp_path, settings):
        pass
    (tmp_path / "limits.sqlite").write_bytes(b"garbage" * 1000)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        assert isinstance(attempts(engine, 1)[0], CounterFull)
        assert engine.submit("MASTER", "CancelAll").result(PATIENCE) == {"count": 0}
        assert engine.status().keys["MASTER"].state == "open"
        assert "limits-lost" in [warning.code for warning in engine.status().warnings]


def test_the_level_of_the_counter_outlives_a_removal_of_the_account(sim: Simulator, tmp_path: Path) -> None:
    """Kraken does not forget it either."""
    settings = Settings(refresh_every=3600, call_timeout=PATIENCE)
    with calm_engine(sim, tmp_path, settings) as engine:
        sim.fault(Fault.error("EAPI:Rate limit exceeded", account="MASTER", times=1))
        assert isinstance(attempts(engine, 1)[0], RateLimited)
        master = next(account for account in sim.accounts if account.name == "MASTER")
        engine.remove_account("MASTER")
        engine.add_account(master)
        assert isinstance(attempts(engine, 1)[0], CounterFull)


def test_the_level_after_the_last_call_is_written_though_no_other_follows(sim: Simulator, tmp_path: Path) -> None:
    """A crash forgets the calls of the last second at most."""
    path = tmp_path / "limits.sqlite"
    with calm_engine(sim, tmp_path) as engine:
        key_id = next(account.key_id for account in map(Account.of, sim.accounts) if account.name == "MASTER")
        for each in [engine.submit("MASTER", "TradeBalance") for _ in range(6)]:
            each.result(PATIENCE)
        until = time.monotonic() + PATIENCE
        while read_documents(path).get(key_id, {}).get("calls", {}).get("level", 0.0) < 5:
            assert time.monotonic() < until


def test_limits_that_cannot_be_kept_are_warned_of_once_and_the_calls_go_on(sim: Simulator, tmp_path: Path) -> None:
    events = Events()
    with calm_engine(sim, tmp_path) as engine:
        engine.subscribe(events)
        (tmp_path / "limits.sqlite").unlink()
        for name in ("MASTER", "ALICE"):  # a lockout is written down at once
            sim.fault(Fault.error("EGeneral:Temporary lockout", account=name, times=1))
            assert isinstance(attempts(engine, 1, account=name)[0], TemporaryLockout)
        assert engine.submit("BOB", "CancelAll").exception(PATIENCE) is not None, "two locked keys stop all"
        events.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == "limits-not-kept")
    assert [event.code for event in events.seen if isinstance(event, EngineWarning)].count("limits-not-kept") == 1
