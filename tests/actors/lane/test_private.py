"""The `KrakenPrivateActor` over real sockets: G3 single file, G5 outcomes, and that nothing kills it."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import CallDone, CallFailed, Engine, EngineWarning, KrakenPrivateActor, PrivateCall, Settings
from engine.actors.lane.lead import LEAD
from engine.actors.lane.queued_call import QuickReply
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import (
    CallNotSent,
    CallRefused,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    DeadlinePassed,
    EngineStopped,
    InvalidNonce,
    NotLive,
    Outcome,
    StoreInUse,
    UnknownName,
)
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events, private_calls
from tests.stopwatch import LONG, PATIENCE, Stopwatch, again_if_stalled

Ref = pykka.ActorRef[Any]


class Warnings:
    """Keeps what the actor publishes."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def codes(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, EngineWarning)]


@pytest.fixture
def published() -> Warnings:
    return Warnings()


@pytest.fixture
def private(sim: Simulator, tmp_path: Path, published: Warnings) -> Iterator[Ref]:
    """The actor alone, as somebody embeds it: no engine around it."""
    ref = KrakenPrivateActor.start(
        sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK, publish=published.events.append
    )
    yield ref
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)


class Asker(pykka.ThreadingActor):
    """An actor of the host that uses ours by tell."""

    use_daemon_thread = True

    def __init__(self, answers: Events) -> None:
        super().__init__()
        self._answers = answers

    def on_receive(self, message: Any) -> None:
        self._answers(message)


def test_sixteen_threads_three_accounts_no_refused_nonce_never_two_under_way(sim: Simulator, private: Ref) -> None:
    """G1 and G3: 16 threads, 3 accounts, 50 calls each over a path that delays at random."""
    sim.fault(Fault.jitter(0, 0.0015, seed=7))
    names = [account.name for account in sim.accounts]

    def use(thread: int) -> int:
        chance = random.Random(thread)
        order = names * 50
        chance.shuffle(order)
        done = [private.ask(PrivateCall(name, "Balance", timeout=120)) for name in order]
        return len(done)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(use, range(16))) == 16 * 3 * 50
    assert sim.refused_nonces == 0
    assert sim.highest_in_flight == 1
    assert {call.account for call in private_calls(sim)} == set(names)


def test_ask_tell_and_proxy_give_the_same(private: Ref) -> None:
    asked = private.ask(PrivateCall("MASTER", "Balance"))
    proxied = private.proxy().call("MASTER", "Balance").get(timeout=PATIENCE)
    answers = Events()
    asker = Asker.start(answers)
    call = PrivateCall("MASTER", "Balance", reply_to=asker, tag="mine")
    private.tell(call)
    told = answers.wait_for(lambda message: isinstance(message, CallDone))
    asker.stop()
    assert asked == proxied == told.result
    assert told.call is call
    assert told.call.tag == "mine"


def test_failures_come_as_messages_to_who_told(private: Ref) -> None:
    answers = Events()
    asker = Asker.start(answers)
    private.tell(PrivateCall("NOBODY", "Balance", reply_to=asker))
    failed = answers.wait_for(lambda message: isinstance(message, CallFailed))
    asker.stop()
    assert isinstance(failed.error, UnknownName)
    assert failed.error.account == "NOBODY"


def test_how_a_call_ended_is_told_before_its_answer(sim: Simulator, tmp_path: Path) -> None:
    """G7: whoever has an answer in hand is not told that Kraken is silent."""
    ends: list[tuple[str, Outcome]] = []

    class Seeing(QuickReply):
        seen: list[tuple[str, Outcome]] | None = None

        def tell(self, message: CallDone | CallFailed) -> None:
            self.seen = list(ends)

    def ended(account: str, outcome: Outcome) -> None:
        ends.append((account, outcome))

    ref = KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, ended=ended)
    done, refused = Seeing(), Seeing()
    ref.ask(PrivateCall("MASTER", "Balance", reply_to=done))
    sim.fault(Fault.error("EGeneral:Invalid arguments", times=1))
    ref.tell(PrivateCall("ALICE", "Balance", reply_to=refused))
    ref.ask(PrivateCall("MASTER", "Balance"))
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)
    assert done.seen == [("MASTER", Outcome.DONE)]
    assert refused.seen == [("MASTER", Outcome.DONE), ("ALICE", Outcome.REFUSED)]


