"""The engine inside somebody else's program: what the host's code does cannot slow, stop or kill the lane (G3, G13)."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pykka
import pytest

from engine import BalanceChanged, BalancePoint, BalanceState, CallFinished, ConfigError, Engine, PrivateCall
from engine.errors import CallError, CallNotSent, EngineStopped, UnknownName
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events, private_calls
from tests.stopwatch import AT_ONCE, LONG, PATIENCE, SOON, Stopwatch, again_if_stalled


class Held:
    """The host's code that does not return until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, *_: Any) -> None:
        self.entered.set()
        self.let_go.wait(LONG)

    tell = __call__


class Leaver(Held):
    """The host's code that ends its thread."""

    def __call__(self, *_: Any) -> None:
        self.entered.set()
        sys.exit(3)

    tell = __call__


@pytest.fixture
def held() -> Iterator[Held]:
    code = Held()
    yield code
    code.let_go.set()


class Bystander(pykka.ThreadingActor):
    """An actor of the host that has nothing to do with us."""

    use_daemon_thread = True


@pytest.fixture
def bystander() -> Iterator[pykka.ActorRef[Any]]:
    ref = Bystander.start()
    yield ref
    ref.stop()


def quickly(call: Callable[[], Any]) -> Any:
    """The result of a call that must not be held up."""
    with Stopwatch() as watch:
        result = call()
    assert watch.seconds < SOON, f"it took {watch.seconds:.2f} s"
    return result


def call_back(sim: Simulator, engine: Engine, callback: Callable[[Future[Any]], object]) -> None:
    """Add the callback to a call under way, then let the call end."""
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    future = engine.submit("MASTER", "TradeBalance")
    sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
    future.add_done_callback(callback)
    hang.remove()


# Callbacks and receivers


def test_slow_callback_of_a_future_holds_up_nobody(sim: Simulator, engine: Engine, held: Held) -> None:
    """G3: the lane's thread belongs to the lane; a callback runs elsewhere."""
    call_back(sim, engine, held)
    assert held.entered.wait(PATIENCE)
    assert quickly(lambda: engine.call("ALICE", "Balance", timeout=PATIENCE))


def test_callback_of_a_future_may_call_the_engine(sim: Simulator, engine: Engine) -> None:
    """G5: a program that goes on from callback to callback does not wait for itself."""
    ended: Future[Any] = Future()

    def go_on(done: Future[Any]) -> None:
        try:
            ended.set_result(engine.call("ALICE", "Balance", timeout=PATIENCE))
        except BaseException as error:
            ended.set_exception(error)

    call_back(sim, engine, go_on)
    assert quickly(lambda: ended.result(PATIENCE))


def test_callback_that_exits_ends_neither_the_lane_nor_the_hosts_actors(
    sim: Simulator, engine: Engine, bystander: pykka.ActorRef[Any]
) -> None:
    """P2 of the traps: a SystemExit in an actor's thread makes pykka stop every actor of the program."""
    private, leaver = engine.private, Leaver()
    call_back(sim, engine, leaver)
    assert leaver.entered.wait(PATIENCE)
    assert engine.call("ALICE", "Balance")
    assert private.is_alive()
    assert bystander.is_alive()


def test_slow_receiver_of_an_answer_holds_up_nobody(engine: Engine, held: Held) -> None:
    """G3: `reply_to` may be anything with a `tell`, also one that takes its time."""
    engine.private.tell(PrivateCall("MASTER", "Balance", reply_to=held))
    assert held.entered.wait(PATIENCE)
    assert quickly(lambda: engine.call("ALICE", "Balance", timeout=PATIENCE))


def test_receiver_that_exits_ends_nobody(engine: Engine, bystander: pykka.ActorRef[Any]) -> None:
    """A receiver is its owner's business."""
    private, leaver = engine.private, Leaver()
    private.tell(PrivateCall("MASTER", "Balance", reply_to=leaver))
    assert leaver.entered.wait(PATIENCE)
    assert engine.call("ALICE", "Balance")
    assert private.is_alive()
    assert bystander.is_alive()


class Busybody(Held):
    """A receiver with methods that happen to be called as ours are."""

    is_withdrawn = True

    def claim(self) -> bool:
        sys.exit(3)


