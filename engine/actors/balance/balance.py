"""The `BalanceActor`: one account's last-known balance and availability (promises G6, G7, G8)."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import pykka

from engine.actors.balance.asset_catalogue import AssetNames
from engine.actors.balance.invalidation import Invalidation
from engine.actors.balance.poller import Poller
from engine.actors.balance.reader import BalanceReader
from engine.actors.balance.timers import GiveUp, Listen, Wake
from engine.actors.balance.waiters import Waiters
from engine.actors.drift_log import DriftLog
from engine.actors.events import AvailabilityChanged, BalanceChanged
from engine.actors.lane.listener import Listener, SilenceWatch
from engine.actors.lane.messages import (
    BalanceRecord,
    CallDone,
    CallFailed,
    ForgetBalance,
    Invalidated,
    PrivateCall,
    ReadBalance,
)
from engine.actors.lane.private import ignore
from engine.actors.runtime.actor import ActorAddress, EngineActor, tell_if_alive
from engine.actors.runtime.scheduler import Scheduler
from engine.errors import (
    CallError,
    CallUnknown,
    CounterFull,
    EngineStopped,
    InvalidNonce,
    LockedOut,
    PermissionDenied,
    UnknownMethod,
)
from engine.kraken.balances import differences, sum_cash
from engine.kraken.limits import TIERS
from engine.rules.balance.auto_earn import AutoEarn
from engine.rules.balance.availability import Availability, Standing, next_refresh
from engine.rules.balance.snapshot import BalanceSnapshot, moment, seconds_later
from engine.values import SYSTEM_CLOCK, Clock, Settings

JITTER = 0.1
LONGEST = 1e6  # seconds that an asker may be willing to wait
EXTENDED, PLAIN = "BalanceEx", "Balance"
ASK_AGAIN_IN = 1.0  # seconds, when a reply was asked for before our last order or cancel, and while they go on
TRY_EXTENDED_EVERY = 20  # refreshes
CONFIRM_IN = 1.0  # seconds after a reply that is not believed until a second one says the same
AFTER_A_LEAD = 1.1  # seconds: the nonces of a run that ended just now, on another directory, lead the clock by one
SETTLES_IN = 0.2  # seconds after an order or a cancel of ours until the balance is asked for; several share one ask


class BalanceActor(EngineActor):
    """Keeps one account's last-known balance, refreshes it by itself and says how far it can be trusted.

    Guarantees:
        - a balance comes only from a good reply; a failure never changes an amount (G6);
        - the account is available only after a good reply, and no longer after `errors_to_unavailable` failures in a
          row, or `silence_to_unavailable` seconds without a good reply, or at once when Kraken refuses the key;
          recovery is automatic (G7);
        - reading never waits for the network (G8); at most one refresh is under way, and askers share it, but for those
          who ask for a value that is younger than it: they share the next one.

    Ask it `ReadBalance(max_age=None, timeout=None)`, or use ``proxy().snapshot()``. `private` is the ref of the
    `KrakenPrivateActor`. `known` is the snapshot of an earlier run; it is STALE until the first good reply. `show` is
    called with every new snapshot and `record` with every good reply, both in the actor's thread; neither may wait.
    `invalidation` is shared with whoever knows first that a call of ours has changed the balance.
    `poller` is shared by actors that share a lane; `tier` is the account's (`None`: that of `Settings`).
    `names` knows what Kraken's rows are called, and which of them count as cash. `drift` collects what is new or odd in
    Kraken's replies. `listener` knows when Kraken is silent. `auto_earn` is what is known of Auto-Earn rows.
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
    ) -> None:
        super().__init__()
        self._settings = settings or Settings()
        self._private = private
        self._clock = clock
        self._own_scheduler = Scheduler() if scheduler is None else None
        self._after = (scheduler or self._own_scheduler).after  # type: ignore[union-attr]
        self._poller = poller or Poller(self._settings, monotonic=clock.monotonic, after=self._after)
        self._decay = TIERS[tier or self._settings.tier].calls_decay
        self._publish, self._show, self._record = publish, show, record
        self._names = names or AssetNames(cash=self._settings.cash)
        self._endpoint = EXTENDED
        self._availability = Availability()
        self._told = Standing.UNKNOWN if known is None else known.standing
        self._waiters = Waiters()
        self._under_way: PrivateCall | None = None
        self._invalidation = invalidation or Invalidation()
        self._reader = BalanceReader(account, self._names, drift or DriftLog(clock, publish), publish, auto_earn)
        self._listener = listener or Listener(self._settings, clock)
        self._watch = SilenceWatch(account, self._listener, publish, lambda left: self._later(left, Listen()))
        self._turn = 0
        self._asks_at: float | None = None
        self._not_before = float("-inf")
        self._refreshes = 0
        self._empty = BalanceSnapshot(
            account, max_age=self._settings.max_age, cash_assets=self._names.cash, _clock=clock,
            _invalidated_at=self._invalidation.at,
        )  # fmt: skip
        self._snapshot = replace(
            known or self._empty, is_available=False, standing=Standing.UNKNOWN, error_count=0, restored=True,
            _invalidated_at=self._invalidation.at,
        )  # fmt: skip
        self._told_assets = self._snapshot.assets  # also over another key, so that changes add up to what is shown
        self._show(self._snapshot)

    def on_start(self) -> None:
        """Ask for the first balance as soon as it is this account's turn."""
        self._tell_change("Who kept its balance had to be replaced.")
        self._plan(0.0)

    def snapshot(self) -> BalanceSnapshot:
        """What is known now."""
        return self._listener.judged(self._snapshot)

    def on_receive(self, message: Any) -> Any:
        """Handle one message; never waits. Runs in the actor's thread."""
        match message:
            case ReadBalance():
                return self._read(message)
            case CallDone(call=call) if call is self._under_way:
                return self._replied(call, message)
            case CallFailed(call=call, error=error) if call is self._under_way:
                return self._failed(call, error)
            case CallDone() | CallFailed():
                return None  # the answer to a refresh that was given up
            case ForgetBalance():
                return self._forget()
            case Invalidated(at=at):
                return self._invalidate(at)
            case Wake(turn=turn):
                return self._wake(turn)
            case GiveUp(waiter=waiter):
                return self._waiters.give_up(waiter, self.snapshot())
            case Listen():
                return self._listen()
            case _:
                return super().on_receive(message)

    def closing(self) -> None:
        """Answer whoever waits with what is known."""
        self._poller.forget(self._snapshot.account)
        self._listener.forget(self._snapshot.account)
        self._waiters.answer(self.snapshot())
        if self._own_scheduler is not None:
            self._own_scheduler.stop()

    def _read(self, message: ReadBalance) -> BalanceSnapshot | Future[BalanceSnapshot]:
        age = self._snapshot.age
        young = age is not None and not self._snapshot.restored and not self._snapshot.invalidated
        if message.max_age is None or (young and age <= message.max_age):  # type: ignore[operator]
            return self.snapshot()
        waiter = self._waiters.add(self._refreshes + (0 if self._is_young_enough(message.max_age) else 1))
        timeout = self._settings.call_timeout if message.timeout is None else message.timeout
        self._later(min(max(0.0, timeout), LONGEST), GiveUp(waiter))
        self._refresh()
        return waiter

    def _is_young_enough(self, max_age: float) -> bool:
        """Whether the refresh under way was asked for so late that its reply may answer this asker."""
        return self._under_way is not None and self._clock.monotonic() - self._under_way.tag[1] < max_age

    def _forget(self) -> None:
        self._under_way = None  # its answer is that of another key
        self._reader.forget()
        self._endpoint = EXTENDED
        self._availability = Availability()
        self._snapshot = self._empty
        self._show(self._snapshot)
        self._tell_change("Its key was replaced, and nothing is known of the new one yet.")
        self._refresh()

    def _invalidate(self, at: float) -> None:
        """The balance is not what it was: STALE at once, and asked for again soon."""
        self._invalidation.note(at)
        if self._under_way is None:
            self._ask_in(max(SETTLES_IN, self._not_before - self._clock.monotonic()))

    def _wake(self, turn: int) -> None:
        if turn == self._turn:
            self._refresh()
        else:
            self._poller.done(self._snapshot.account)

    def _refresh(self, endpoint: str | None = None) -> None:
        """Ask the private actor for a balance, unless that is under way."""
        if self._under_way is not None:
            return
        if self._asks_at is not None:  # the next order's refresh follows no sooner, or each would cost a call
            self._asks_at, self._not_before = None, self._clock.monotonic() + ASK_AGAIN_IN
        self._stand(self._availability.asked())
        self._watch.asks(self._poller.interval(self._decay), self._poller.spacing(self._decay))
        as_of = (moment(self._clock.wall_ns()), self._clock.monotonic())
        self._refreshes += 1
        again = self._refreshes % TRY_EXTENDED_EVERY == 0
        self._under_way = PrivateCall(
            self._snapshot.account, endpoint or (EXTENDED if again else self._endpoint),
            reply_to=self.actor_ref, tag=as_of,
        )  # fmt: skip
        try:
            self._private.tell(self._under_way)
        except pykka.ActorDeadError:
            self._failed(self._under_way, EngineStopped("The private actor is not running."))

    def _replied(self, call: PrivateCall, done: CallDone) -> None:
        try:
            assets = self._reader.read(call.endpoint, done.result, self._snapshot.assets, call.tag[1])
            counted = self._names.cash
            cash, free = sum_cash(assets, counted)
        except CallError as error:
            self._failed(call, error)
            return
        except Exception:  # noqa: BLE001 - an odd reply must not end the refreshing
            self._failed(call, CallUnknown("Kraken's balance reply cannot be read."))
            return
        self._under_way = None
        self._listener.heard(call.account)
        self._endpoint = call.endpoint
        before = self._snapshot
        as_of, as_of_monotonic = call.tag
        fresh = replace(
            before, as_of=as_of, cash=cash, available_cash=free, cash_assets=counted, assets=assets,
            restored=False, _as_of_monotonic=as_of_monotonic,
        )  # fmt: skip
        self._settle(fresh, self._availability.after_success(), None)
        self._record(BalanceRecord(before.account, call.endpoint, done.result, as_of, done.key_id, self._snapshot))
        assets = self._reader.shown(done.result, self._told_assets, assets)
        changes, self._told_assets = differences(self._told_assets, assets), assets
        if changes or before.as_of is None:
            self._publish(BalanceChanged(before.account, self._snapshot, changes))

    def _failed(self, call: PrivateCall, error: CallError) -> None:
        self._under_way = None
        if call.endpoint == EXTENDED and self._has_no_extended(error):
            self._refresh(PLAIN)  # holds are not known then
            return
        error.about(call.account, call.endpoint)
        after = self._availability.after_failure(error, self._settings.errors_to_unavailable)
        self._settle(self._snapshot, after, error)

    def _has_no_extended(self, error: CallError) -> bool:
        """Not every server and key has BalanceEx; while Balance serves, the other is tried now and then."""
        denied = isinstance(error, LockedOut) and self._endpoint == PLAIN
        return denied or isinstance(error, UnknownMethod | PermissionDenied)

    def _settle(self, snapshot: BalanceSnapshot, after: Availability, error: CallError | None) -> None:
        """A refresh is over, well or badly: publish what is known now and plan the next one."""
        self._availability = after
        self._poller.done(snapshot.account, good=error is None)
        every = self._poller.interval(self._decay) if error is None else self._poller.retry_in(self._decay)
        pause = next_refresh(after, every, error)
        waits = False
        if isinstance(error, CounterFull) and error.retry_after is not None:
            waits = bool(self._waiters)  # reads wait at their sender: ask again as soon as there is room
            self._not_before = self._clock.monotonic() + error.retry_after
            pause = error.retry_after if waits else pause
        elif error is not None and self._reader.is_doubt(error):
            waits, pause = True, CONFIRM_IN
        elif isinstance(error, InvalidNonce) and after.errors == 1:
            waits, pause = True, AFTER_A_LEAD
        elif error is None and snapshot.invalidated:  # newer than what was known, but not the truth any more
            waits, pause = True, min(pause, ASK_AGAIN_IN)
        pause *= 1 + random.uniform(0, JITTER)  # noqa: S311 - spreads accounts, no secret
        self._snapshot = replace(
            snapshot, is_available=after.is_available, standing=after.standing, error_count=after.errors,
            last_error=after.reason or (str(error) if error else None),
            next_attempt=seconds_later(moment(self._clock.wall_ns()), pause),
        )  # fmt: skip
        self._show(self._snapshot)
        if waits:
            self._ask_in(pause)
        else:
            self._plan(pause)
            self._waiters.answer(self.snapshot(), self._refreshes)
        self._tell_change(after.reason)
        if self._waiters and not waits:
            self._refresh()  # who came while it was under way wants a younger one

    def _stand(self, availability: Availability) -> None:
        """Show a standing that changed while nothing else did."""
        self._availability = availability
        if availability.standing is not self._snapshot.standing:
            self._snapshot = replace(self._snapshot, standing=availability.standing)
            self._show(self._snapshot)

    def _tell_change(self, reason: str | None) -> None:
        """Tell of the standing, if that is event: each event goes on where the last one ended."""
        before, after = self._told, self._availability.standing
        if after.differs_from(before):
            self._told = after
            self._publish(AvailabilityChanged(self._snapshot.account, after.is_available, reason, before, after))

    def _plan(self, pause: float) -> None:
        """Refresh after `pause`, when it is this account's turn."""
        self._asks_at = None
        self._turn += 1
        wake = partial(tell_if_alive, self.actor_ref, Wake(self._turn))
        self._poller.plan(self._snapshot.account, pause, wake, failing=self._availability.errors > 0)

    def _ask_in(self, pause: float) -> None:
        """Refresh after `pause`, whoever's turn it is: somebody waits for it, or the balance has changed.

        One that comes sooner stays: an account that trades without a pause is refreshed all the same.
        """
        at = self._clock.monotonic() + pause
        if self._asks_at is None or at < self._asks_at:
            self._asks_at = at
            self._turn += 1
            self._later(pause, Wake(self._turn))

    def _later(self, seconds: float, message: Any) -> None:
        self._after(seconds, partial(tell_if_alive, self.actor_ref, message))

    def _listen(self) -> None:
        sentence = self._watch.look()
        if sentence is not None and self._availability.is_available:
            self._fall_silent(sentence)

    def _fall_silent(self, sentence: str) -> None:
        after = self._availability.after_silence(sentence)
        self._snapshot = replace(self._snapshot, is_available=after.is_available, last_error=sentence)
        self._stand(after)
        self._tell_change(sentence)
        if self._under_way is None and self._asks_at is None:
            self._plan(self._poller.retry_in(self._decay))
