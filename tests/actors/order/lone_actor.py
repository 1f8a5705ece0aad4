"""An `OrderActor` alone: its lane and its clock are in the test's hands."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from engine.actors.backing.journal_file import JournalFile
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning, OrderChanged
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.messages import FindOrder, PlaceOrder, UnsettledFunds
from engine.actors.order.order import OrderActor
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallError, CallUnknown
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.values import Settings
from tests.stopwatch import PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "1", "30000")
SETTINGS = Settings(order_deadline=5.75, settle_margin=2.0, follow_every=1000.0)
"""The pauses between looks double from a quarter of a second, so that one ends exactly with deadline and margin."""
KRAKEN = 1_800_000_000.0
"""Kraken's time when an order goes out, in Unix seconds."""
ABSENT = {
    "OpenOrders": {"open": {}}, "ClosedOrders": {"closed": {}, "count": 0}, "TradesHistory": {"trades": {}, "count": 0},
    "Ledgers": {"ledger": {}, "count": 0}, "QueryOrders": {},
}  # fmt: skip


class Time:
    """Time that the test turns, with the timers that fall due then. Its numbers are exact in binary."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return int((KRAKEN + self.now) * 1e9)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._due.append((self.now + seconds, action))

    def turn_to(self, until: float) -> None:
        """Run what falls due by then, at its moment."""
        while ready := sorted((each for each in self._due if each[0] <= until), key=lambda each: each[0]):
            self._due.remove(ready[0])
            self.now = max(self.now, ready[0][0])
            ready[0][1]()
        self.now = until

    def next(self) -> float:
        """When the next timer falls due."""
        return min(when for when, _ in self._due)


class LoneActor:
    """An `OrderActor`, the calls that it gives to the lane, and the receipts that it publishes."""

    def __init__(self, directory: Path, key: str = "k") -> None:
        self.directory = directory
        self.time = Time()
        self.calls: list[PrivateCall] = []
        self.asked: list[str] = []
        self.warnings: list[EngineWarning] = []
        self.key = key
        """The API key that the account has now (`Account.key_id`)."""
        self.invalidated: list[str] = []
        self._receipts: dict[str, OrderReceipt] = {}
        self._number = 0
        directory.mkdir(exist_ok=True)
        self.ref = OrderActor.start(
            partial(JournalFile, directory), self, settings=SETTINGS, clock=self.time, after=self.time.after,
            publish=self._publish, invalidate=self.invalidated.append, live=True,
            drift=DriftLog(self.time, lambda event: None), key_of=lambda account: self.key,
            spare=lambda account, seconds: math.inf,
        )  # fmt: skip

    def _publish(self, event: Any) -> None:
        if isinstance(event, OrderChanged):
            self._receipts[event.receipt.id] = event.receipt
        elif isinstance(event, EngineWarning):
            self.warnings.append(event)

    def tell(self, call: PrivateCall) -> None:
        """The lane: takes a call in."""
        self.calls.append(call)

    def place(self, name: str, *, pair: str = "XBT/USD", number: int | None = None) -> Any:
        """A placement is given; it is written down and with the lane when this returns. The answer is a future."""
        answer = self.give(name, pair=pair, number=number)
        self.wait()
        return answer

    def give(self, name: str, *, pair: str = "XBT/USD", number: int | None = None) -> Any:
        """A placement is in the actor's mailbox."""
        self._number = number or self._number + 1
        plan = Placement(
            account="MASTER", id=name, cl_ord_id=f"{self._number:032x}", key_id="k", order=ORDER, fitted=ORDER,
            pair=pair, params={"pair": pair, "volume": "1"}, reserved=("ZUSD", Decimal(30_000)),
            times={"planned": self.time.now},
        )  # fmt: skip
        return self.ref.ask(PlaceOrder(plan, 1000.0), block=False)

    def wait(self) -> None:
        """Until the actor has handled everything."""
        self.ref.ask(UnsettledFunds("MASTER"), timeout=PATIENCE)

    def take(self) -> PrivateCall:
        """The next call that the lane makes."""
        return self.calls.pop(0)

    def send(self, call: PrivateCall) -> None:
        """Its turn has come."""
        assert call.deadline_in is not None
        call.reply_to.sending(KRAKEN + self.time.now + call.deadline_in)

    def answer(self, call: PrivateCall, how: CallError | Any) -> None:
        """The lane's answer to a call."""
        call.reply_to.tell(CallFailed(call, how) if isinstance(how, CallError) else CallDone(call, how))
        self.wait()

    def lose(self, name: str) -> None:
        """A placement goes out, and no answer comes."""
        self.place(name)
        call = self.take()
        self.send(call)
        self.answer(call, CallUnknown("The connection broke."))

    @property
    def warned(self) -> list[str]:
        """The codes of the warnings so far."""
        return [event.code for event in self.warnings]

    def answer_looks(self, odd: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Answer what the lane has, and what that leads to: there is no order. `odd`: other answers, by endpoint."""
        self.wait()
        while self.calls:
            call = self.take()
            self.asked.append(call.endpoint)
            self.answer(call, {**ABSENT, **odd}[call.endpoint])

    def state(self, name: str) -> OrderState:
        """Where a placement stands, as it was published last."""
        return self.receipt(name).state

    def receipt(self, name: str) -> OrderReceipt:
        """What was published of a placement last."""
        self.wait()
        return self._receipts[name]


    def kept(self, name: str) -> OrderState:
        """What the journal says of a placement."""
        row = self.ref.ask(FindOrder("MASTER", name), timeout=PATIENCE)
        assert row is not None
        state: OrderState = row.state
        return state

    def end(self) -> None:
        """Stop it."""
        stop_actor(self.ref)
        assert wait_finished(self.ref, PATIENCE)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[LoneActor]:
    made = LoneActor(tmp_path / "state")
    yield made
    made.end()


@contextmanager
def crashed(lone: LoneActor, key: str = "k") -> Iterator[LoneActor]:
    """The next start after a crash at this moment, with that key: it has a copy of the files as they are now."""
    lone.wait()
    copy = lone.directory.with_name("copy")
    shutil.copytree(lone.directory, copy)
    again = LoneActor(copy, key)
    again.wait()
    try:
        yield again
    finally:
        again.end()
        shutil.rmtree(copy)
