"""The `OrderActor` alone, with a lane and a clock that the test has in its hands (promise G9)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.actors.drift_log import DriftLog
from engine.actors.events import OrderChanged
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.messages import FindOrder, PlaceOrder
from engine.actors.order.order import OrderActor
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallError, CallNotSent, CallUnknown, ConnectFailed, OrderRejected, PairUnsettled
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.values import Settings
from tests.stopwatch import PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "1", "30000")
SETTINGS = Settings(order_deadline=8.0, settle_margin=4.0, follow_every=1000.0)
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


class House:
    """An `OrderActor`, the calls that it gives to the lane, and the receipts that it publishes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.time = Time()
        self.calls: list[PrivateCall] = []
        self.asked: list[str] = []
        self.names: list[str] = []
        self.invalidated: list[str] = []
        self._receipts: dict[str, OrderReceipt] = {}
        self._number = 0
        directory.mkdir(exist_ok=True)
        self.ref = OrderActor.start(
            directory, self, settings=SETTINGS, clock=self.time, after=self.time.after, publish=self._publish,
            invalidate=self.invalidated.append, live=True, drift=DriftLog(self.time, lambda event: None),
        )  # fmt: skip

    def _publish(self, event: Any) -> None:
        if isinstance(event, OrderChanged):
            self._receipts[event.receipt.id] = event.receipt

    def tell(self, call: PrivateCall) -> None:
        """The lane: takes a call in."""
        self.calls.append(call)

    def place(self, name: str, *, pair: str = "XBT/USD") -> Future[Placement]:
        """A placement is given; it is written down and with the lane when this returns."""
        self._number += 1
        self.names.append(name)
        plan = Placement(
            account="MASTER", id=name, cl_ord_id=f"{self._number:032x}", key_id="k", order=ORDER, fitted=ORDER,
            pair=pair, params={"pair": pair, "volume": "1"}, reserved=("ZUSD", Decimal(30_000)),
            times={"planned": self.time.now},
        )  # fmt: skip
        answer = self.ref.ask(PlaceOrder(plan, 1000.0), block=False)
        self.wait()
        return answer

    def wait(self) -> None:
        """Until the actor has handled everything."""
        self.ref.ask(FindOrder("MASTER", ""), timeout=PATIENCE)

    def take(self) -> PrivateCall:
        """The next call that the lane makes."""
        return self.calls.pop(0)

    def send(self, call: PrivateCall) -> None:
        """Its turn has come."""
        assert call.at_send is not None
        call.at_send(KRAKEN + self.time.now)

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

    def answer_looks(self) -> None:
        """Answer what the lane has, and what that leads to: there is no order."""
        self.wait()
        while self.calls:
            call = self.take()
            self.asked.append(call.endpoint)
            self.answer(call, ABSENT[call.endpoint])

    def state(self, name: str) -> OrderState:
        self.wait()
        return self._receipts[name].state


    def end(self) -> None:
        stop_actor(self.ref)
        assert wait_finished(self.ref, PATIENCE)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "state")
    yield made
    made.end()


def after_a_crash(house: House) -> dict[str, OrderState]:
    """What the next start finds, by the placements' ids: it has a copy of the files as they are now."""
    house.wait()
    copy = house.directory.with_name("copy")
    shutil.copytree(house.directory, copy)
    again = House(copy)
    found = {}
    for name in house.names:
        row = again.ref.ask(FindOrder("MASTER", name), timeout=PATIENCE)
        found[name] = row.state
    again.end()
    shutil.rmtree(copy)
    return found


SETTLED_AT = SETTINGS.order_deadline + SETTINGS.settle_margin


def test_a_look_that_begins_at_the_end_of_the_margin_tells_absence(house: House) -> None:
    """Nothing can appear from that moment on, so it takes no second look; the looks before do not count."""
    house.lose("x")
    while house.time.next() < SETTLED_AT:
        house.time.turn_to(house.time.next())
        house.answer_looks()
        assert house.state("x") is OrderState.UNKNOWN
    assert house.asked, "it was looked for before"
    house.asked.clear()
    house.time.turn_to(SETTLED_AT)
    house.answer_looks()
    assert "TradesHistory" in house.asked, "this look is a thorough one"
    assert house.state("x") is OrderState.NOT_PLACED


