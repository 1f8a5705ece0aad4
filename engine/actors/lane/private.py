"""The `KrakenPrivateActor`: one owner of the nonces, one private call at a time (promises G1, G3, G4, G5)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

from engine.actors.backing.file_backing import FileBacking
from engine.actors.drift_log import DriftLog
from engine.actors.events import CallFinished, EngineWarning
from engine.actors.lane.attempt import Lane, as_call_error, distinct
from engine.actors.lane.fence import Fence
from engine.actors.lane.limits import NAME as LIMITS
from engine.actors.lane.limits import SAVE_EVERY, Limits
from engine.actors.lane.messages import AccountChange, PrivateCall, Resume
from engine.actors.lane.priority_mailbox import PriorityMailbox
from engine.actors.lane.queued_call import QueuedCall
from engine.actors.lane.report import LaneReport
from engine.actors.lane.trusted_clock import TrustedClock
from engine.actors.runtime.actor import EngineActor
from engine.actors.runtime.scheduler import Scheduler
from engine.config import state_directory
from engine.errors import CallCut, CallError, CallNotSent, CallUnknown, DeadlinePassed, EngineStopped, Outcome
from engine.kraken.endpoints import CallClass
from engine.kraken.replies import KrakenReply
from engine.store.backing import Backing, Owner
from engine.store.nonces import Nonces
from engine.transport import Transport
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Account, Clock, Settings

_CLASS_NAMES = tuple(each.name.lower() for each in CallClass)


def ignore(event: Any) -> None:
    """A `publish` for an actor without subscribers."""


def ignore_end(account: str, outcome: Outcome) -> None:
    """An `ended` for an actor whose calls nobody waits for."""


def ignore_call(call: PrivateCall, *about: Any) -> None:
    """A `going` and a `told` for an actor without a journal of orders."""


class KrakenPrivateActor(EngineActor):
    """Serializes every private call of every account through its mailbox.

    Guarantees:
        - for each API key, nonces on the wire only rise, over threads, restarts and kill -9 (G1);
        - at most one call is under way; its nonce is drawn and it is signed when its turn comes (G3);
        - every call is answered, by its deadline plus a second, as done, refused, not sent or unknown (G5);
        - no message kills it.

    Ask it, tell it, or use its proxy::

        ref = KrakenPrivateActor.start([Account("MASTER", key, secret)])
        ref.ask(PrivateCall("MASTER", "Balance"))                       # the result, or raises CallError
        ref.tell(PrivateCall("MASTER", "Balance", reply_to=my_ref))     # my_ref is told CallDone or CallFailed
        ref.proxy().call("MASTER", "Balance").get()

    `start` takes what `Engine` takes and runs the set-up in the caller's thread: it raises `ConfigError`, `StoreInUse`
    or `StoreError`. `invalidate` is called with an account's name when a call has changed, or may have changed, what it
    holds. `going` is called with a call that may change something before it goes out, and raises `CallNotSent` when it
    must not; `told` with that call, its result and its error, one of them `None`, when it is over. They run in the
    actor's thread, before that call is answered, and must not wait long. `watch` is given a function that returns the
    state of the lane. `drift` notes what is new or odd in Kraken's replies. `ended` is told how each call ended. While
    `subscribers` is empty, no `CallFinished` is published. The actor owns `backing`, which is the state directory where
    none is given, and the keys until it has stopped.
    """

    actor_inbox: PriorityMailbox

    def __init__(
        self,
        accounts: Iterable[Account | tuple[str, str, str]],
        *,
        url: str = KRAKEN_URL,
        state_dir: str | os.PathLike[str] | None = None,
        backing: Backing | None = None,
        settings: Settings | None = None,
        live: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        scheduler: Scheduler | None = None,
        publish: Callable[[Any], None] = ignore,
        invalidate: Callable[[str], None] = ignore,
        going: Callable[[PrivateCall], None] = ignore_call,
        told: Callable[[PrivateCall, Any, CallError | None], None] = ignore_call,
        watch: Callable[[Callable[..., LaneReport]], None] = ignore,
        drift: DriftLog | None = None,
        ended: Callable[[str, Outcome], None] = ignore_end,
        subscribers: Sequence[Any] = (object(),),
    ) -> None:
        super().__init__()
        settings = settings or Settings()
        self._clock = clock
        self._publish, self._invalidate = publish, invalidate
        self._going, self._told, self._ended, self._subscribers = going, told, ended, subscribers
        with contextlib.ExitStack() as undo:
            self._own_scheduler = None if scheduler else Scheduler.started()
            if self._own_scheduler is not None:
                undo.callback(self._own_scheduler.stop)
            after = (scheduler or self._own_scheduler).after  # type: ignore[union-attr]
            self._lane = _open_lane(
                distinct(accounts), url, backing or FileBacking(state_directory(state_dir)),
                settings=settings, live=live, clock=clock, publish=publish, drift=drift or DriftLog(clock, publish),
                after=after,
            )  # fmt: skip
            undo.callback(self._lane.close)
            self.actor_inbox.bind(settings=settings, monotonic=clock.monotonic, after=after, cut=self._lane.cut)
            watch(self._lane.report)
            undo.pop_all()

    @staticmethod
    def _create_actor_inbox() -> PriorityMailbox:
        return PriorityMailbox()

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """One private call, by proxy: Kraken's `result`, or a `CallError`.

        The mailbox turns the proxied call into a `PrivateCall`, so this body runs only when its arguments do not fit.
        """
        raise TypeError("call(account, endpoint, params=None, timeout=None, *, endpoint_class=None)")

    def on_receive(self, message: Any) -> Any:
        """Handle one message. Runs in the actor's thread."""
        match message:
            case QueuedCall():
                return self._serve(message) if message.take() else None
            case Resume(account=account):
                return self._lane.resume(account)
            case AccountChange():
                return self._lane.change(message) if message.claim() else None
            case _:
                return super().on_receive(message)

    def closing(self) -> None:
        """Close the lane, after the call under way. Runs in the actor's thread."""
        if self._own_scheduler is not None:
            self._own_scheduler.stop()
        self._lane.close()

    def _serve(self, queued_call: QueuedCall) -> None:
        started = self._clock.monotonic()
        error: CallError | None = None
        try:
            self.actor_inbox.begin(queued_call)
            reply = self._attempt(queued_call, started)
        except CallError as failure:
            error = failure
        except BaseException as failure:  # noqa: BLE001 - whatever it is, the caller is answered and the lane lives on
            error = as_call_error(failure, is_out=self._lane.is_out)
        finally:
            self.actor_inbox.finish(queued_call)
        if queued_call.may_change:
            if error is None or error.outcome is Outcome.UNKNOWN:
                self._invalidate(queued_call.call.account)
            self._told(queued_call.call, None if error is not None else reply.result, error)
        self._ended(queued_call.call.account, Outcome.DONE if error is None else error.outcome)
        if error is None:
            queued_call.done(reply.result, reply.warnings, self._lane.key_id(queued_call.call.account))
        else:
            queued_call.fail(error)
        if self._subscribers:
            self._publish(_finished(queued_call, started, self._clock.monotonic(), error))

    def _attempt(self, queued_call: QueuedCall, now: float) -> KrakenReply:
        if now >= queued_call.deadline:
            raise DeadlinePassed("The call's time was over before its turn came; it was not sent.")
        if queued_call.may_change:
            self._going(queued_call.call)
        try:
            return self._lane.attempt(queued_call, self.actor_inbox.delays_others)
        except CallUnknown as error:
            if queued_call.was_cut:
                raise CallCut(str(error)) from None
            raise
        except CallNotSent:
            if self.actor_inbox.is_stopping:
                raise EngineStopped("The engine stopped before the call was sent.") from None
            raise