def test_no_message_kills_it(private: Ref, caplog: pytest.LogCaptureFixture) -> None:
    """P1 of the traps: an exception in a told message would end a pykka actor."""
    for message in (None, 42, "Balance", {"account": "MASTER"}, object()):
        private.tell(message)
        with pytest.raises(TypeError, match="does not understand"):
            private.ask(message, timeout=PATIENCE)
    private.tell(PrivateCall("NOBODY", "Nothing"))
    private.tell(PrivateCall("MASTER", "Balance", params=7))  # type: ignore[arg-type]
    private.tell(PrivateCall("MASTER", "Balance", timeout="soon"))  # type: ignore[arg-type]
    private.tell(PrivateCall("MASTER", "Balance", reply_to=object()))
    private.proxy().call.defer("NOBODY", "Balance")
    private.proxy().call.defer()
    with pytest.raises(TypeError, match="call"):
        private.proxy().call().get(timeout=PATIENCE)
    assert private.ask(PrivateCall("MASTER", "Balance"), timeout=PATIENCE)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (PrivateCall("NOBODY", "Balance"), UnknownName),
        (PrivateCall("MASTER", "Balanse"), UnknownName),
        (PrivateCall("MASTER", "AddOrder", {"pair": "XBTUSD"}), NotLive),
        (PrivateCall("MASTER", "Withdraw", {"asset": "XBT"}), CallNotSent),
        (PrivateCall("MASTER", "Balance", {"nonce": 5}), CallNotSent),
        (PrivateCall("MASTER", "Balance", {"x": object()}), CallNotSent),
        (PrivateCall("MASTER", "Balance", timeout=0), DeadlinePassed),
        (PrivateCall("MASTER", "Balance", timeout=-1), DeadlinePassed),
        (PrivateCall("MASTER", "Balance", timeout=float("nan")), CallNotSent),
        (PrivateCall(["MASTER"], "Balance"), UnknownName),  # type: ignore[arg-type]
        (PrivateCall("MASTER", ["Balance"]), UnknownName),  # type: ignore[arg-type]
        (PrivateCall("MASTER", "OpenOrders", params=7), CallNotSent),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_not_sent_and_costs_no_nonce(
    sim: Simulator, private: Ref, call: PrivateCall, error: type[Exception]
) -> None:
    with pytest.raises(error):
        private.ask(call, timeout=PATIENCE)
    assert private_calls(sim) == []
    assert sim.nonce("MASTER") == 0


def test_dry_runs_and_cancels_pass_without_live(sim: Simulator, private: Ref) -> None:
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
    result = private.ask(PrivateCall("MASTER", "AddOrder", {**order, "validate": True}))
    assert "txid" not in result
    with pytest.raises(NotLive):
        private.ask(PrivateCall("MASTER", "AddOrder", {**order, "validate": False}))
    sim.add_open_order("MASTER", "OAAAAA-AAAAA-AAAAAA")
    assert private.ask(PrivateCall("MASTER", "CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"})) == {"count": 1}
    assert sim.placements("MASTER") == []


def test_one_invalid_nonce_is_signed_again_and_warned_of(sim: Simulator, private: Ref, published: Warnings) -> None:
    private.ask(PrivateCall("MASTER", "Balance"))
    sim.fault(Fault.error("EAPI:Invalid nonce", times=1))
    assert private.ask(PrivateCall("MASTER", "Balance"))
    nonces = [call.nonce for call in private_calls(sim) if call.nonce]
    assert nonces == sorted(set(nonces))
    assert len(nonces) == 3
    assert published.codes() == ["nonce-refused-once"]