def test_a_look_that_began_before_the_end_of_the_margin_never_tells_absence(house: House) -> None:
    """However late its answers come: they may have been made before."""
    house.lose("x")
    house.time.turn_to(house.time.next())
    house.wait()
    assert house.calls, "it is looked for"
    house.time.turn_to(SETTLED_AT + 1.0)
    house.answer_looks()
    assert house.state("x") is OrderState.UNKNOWN
    while house.state("x") is OrderState.UNKNOWN and house.time.now < 100.0:
        house.time.turn_to(house.time.next())
        house.answer_looks()
    assert house.state("x") is OrderState.NOT_PLACED, "the look is made again, and that one counts"


def test_a_second_placement_on_the_pair_does_not_go_out_once_the_first_is_unknown(house: House) -> None:
    """It was planned while the first was under way, and waits in the lane: its own turn is when that counts."""
    house.place("x")
    house.place("y", pair="BTC/USD")
    house.place("z", pair="ETH/USD")
    first, second, third = house.take(), house.take(), house.take()
    house.send(first)
    house.answer(first, CallUnknown("The connection broke."))
    house.send(third)
    with pytest.raises(PairUnsettled) as unsettled:
        house.send(second)
    house.answer(second, unsettled.value)
    assert house.state("x") is OrderState.UNKNOWN
    assert house.state("y") is OrderState.NOT_PLACED


@pytest.mark.parametrize(
    ("error", "may_go_again"),
    [
        (CallNotSent("A cancel that covers this placement came before its turn."), False),
        (ConnectFailed("There is no connection."), True),
    ],
)
def test_only_a_placement_that_no_cancel_covered_may_be_tried_again_with_its_id(
    house: House, error: CallError, may_go_again: bool
) -> None:
    house.place("x")
    house.answer(house.take(), error)
    assert house.state("x") is OrderState.NOT_PLACED
    again = house.place("x")
    assert [call.endpoint for call in house.calls] == (["AddOrder"] if may_go_again else [])
    if not may_go_again:
        assert again.get(timeout=PATIENCE).state is OrderState.NOT_PLACED


def test_whatever_is_said_of_a_placement_whose_turn_never_came_it_was_not_sent(house: House) -> None:
    """A defect in the lane before the call goes out is told as unknown; here it is known that nothing went out."""
    for name, how in (("x", CallUnknown("The engine failed during the call.")), ("y", {"txid": ["OABC"]})):
        house.place(name)
        house.answer(house.take(), how)
        assert house.state(name) is OrderState.NOT_PLACED
    assert not house.calls, "and it is not looked for"


def test_a_placement_that_is_settled_never_goes_out(house: House) -> None:
    house.place("x")
    call = house.take()
    house.answer(call, CallNotSent("A cancel that covers this placement came before its turn."))
    with pytest.raises(CallNotSent, match="not sent again"):
        house.send(call)
    house.place("y")
    call = house.take()
    house.send(call)
    house.answer(call, CallUnknown("The connection broke."))
    with pytest.raises(CallNotSent, match="not sent again"):
        house.send(call)


def test_a_placement_that_is_signed_again_keeps_its_first_deadline(house: House) -> None:
    house.place("x")
    call = house.take()
    assert call.at_send is not None
    first = call.at_send(KRAKEN)
    assert call.at_send(KRAKEN + 3.0) == first
    assert replace(call).params["cl_ord_id"] == f"{1:032x}"


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"txid": ["OABCDE-FGHIJ-KLMNOP"]}, OrderState.PLACED),
        (OrderRejected("Kraken said no.", kraken_code="EOrder:Insufficient funds"), OrderState.REFUSED),
        (CallUnknown("The connection broke."), OrderState.UNKNOWN),
    ],
)
def test_the_answer_is_durable_when_it_is_told(house: House, how: CallError | Any, state: OrderState) -> None:
    house.place("x")
    call = house.take()
    house.send(call)
    assert after_a_crash(house) == {"x": OrderState.UNKNOWN}, "what was sent and not answered is not known"
    house.answer(call, how)
    assert house.state("x") is state
    assert after_a_crash(house) == {"x": state}


def test_what_was_never_sent_is_not_placed_after_a_crash_and_may_be_tried_again(house: House) -> None:
    house.place("x")
    assert after_a_crash(house) == {"x": OrderState.NOT_PLACED}


def test_what_a_look_has_found_is_durable_when_it_is_told(house: House) -> None:
    house.lose("x")
    house.time.turn_to(SETTLED_AT)
    house.answer_looks()
    assert house.state("x") is OrderState.NOT_PLACED
    assert after_a_crash(house) == {"x": OrderState.NOT_PLACED}
