"""The `Engine` as a whole: G1 over restarts, G2 one owner, G13 clean stop, and what its users see."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import (
    Account,
    BalanceState,
    CallFinished,
    Engine,
    EngineWarning,
    Outcome,
    PrivateCall,
    Settings,
    StoreError,
    StoreInUse,
)
from engine.actors.drift_log import DriftLog
from engine.app.calls import CallMethods
from engine.errors import (
    CallCut,
    CallNotSent,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    DeadlinePassed,
    EngineStopped,
    InsufficientFunds,
    InvalidKey,
    MarketUnavailable,
    UnknownName,
)
from engine.kraken.endpoints import PRIVATE
from engine.simulator import Fault, Simulator
from engine.values import SYSTEM_CLOCK
from tests.conftest import QUICK, Events
from tests.stopwatch import AT_ONCE, LONG, PATIENCE, SOON, Stopwatch, again_if_stalled


def test_restarts_within_one_second_never_cost_a_nonce(sim: Simulator, tmp_path: Path) -> None:
    """G1."""
    for _ in range(10):
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
            for account in sim.accounts:
                engine.call(account.name, "Balance")
    assert sim.refused_nonces == 0
    assert sim.highest_in_flight == 1


def test_state_directory_gone_between_runs_is_survived_by_the_clock(sim: Simulator, tmp_path: Path) -> None:
    for turn in range(3):
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / str(turn), settings=QUICK) as engine:
            engine.call("MASTER", "Balance")
    assert sim.refused_nonces == 0


def test_second_engine_is_refused_quickly_with_the_pid(sim: Simulator, engine: Engine, tmp_path: Path) -> None:
    """G2, within one process."""
    with Stopwatch() as watch, pytest.raises(StoreInUse) as caught:
        Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state").start()
    assert watch.seconds < 1
    assert caught.value.pid == os.getpid()
    assert engine.call("MASTER", "Balance")


def test_it_starts_with_kraken_down_and_says_so(sim: Simulator, tmp_path: Path) -> None:
    with sim.outage(), Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        snapshot = engine.balance("MASTER", max_age=1, timeout=PATIENCE)
        assert snapshot.state is BalanceState.UNKNOWN
        assert not snapshot.is_available
        assert "No connection" in (snapshot.last_error or "")


@pytest.mark.parametrize(("endpoint", "timeout"), [("Balance", 5), ("Balance", 30), ("AddOrder", 5)])
def test_stop_during_a_hung_call_answers_everybody_and_leaves_nothing(
    sim: Simulator, tmp_path: Path, endpoint: str, timeout: float
) -> None:
    """G13: the call under way, those behind it, and a stop while the stop is under way."""
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True).start()
    sim.fault(Fault.hang(endpoint=endpoint))
    hung = engine.submit("MASTER", endpoint, timeout=LONG)
    sim.wait_for_calls(1, endpoint=endpoint, ended=False)
    waiting = [engine.submit("ALICE", "Balance", timeout=LONG) for _ in range(50)]
    with Stopwatch() as watch:
        engine.stop(timeout)
    assert watch.seconds < (timeout if endpoint == "AddOrder" else 4) + 0.5, "only a write is given time to end"
    engine.stop()
    assert isinstance(hung.exception(PATIENCE), CallUnknown)
    assert all(isinstance(future.exception(PATIENCE), EngineStopped) for future in waiting)
    with pytest.raises(EngineStopped):
        engine.call("MASTER", "Balance")
    with pytest.raises(EngineStopped):
        engine.public("Time")
    assert engine.balance("MASTER", max_age=0) is not None
    Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start().stop()


def test_stop_all_of_the_host_is_an_orderly_stop(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start()
    sim.fault(Fault.delay(0.2))
    futures = [engine.submit("MASTER", "Balance", timeout=LONG) for _ in range(20)]
    pykka.ActorRegistry.stop_all(timeout=PATIENCE)
    ends = [type(future.exception(PATIENCE)) for future in futures]
    assert ends.count(CallCut) <= 1  # the one under way, which the stop cuts
    assert {*ends} <= {type(None), EngineStopped, CallCut}
    assert isinstance(engine.submit("MASTER", "Balance").exception(PATIENCE), EngineStopped)
    engine.stop()
    Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start().stop()


def test_queued_call_can_be_cancelled_and_is_never_sent(sim: Simulator, engine: Engine) -> None:
    hang = sim.fault(Fault.hang(endpoint="Ledgers"))
    hung = engine.submit("MASTER", "Ledgers")
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    queued = engine.submit("MASTER", "TradeBalance")
    assert queued.cancel()
    assert not hung.cancel()
    hang.remove()
    engine.call("MASTER", "Balance")
    with pytest.raises(CancelledError):
        queued.result()
    assert "TradeBalance" not in [call.endpoint for call in sim.calls]


def test_futures_work_with_asyncio(sim: Simulator, engine: Engine) -> None:
    async def both() -> list[Any]:
        calls = (engine.submit(name, "Balance") for name in ("MASTER", "ALICE"))
        return await asyncio.gather(*map(asyncio.wrap_future, calls))

    assert len(asyncio.run(both())) == 2


def test_result_is_krakens_as_it_came(engine: Engine, sim: Simulator) -> None:
    sim.fault(Fault.body(b'{"error":[],"result":{"a":"1.50","t":1616.1234567890123456789,"n":[]}}', times=1,
                         endpoint="TradeBalance"))  # fmt: skip
    result = engine.call("MASTER", "TradeBalance", {"asset": "ZUSD"})
    assert result == {"a": "1.50", "t": Decimal("1616.1234567890123456789"), "n": []}


def test_refusals_are_typed_and_named(engine: Engine, sim: Simulator) -> None:
    sim.fault(Fault.error("EOrder:Insufficient funds", endpoint="TradeBalance", times=1))
    with pytest.raises(InsufficientFunds) as caught:
        engine.call("MASTER", "TradeBalance")
    assert (caught.value.account, caught.value.endpoint) == ("MASTER", "TradeBalance")
    assert caught.value.kraken_code == "EOrder:Insufficient funds"
    assert caught.value.outcome is Outcome.REFUSED


def test_unknown_names_are_told_before_anything_is_sent(engine: Engine) -> None:
    for use in (engine.balance, engine.is_available, engine.error_count):
        with pytest.raises(UnknownName, match="There is no account 'NOBODY'; this engine has: MASTER, ALICE, BOB"):
            use("NOBODY")
    with pytest.raises(CallNotSent, match="NOBODY"):
        engine.call("NOBODY", "Balance")
    with pytest.raises(ConfigError, match="did you mean 'Balance'"):
        engine.call("MASTER", "Ballance")
    with pytest.raises(UnknownName):
        engine.public("Ticer")


def test_public_calls_are_not_serialized_with_the_lane(engine: Engine, sim: Simulator) -> None:
    sim.fault(Fault.hang(endpoint="Balance"))
    engine.submit("MASTER", "Balance")
    sim.wait_for_calls(1, endpoint="Balance", ended=False)
    assert "unixtime" in engine.public("Time")
    assert "XXBTZUSD" in engine.public("Ticker", {"pair": "XBTUSD"})
    sim.fault(Fault.error("EService:Unavailable", endpoint="Time"))
    with pytest.raises(MarketUnavailable) as caught:
        engine.public("Time")
    assert caught.value.endpoint == "Time"


def test_events_reach_callables_and_actors_in_order_and_a_broken_one_harms_nobody(
    engine: Engine, events: Events
) -> None:
    def broken(event: Any) -> None:
        raise SystemExit("a subscriber that would end the host")

    class Listener(pykka.ThreadingActor):
        use_daemon_thread = True
        seen: list[Any] = []  # noqa: RUF012

        def on_receive(self, message: Any) -> None:
            self.seen.append(message)

    listener = Listener.start()
    engine.subscribe(broken)
    engine.subscribe(listener)
    engine.call("MASTER", "TradeBalance")
    mine = events.wait_for(lambda event: isinstance(event, CallFinished) and event.endpoint == "TradeBalance")
    assert (mine.account, mine.outcome, mine.error) == ("MASTER", Outcome.DONE, None)
    assert mine.seconds > 0
    listener.stop()
    engine.call("MASTER", "Balance")
    engine.unsubscribe(broken)
    assert any(isinstance(event, CallFinished) for event in Listener.seen)


def test_status_is_json_ready(engine: Engine) -> None:
    engine.balance("MASTER", max_age=60)
    status = engine.status()
    told = json.loads(json.dumps(status.to_dict()))
    assert told["running"] is True
    assert [row["account"] for row in told["accounts"]] == ["MASTER", "ALICE", "BOB"]
    master = told["accounts"][0]
    assert master["state"] == "fresh"
    assert isinstance(master["cash"], str)
    assert set(master["assets"]["USD"]) == {"total", "available", "held"}


def test_several_engines_in_one_process_do_not_see_each_other(sim: Simulator, engine: Engine, tmp_path: Path) -> None:
    with Simulator() as other, Engine(other.accounts, url=other.url, state_dir=tmp_path / "b", settings=QUICK) as two:
        two.call("MASTER", "Balance")
        two.stop()
        assert engine.call("MASTER", "Balance")


def test_engine_comes_back_after_a_refused_start(sim: Simulator, engine: Engine, tmp_path: Path) -> None:
    second = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK)
    with pytest.raises(StoreInUse):
        second.start()
    engine.stop()
    with second:
        assert second.call("MASTER", "Balance")


def test_nothing_that_moves_money_out_is_sent_though_the_engine_is_live(sim: Simulator, tmp_path: Path) -> None:
    """Of all that Kraken has, by its name; and nothing that Kraken may add one day, since the table is a list.

    Four that only tell of withdrawals have the word in their names as well.
    """
    moves = {name for name in PRIVATE if "Withdraw" in name or "Transfer" in name}
    moves -= {"WithdrawStatus", "WithdrawMethods", "WithdrawAddresses", "WithdrawInfo"}
    assert len(moves) >= 4
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True, balances=()) as engine:
        for name in sorted(moves | {"WithdrawEverything"}):
            for params in ({}, {"validate": True}):
                with pytest.raises(CallNotSent):
                    engine.call("MASTER", name, params)
    assert not [call for call in sim.calls if call.private]


@pytest.mark.parametrize("url", ["http://api.kraken.com", "https://evil.example", "ftp://localhost", "nonsense", ""])
def test_url_to_a_stranger_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError):
        Engine([("MASTER", "key", "c2VjcmV0")], url=url, state_dir=tmp_path)


@pytest.mark.parametrize(
    "account",
    [
        ("MASTER", "", "c2VjcmV0"),
        ("MASTER", "key", ""),
        ("MASTER", "key", "not base64!"),
        ("MAS TER", "key", "c2VjcmV0"),
        ("", "key", "c2VjcmV0"),
        ("MASTER", "key"),
        "MASTER",
    ],
)
def test_half_an_account_is_refused_in_one_sentence(tmp_path: Path, account: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Engine([account], url="https://api.kraken.com", state_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_unusable_state_directory_is_a_store_error(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match="is a file"):
        Engine(sim.accounts, url=sim.url, state_dir=file).start()


@pytest.mark.parametrize(
    "wrong", [{"refresh_every": 0}, {"max_age": -1}, {"call_timeout": "5"}, {"tier": "gold"}, {"cash": "USD"},
              {"polling_share": 2}, {"errors_to_unavailable": 2.5}],
)  # fmt: skip
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Settings(**wrong)


def test_secrets_show_nowhere(sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """G11: reprs, errors, logs at DEBUG and the files of the store."""
    caplog.set_level(logging.DEBUG)
    secrets = [text for account in sim.accounts for text in (account.key, account.secret)]
    written = [repr(Account.of(sim.accounts[0])), str(Account.of(sim.accounts[0]))]
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        for fault in (Fault.error("EAPI:Invalid key"), Fault.http(502), Fault.error("EAPI:Invalid nonce")):
            with sim.outage(fault), pytest.raises(Exception) as caught:  # noqa: PT011
                engine.submit("MASTER", "TradeBalance").result(PATIENCE)
            written.append(repr(caught.value) + str(caught.value.__context__) + str(caught.value.__cause__))
        written += [repr(engine), repr(engine.status()), json.dumps(engine.status().to_dict()), str(vars(engine))]
    written += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in secrets:
        assert all(secret not in text for text in written)
        assert secret.encode() not in stored


def test_host_that_forgets_to_stop_can_still_end(sim: Simulator, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom engine import Engine\n"
        f"Engine({[tuple(account) for account in sim.accounts]!r}, url={sim.url!r}, state_dir={str(tmp_path)!r})"
        ".start().call('MASTER', 'Balance')\nprint('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_calls_from_many_threads_while_it_stops_all_end(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start()
    ended: list[object] = []

    def use() -> None:
        try:
            while True:
                engine.call("MASTER", "Balance")
        except EngineStopped as error:
            ended.append(error)
        except CallUnknown:
            ended.append(None)

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    sim.wait_for_calls(50)
    engine.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == 16
    assert sim.refused_nonces == 0


def test_private_ref_takes_messages_of_the_contract(engine: Engine) -> None:
    assert engine.private.ask(PrivateCall("ALICE", "Balance"))
    assert set(engine.balances) == {"MASTER", "ALICE", "BOB"}


def test_reads_are_made_again_after_a_passing_failure_each_with_a_fresh_nonce(engine: Engine, sim: Simulator) -> None:
    """G5."""
    sim.fault(Fault.http(502, endpoint="TradeBalance", times=1))
    assert engine.call("MASTER", "TradeBalance")
    nonces = [call.nonce for call in sim.calls if call.endpoint == "TradeBalance"]
    assert len(set(nonces)) == 2


@pytest.mark.parametrize("executed", [True, False])
def test_a_write_of_unknown_outcome_is_never_sent_again(sim: Simulator, tmp_path: Path, executed: bool) -> None:
    """G5 and G9: the exchange holds at most one order."""
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True) as engine:
        for make in (partial(Fault.http, 502), Fault.reset, Fault.empty):
            fault = make(executed=executed, endpoint="AddOrder")
            before = len(sim.placements("MASTER"))
            with sim.outage(fault), pytest.raises(CallUnknown):
                engine.call("MASTER", "AddOrder", order)
            assert len(sim.placements("MASTER")) == before + executed


class Unanswered:
    """An engine state whose lane answers nobody, as when the machine stands still."""

    clock = SYSTEM_CLOCK

    def __init__(self, *, is_running: bool) -> None:
        self.is_running = is_running
        self.stopped = threading.Event()
        self.told: list[PrivateCall] = []
        self.drift = DriftLog(SYSTEM_CLOCK, lambda event: None)

    def check_account(self, account: str) -> None:
        """Every name will do."""

    def seconds(self, timeout: float | None) -> float:
        return timeout or 0.0

    def ref(self, name: str) -> Any:
        return self

    def tell(self, call: PrivateCall) -> None:
        self.told.append(call)


@pytest.mark.parametrize(("is_running", "error"), [(True, DeadlinePassed), (False, EngineStopped)])
def test_a_call_that_nobody_answers_is_withdrawn_and_only_a_stop_is_called_one(
    is_running: bool, error: type[CallNotSent]
) -> None:
    """G5: callers in a loop stop at `EngineStopped`."""
    state: Any = Unanswered(is_running=is_running)
    with pytest.raises(CallNotSent) as caught:
        CallMethods(state).call("MASTER", "AddOrder", {}, 0.01)
    assert type(caught.value) is error
    (call,) = state.told
    assert call.reply_to.is_withdrawn


def test_a_placement_is_not_repeated_even_when_it_was_not_sent(sim: Simulator, tmp_path: Path) -> None:
    """G4: a cancel may have come in between."""
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True) as engine:
        with Stopwatch() as watch, sim.outage(), pytest.raises(ConnectFailed):
            engine.call("MASTER", "AddOrder", {"pair": "XBTUSD"}, timeout=LONG)
        assert watch.seconds < SOON


def _dies(name: str, engine: Engine) -> None:
    ref = engine.private if name == "private" else engine.balances["MASTER"]
    ref.stop(block=False)


@pytest.mark.parametrize("name", ["private", "balance MASTER"])
def test_dead_actor_is_replaced_and_its_death_is_told(
    engine: Engine, events: Events, sim: Simulator, name: str
) -> None:
    engine.balance("MASTER", max_age=60)
    waiting = [engine.submit("MASTER", "Balance", timeout=PATIENCE) for _ in range(5)]
    _dies(name, engine)
    event = events.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == "actor-replaced")
    assert name in event.message
    assert all(future.exception(LONG) is None or isinstance(future.exception(), EngineStopped) for future in waiting)
    assert engine.call("MASTER", "Balance")
    assert engine.balance("MASTER", max_age=0, timeout=PATIENCE).state is BalanceState.FRESH
    assert event in engine.status().warnings
    assert sim.refused_nonces == 0


def test_subscriber_may_stop_the_engine(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK)
    stopped = threading.Event()

    def stop(event: Any) -> None:
        engine.stop()
        stopped.set()

    engine.subscribe(stop)
    engine.start()
    assert stopped.wait(PATIENCE)


def test_documentation_of_the_public_names_shows_no_secret() -> None:
    """G11: a default taken from the environment would show in help() and in every signature."""
    code = (
        "import engine, io, contextlib, inspect\n"
        "out = io.StringIO()\n"
        "with contextlib.redirect_stdout(out):\n"
        "    for name in engine.__all__: help(getattr(engine, name))\n"
        "    help(engine.config)\n"
        "assert 'Engine' in out.getvalue()\n"
        "assert 'canary' not in out.getvalue()\n"
    )
    environment = {**os.environ, "KRAKEN_API_SECRET": "canary", "PAGER": "cat", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_only_the_balances_that_are_wanted_are_kept(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, balances=()) as engine:
        assert engine.call("MASTER", "TradeBalance")
        assert engine.balance("MASTER", max_age=0).state is BalanceState.UNKNOWN
    assert [call.endpoint for call in sim.calls if call.private] == ["TradeBalance"]
    with pytest.raises(UnknownName):
        Engine(sim.accounts, url=sim.url, state_dir=tmp_path, balances=("NOBODY",))


def test_a_stopped_engine_has_no_available_account(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER", max_age=60).is_available
    assert not engine.is_available("MASTER")
    assert engine.balance("MASTER").cash is not None


def test_another_key_never_shows_the_old_keys_money(sim: Simulator, tmp_path: Path) -> None:
    """G6: neither in memory nor after a restart."""
    other = sim.add_account("OTHER", {"ZUSD": "5"})
    master = sim.accounts[0]
    with Engine([master], url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER", max_age=60).cash != 5
        sim.fault(Fault.hang(endpoint="BalanceEx", account="OTHER", times=1))
        engine.replace_key("MASTER", other.key, other.secret)
        assert engine.balance("MASTER").state is BalanceState.UNKNOWN
        assert not engine.is_available("MASTER")
        sim.clear_faults()
        assert engine.balance("MASTER", max_age=60, timeout=PATIENCE).cash == 5
    with sim.outage(), Engine([master], url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER").cash is None, "what is kept is the other key's"


def test_replacing_a_key_while_the_lane_hangs_is_withdrawn(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(refresh_every=600, call_timeout=0.3, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, balances=()) as engine:
        engine.call("MASTER", "Balance", timeout=PATIENCE)
        new = sim.replace_key("ALICE")
        hang = sim.fault(Fault.hang(endpoint="Ledgers"))
        engine.submit("MASTER", "Ledgers", timeout=LONG)
        sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
        with pytest.raises(DeadlinePassed, match="nothing was changed"):
            engine.replace_key("ALICE", new.key, new.secret)
        hang.remove()
        with pytest.raises(InvalidKey):
            engine.call("ALICE", "TradeBalance", timeout=PATIENCE)


def test_exit_in_a_callback_ends_nothing(engine: Engine, sim: Simulator) -> None:
    """G5: in the lane's thread and in the scheduler's."""

    def leave(done: Any) -> None:
        raise SystemExit(1)

    class Leaver:
        def tell(self, message: Any) -> None:
            raise SystemExit(2)

    engine.submit("MASTER", "Balance").add_done_callback(leave)
    engine.private.tell(PrivateCall("MASTER", "Balance", reply_to=Leaver()))
    hang = sim.fault(Fault.hang(endpoint="Ledgers"))
    engine.submit("MASTER", "Ledgers", timeout=LONG)
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    engine.submit("ALICE", "Balance", timeout=0.1).add_done_callback(leave)
    expired = engine.submit("ALICE", "Balance", timeout=0.3)
    assert isinstance(expired.exception(PATIENCE), DeadlinePassed)
    hang.remove()
    assert engine.call("BOB", "Balance")


def test_a_cut_while_kraken_hangs_at_the_start_is_not_lost(sim: Simulator, tmp_path: Path) -> None:
    """G4 and G13: the public time is asked for first, and a cut there must not let the call go."""
    sim.fault(Fault.hang())
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start()
    sim.wait_for_calls(1, endpoint="Time", ended=False)
    with Stopwatch() as watch:
        engine.stop(PATIENCE)
    assert watch.seconds < AT_ONCE, "less than Kraken's time is waited for"
    assert not [call for call in sim.calls if call.private]


def test_stop_all_of_the_host_during_a_hung_call_does_not_bring_it_back(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start()
    engine.balance("MASTER", max_age=60)
    sim.fault(Fault.hang(endpoint="Ledgers"))
    hung = engine.submit("MASTER", "Ledgers", timeout=LONG)
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    with Stopwatch() as watch:
        pykka.ActorRegistry.stop_all(timeout=PATIENCE)
    assert watch.seconds < SOON, "the call under way is cut"
    assert hung.exception(PATIENCE) is not None
    engine.stop()
    assert not engine.status().running
    before = len(sim.calls)
    sim.clear_faults()
    with pytest.raises(EngineStopped):
        engine.call("MASTER", "Balance")
    assert len(sim.calls) == before


@again_if_stalled
def test_a_withdrawn_cancel_cuts_nothing(sim: Simulator, tmp_path: Path) -> None:
    quick = Settings(cut_write_after=0.8, refresh_every=600, local_limits=False)
    sim.clear_faults()
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=quick, live=True) as engine:
        hang = sim.fault(Fault.hang(endpoint="AddOrder"))
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
        placed = engine.submit("MASTER", "AddOrder", order, timeout=LONG)
        sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
        assert engine.submit("MASTER", "CancelAll").cancel()
        with pytest.raises(TimeoutError):
            placed.result(1.2)
        hang.remove()
        assert placed.result(PATIENCE)["txid"]


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_stop_takes_any_patience(sim: Simulator, tmp_path: Path, timeout: float) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK).start()
    engine.stop(timeout)
    assert not engine.status().running


def test_a_forked_child_has_no_engine(sim: Simulator, engine: Engine) -> None:
    engine.balance("MASTER", max_age=60)
    child = os.fork()
    if child == 0:
        os._exit(int(engine.status().running or engine.is_available("MASTER")))
    assert os.waitpid(child, 0)[1] == 0
    assert engine.call("MASTER", "Balance")


def test_state_directory_does_not_move_with_the_host(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Engine(sim.accounts, url=sim.url, state_dir="state", settings=QUICK)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with engine:
        engine.call("MASTER", "Balance")
    assert (tmp_path / "state" / "nonces.sqlite").exists()


def test_hung_subscriber_costs_neither_the_lane_nor_the_memory(sim: Simulator, tmp_path: Path) -> None:
    release = threading.Event()
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, balances=())
    engine.subscribe(lambda event: release.wait(LONG))
    with engine:
        refused = [engine.submit("MASTER", "Withdraw", {"asset": "XBT"}) for _ in range(11_000)]
        assert all(isinstance(future.exception(PATIENCE), CallNotSent) for future in refused)
        assert engine.call("MASTER", "Balance")
        assert "events-dropped" in [warning.code for warning in engine.status().warnings]
        release.set()


def test_wrong_proxy_is_told_by_the_constructor(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        Engine([("MASTER", "key", "c2VjcmV0")], state_dir=tmp_path, settings=Settings(proxy="socks5://x"))


def test_the_switch_interval_is_the_hosts_unless_asked_for(sim: Simulator, tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path / "a"):
        assert sys.getswitchinterval() == before
    quick = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path / "a", settings=Settings(switch_interval=0.001))
    quicker = Engine(sim.accounts[1:2], url=sim.url, state_dir=tmp_path / "b", settings=Settings(switch_interval=5e-4))
    with quick:
        with quicker:
            assert sys.getswitchinterval() == pytest.approx(5e-4)
        assert sys.getswitchinterval() == pytest.approx(0.001)
    assert sys.getswitchinterval() == before
    for wrong in (0, -1, True, "1"):
        with pytest.raises(ConfigError, match="switch_interval"):
            Settings(switch_interval=wrong)  # type: ignore[arg-type]


def test_each_method_of_an_engine_is_written_once() -> None:
    """Its subjects are bases of one class, so a private name in two of them would be one and the same."""
    parts = [part for part in Engine.__mro__ if part.__module__.startswith("engine.app")]
    names = [name for part in parts for name in vars(part) if not name.startswith("__")]
    assert {name for name in names if names.count(name) > 1} == {"remove_account"}, "which ends the trading first"