def _finished(queued_call: QueuedCall, started: float, ended: float, error: CallError | None) -> CallFinished:
    return CallFinished(
        queued_call.call.account,
        queued_call.call.endpoint,
        Outcome.DONE if error is None else error.outcome,
        error,
        waited=started - queued_call.arrived,
        seconds=ended - started,
        call_class=_CLASS_NAMES[queued_call.call_class],
    )


def _open_lane(
    accounts: tuple[Account, ...],
    url: str,
    backing: Backing,
    *,
    settings: Settings,
    live: bool,
    clock: Clock,
    publish: Callable[[Any], None],
    drift: DriftLog,
    after: Callable[[float, Callable[[], None]], None],
) -> Lane:
    """Everything a lane owns; when a part cannot be opened, the others are released."""

    def warn(code: str, sentence: str) -> None:
        publish(EngineWarning(code, sentence))

    trusted = TrustedClock(clock, warn=warn)
    with contextlib.ExitStack() as undo:
        transport = Transport(url, settings, clock=clock)
        undo.callback(transport.close)
        owner = backing.own([(each.name, each.key_id) for each in accounts], warn)
        undo.callback(owner.release)
        disk = ThreadPoolExecutor(1, "kraken-engine disk")
        nonces = Nonces(backing.open_marks(owner, trusted, warn), clock=trusted, soon=disk.submit)
        undo.callback(nonces.close)
        limits = _open_limits(
            backing, owner, accounts, settings=settings, live=live, clock=clock, publish=publish,
            soon=lambda save: after(SAVE_EVERY, partial(_hand_over, disk, save)),
        )  # fmt: skip
        undo.callback(limits.close)
        lane = Lane(
            accounts, owner, nonces, limits, transport, disk, Fence(is_needed=backing.fences),
            settings=settings, live=live, clock=trusted, drift=drift,
        )  # fmt: skip
        undo.pop_all()
    return lane


def _hand_over(disk: Executor, save: Callable[[], None]) -> None:
    """Have the thread of the disk write. Run by the scheduler's."""
    with contextlib.suppress(RuntimeError):  # it has ended, or the system gives no thread: `Limits.close` writes
        disk.submit(save)


def _open_limits(
    backing: Backing, owner: Owner, accounts: tuple[Account, ...], *, publish: Callable[[Any], None], **options: Any
) -> Limits:
    kept, saved, damage = backing.open_documents(LIMITS, owner)
    with contextlib.ExitStack() as undo:
        undo.callback(kept.close)
        if damage is not None:
            publish(EngineWarning("limits-lost", f"{damage} The call counters are assumed to be full."))
        limits = Limits(kept, saved, accounts, publish=publish, **options)
        undo.pop_all()
    return limits