def test_foreign_key_use_ends_after_two_tries_in_plain_words(
    sim: Simulator, private: Ref, published: Warnings
) -> None:
    """Another program has driven the key far ahead: no leap, two calls, and what to do."""
    sim.set_nonce("MASTER", 2**62)
    with pytest.raises(InvalidNonce, match="another tool used the key") as caught:
        private.ask(PrivateCall("MASTER", "Balance"))
    assert caught.value.kraken_code == "EAPI:Invalid nonce"
    assert len(private_calls(sim)) == 2
    nonce = private_calls(sim)[-1].nonce
    assert nonce is not None
    assert nonce < 2**61, "the nonce never jumps ahead"
    assert published.codes() == ["nonce-refused-once", "nonces-refused"]


def test_a_new_directory_lets_the_lead_of_another_pass(sim: Simulator, tmp_path: Path) -> None:
    """Nonces lead the clock by up to a second after a restart; a new directory of the same key has only the clock."""
    settings = Settings(call_timeout=PATIENCE, local_limits=False, refresh_every=1000)
    sim.set_nonce("MASTER", time.time_ns() + 900_000_000)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path / "new", settings=settings) as engine:
        engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
    assert sim.refused_nonces <= 1, "none, when the machine took so long that the clock had passed it"


@again_if_stalled
def test_a_lead_holds_the_lane_only_while_no_other_account_waits(sim: Simulator, tmp_path: Path) -> None:
    """G3: a call whose nonce was refused is signed again at once when a call of another account waits behind it."""
    sim.set_nonce("MASTER", 2**61)
    hang = sim.fault(Fault.hang(endpoint="Balance", times=1))
    ref = KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=tmp_path, settings=Settings())
    try:
        refused = ref.ask(PrivateCall("MASTER", "Balance", timeout=PATIENCE), block=False)
        sim.wait_for_calls(1, endpoint="Balance", ended=False)
        other = ref.ask(PrivateCall("ALICE", "TradeBalance", timeout=PATIENCE), block=False)
        hang.remove()
        assert other.get(timeout=PATIENCE)
        with pytest.raises(InvalidNonce):
            refused.get(timeout=PATIENCE)
    finally:
        stop_actor(ref)
        assert wait_finished(ref, PATIENCE)
    first, second, _ = private_calls(sim)
    assert first.ended is not None
    assert second.started - first.ended < LEAD


def test_behind_a_proxy_a_refused_nonce_of_an_order_is_unknown(sim: Simulator, tmp_path: Path) -> None:
    """The proxy may have sent the first copy twice; the loopback URL keeps the proxy itself out of the way."""
    settings = Settings(proxy="http://127.0.0.1:9", local_limits=False)
    ref = KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, live=True)
    sim.fault(Fault.error("EAPI:Invalid nonce", times=2))
    try:
        with pytest.raises(CallUnknown, match="look it up"):
            ref.ask(PrivateCall("MASTER", "AddOrder", {"pair": "XBTUSD"}))
        assert len(private_calls(sim)) == 1
        assert ref.ask(PrivateCall("MASTER", "Balance"))
    finally:
        stop_actor(ref)
        assert wait_finished(ref, PATIENCE)


@again_if_stalled
def test_calls_that_expire_in_the_queue_are_answered_and_never_sent(sim: Simulator, private: Ref) -> None:
    """G5: while one call hangs, those behind it are answered at their own deadline."""
    sim.clear_faults()
    hang = sim.fault(Fault.hang(endpoint="Ledgers"))
    hung = private.ask(PrivateCall("MASTER", "Ledgers", timeout=2.0), block=False)
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    with Stopwatch() as watch:
        waiting = [private.ask(PrivateCall("ALICE", "Balance", timeout=0.3), block=False) for _ in range(20)]
        for future in waiting:
            with pytest.raises(DeadlinePassed):
                future.get(timeout=PATIENCE)
    assert watch.seconds < 1.3
    with pytest.raises(CallUnknown, match="may have been done"):
        hung.get(timeout=PATIENCE)
    hang.remove()
    assert private.ask(PrivateCall("ALICE", "Balance"))
    assert [call.account for call in private_calls(sim) if call.endpoint == "Balance"] == ["ALICE"]


