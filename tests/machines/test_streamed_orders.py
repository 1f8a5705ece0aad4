"""The life of orders, with Kraken's stream beside its lists: early, late, repeated, broken off, or silent (G9)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from engine.actors.events import OrderFilled
from engine.actors.order.messages import StreamLive, StreamTold
from engine.kraken.stream import Execution, Numbered, executions_of, read_frame
from engine.simulator.stream_rows import encoded, order_row
from tests.machines.test_order_machine import OrderMachine


def read(rows: list[dict[str, Any]]) -> tuple[Execution, ...]:
    """The rows, once they have been a frame on the wire."""
    frame = read_frame(encoded({"channel": "executions", "type": "update", "data": rows, "sequence": 2}))
    assert isinstance(frame, Numbered)
    return executions_of(frame.rows)


class StreamedOrderMachine(OrderMachine):
    """The machine of orders without a stream; frames come at once, even before the answer to a call, or wait."""

    def __init__(self) -> None:
        super().__init__()
        self.is_up = self.is_early = False
        self.waiting: list[tuple[Execution, ...]] = []
        self.told = self.world.actor
        self.over: set[str] = set()
        self.last: tuple[Execution, ...] = ()
        with self.world.exchange.customer("MASTER") as customer:
            customer.book.feed.add(self.heard)

    def heard(self, channel: str, rows: list[dict[str, Any]]) -> None:
        if channel != "executions" or not self.is_up:
            return
        self.waiting.append(read(rows))
        if self.is_early:
            self.deliver_all()

    def deliver_all(self) -> None:
        """Hand over what waits, unless the process or the key is another one than the stream was opened for."""
        frames, self.waiting = self.waiting, []
        if self.told is not self.world.actor or self.world.key != "MASTER":
            self.is_up = False
            return
        for self.last in frames:
            self.told.on_receive(StreamTold("MASTER", self.last, False))

    @rule(early=st.booleans())
    def open_the_stream(self, early: bool) -> None:
        """A new connection: its snapshot has every open order, and is the first that it tells."""
        if self.world.key != "MASTER":
            return
        with self.world.exchange.customer("MASTER") as customer:
            live = [order for order in customer.book.all() if order.is_live]
            rows = [order_row(order, "new", 0.0) for order in live]
        self.is_up, self.is_early, self.waiting, self.told = True, early, [], self.world.actor
        self.world.ask(StreamTold("MASTER", read(rows), True))
        self.world.ask(StreamLive("MASTER"))

    @precondition(lambda self: self.is_up)
    @rule()
    def frames_come(self) -> None:
        self.deliver_all()

    @precondition(lambda self: self.is_up and self.last and self.told is self.world.actor)
    @rule()
    def a_frame_comes_twice(self) -> None:
        if self.world.key == "MASTER":
            self.told.on_receive(StreamTold("MASTER", self.last, False))

    @precondition(lambda self: self.is_up and self.waiting)
    @rule(keep=st.integers(0, 2))
    def the_stream_breaks_off(self, keep: int) -> None:
        self.waiting = self.waiting[:keep]
        self.deliver_all()
        self.is_up = False

    @rule(seconds=st.sampled_from([0.0, 5.0]))
    def rest_lags(self, seconds: float) -> None:
        with self.world.exchange.customer("MASTER") as customer:
            customer.book.set_lag(seconds)

    @invariant()
    def no_trade_is_told_twice(self) -> None:
        names = [each.exec_id for each in self.world.events if isinstance(each, OrderFilled) and each.exec_id]
        assert len(names) == len(set(names))

    @invariant()
    def what_the_stream_has_ended_stays_over(self) -> None:
        streamed = self.world.actor._orders.streamed
        for row in self.rows():
            is_told = any(streamed.is_over("MASTER", txid) for txid in row.txids)
            if is_told and row.state.is_over:
                self.over.add(row.cl_ord_id)
            assert row.state.is_over or row.cl_ord_id not in self.over or not is_told, row

    def _heal(self) -> None:
        self.rest_lags(0.0)
        super()._heal()
        assert not self.world.actor._orders._reconciler._cases, "what is known is looked up no longer"


# The same examples in each default run; `-m torture` searches for new ones.
TestStreamedOrderMachine = StreamedOrderMachine.TestCase
TestStreamedOrderMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True)


@pytest.mark.torture
def test_the_life_of_streamed_orders_over_many_examples() -> None:
    """G9: the same machine, at random and longer."""
    run_state_machine_as_test(
        StreamedOrderMachine, settings=settings(max_examples=100, stateful_step_count=30, deadline=None)
    )
