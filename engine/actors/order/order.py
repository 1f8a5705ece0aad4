"""The `OrderActor`: places orders at most once, and finds out what became of each (promise G9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pykka

from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning, OrderChanged
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.lane.queued_call import QuickReply
from engine.actors.order.announcer import Announcer
from engine.actors.order.batch import BatchSubmission, Ended, batch_params, gathered
from engine.actors.order.canceller import Wish
from engine.actors.order.dead_man_switch import DeadManSwitch, Fed
from engine.actors.order.journal import Journal, PlacedAlready
from engine.actors.order.lifecycle import Lifecycle
from engine.actors.order.messages import (
    AccountsWithOrders,
    AllCanceled,
    Answered,
    ArmSwitch,
    CancelAllCame,
    CancelAllComes,
    CancelPlacement,
    ClientOrders,
    DisarmAll,
    EditComes,
    EditFailed,
    FindOrder,
    FindOrders,
    KeyReplaced,
    LookNow,
    OpenByStream,
    OrderAmended,
    OrderReplaced,
    OrdersCanceled,
    OrdersTouched,
    PauseTrading,
    PlaceBatch,
    PlaceOrder,
    ResumeTrading,
    StreamLive,
    StreamTold,
    UnsettledFunds,
    WhoseOrders,
)
from engine.actors.order.safeguards import Safeguards
from engine.actors.order.submission import Submission
from engine.actors.order.waiters import Until
from engine.actors.runtime.actor import EngineActor, tell_if_alive
from engine.actors.runtime.mailbox import PatientMailbox
from engine.actors.runtime.scheduler import ActorTimers, Due
from engine.errors import CallError, CallNotSent, EngineError, EngineStopped, IdInUse, OrderUnknown
from engine.kraken.stream import Execution
from engine.rules.balance.snapshot import moment
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState
from engine.store.backing import JournalRows
from engine.values import Clock, Settings

LANE_PATIENCE = 0.005
"""Seconds that a lane which is free gets to send a placement, and so to write it, before it is written as *planned*."""


class OrderActor(EngineActor):
    """Keeps the journal of one engine's placements, sends each once through the lane, and settles what is unknown.

    - A placement is durable as *sent* before it goes out, and as *planned* when it waits for its turn and this actor
      takes its next message; it has a `cl_ord_id` of ours and a deadline in Kraken's time.
    - An unknown outcome is looked up again and again, in the settle class, and never sent again. Absence counts from
      complete replies that were asked for `settle_margin` after the deadline, measured monotonically; after a restart
      that time begins anew. It is looked up only with a key that sees the order.
    - An order is looked at every `Settings.follow_every` seconds until it is over and a row says what was filled.
    - An order that is to be canceled is canceled as soon as Kraken knows it, also after a restart.
    - What happens is published as `OrderChanged` and `OrderFilled`; `invalidate` is called when it changes a balance.

    The journal of a run before is settled first: its unknown placements block their pairs. It needs no network to
    start. What it receives before it stops is still written down. `private` is the lane, by name; `key_of` gives the
    name of an account's key, `spare` the points of its call counter (see `Reconciler`). `safeguards` shows others which
    accounts are paused and whose dead man's switch is armed. `open_journal` opens what the journal is kept in.
    """

    @staticmethod
    def _create_actor_inbox() -> PatientMailbox:
        return PatientMailbox()

    def __init__(
        self,
        open_journal: Callable[[], JournalRows],
        private: Any,
        *,
        settings: Settings,
        clock: Clock,
        after: Callable[[float, Callable[[], None]], None],
        publish: Callable[[Any], None],
        invalidate: Callable[[str], None],
        live: bool,
        drift: DriftLog,
        key_of: Callable[[str], str | None],
        spare: Callable[[str, float], float],
        safeguards: Safeguards | None = None,
    ) -> None:
        super().__init__()
        self._safeguards = safeguards or Safeguards()
        self._private, self._settings, self._publish = private, settings, publish
        self._timers = ActorTimers(self.actor_ref, after)
        self._journal = Journal(open_journal(), wall=lambda: clock.wall_ns() / 1e9)
        self._announcer = Announcer(publish, invalidate)
        self._orders = Lifecycle(
            self._journal, private, self.actor_ref, settings=settings, monotonic=clock.monotonic,
            later=self._timers.later, publish=publish, announcer=self._announcer, drift=drift, key_of=key_of,
            spare=spare,
        )  # fmt: skip
        self._dead_man_switch = DeadManSwitch(
            self._journal, private, self.actor_ref, self._timers.later, publish, live=live, safeguards=self._safeguards,
        )  # fmt: skip
        self._handlers = self._table()

    def on_start(self) -> None:
        """Take up what an earlier run has left. Runs in the actor's thread."""
        lost = [each for each in (self._journal.damage, self._journal.obstacle) if each]
        if lost:
            self._publish(EngineWarning("journal-damaged", " ".join(lost)))
        for account, since in self._journal.pauses.items():
            self._safeguards.pause(account, moment(round(since * 1e9)))
        self._orders.restore()
        self._dead_man_switch.restore()

    def on_receive(self, message: Any) -> Any:
        """Handle one message. Runs in the actor's thread; waits for nothing but the disk, and `LANE_PATIENCE`."""
        if isinstance(message, CallDone | CallFailed):
            return self._take(message)
        handle = self._handlers.get(type(message))
        return super().on_receive(message) if handle is None else handle(message)

    def _take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to a call of ours."""
        match message.call.tag:
            case Fed():
                self._dead_man_switch.take(message)
            case Wish():
                self._orders.canceller.take(message)
            case _:
                self._orders.lookups.take(message)

    def _table(self) -> Mapping[type, Callable[[Any], Any]]:
        """What is done with each message."""
        orders, journal, switch = self._orders, self._journal, self._dead_man_switch
        return {
            Due: self._timers.run,
            Answered: lambda m: orders.answered(m.cl_ord_id, m.error),
            PlaceOrder: lambda m: self._place(m.plan, m.timeout),
            PlaceBatch: lambda m: self._place_batch(m.plans, m.timeout),
            FindOrder: lambda m: journal.find(m.account, m.name),
            FindOrders: lambda m: journal.find_all(m.account, m.names),
            ClientOrders: self._of_client,
            WhoseOrders: self._whose,
            UnsettledFunds: lambda m: journal.reserved(m.account),
            CancelPlacement: lambda m: orders.cancel(m.cl_ord_id, m.timeout),
            CancelAllComes: lambda m: orders.cancel_all_comes(m.account),
            CancelAllCame: orders.cancel_all_came,
            AllCanceled: lambda m: orders.all_canceled(m.account, m.at),
            OrderReplaced: lambda m: orders.replaced(m.account, m.replacement),
            OrderAmended: lambda m: orders.amended(m.cl_ord_id, m.sent),
            OrdersTouched: lambda m: orders.touched(m.account),
            EditComes: lambda m: orders.edits.comes(m.account, m.txid),
            OrdersCanceled: lambda m: orders.edits.canceled_here(m.account, m.names),
            EditFailed: lambda m: orders.edits.failed(m.account, m.txid),
            StreamTold: lambda m: orders.streamed.take(m.account, m.rows, is_snapshot=m.is_snapshot),
            StreamLive: lambda m: orders.stream_live(m.account),
            OpenByStream: self._open_by_stream,
            AccountsWithOrders: lambda m: m.answer(frozenset(row.account for row in journal.rows())),
            LookNow: lambda m: orders.look_now(m.account),
            KeyReplaced: lambda m: orders.key_replaced(m.account),
            ArmSwitch: lambda m: switch.set(m.account, m.seconds),
            DisarmAll: lambda _: switch.disarm_all(),
            PauseTrading: lambda m: self._pause(m.account),
            ResumeTrading: lambda m: self._resume(m.account),
        }

    def closing(self) -> None:
        """Answer whoever waits with what is known, and close the journal."""
        self._orders.end(EngineStopped("The engine is stopping."))
        self._dead_man_switch.end(EngineStopped("The engine is stopping."))
        self._journal.close()

    def _pause(self, account: str) -> None:
        self._journal.keep_pause(account)
        self._safeguards.pause(account, moment(round(self._journal.pauses[account] * 1e9)))

    def _resume(self, account: str) -> None:
        self._journal.forget_pause(account)
        self._safeguards.resume(account)

    # Placing

    def _place(self, plan: Placement, timeout: float) -> Placement | Future[Placement]:
        known = self._of_its_client(plan)
        try:
            if known is not None and known.is_again(plan.order):
                raise PlacedAlready(known)
            return self._planned(plan, timeout)
        except PlacedAlready as there:
            return self._orders.waiters.wait(there.row, Until.SETTLED, timeout)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - no descriptors, no memory
            raise self._broken_off(plan, error) from None

    def _place_batch(self, plans: Sequence[Placement], timeout: float) -> Future[list[Ended]]:
        known = [self._known(plan) for plan in plans]
        there = [row for row in known if row is not None]
        if there and [row and row.order for row in known] != [plan.order for plan in plans]:
            name = there[0].client_id or there[0].id
            raise IdInUse(f"The name {name!r} is that of an open order already: give this one another.")
        if not there:
            self._plan_all(plans)
        waiting = [self._orders.waiters.wait(row or plan, Until.SETTLED, timeout)
                   for row, plan in zip(known, plans, strict=True)]  # fmt: skip
        if not there:
            self._send_batch(plans, min(timeout, self._settings.call_timeout))
        return gathered(waiting)

    def _plan_all(self, plans: Sequence[Placement]) -> None:
        """Write them all down, or none."""
        written: list[Placement] = []
        try:
            for plan in plans:
                self._journal.plan(plan)
                written.append(plan)
        except Exception as error:
            for plan in written:
                reason = f"Another order of its batch could not be planned: {error}"
                self._journal.note(plan.cl_ord_id, OrderEvent.NOT_SENT, reason=reason, may_repeat=True)
            self._orders.save()
            raise
        for plan in plans:
            self._publish(OrderChanged(plan.account, plan.receipt))

    def _known(self, plan: Placement) -> Placement | None:
        """The placement with this id, or an open one to which the client has given the same name."""
        found = self._journal.find(plan.account, plan.id)
        return found if found is not None and found.id == plan.id else self._of_its_client(plan)

    def _of_its_client(self, plan: Placement) -> Placement | None:
        """The open placement to which its client has given the same name."""
        if plan.client_id is None:
            return None
        named = self._journal.open_of_client(plan.account, plan.client, "cl_ord_id", plan.client_id)
        return named[0] if named else None

    def _planned(self, plan: Placement, timeout: float) -> Placement | Future[Placement]:
        """Give it to the lane and write it down, whichever comes first; then publish it."""
        self._journal.intend(plan)
        waiting = self._orders.waiters.wait(plan, Until.SETTLED, timeout)
        self._send(plan, min(timeout, self._settings.call_timeout))
        try:
            self._journal.write(plan.cl_ord_id, LANE_PATIENCE)
        except CallNotSent:
            self._orders.waiters.forget(plan.cl_ord_id)
            raise
        self._publish(OrderChanged(plan.account, plan.receipt))
        return waiting

    def _broken_off(self, plan: Placement, error: Exception) -> CallError:
        """The attempt failed unexpectedly: the journal has it as not sent, so that it cannot be sent later."""
        self._orders.waiters.forget(plan.cl_ord_id)
        reason = f"The engine failed before the order was sent ({type(error).__name__})."
        row = self._journal.give_up(plan.cl_ord_id, reason)  # the lane may have it by now
        if row is None or row.state is OrderState.NOT_PLACED:
            return CallNotSent(reason)
        return OrderUnknown(f"{reason[:-1]} or after: it is looked up.", row.receipt)

    def _send(self, plan: Placement, timeout: float) -> None:
        params = {**plan.params, **plan.kraken_name.filter()}
        self._submit(plan, "AddOrder", params, timeout, self._submission(plan))

    def _send_batch(self, plans: Sequence[Placement], timeout: float) -> None:
        submission = BatchSubmission([self._submission(plan) for plan in plans])
        self._submit(plans[0], "AddOrderBatch", batch_params(plans), timeout, submission)

    def _submission(self, plan: Placement) -> Submission:
        told = partial(self._tell_answered, plan.cl_ord_id)
        return Submission(
            self._journal, plan.cl_ord_id, told, self._announcer.shared, self._timers.later,
            self._settings.order_deadline,
        )

    def _submit(
        self, plan: Placement, endpoint: str, params: Mapping[str, Any], timeout: float, submission: QuickReply
    ) -> None:
        call = PrivateCall(
            plan.account, endpoint, params, timeout, reply_to=submission,
            deadline_in=self._settings.order_deadline, key_id=plan.key_id,
        )  # fmt: skip
        try:
            self._private.tell(call)
        except (pykka.ActorDeadError, KeyError):
            submission.tell(CallFailed(call, EngineStopped("The engine is not running.")))

    def _tell_answered(self, name: str, error: CallError | None) -> None:
        """Run by the lane's thread."""
        tell_if_alive(self.actor_ref, Answered(name, error))

    def _of_client(self, asked: ClientOrders) -> list[Placement]:
        find = self._journal.open_of_client if asked.is_open else self._journal.of_client
        return find(asked.account, asked.client, asked.param, asked.value)

    def _whose(self, asked: WhoseOrders) -> tuple[dict[str, Placement], list[Placement]]:
        """Placements by txid, and those that are not over and not among them."""
        ours: dict[str, Placement] = {}
        for txid, name in asked.names.items():
            found = self._journal.find(asked.account, txid)
            if found is None and name:
                found = self._journal.find(asked.account, name.replace("-", "").lower())
            if found is not None:
                ours[txid] = found
        listed = {row.cl_ord_id for row in ours.values()}
        live = self._journal.rows(*(state for state in OrderState if not state.is_over))
        return ours, [row for row in live if row.account == asked.account and row.cl_ord_id not in listed]

    def _open_by_stream(self, asked: OpenByStream) -> tuple[Mapping[str, Execution], frozenset[str]]:
        told = self._orders.streamed
        missing = {txid: each for txid, each in told.open(asked.account).items() if txid not in asked.txids}
        return missing, frozenset(txid for txid in asked.txids if told.is_over(asked.account, txid))
