"""The `BalanceActor`: one account's last-known balance and availability (promises G6, G7, G8)."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import pykka

from engine.actors.balance.asset_names import AssetNames
from engine.actors.balance.change_events import ChangeEvents
from engine.actors.balance.invalidation import Invalidation
from engine.actors.balance.listener import Listener
from engine.actors.balance.messages import (
    LISTEN,
    BalanceRecord,
    Compare,
    ForgetBalance,
    GiveUp,
    Invalidated,
    Listen,
    ReadBalance,
    Wake,
)
from engine.actors.balance.poller import Poller
from engine.actors.balance.push_watch import PushWatch
from engine.actors.balance.reader import BalanceReader
from engine.actors.balance.silence_watch import SilenceWatch
from engine.actors.drift_log import DriftLog
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.lane.private import ignore
from engine.actors.runtime.actor import ActorAddress, EngineActor, Telling
from engine.actors.runtime.mailbox import QuietMailbox
from engine.actors.runtime.scheduler import Scheduler
from engine.actors.runtime.waiters import Waiters
from engine.errors import CallError, EngineStopped
from engine.kraken.limits import TIERS
from engine.rules.balance.auto_earn import AutoEarn
from engine.rules.balance.availability import Availability, next_refresh
from engine.rules.balance.refresh import Phase, Refresh, RefreshResult, result_of, room_in
from engine.rules.balance.snapshot import BalanceSnapshot, moment, seconds_later
from engine.stream.pulse import Pulse
from engine.values import SYSTEM_CLOCK, Clock, Settings

JITTER = 0.1
LONGEST = 1e6  # seconds that a caller may be willing to wait


class Requested(NamedTuple):
    """The tag of a balance request."""

    turn: int
    """Its number in `Refresh.turn`."""
    as_of: datetime
    """When it was sent, by the wall clock."""


class BalanceActor(EngineActor):
    """Keeps one account's last-known balance, refreshes it by itself and says how far it can be trusted.

    Guarantees:
        - a balance comes only from a good reply; a failure never changes an amount (G6);
        - the account is available only after a good reply, and no longer after `errors_to_unavailable` failures in a
          row, or `silence_to_unavailable` seconds without a good reply, or at once when Kraken refuses the key;
          recovery is automatic (G7);
        - reading never waits for the network (G8); at most one refresh is under way. Callers share it, except those who
          want a younger value: they share the next one.

    What happens is decided by values of `engine.rules.balance`: `Refresh` (when a request is sent), `Availability`, and
    the `BalanceSnapshot`; the actor turns messages into their transitions and does what they say.

    Ask it `ReadBalance(max_age=None, timeout=None)`, or use ``proxy().snapshot()``. `private` is the ref of the
    `KrakenPrivateActor`. `known` is the snapshot of an earlier run; it is STALE until the first good reply. `show` is
    called with every new snapshot and `record` with every good reply, both in the actor's thread; neither may wait.
    `invalidation` is shared with whoever learns first that a call of ours has changed the balance.
    `poller` is shared by actors that share a lane; `tier` is the account's (`None`: that of `Settings`).
    `names` knows what Kraken's rows are called, and which of them count as cash. `drift` collects what is new or odd in
    Kraken's replies. `listener` knows when Kraken is silent. `auto_earn` is what is known of Auto-Earn rows. `pulse` is
    that of the account's stream, with push.
    """

    def __init__(
        self,
        account: str,
        private: pykka.ActorRef[Any] | ActorAddress,
        *,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        scheduler: Scheduler | None = None,
        poller: Poller | None = None,
        tier: str | None = None,
        names: AssetNames | None = None,
        publish: Callable[[Any], None] = ignore,
        show: Callable[[BalanceSnapshot], None] = ignore,
        record: Callable[[BalanceRecord], None] = ignore,
        known: BalanceSnapshot | None = None,
        invalidation: Invalidation | None = None,
        drift: DriftLog | None = None,
        listener: Listener | None = None,
        auto_earn: AutoEarn = AutoEarn.UNSETTLED,
        pulse: Pulse | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings or Settings()
        self._private = private
        self._clock = clock
        self._owns_scheduler = scheduler is None
        self._scheduler = scheduler or Scheduler.started()
        self._poller = poller or Poller(self._settings, monotonic=clock.monotonic, after=self._scheduler.after)
        self._push = PushWatch(account, pulse, self._poller)
        self._decay = TIERS[tier or self._settings.tier].calls_decay
        self._show, self._record = show, record
        names = names or AssetNames(cash=self._settings.cash)
        self._reader = BalanceReader(account, names, drift or DriftLog(clock, publish), publish, auto_earn)
        self._listener = listener or Listener(self._settings, clock)
        self._watch = SilenceWatch(account, self._listener, publish)
        self._invalidation = invalidation or Invalidation()
        self._waiters: Waiters[int, BalanceSnapshot] = Waiters()
        self._refresh = Refresh()
        self._availability = Availability()
        known = known or BalanceSnapshot(
            account, max_age=self._settings.max_age, cash_assets=names.cash, _clock=clock
        )  # fmt: skip
        self._events = ChangeEvents(publish, known.standing, known)
        self._present(known.with_availability(
            self._availability, known.last_error, restored=True, _invalidated_at=self._invalidation.at,
            _confirmed=self._push.confirmed,
        ))  # fmt: skip

    @staticmethod
    def _create_actor_inbox() -> Any:
        return QuietMailbox()

    def on_start(self) -> None:
        """Request the first balance as soon as it is this account's turn."""
        self._events.availability(self._snapshot, "Its balance actor had to be replaced.")
        self._follow(self._refresh.planned(self._clock.monotonic()))

    def snapshot(self) -> BalanceSnapshot:
        """What is known now."""
        return self._listener.judged(self._snapshot)

    def on_receive(self, message: Any) -> Any:
        """Handle one message; never waits. Runs in the actor's thread."""
        match message:
            case ReadBalance():
                return self._read(message)
            case CallDone(call=PrivateCall(tag=Requested(turn=turn))) if self._refresh.awaits(turn):
                return self._replied(message)
            case CallFailed(call=PrivateCall(tag=Requested(turn=turn))) if self._refresh.awaits(turn):
                return self._failed(message.call, message.error)
            case CallDone() | CallFailed():
                return None  # the reply to a request of an earlier key
            case ForgetBalance():
                return self._forget()
            case Invalidated(at=at):
                self._invalidation.note(at)
                self._push.changed()
                return self._follow(self._refresh.invalidated(self._clock.monotonic()))
            case Compare():
                return self._compare()
            case Wake(turn=turn):
                return self._wake(turn)
            case GiveUp(waiter=waiter):
                self._waiters.give_up(waiter, self.snapshot())
                return None
            case Listen():
                return self._listen()
            case _:
                return super().on_receive(message)

    def closing(self) -> None:
        """Answer every waiting caller with what is known."""
        self._poller.forget(self._snapshot.account)
        self._listener.forget(self._snapshot.account)
        self._waiters.answer(self.snapshot())
        if self._owns_scheduler:
            self._scheduler.stop()

    def _read(self, message: ReadBalance) -> BalanceSnapshot | Future[BalanceSnapshot]:
        if message.max_age is None or self._snapshot.answers(message.max_age):
            return self.snapshot()
        now = self._clock.monotonic()
        waiter = self._waiters.add(self._refresh.first_for(message.max_age, now))
        timeout = self._settings.call_timeout if message.timeout is None else message.timeout
        self._later(min(max(0.0, timeout), LONGEST), GiveUp(waiter))
        self._follow(self._refresh.asked(now))
        return waiter

    def _wake(self, turn: int) -> None:
        self._follow(self._refresh.woken(turn, self._clock.monotonic()))
        if not self._refresh.is_sent:  # an older plan's timer; otherwise the turn ends with the request
            self._poller.done(self._snapshot.account)

    def _compare(self) -> None:
        if self._push.compare(self._snapshot.assets):
            now = self._clock.monotonic()
            self._invalidation.note(now)
            self._follow(self._refresh.invalidated(now))

    def _forget(self) -> None:
        self._reader.forget()
        self._availability = Availability()
        self._present(self._snapshot.forgotten())
        self._events.availability(self._snapshot, "Its key was replaced, and nothing is known of the new one yet.")
        self._follow(self._refresh.replaced(self._clock.monotonic()))

    def _follow(self, refresh: Refresh) -> None:
        """Take over the value after a transition and do what it says, unless it is the one before."""
        before, self._refresh = self._refresh, refresh
        if refresh.turn == before.turn:
            return
        wake = Telling(self.actor_ref, Wake(refresh.turn))
        pause = max(0.0, refresh.at - self._clock.monotonic())
        match refresh.phase:
            case Phase.SENT:
                self._send()
            case Phase.URGENT:
                self._scheduler.after(pause, wake)
            case Phase.PLANNED:
                self._poller.plan(self._snapshot.account, pause, wake, failing=self._availability.errors > 0)

    def _send(self) -> None:
        """Send the request to the private actor."""
        self._stand(self._availability.asked(), self._snapshot.last_error)
        self._expect()
        requested = Requested(self._refresh.turn, moment(self._clock.wall_ns()))
        account, endpoint = self._snapshot.account, self._refresh.endpoint.name
        call = PrivateCall(account, endpoint, reply_to=self.actor_ref, tag=requested)
        try:
            self._private.tell(call)
        except pykka.ActorDeadError:
            self._failed(call, EngineStopped("The private actor is not running."))

    def _replied(self, done: CallDone) -> None:
        call, before, at = done.call, self._snapshot, self._refresh.at
        try:
            reading = self._reader.read(call.endpoint, done.result, before.assets, at)
        except CallError as error:
            self._failed(call, error)
            return
        self._listener.heard(call.account)
        fresh = replace(
            before, as_of=call.tag.as_of, cash=reading.cash, available_cash=reading.available_cash,
            cash_assets=reading.cash_assets, assets=reading.assets, restored=False, _as_of_monotonic=at,
        )  # fmt: skip
        is_behind = self._push.compare(reading.assets)
        if is_behind:
            self._invalidation.note(self._clock.monotonic())
        self._settle(fresh, self._availability.after_success(), None, is_behind=is_behind)
        self._record(BalanceRecord(self._snapshot, call.endpoint, done.result, done.key_id))
        self._events.balance(self._snapshot, reading, is_first=before.as_of is None)

    def _failed(self, call: PrivateCall, error: CallError) -> None:
        if self._refresh.endpoint.is_unsupported(error):
            self._follow(self._refresh.unsupported(self._clock.monotonic()))
            return
        error.about(call.account, call.endpoint)
        after = self._availability.after_failure(error, self._settings.errors_to_unavailable)
        self._settle(self._snapshot, after, error)

    def _expect(self) -> None:
        """Say how soon a good reply should come."""
        quiet = self._push.interval
        self._listen_in(self._watch.asks(
            max(self._poller.interval(self._decay), quiet), self._poller.spacing(self._decay, quiet)
        ))  # fmt: skip

    def _settle(
        self, snapshot: BalanceSnapshot, after: Availability, error: CallError | None, *, is_behind: bool = False
    ) -> None:
        """A request has ended: show what is known now, plan the next request, and answer the callers."""
        self._availability = after
        self._poller.done(snapshot.account, good=error is None)
        result = result_of(
            error, after.errors, outdated=error is None and snapshot.invalidated,
            unconfirmed=self._reader.is_doubt(error), awaited=bool(self._waiters), behind=is_behind,
        )  # fmt: skip
        pause = self._pause(result, after, error, snapshot)
        next_attempt = seconds_later(moment(self._clock.wall_ns()), pause)
        last_error = after.reason or (str(error) if error else None)
        self._present(snapshot.with_availability(after, last_error, next_attempt=next_attempt))
        ended = self._refresh.turn
        self._follow(self._refresh.ended(result, self._clock.monotonic(), pause, room_in(error)))
        if result.is_settled:
            self._waiters.answer(self.snapshot(), lambda first: first <= ended)
        self._events.availability(self._snapshot, after.reason)
        if result.is_settled and self._waiters:
            self._follow(self._refresh.asked(self._clock.monotonic()))  # these callers want a younger balance

    def _pause(
        self, result: RefreshResult, after: Availability, error: CallError | None, snapshot: BalanceSnapshot
    ) -> float:
        """Seconds until the next request."""
        if result is RefreshResult.BEHIND:
            return self._push.again()
        quiet = self._push.quiet_pause(snapshot.requested_at if result is RefreshResult.GOOD else None)
        self._expect()  # also what follows late, when the next request has to wait for a call that hangs
        if quiet is not None:
            return quiet
        every = self._poller.interval(self._decay) if error is None else self._poller.retry_in(self._decay)
        pause = result.pause(next_refresh(after, every, error), error)
        return pause * (1 + random.uniform(0, JITTER))  # noqa: S311 - spreads accounts, no secret

    def _listen(self) -> None:
        sentence, again = self._watch.look()
        self._listen_in(again)
        if sentence is not None and self._availability.is_available:
            self._stand(self._availability.after_silence(sentence), sentence)
            self._events.availability(self._snapshot, sentence)
            at = self._clock.monotonic() + self._poller.retry_in(self._decay)
            self._follow(self._refresh.silent(at))

    def _listen_in(self, seconds: float | None) -> None:
        if seconds is not None:
            self._later(seconds, LISTEN)

    def _stand(self, availability: Availability, last_error: str | None) -> None:
        """Show a standing that changes while no request ends."""
        self._availability = availability
        if availability.standing is not self._snapshot.standing:
            self._present(self._snapshot.with_availability(availability, last_error))

    def _present(self, snapshot: BalanceSnapshot) -> None:
        self._snapshot = snapshot
        self._show(snapshot)

    def _later(self, seconds: float, message: Any) -> None:
        self._scheduler.after(seconds, Telling(self.actor_ref, message))