def test_receiver_is_only_told_whatever_else_it_has(engine: Engine, bystander: pykka.ActorRef[Any]) -> None:
    """`reply_to` may be anything with a `tell`: its other methods are none of the lane's business."""
    private, receiver = engine.private, Busybody()
    private.tell(PrivateCall("MASTER", "Balance", reply_to=receiver))
    receiver.let_go.set()
    assert receiver.entered.wait(PATIENCE)
    assert engine.call("ALICE", "Balance")
    assert private.is_alive()
    assert bystander.is_alive()


def test_slow_callback_of_an_expired_call_does_not_stop_the_timers(sim: Simulator, engine: Engine, held: Held) -> None:
    """G4, G5: calls that expire are answered by the scheduler's thread, which also wakes and cuts."""
    hang = sim.fault(Fault.hang(endpoint="AddOrder"))
    engine.submit("MASTER", "AddOrder", {"pair": "XBTUSD", "validate": True}, LONG)
    sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
    engine.submit("MASTER", "Balance", timeout=0.1).add_done_callback(held)
    assert held.entered.wait(PATIENCE)
    assert isinstance(quickly(lambda: engine.submit("MASTER", "Balance", timeout=0.1).exception(PATIENCE)), CallNotSent)
    hang.remove()


# Futures


def test_futures_work_with_everything_that_waits_for_futures(sim: Simulator, engine: Engine) -> None:
    """wait, as_completed, asyncio.wrap_future, wait_for: each with calls that end well and badly."""
    names = ("MASTER", "ALICE", "BOB")
    futures = [engine.submit(name, "Balance") for name in names] + [engine.submit("MASTER", "Nonsense")]
    assert {future.exception() is None for future in as_completed(futures, PATIENCE)} == {True, False}
    done, pending = wait([engine.submit(name, "Balance") for name in names], PATIENCE)
    assert (len(done), len(pending)) == (3, 0)
    assert wait([engine.submit("MASTER", "Balance"), Future()], PATIENCE, return_when=FIRST_COMPLETED).done

    async def gather() -> list[Any]:
        calls = [asyncio.wrap_future(engine.submit(name, "Balance")) for name in names for _ in range(20)]
        calls.append(asyncio.wrap_future(engine.submit("NOBODY", "Balance")))
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(gather())
    assert sum(isinstance(each, dict) for each in results) == 60
    assert isinstance(results[-1], CallNotSent)


