"""Orders that Kraken's stream tells of: settled at once, filled once, never undone, nothing concluded from silence."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Order, OrderChanged, OrderFilled, OrderReceipt
from engine.errors import OrderUnknown
from engine.rules.order.states import OrderState
from engine.simulator import Fault, Simulator
from tests.conftest import Events
from tests.stopwatch import PATIENCE
from tests.stream.conftest import pushing, until, until_live

REST = Order("XBTUSD", "buy", "limit", "0.1", "20000")
TAKE = Order("XBTUSD", "buy", "market", "0.1")


def changed(events: Events, *states: OrderState, final: bool = False) -> OrderReceipt:
    def fits(event: Any) -> bool:
        return isinstance(event, OrderChanged) and event.receipt.state in states and (
            event.receipt.is_final or not final
        )  # fmt: skip

    receipt: OrderReceipt = events.wait_for(fits).receipt
    return receipt


def fills(events: Events) -> list[tuple[str | None, Decimal, Decimal, Decimal]]:
    return [(e.exec_id, e.volume, e.cost, e.fee) for e in events.seen if isinstance(e, OrderFilled)]


def block_lists(sim: Simulator) -> None:
    """REST tells nothing of orders: what is known comes from the stream."""
    for endpoint in ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory"):
        sim.fault(Fault.error("EService:Unavailable", endpoint=endpoint))


def test_a_lost_reply_is_settled_by_the_stream(sim: Simulator, engine: Engine, events: Events) -> None:
    block_lists(sim)
    sim.fault(Fault.reset(endpoint="AddOrder", times=1, executed=True))
    receipt = engine.place("MASTER", REST, id="lost")
    assert receipt.state is OrderState.PLACED
    (placed,) = sim.placements("MASTER")
    assert receipt.txids == (placed.txid,)
    again = engine.place("MASTER", REST, id="lost")
    assert again.txids == receipt.txids
    assert len(sim.placements("MASTER")) == 1


def test_the_stream_may_be_before_the_reply(sim: Simulator, engine: Engine, events: Events) -> None:
    held = sim.fault(Fault.hang(endpoint="AddOrder", times=1, executed=True))
    ends: list[OrderReceipt] = []
    placing = threading.Thread(target=lambda: ends.append(engine.place("MASTER", TAKE, id="early", timeout=PATIENCE)))
    placing.start()
    closed = changed(events, OrderState.CLOSED)
    assert closed.filled == Decimal("0.1")
    held.remove()
    placing.join(PATIENCE)
    assert ends[0].state in (OrderState.PLACED, OrderState.CLOSED)
    final = changed(events, OrderState.CLOSED, final=True)
    assert (final.filled, final.cost, final.fee) == (Decimal("0.1"), Decimal(3000), Decimal(24))
    assert len(sim.placements("MASTER")) == 1


def test_each_trade_is_told_once_with_its_name(sim: Simulator, engine: Engine, events: Events) -> None:
    receipt = engine.place("MASTER", REST, id="filled")
    for volume in ("0.03", "0.03", "0.04"):
        sim.fill("MASTER", receipt.txids[0], volume)
    final = changed(events, OrderState.CLOSED, final=True)
    told = fills(events)
    assert [volume for _, volume, _, _ in told] == [Decimal("0.03"), Decimal("0.03"), Decimal("0.04")]
    names = {row["txid"]: row["trades"] for row in sim.orders("MASTER")}[receipt.txids[0]]
    assert [name for name, *_ in told] == names
    assert sum(cost for *_, cost, _ in told) == final.cost == Decimal(2000)
    assert sum(fee for *_, fee in told) == final.fee


def test_final_amounts_come_from_a_list(sim: Simulator, engine: Engine, events: Events) -> None:
    receipt = engine.place("MASTER", REST, id="seen")
    sim.fault(Fault.hang(endpoint="QueryOrders"))
    sim.fault(Fault.hang(endpoint="ClosedOrders"))
    sim.fill("MASTER", receipt.txids[0], "0.1")
    closed = changed(events, OrderState.CLOSED)
    assert (closed.filled, closed.is_final) == (Decimal("0.1"), False)
    sim.clear_faults()
    assert changed(events, OrderState.CLOSED, final=True).fee == closed.fee
    assert len(fills(events)) == 1


def test_a_list_that_lags_does_not_open_an_order_again(sim: Simulator, engine: Engine, events: Events) -> None:
    receipt = engine.place("MASTER", REST, id="lagged")
    sim.set_rest_lag("MASTER", 60)
    sim.fill("MASTER", receipt.txids[0], "0.1")
    assert not changed(events, OrderState.CLOSED).is_final
    for _ in range(3):
        assert engine.open_orders("MASTER", timeout=PATIENCE) == ()
        assert engine.order("MASTER", "lagged").state is OrderState.CLOSED
    assert engine.open_orders("MASTER", timeout=PATIENCE, all=True) == ()
    sim.set_rest_lag("MASTER", 0)
    assert changed(events, OrderState.CLOSED, final=True).filled == Decimal("0.1")
    assert len(fills(events)) == 1


def test_a_cancel_that_the_stream_tells_of_is_settled_by_the_lists(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    receipt = engine.place("MASTER", REST, id="canceled")
    calls = len(sim.calls)
    engine.call("MASTER", "CancelOrder", {"txid": receipt.txids[0]})
    assert changed(events, OrderState.CANCELED, final=True).filled == 0
    assert {call.endpoint for call in sim.calls[calls:]} & {"QueryOrders", "OpenOrders"}


def test_absent_is_never_said_by_the_stream(sim: Simulator, tmp_path: Path) -> None:
    """An order whose reply and frames are lost stays unknown, whatever snapshots do not have it."""
    settings = pushing(sim, order_deadline=30.0, settle_margin=PATIENCE)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, live=True) as engine:
        until_live(engine)
        block_lists(sim)
        sim.fault(Fault.reset(endpoint="AddOrder", times=1))
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", REST, id="nowhere", timeout=0.5)
        before = len(sim.streams.state.upgrades)
        sim.streams.close(1001)
        until(lambda: len(sim.streams.state.upgrades) > before)
        until_live(engine)
        assert engine.order("MASTER", "nowhere").state is OrderState.UNKNOWN
        sim.clear_faults()


def test_orders_of_others_are_listed_at_once(sim: Simulator, engine: Engine) -> None:
    sim.set_listing_lag(60)
    sim.add_open_order("MASTER", "OTHERS-ORDER-NAMED", cl_ord_id="somebody")
    until(lambda: engine.open_orders("MASTER", timeout=PATIENCE, all=True))
    (other,) = engine.open_orders("MASTER", timeout=PATIENCE, all=True)
    assert (other.txid, other.is_ours, other.cl_ord_id) == ("OTHERS-ORDER-NAMED", False, "somebody")
    assert (other.pair, other.side, other.volume, other.price) == ("BTC/USD", "buy", Decimal("0.0001"), 1)
    engine.call("MASTER", "CancelOrder", {"txid": "OTHERS-ORDER-NAMED"})
    until(lambda: engine.open_orders("MASTER", timeout=PATIENCE, all=True) == ())


def test_a_reconnect_has_open_orders_looked_at_once(sim: Simulator, engine: Engine, events: Events) -> None:
    receipt = engine.place("MASTER", REST, id="missed")
    sim.streams.state.refused = 503
    sim.streams.close(1001)
    until(lambda: not sim.streams.open)
    sim.fill("MASTER", receipt.txids[0], "0.1")
    sim.streams.state.clear()
    assert changed(events, OrderState.CLOSED, final=True).filled == Decimal("0.1")


def test_a_list_that_lags_does_not_open_a_canceled_order_again(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    engine.place("MASTER", REST, id="gone")
    sim.set_rest_lag("MASTER", 60)
    assert engine.cancel("MASTER", "gone", timeout=1.0).state is OrderState.CANCELED
    for _ in range(3):
        assert engine.open_orders("MASTER", timeout=PATIENCE) == ()
        assert engine.order("MASTER", "gone").state is OrderState.CANCELED
    sim.set_rest_lag("MASTER", 0)
    assert changed(events, OrderState.CANCELED, final=True).filled == 0
