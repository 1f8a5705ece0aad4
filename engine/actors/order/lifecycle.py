"""What becomes of a placement once it was sent: looked up, followed, canceled, replaced, until it is final."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from engine.actors.drift_log import DriftLog
from engine.actors.events import OrderChanged, warn_by
from engine.actors.order.announcer import Announcer
from engine.actors.order.canceller import Canceller
from engine.actors.order.edits import Edits
from engine.actors.order.identity import Identity
from engine.actors.order.journal import Journal
from engine.actors.order.lookup import Lookups
from engine.actors.order.messages import CancelAllCame
from engine.actors.order.reconciler import Reconciler
from engine.actors.order.streamed import StreamedOrders
from engine.actors.order.submission import holder
from engine.actors.order.tracker import SOON, Tracker
from engine.actors.order.waiters import PlacementWaiters, Until
from engine.actors.order.watch_list import WatchList
from engine.errors import CallError, CallNotSent, OrderUnknown, StoreError
from engine.rules.order.following import Look
from engine.rules.order.found import Found
from engine.rules.order.order import Order
from engine.rules.order.outcome import changed, outcome
from engine.rules.order.placement import Placement
from engine.rules.order.replacement import Replacement, successor
from engine.rules.order.states import IllegalTransition, OrderEvent, OrderState, can_take
from engine.rules.order.streamed import StreamNews
from engine.store.write_outage import WriteOutage
from engine.values import Settings

logger = logging.getLogger(__name__)

SAVE_AGAIN = 5.0  # seconds
NOT_KEPT = "What is known of an order could not be kept: {error}"

_STILL_OPEN = (
    "Whether order {id!r} is canceled is not known: it may be open, and is canceled as soon as Kraken lets it be. {why}"
)
SAID_CANCELED = "Kraken said that it is canceled."


class Lifecycle:
    """The placements of one engine after they were sent. Lives in the thread of the actor that has the journal.

    `key_of`, `spare` and the other parameters are those of `OrderActor`.
    """

    def __init__(
        self,
        journal: Journal,
        private: Any,
        me: Any,
        *,
        settings: Settings,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        publish: Callable[[Any], None],
        announcer: Announcer,
        drift: DriftLog,
        key_of: Callable[[str], str | None],
        spare: Callable[[str, float], float],
    ) -> None:
        self._journal, self._later, self._announcer, self._publish = journal, later, announcer, publish
        self._outage, every = WriteOutage("order-not-kept", NOT_KEPT, warn_by(publish)), settings.follow_every
        self.edits = Edits(journal, self.save)
        self.waiters = PlacementWaiters(journal.row, later, self._still_open)
        self.lookups = Lookups(private, me, later, key_of)
        self._identity = Identity(self.lookups, key_of, later, self.key_changed, publish)
        self._reconciler = Reconciler(
            self.lookups, settings, monotonic, later, self._learn, row_of=journal.row, spare=spare,
            is_others=lambda row, txid: journal.other_of(row, txid) is not None,
            identity=self._identity, publish=publish, noter=drift.noter,
        )  # fmt: skip
        self.streamed = StreamedOrders(journal, self._told, self._hurry)
        self._watched = watched = WatchList(journal, self._identity.fits, monotonic, every, drift.noter)
        self._tracker = Tracker(
            self.lookups, every, monotonic, later, watched.open_txids, watched.follow, self._take_in
        )
        self._closer = Tracker(
            self.lookups, every, monotonic, later, watched.over_txids, watched.query, self._take_in, doubles=True
        )
        self.canceller = Canceller(
            private, me, key_of, later, row_of=journal.row, fits=self._identity.fits, said=self._said_canceled,
            look=self._look_closer, refused=self.waiters.refused, moved=self._reconciler.may_have_moved,
        )  # fmt: skip

    def restore(self) -> None:
        """Take up what an earlier run has left."""
        self.save()
        for row in self._journal.rows(*OrderState):
            if row.state is OrderState.UNKNOWN:
                self._announcer.left_open(row)
            self._take_up(row)

    def end(self, error: CallError) -> None:
        """The engine stops: answer whoever waits."""
        self.waiters.end()
        self._tracker.end(error)

    def answered(self, name: str, error: CallError | None) -> None:
        """The lane has answered a submission; the journal knows how."""
        row = self._journal.row(name)
        if row is None:  # it was not sent, and another try has taken its id since
            self.waiters.dropped(name, error or CallNotSent("The placement was given up; it was not sent."))
            return
        self.save()
        self._take_up(row)
        self._changed(row, error)

    def touched(self, account: str) -> None:
        """`OrdersTouched`."""
        self._tracker.soon(account)

    def stream_live(self, account: str) -> None:
        """`StreamLive`: what happened before is looked up once."""
        self._tracker.hurry(account)
        self._reconciler.hurry_all(account)

    def _told(self, row: Placement, told: StreamNews) -> None:
        """Take in what Kraken's stream has told of a placement; the lane may settle a sent one at the same moment."""
        with contextlib.suppress(IllegalTransition):
            self._learn(row.cl_ord_id, told.event, told.changes, told.exec_id)
            self._reconciler.close(row.cl_ord_id)

    def _hurry(self, account: str) -> None:
        self._tracker.hurry(account)

    def key_replaced(self, account: str) -> None:
        """`KeyReplaced`."""
        self.streamed.forget(account)
        self.key_changed(account)

    def key_changed(self, account: str) -> None:
        """The account has another key, or it is known now whose its key is."""
        self._reconciler.hurry_all(account)
        for row in self._journal.rows_of(account):
            self._take_up(row)

    def look_now(self, account: str) -> Future[list[Placement]]:
        """The account's placements that are not over, after a look at Kraken."""
        answer: Future[list[Placement]] = Future()

        def looked(done: Future[None]) -> None:
            error = done.exception()
            if error is None:
                answer.set_result([row for row in self._journal.rows_of(account) if not row.state.is_over])
            else:
                answer.set_exception(error)

        self._tracker.now(account).add_done_callback(looked)
        return answer

    # Cancels

    def cancel(self, name: str, timeout: float) -> Placement | Future[Placement] | None:
        """`CancelPlacement`."""
        if self._journal.row(name) is None:
            return None
        self._journal.verify()  # else the wish is not kept, and the cancel is never sent
        row = self._journal.want_cancel(name)
        self.save()
        if not row.is_final and self._identity.is_other(row):
            raise self._still_open(row)
        waiting = self.waiters.wait(row, Until.FINAL, timeout)
        self._take_up(row)
        self._reconciler.hurry(name)
        return waiting

    def cancel_all_comes(self, account: str) -> tuple[str, ...]:
        """`CancelAllComes`."""
        names = tuple(row.cl_ord_id for row in self._journal.rows_of(account) if not row.state.is_over)
        for name in names:
            self._journal.want_cancel(name)
        self.save()
        return names

    def cancel_all_came(self, came: CancelAllCame) -> Future[list[Placement]]:
        """`CancelAllCame`."""
        rows = [row for name in came.cl_ord_ids if (row := self._journal.row(name)) is not None]
        placed = [row for row in rows if row.state is OrderState.PLACED]
        if came.count is not None and came.count >= len(placed):
            for row in placed:
                self._said_canceled(row.cl_ord_id)
        for row in rows:
            self._reconciler.may_have_moved(row.cl_ord_id)
            self._take_up(self._journal.row(row.cl_ord_id) or row)
        unsettled = [row for row in rows if not row.state.is_settled]
        return self.waiters.wait_over(unsettled, came.timeout)

    def all_canceled(self, account: str, at: float) -> None:
        """`AllCanceled`."""
        self.edits.canceled_here(account, [row.cl_ord_id for row in self._journal.rows_of(account)])
        for row in self._journal.rows_of(account):
            if row.state is OrderState.UNKNOWN and row.times.get(OrderState.SENT.value, at) <= at:
                self._journal.want_cancel(row.cl_ord_id)
                self.save()
                self._reconciler.may_have_moved(row.cl_ord_id)
                self.canceller.want(row.cl_ord_id)

    def _said_canceled(self, name: str) -> None:
        """Kraken says that it is canceled, and not what was filled before: that is for a row to tell."""
        row = self._journal.row(name)
        if row is not None and not row.is_final and can_take(row.state, OrderEvent.SAID_CANCELED):
            self._learn(name, OrderEvent.SAID_CANCELED, {"amounts_known": False, "reason": SAID_CANCELED})

    def _look_closer(self, row: Placement) -> None:
        """What became of an order is wanted now."""
        is_over = row.state.is_over and not row.may_be_edited
        (self._closer if is_over else self._tracker).hurry(row.account)

    def _still_open(self, row: Placement) -> CallError:
        why = self._identity.sentence(row) or self.canceller.why(row.cl_ord_id)
        told = _STILL_OPEN.format(id=row.id, why=why).strip()
        return OrderUnknown(told, row.receipt, account=row.account, endpoint="CancelOrder")

    # Changes

    def replaced(self, account: str, told: Replacement) -> None:
        """`OrderReplaced`."""
        row = self._journal.find(account, told.old)
        if row is None:
            self.touched(account)
        if row is None or told.old not in row.txids or not can_take(row.state, OrderEvent.FOUND_OPEN):
            return
        txids = tuple(told.new if txid == told.old else txid for txid in row.txids)
        edits = tuple(txid for txid in row.edits if txid != told.old)
        self._learn(row.cl_ord_id, OrderEvent.FOUND_OPEN, {
            "txids": txids, "former": {**row.former, told.old: None}, "edits": edits,
            "recheck": False,
            "fitted": changed(row.fitted, told.volume, told.price, told.price2),
        })  # fmt: skip

    def amended(self, name: str, sent: Order) -> Placement | None:
        """`OrderAmended`."""
        row = self._journal.row(name)
        if row is not None and row.state is OrderState.PLACED:
            self._learn(name, OrderEvent.FOUND_OPEN, {"fitted": sent})
        return self._journal.row(name)

    # What Kraken says of orders

    def _learn(self, name: str, event: OrderEvent, changes: Mapping[str, Any], exec_id: str | None = None) -> None:
        """Take in what a look at Kraken has brought, or its stream."""
        before = self._journal.row(name)
        if before is None or not can_take(before.state, event):
            return
        for txid in set(changes.get("txids", ())) - set(before.txids):
            other = self._journal.other_of(before, txid)
            if other is not None:
                self._announcer.shared(before, other, txid)
        row = self._journal.note(name, event, **changes)
        if row == before:
            return
        self.save()
        self._tell(before, row, event, exec_id)

    def _tell(self, before: Placement, row: Placement, event: OrderEvent, exec_id: str | None) -> None:
        self._announcer.learnt(before, row, exec_id)
        self._watched.told(row)
        if row.receipt == before.receipt:
            self._take_up(row)
            return
        self._take_up(row)
        if event is OrderEvent.SAID_CANCELED:  # in a moment its row is read, and tells what was filled
            self._later(SOON, partial(self._tell_unread, row.cl_ord_id))
            self.waiters.changed(row)
        else:
            self._changed(row)

    def _tell_unread(self, name: str) -> None:
        row = self._journal.row(name)
        if row is not None and not row.is_final:
            self._publish(OrderChanged(row.account, row.receipt))

    def _take_in(self, account: str, look: Look) -> None:
        """What a look tells of each. Only with whole lists of the others is it told that nothing replaced one."""
        for row in self._journal.rows_of(account):
            orders = [look.found[txid] for txid in row.txids if txid in look.found]
            if not orders or len(orders) < len(row.txids) or any(each.event is None for each in orders):
                continue
            if any(self._is_past(account, each) for each in orders):
                continue
            try:
                new = self._successor(row, orders, look)
            except CallNotSent as error:  # an order of ours may be on disk alone: the next look tells more
                logger.warning("What became of order %s is not taken in yet: %s", row.id, error)
                continue
            if new is not None:
                self._announcer.replaced(row, new)
                self.replaced(account, Replacement(row.txids[0], new))
                self._tracker.hurry(account)
                continue
            noted = self.edits.seen_gone(row, orders)
            if look.is_witness(noted):
                self._learn(noted.cl_ord_id, *outcome(noted, orders, look.found))
            elif noted.is_in_edit and (pause := self._watched.seen_gone(noted)) is not None:
                self._later(pause, partial(self._look_closer, noted))

    def _is_past(self, account: str, found: Found) -> bool:
        """Whether a row calls an order open that Kraken's stream has told is over: the lists may lag behind it."""
        return found.event is OrderEvent.FOUND_OPEN and self.streamed.is_over(account, found.txid)

    def _successor(self, row: Placement, orders: list[Found], look: Look) -> str | None:
        """The order that took the place of one that nobody here has canceled, or that an edit of ours may have."""
        if not can_take(row.state, OrderEvent.FOUND_OPEN) or not row.may_be_edited or len(orders) != 1:
            return None
        is_known = partial(holder, self._journal, row.account)
        return successor(row.fitted, orders[0], look.others, lambda txid: is_known(txid) is not None)

    # What has to be done for a placement

    def _take_up(self, row: Placement) -> None:
        """Do what has to be done for a placement as it is now. Done twice, it is as if it were done once."""
        if row.state is OrderState.UNKNOWN or (row.state.is_over and not row.amounts_known and not row.txids):
            self._reconciler.open(row)
        elif row.state is OrderState.PLACED:
            self._tracker.soon(row.account)
        elif row.state.is_over and not row.amounts_known:
            self._look_closer(row)
        elif row.recheck:
            self._later(self._watched.recheck_in(row), partial(self._look_closer, row))
        if row.cancel_wanted and not row.state.is_over:
            self.canceller.want(row.cl_ord_id)

    # Telling and keeping

    def _changed(self, row: Placement, error: CallError | None = None) -> None:
        """Something happened to a placement: tell everybody whom it concerns."""
        self._publish(OrderChanged(row.account, row.receipt))
        self.waiters.changed(row, error)

    def save(self) -> None:
        """Make durable what is known; what cannot be written now is written later."""
        try:
            self._journal.save()
        except StoreError as error:
            self._outage.failed(error)
            self._later(SAVE_AGAIN, self.save)
        else:
            self._outage.succeeded()