def test_cancelling_in_asyncio_keeps_a_queued_call_from_being_sent(sim: Simulator, engine: Engine) -> None:
    """G4: asyncio hands a cancel on to the future, and that reaches the mailbox."""
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    hung = engine.submit("MASTER", "TradeBalance")
    sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(engine.submit("MASTER", "OpenOrders")), 0.05)
        task = asyncio.ensure_future(asyncio.wrap_future(engine.submit("MASTER", "OpenOrders")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    hang.remove()
    assert hung.result(PATIENCE)
    engine.call("MASTER", "Balance")
    assert "OpenOrders" not in {call.endpoint for call in sim.calls}


def test_loop_that_is_gone_when_its_answer_comes_harms_nobody(sim: Simulator, engine: Engine) -> None:
    """A loop is closed while its call is under way."""
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    futures: list[Future[Any]] = []

    async def begin() -> None:
        futures.append(engine.submit("MASTER", "TradeBalance"))
        asyncio.wrap_future(futures[0])
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        )

    asyncio.run(begin())
    hang.remove()
    assert futures[0].result(PATIENCE)
    assert engine.call("ALICE", "Balance")


# Subscribers


@again_if_stalled
def test_slow_subscriber_does_not_slow_the_lane(sim: Simulator, engine: Engine, held: Held, events: Events) -> None:
    """The same calls, with and without a subscriber that hangs, take about the same time."""

    def seconds() -> float:
        with Stopwatch() as watch:
            for _ in range(200):
                engine.call("MASTER", "Balance")
        return watch.seconds

    without = min(seconds() for _ in range(2))
    engine.subscribe(held)
    engine.call("MASTER", "Balance")
    assert held.entered.wait(PATIENCE)
    assert min(seconds() for _ in range(2)) < 3 * without + 0.5
    engine.unsubscribe(held)


def test_callable_that_forwards_to_a_dead_actor_keeps_its_subscription(engine: Engine, events: Events) -> None:
    """Only an actor that is dead is taken off the list, not whoever happened to talk to one."""
    dead = Bystander.start()
    dead.stop()
    told: list[Any] = []

    def forward(event: Any) -> None:
        told.append(event)
        dead.tell(event)

    engine.subscribe(forward)
    for _ in range(3):
        engine.call("MASTER", "Balance")
    events.wait_for(lambda _: sum(isinstance(each, CallFinished) for each in events.seen) >= 3)
    engine.unsubscribe(forward)
    assert sum(isinstance(each, CallFinished) for each in told) >= 2


def test_dead_and_odd_subscribers_harm_nobody(engine: Engine, events: Events) -> None:
    """Dead refs, callables that raise, and objects that cannot subscribe."""

    def interrupt(event: Any) -> None:
        raise KeyboardInterrupt

    dead = Bystander.start()
    dead.stop()
    for subscriber in (dead, dead, interrupt, 42, None, lambda: None, SystemExit):
        engine.subscribe(subscriber)  # type: ignore[arg-type]
    for _ in range(3):
        engine.call("MASTER", "Balance")
    events.wait_for(lambda _: sum(isinstance(each, CallFinished) for each in events.seen) >= 3)
    engine.unsubscribe(dead)
    engine.unsubscribe(len)
    assert engine.call("ALICE", "Balance")


def test_subscriber_may_use_the_engine(engine: Engine, events: Events) -> None:
    """Also to call, to subscribe others and to take itself away."""
    ended: list[Any] = []

    def user(event: Any) -> None:
        engine.unsubscribe(user)
        ended.append(engine.call("BOB", "TradeBalance", timeout=PATIENCE))
        ended.append(engine.balance("BOB", max_age=0, timeout=PATIENCE))
        ended.append(engine.status())

    engine.subscribe(user)
    engine.call("MASTER", "Balance")
    event = events.wait_for(lambda each: isinstance(each, CallFinished) and each.endpoint == "TradeBalance")
    assert event.error is None
    assert ended


# Several engines, and stops that meet


def test_several_engines_with_faults_and_stops_do_not_see_each_other(tmp_path: Path) -> None:
    """Four engines on four exchanges: one hangs, one is away, one is stopped and started, one just works."""
    sims = [Simulator().start() for _ in range(4)]
    engines = [
        Engine(sim.accounts, url=sim.url, state_dir=tmp_path / str(number), settings=QUICK).start()
        for number, sim in enumerate(sims)
    ]
    try:
        sims[0].fault(Fault.hang())
        sims[1].stop()
        hung = engines[0].submit("MASTER", "Balance", timeout=LONG)
        for _ in range(10):
            assert quickly(lambda: engines[3].call("MASTER", "Balance", timeout=PATIENCE))
            engines[2].stop()
            engines[2].start()
            assert quickly(lambda: engines[2].call("MASTER", "Balance", timeout=PATIENCE))
        assert not hung.done()
        assert sims[3].refused_nonces == sims[2].refused_nonces == 0
        assert [engine.error_count("ALICE") for engine in engines[2:]] == [0, 0]
    finally:
        sims[0].clear_faults()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Engine.stop, engines))
        for sim in sims:
            sim.close()
    assert all(call.account in ("MASTER", "ALICE", "BOB") for sim in sims for call in private_calls(sim))


def test_stop_keeps_its_timeout_while_another_stop_takes_longer(sim: Simulator, tmp_path: Path) -> None:
    """G13: two threads stop; the one with less time does not wait for the other's."""
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True).start()
    sim.fault(Fault.hang(endpoint="AddOrder"))
    order = engine.submit("MASTER", "AddOrder", {"pair": "XBTUSD"}, LONG)
    sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
    waiting = engine.submit("MASTER", "Balance", timeout=LONG)
    slow = threading.Thread(target=engine.stop, args=(20,))
    slow.start()
    assert isinstance(waiting.exception(PATIENCE), EngineStopped)  # the first stop has begun
    with Stopwatch() as watch:
        engine.stop(0.3)
    assert watch.seconds < AT_ONCE
    assert not order.done(), "the first stop still waits"
    sim.clear_faults()
    slow.join()
    assert isinstance(order.exception(PATIENCE), CallError)


@pytest.mark.parametrize("endpoint", ["TradeBalance", "AddOrder"])
def test_what_a_stop_keeps_from_being_sent_ends_as_stopped(sim: Simulator, tmp_path: Path, endpoint: str) -> None:
    """G13: callers in a loop stop at `EngineStopped`; nothing else that was not sent may come of a stop."""
    for turn in range(5):
        engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True).start()
        strange: list[BaseException] = []

        def use(engine: Engine = engine, strange: list[BaseException] = strange) -> None:
            while True:
                try:
                    engine.call("MASTER", endpoint, {"pair": "XBTUSD", "validate": True})
                except EngineStopped:
                    return
                except BaseException as error:
                    if isinstance(error, CallNotSent):
                        strange.append(error)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        sim.wait_for_calls(20 * (turn + 1), endpoint=endpoint)
        engine.stop()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert strange == []