def test_urgent_calls_go_first(sim: Simulator, tmp_path: Path) -> None:
    """G4: cancel, order, settle, read; by arrival inside a class."""
    ref = KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True)
    hang = sim.fault(Fault.hang(endpoint="Ledgers"))
    first = ref.ask(PrivateCall("MASTER", "Ledgers"), block=False)
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    marks = {"Balance": "asset", "QueryOrders": "txid", "AddOrder": "userref", "CancelOrder": "txid"}
    rest = [
        ref.ask(PrivateCall("MASTER", endpoint, {marks[endpoint]: number}), block=False)
        for number, endpoint in enumerate([*marks] * 2)
    ]
    hang.remove()
    for future in (first, *rest):
        with contextlib.suppress(CallRefused):
            future.get(timeout=PATIENCE)
    order = [(call.endpoint, call.params[marks[call.endpoint]]) for call in private_calls(sim)[1:]]
    assert order == [
        ("CancelOrder", "3"), ("CancelOrder", "7"), ("AddOrder", "2"), ("AddOrder", "6"),
        ("QueryOrders", "1"), ("QueryOrders", "5"), ("Balance", "0"), ("Balance", "4"),
    ]  # fmt: skip
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)


def test_nobody_waits_for_ever_when_it_stops(sim: Simulator, private: Ref) -> None:
    """G13 and P4 of the traps: asks that race the stop are answered."""
    sim.fault(Fault.delay(0.05))
    answers: list[Any] = []
    go = threading.Event()

    def ask() -> None:
        go.wait()
        try:
            answers.append(private.ask(PrivateCall("MASTER", "Balance"), timeout=LONG))
        except (EngineStopped, pykka.ActorDeadError) as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    go.set()
    sim.wait_for_calls(1, endpoint="Balance", ended=False)
    stop_actor(private)
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 30


def test_second_owner_is_refused_and_the_first_goes_on(sim: Simulator, private: Ref, tmp_path: Path) -> None:
    """G2, for the directory and for the key."""
    for directory in (tmp_path / "state", tmp_path / "other"):
        with pytest.raises(StoreInUse, match="in use by this process"):
            KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=directory)
    assert private.ask(PrivateCall("MASTER", "Balance"))


def test_exchange_that_is_away_is_not_sent(sim: Simulator, private: Ref) -> None:
    with sim.outage(), pytest.raises(ConnectFailed):
        private.ask(PrivateCall("MASTER", "Balance"))
    assert private.ask(PrivateCall("MASTER", "Balance"))


def test_two_accounts_with_one_key_are_refused(sim: Simulator, tmp_path: Path) -> None:
    account = sim.accounts[0]
    twin = ("TWIN", account.key, account.secret)
    with pytest.raises(ConfigError, match="same API key"):
        Engine([account, twin], url=sim.url, state_dir=tmp_path)
    with pytest.raises(ConfigError, match="called MASTER"):
        Engine([account, ("MASTER", "other", account.secret)], url=sim.url, state_dir=tmp_path)


@pytest.mark.parametrize("endpoint", ["Balance", "AddOrder", "CancelAll"])
def test_a_call_whose_time_is_over_when_its_turn_comes_draws_no_nonce(
    sim: Simulator, tmp_path: Path, endpoint: str
) -> None:
    """Nothing at all goes out for it, and no mark is written."""
    reports: list[Any] = []
    ref = KrakenPrivateActor.start(
        sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True, watch=reports.append
    )
    try:
        with pytest.raises(DeadlinePassed):
            ref.ask(PrivateCall("MASTER", endpoint, timeout=0), timeout=PATIENCE)
        key = reports[0]("MASTER").keys["MASTER"]
        assert (key.nonces, key.mark) == (0, 0)
        assert not sim.calls
    finally:
        stop_actor(ref)
        assert wait_finished(ref, PATIENCE)
