"""The `OrderActor`: places orders at most once, and finds out what became of each (promise G9)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pykka

from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning, OrderChanged
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.dead_man_switch import DeadManSwitch, Fed
from engine.actors.order.journal import Journal
from engine.actors.order.lookup import Lookup, Lookups, Orders
from engine.actors.order.messages import (
    ArmSwitch,
    CancelComes,
    CancelSaid,
    DisarmAll,
    FindOrder,
    LookNow,
    PlaceOrder,
    UnsettledFunds,
)
from engine.actors.order.reconciler import Reconciler
from engine.actors.order.submission import Submission
from engine.actors.order.tracker import SOON, Tracker
from engine.actors.runtime.actor import EngineActor, tell_if_alive
from engine.actors.runtime.mailbox import PatientMailbox
from engine.errors import CallError, EngineStopped, IdInUse, StoreError
from engine.rules.order.placement import Placement
from engine.rules.order.reconciliation import event_of, joined, query
from engine.rules.order.states import OrderEvent, OrderState
from engine.values import Clock, Settings

SAVE_AGAIN = 5.0  # seconds
ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)

_DOUBLED = (
    "Account {account} has {count} orders at Kraken for the one placement {id!r}: {txids}. This must not be; cancel "
    "what is too much, and please report it."
)
_LEFT_OPEN = (
    "What became of order {id!r} on {pair} of account {account} is not known from the run before; it is looked up, and "
    "until then no other goes out on that pair."
)


@dataclass(eq=False, slots=True)
class _Waiter:
    """Who waits for a placement: until it is settled, or until it is over."""

    until_over: bool = False
    said_done: bool = False
    has_waited_longer: bool = False
    future: Future[Placement] = field(default_factory=Future)

    def is_served_by(self, state: OrderState) -> bool:
        return state.is_over if self.until_over else state.is_settled


@dataclass(frozen=True, slots=True)
class _Do:
    """Tells the actor to do something in its own thread, now that its time has come."""

    action: Callable[[], object]


class OrderActor(EngineActor):
    """Keeps the journal of one engine's placements, sends each once through the lane, and settles what is unknown.

    - A placement is durable as *planned* before the lane hears of it and as *sent* before it goes out; it has a
      `cl_ord_id` of ours and a deadline in Kraken's time.
    - An unknown outcome is looked up again and again, in the settle class, and never sent again. Absence counts from
      complete replies that were asked for `settle_margin` after the deadline, measured monotonically; after a restart
      that time begins anew.
    - An open order is looked at every `Settings.follow_every` seconds until it is over.
    - What happens is published as `OrderChanged`; `invalidate` is called when it changes a balance.

    The journal of a run before is settled first: its unknown placements block their pairs. It needs no network to
    start. What it is told before it stops, it still writes down. `private` is the lane, by name.
    """

    @staticmethod
    def _create_actor_inbox() -> PatientMailbox:
        return PatientMailbox()

    def __init__(
        self,
        directory: Path,
        private: Any,
        *,
        settings: Settings,
        clock: Clock,
        after: Callable[[float, Callable[[], None]], None],
        publish: Callable[[Any], None],
        invalidate: Callable[[str], None],
        live: bool,
        drift: DriftLog,
    ) -> None:
        super().__init__()
        self._private, self._settings, self._after = private, settings, after
        self._publish, self._invalidate, self._drift = publish, invalidate, drift
        self._journal = Journal(directory, wall=lambda: clock.wall_ns() / 1e9)
        self._lookups = Lookups(private, self.actor_ref, clock.monotonic)
        self._reconciler = Reconciler(self._lookups, settings, clock.monotonic, self._later, self._learn)
        self._tracker = Tracker(
            self._lookups, settings.follow_every, self._later, self._open_txids, self._take_in
        )
        self._dead_man_switch = DeadManSwitch(self._journal, private, self.actor_ref, self._later, publish, live=live)
        self._waiters: dict[str, list[_Waiter]] = {}
        self._is_failing = False

    def on_start(self) -> None:
        """Take up what an earlier run has left. Runs in the actor's thread."""
        lost = [each for each in (self._journal.damage, self._journal.obstacle) if each]
        if lost:
            self._publish(EngineWarning("orders-lost", " ".join(lost)))
        self._save()
        for row in self._journal.rows(OrderState.UNKNOWN):
            sentence = _LEFT_OPEN.format(id=row.id, pair=row.pair, account=row.account)
            self._publish(EngineWarning("order-unknown", sentence))
            self._reconciler.open(row)
        for account in {row.account for row in self._journal.rows(OrderState.PLACED)}:
            self._tracker.soon(account)
        self._dead_man_switch.restore()

    def on_receive(self, message: Any) -> Any:
        """Handle one message. Runs in the actor's thread; waits for nothing but the disk."""
        match message:
            case PlaceOrder(plan=plan, timeout=timeout):
                return self._place(plan, timeout)
            case FindOrder(account=account, name=name):
                return self._journal.find(account, name)
            case UnsettledFunds(account=account):
                return self._journal.reserved(account)
            case CancelComes(cl_ord_id=name):
                return self._journal.spend(name)
            case CancelSaid():
                return self._after_cancel(message)
            case LookNow(account=account):
                return self._look_now(account)
            case ArmSwitch(account=account, seconds=seconds):
                return self._dead_man_switch.set(account, seconds)
            case DisarmAll():
                return self._dead_man_switch.disarm_all()
            case CallDone(call=PrivateCall(tag=Fed())) | CallFailed(call=PrivateCall(tag=Fed())):
                return self._dead_man_switch.take(message)
            case CallDone() | CallFailed():
                return self._lookups.take(message)
            case _Do(action=action):
                return action()
            case _:
                return super().on_receive(message)

    def closing(self) -> None:
        """Answer whoever waits with what is known, and close the journal."""
        for name, waiters in self._waiters.items():
            row = self._journal.row(name)
            for waiter in waiters:
                if row is not None:
                    waiter.future.set_result(row)
        self._tracker.end(EngineStopped("The engine is stopping."))
        self._dead_man_switch.end(EngineStopped("The engine is stopping."))
        self._journal.close()

    # Placing

    def _place(self, plan: Placement, timeout: float) -> Placement | Future[Placement]:
        known = self._journal.find(plan.account, plan.id)
        if known is not None and known.id == plan.id:
            if known.order != plan.order:
                raise IdInUse(f"The id {plan.id!r} names another order already: give this one an id of its own.")
            if not known.may_repeat:
                return self._wait(known, _Waiter(), timeout)
        self._journal.plan(plan)
        self._publish(OrderChanged(plan.account, plan.receipt))
        waiting = self._wait(plan, _Waiter(), timeout)
        self._send(plan, min(timeout, self._settings.call_timeout))
        return waiting

    def _send(self, plan: Placement, timeout: float) -> None:
        name = plan.cl_ord_id
        told = partial(self._tell_answered, name)
        submission = Submission(self._journal, name, told)
        params = {**plan.params, "cl_ord_id": name}
        call = PrivateCall(
            plan.account, "AddOrder", params, timeout, reply_to=submission, deadline_in=self._settings.order_deadline
        )
        try:
            self._private.tell(call)
        except (pykka.ActorDeadError, KeyError):
            submission.tell(CallFailed(call, EngineStopped("The engine is not running.")))

    def _tell_answered(self, name: str, error: CallError | None) -> None:
        """Run by the lane's thread."""
        tell_if_alive(self.actor_ref, _Do(partial(self._answered, name, error)))

    def _answered(self, name: str, error: CallError | None) -> None:
        row = self._journal.row(name)
        if row is None:
            return
        self._save()
        if row.state is OrderState.UNKNOWN:
            self._reconciler.open(row)
        elif row.state is OrderState.PLACED:
            self._tracker.soon(row.account)
        self._changed(row, error)

    # Waiting

    def _wait(self, row: Placement, waiter: _Waiter, timeout: float) -> Placement | Future[Placement]:
        if waiter.is_served_by(row.state):
            return row
        self._waiters.setdefault(row.cl_ord_id, []).append(waiter)
        self._later(max(0.0, timeout), partial(self._give_up, row.cl_ord_id, waiter))
        return waiter.future

    def _give_up(self, name: str, waiter: _Waiter) -> None:
        row = self._journal.row(name)
        if row is None or waiter not in self._waiters.get(name, ()):
            return
        if row.state in (OrderState.PLANNED, OrderState.SENT) and not waiter.has_waited_longer:
            waiter.has_waited_longer = True  # the lane's answer is due at the same time
            self._later(ANSWER_GRACE, partial(self._give_up, name, waiter))
        elif waiter.said_done and row.state is OrderState.PLACED:  # Kraken's word for it counts
            self._learn(name, OrderEvent.FOUND_CANCELED, {"reason": "Kraken said that it is canceled."})
        else:
            self._waiters[name].remove(waiter)
            waiter.future.set_result(row)

    def _changed(self, row: Placement, error: CallError | None = None) -> None:
        """Something happened to a placement: tell everybody whom it concerns."""
        self._publish(OrderChanged(row.account, row.receipt))
        waiters = self._waiters.pop(row.cl_ord_id, [])
        left = [waiter for waiter in waiters if not waiter.is_served_by(row.state)]
        if left:
            self._waiters[row.cl_ord_id] = left
        for waiter in (each for each in waiters if each not in left):
            if error is None or waiter.until_over:
                waiter.future.set_result(row)
            else:
                waiter.future.set_exception(error)

    # What Kraken says of orders

    def _learn(self, name: str, event: OrderEvent, changes: dict[str, Any]) -> None:
        """Take in what a look at Kraken has brought."""
        before = self._journal.row(name)
        row = self._journal.note(name, event, **changes)
        if before is None or (row.state, row.filled, row.txids) == (before.state, before.filled, before.txids):
            return
        self._save()
        if row.state is not OrderState.NOT_PLACED:
            self._invalidate(row.account)
        if len(row.txids) > 1:
            txids = ", ".join(row.txids)
            sentence = _DOUBLED.format(account=row.account, count=len(row.txids), id=row.id, txids=txids)
            self._publish(EngineWarning("order-doubled", sentence))
        if row.state is OrderState.PLACED and before.state is not OrderState.PLACED:
            self._tracker.soon(row.account)
        self._changed(row)

    def _take_in(self, account: str, found: Orders) -> None:
        for row in self._open(account, OrderState.PLACED):
            orders = [found[txid] for txid in row.txids if txid in found]
            if orders and len(orders) == len(row.txids):
                self._learn(row.cl_ord_id, event_of(orders), joined(orders))

    def _open(self, account: str, *states: OrderState) -> list[Placement]:
        wanted = states or tuple(state for state in OrderState if not state.is_over)
        return [row for row in self._journal.rows(*wanted) if row.account == account]

    def _open_txids(self, account: str) -> list[str]:
        return [txid for row in self._open(account, OrderState.PLACED) for txid in row.txids]

    def _look_now(self, account: str) -> Future[list[Placement]]:
        answer: Future[list[Placement]] = Future()

        def looked(done: Future[None]) -> None:
            error = done.exception()
            if error is None:
                answer.set_result(self._open(account))
            else:
                answer.set_exception(error)

        self._tracker.now(account).add_done_callback(looked)
        return answer

    # Cancels

    def _after_cancel(self, said: CancelSaid) -> Placement | Future[Placement] | None:
        row = self._journal.row(said.cl_ord_id)
        if row is None:
            return None
        waiter = _Waiter(until_over=True, said_done=said.done)
        waiting = self._wait(row, waiter, said.timeout)
        self._reconciler.hurry(row.cl_ord_id)
        self._look_at(row.cl_ord_id, waiter)
        return waiting

    def _look_at(self, name: str, waiter: _Waiter) -> None:
        """Look at an order as long as somebody waits for its end."""
        row = self._journal.row(name)
        if row is None or waiter not in self._waiters.get(name, ()):
            return
        if row.state is not OrderState.PLACED:
            self._later(SOON, partial(self._look_at, name, waiter))
            return

        def looked(callback: Lookup, found: Orders) -> None:
            self._take_in(callback.account, found)
            self._later(SOON, partial(self._look_at, name, waiter))

        self._lookups.begin(row.account, query(row.txids), looked, lambda callback, _: looked(callback, {}))

    # Disk and time

    def _save(self) -> None:
        try:
            self._journal.save()
            self._is_failing = False
        except StoreError as error:
            if not self._is_failing:
                self._publish(EngineWarning("order-not-kept", f"What is known of an order could not be kept: {error}"))
            self._is_failing = True
            self._later(SAVE_AGAIN, self._save)

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self._after(seconds, partial(tell_if_alive, self.actor_ref, _Do(action)))