def test_cancelled_future_that_races_its_turn_is_either_sent_or_cancelled(sim: Simulator, engine: Engine) -> None:
    """G4, G5: over many races a cancelled call never arrives, and every other one is answered."""
    sim.fault(Fault.jitter(0, 0.002, seed=3))
    before = len([call for call in sim.calls if call.endpoint == "TradeBalance"])
    futures = [engine.submit("MASTER", "TradeBalance", timeout=LONG) for _ in range(300)]
    with ThreadPoolExecutor(4) as pool:
        cancelled = sum(pool.map(Future.cancel, futures))
    ends = [future.exception(LONG) for future in futures if not future.cancelled()]
    assert all(end is None for end in ends)
    assert len(ends) == 300 - cancelled
    for future in futures:
        if future.cancelled():
            with pytest.raises(CancelledError):
                future.result(0)
    assert len([call for call in sim.calls if call.endpoint == "TradeBalance"]) - before == 300 - cancelled


# Copies and forks


def test_what_an_engine_shows_can_be_pickled_and_copied(engine: Engine, events: Events) -> None:
    """For a host with several processes: the amounts come through exactly, and are read-only there too."""
    engine.subscribe(events)
    snapshot = engine.balance("MASTER", max_age=0.0, timeout=PATIENCE)
    change = BalanceChanged("MASTER", snapshot, MappingProxyType({"USD": Decimal("1.50")}))
    status, history = engine.status(), (BalancePoint.of(snapshot),)
    for value in (snapshot, change, history, status):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
    assert copy.deepcopy(snapshot) is snapshot
    invalidated = replace(snapshot, _as_of_monotonic=1.0, _invalidated_at=lambda: 2.0)
    assert pickle.loads(pickle.dumps(invalidated)).state is BalanceState.STALE
    read = pickle.loads(pickle.dumps(snapshot))
    assert read.state is snapshot.state
    assert read.assets["USD"].total == snapshot.assets["USD"].total
    with pytest.raises(TypeError):
        read.assets["USD"] = None


_FORKS = """
import os, threading, warnings
from engine import KrakenBroker
from engine import PrivateCall
from engine import broker
from engine.actors.runtime.callbacks import run_callback

warnings.simplefilter("ignore")
busy = threading.Event()
run_callback(busy.wait)
broker._guard.acquire()
pid = os.fork()
if pid:
    busy.set()
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

told = threading.Event()
class Receiver:
    def tell(self, answer): told.set()

mine = KrakenBroker()
mine.connect()
mine._engine.private.tell(PrivateCall("MASTER", "Balance", reply_to=Receiver()))
is_told = told.wait(20)
mine.disconnect()
os._exit(0 if is_told else 7)
"""


def test_forked_child_may_have_an_engine_of_its_own(sim: Simulator, tmp_path: Path) -> None:
    """Whatever the threads of the parent held and did at the moment of the fork."""
    first = sim.accounts[0]
    environment = {
        **os.environ, "KRAKEN_SPOT_URL": sim.url, "KRAKEN_ENGINE_STATE": str(tmp_path / "child"),
        "KRAKEN_API_KEY": first.key, "KRAKEN_API_SECRET": first.secret,
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", _FORKS], env=environment, timeout=LONG, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ((["MASTER"], "Balance"), UnknownName),
        (("MASTER", ["Balance"]), UnknownName),
        (("MASTER", "Balance", ["asset"]), CallNotSent),
        (("MASTER", "Balance", {}, "soon"), ConfigError),
    ],
)
def test_arguments_of_the_wrong_kind_are_one_sentence(
    engine: Engine, arguments: tuple[Any, ...], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        engine.call(*arguments)


def test_parameters_of_a_public_call_are_a_mapping(engine: Engine) -> None:
    with pytest.raises(CallNotSent, match="mapping"):
        engine.public("Ticker", ["XBTUSD"])  # type: ignore[arg-type]


@pytest.mark.parametrize("max_age", ["5", float("nan")])
def test_max_age_that_is_no_number_is_one_sentence(engine: Engine, max_age: Any) -> None:
    with pytest.raises(ConfigError, match="Invalid max_age"):
        engine.balance("MASTER", max_age=max_age)
