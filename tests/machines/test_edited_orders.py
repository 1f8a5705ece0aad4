"""The order that an edit has put in the stead of a placement's is followed, whatever else happens meanwhile (G9)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from engine.actors.events import OrderChanged
from engine.actors.lane.messages import PrivateCall
from engine.actors.order.messages import CancelAllCame, CancelAllComes, CancelPlacement, EditComes, StreamTold
from engine.errors import CallNotSent
from engine.kraken.stream import Execution
from engine.rules.order.order import OrderReceipt
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from tests.machines.order_world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def place(world: World, name: str, fate: str = "good") -> Placement:
    plan = world.plan(name, "XBTUSD", "1000", "0.5")
    world.fates.append((lambda endpoint: endpoint == "AddOrder", fate))
    world.place(plan)
    world.advance(0.1)
    return plan


def row(world: World, name: str) -> Placement:
    found = world.actor._journal.find("MASTER", name)
    assert found is not None
    return found


def the_open_one(world: World) -> str:
    (txid,) = world.live()
    return txid


def fill(world: World, volume: str) -> None:
    txid = the_open_one(world)
    with world.exchange.customer("MASTER") as customer:
        customer.book.fill(txid, Decimal(volume))


def asked(world: World) -> dict[str, Any]:
    return {"txid": the_open_one(world), "pair": "XBTUSD", "price": "1100.5"}


def verdicts(world: World) -> list[OrderReceipt]:
    """What was told that is final, in that order."""
    return [each.receipt for each in world.events if isinstance(each, OrderChanged) and each.receipt.is_final]


def edited(world: World, way: str) -> None:
    """The order is edited: on Kraken's page, or here, and the answer of that is lost."""
    if way == "page":
        world.execute("MASTER", "EditOrder", asked(world))
        return
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "unheard")]
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(0.06)


def edited_elsewhere(world: World) -> None:
    """The order is edited on Kraken's page, and seen canceled while the new one is in no list yet."""
    world.exchange.market.listing_lag = 2.5
    world.execute("MASTER", "EditOrder", asked(world))
    world.advance(2.2)
    assert row(world, "x").state is OrderState.PLACED, "not over by the first look"


@pytest.mark.parametrize("fate", ["lost", "full"])
def test_that_nothing_replaced_an_order_is_told_with_a_list_of_the_open_ones_only(world: World, fate: str) -> None:
    place(world, "x")
    world.advance(3.0)
    edited_elsewhere(world)
    world.fates += [(lambda endpoint: endpoint == "OpenOrders", fate)] * 3
    world.advance(30.0)
    assert not world.fates
    assert row(world, "x").state is OrderState.PLACED
    assert row(world, "x").txids == (the_open_one(world),)


def test_a_cancel_of_an_order_that_was_replaced_meanwhile_is_one_of_the_new_order(world: World) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    edited_elsewhere(world)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(30.0)
    assert not world.live()
    assert row(world, "x").state is OrderState.CANCELED
    assert len(row(world, "x").former) == 1


@pytest.mark.parametrize("fate", ["good", "unheard"])
def test_an_edit_here_of_an_order_that_is_still_looked_up_is_remembered(world: World, fate: str) -> None:
    """The cancel goes by the name that the order had, and the new one has none."""
    plan = place(world, "x", "unheard")
    assert row(world, "x").state is OrderState.UNKNOWN
    world.fates += [(lambda endpoint: endpoint == "EditOrder", fate)]
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(0.06)
    assert row(world, "x").state is OrderState.UNKNOWN
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.live()
    assert row(world, "x").state is OrderState.CANCELED


def test_an_order_without_a_name_that_another_placement_has_is_no_doubt(world: World) -> None:
    """An edited order has no name. Traded, it is among those through which one of unknown outcome is looked for."""
    place(world, "x")
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(1.0)
    with world.exchange.customer("MASTER") as customer:
        customer.book.fill(row(world, "x").txids[0], Decimal("0.2"))
    place(world, "y", "lost")
    world.advance(120.0)
    assert row(world, "y").state is OrderState.NOT_PLACED


def restarts(world: World, how: str) -> None:
    if how != "runs on":
        world.restart(crash=how == "is killed")


PROCESS = pytest.mark.parametrize("how", ["runs on", "is restarted", "is killed"])


@PROCESS
def test_an_edit_whose_answer_is_lost_is_remembered(world: World, how: str) -> None:
    """What replaced the order is in no list that could be read before the cancel comes."""
    plan = place(world, "x")
    world.advance(3.0)
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "unheard")]
    world.fates += [(lambda endpoint: endpoint == "QueryOrders", "full")] * 3
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(0.1)
    restarts(world, how)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.live()
    assert row(world, "x").is_final
    assert len(row(world, "x").former) == 1


@PROCESS
def test_an_edit_that_was_under_way_when_the_process_ended_is_remembered(world: World, how: str) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    txid = the_open_one(world)
    world.ask(EditComes("MASTER", txid))
    world.execute("MASTER", "EditOrder", asked(world))
    restarts(world, how)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.live()
    assert set(row(world, "x").former) == {txid}


@PROCESS
def test_an_edit_of_an_order_that_is_still_looked_up_is_remembered(world: World, how: str) -> None:
    plan = place(world, "x", "unheard")
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "unheard")]
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(0.06)
    restarts(world, how)
    assert row(world, "x").state is OrderState.UNKNOWN
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(120.0)
    assert not world.live()
    assert row(world, "x").is_final
    assert {each.txids for each in verdicts(world)} == {row(world, "x").txids}
    assert row(world, "x").former


@PROCESS
def test_a_cancel_of_what_was_replaced_elsewhere_is_remembered(world: World, how: str) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    edited_elsewhere(world)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    restarts(world, how)
    world.advance(60.0)
    assert not world.live()
    assert row(world, "x").is_final


@PROCESS
def test_an_edit_that_was_refused_replaces_nothing(world: World, how: str) -> None:
    """An order of somebody's that comes as ours is canceled is not taken for the edited one."""
    plan = place(world, "x")
    world.advance(3.0)
    txid = the_open_one(world)
    world.tell(PrivateCall("MASTER", "EditOrder", {**asked(world), "volume": "100000000"}))
    world.advance(0.1)
    assert the_open_one(world) == txid
    restarts(world, how)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    theirs = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.5", "price": "900"}
    (new,) = world.execute("MASTER", "AddOrder", theirs)["txid"]
    world.advance(60.0)
    assert world.live() == [new]
    assert row(world, "x").txids == (txid,)
    assert row(world, "x").is_final


def test_an_edit_that_was_refused_does_not_hide_an_earlier_one_whose_answer_is_lost(world: World) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    before = asked(world)
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "unheard")]
    world.tell(PrivateCall("MASTER", "EditOrder", before))
    world.tell(PrivateCall("MASTER", "EditOrder", before))
    world.advance(0.2)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.live()
    assert len(row(world, "x").former) == 1


def test_an_edit_that_cannot_be_written_down_does_not_go_out(world: World) -> None:
    place(world, "x")
    world.advance(3.0)
    txid = the_open_one(world)
    world.is_owned = False
    with pytest.raises(CallNotSent, match="could not be written down"):
        world.ask(EditComes("MASTER", txid))


@pytest.mark.parametrize("way", ["unheard", "page"])
def test_the_new_order_is_found_that_is_over_when_it_is_first_looked_for(world: World, way: str) -> None:
    """It was filled before any list was read: what was filled is the placement's."""
    place(world, "x")
    world.advance(3.0)
    edited(world, way)
    fill(world, "0.5")
    world.advance(60.0)
    assert row(world, "x").state is OrderState.CLOSED
    assert row(world, "x").filled == Decimal("0.5")
    assert [each.filled for each in verdicts(world)] == [Decimal("0.5")]


@pytest.mark.parametrize("way", ["unheard", "page"])
@pytest.mark.parametrize("fate", ["lost", "busy"])
def test_an_order_that_may_be_edited_is_not_over_by_a_look_without_the_open_orders(
    world: World, way: str, fate: str
) -> None:
    """The list of open orders fails; the next call of that look says that the order is canceled."""
    place(world, "x")
    world.advance(3.0)
    edited(world, way)
    world.fates += [(lambda endpoint: endpoint == "OpenOrders", fate)]
    world.advance(30.0)
    assert not world.fates
    assert row(world, "x").state is OrderState.PLACED
    assert row(world, "x").txids == (the_open_one(world),)
    assert not verdicts(world)


def test_an_order_edited_here_is_not_over_while_no_list_has_the_new_one(world: World) -> None:
    place(world, "x")
    world.advance(3.0)
    world.exchange.market.listing_lag = 2.5
    edited(world, "unheard")
    world.advance(30.0)
    assert row(world, "x").txids == (the_open_one(world),)
    assert not verdicts(world)


def test_an_order_edited_elsewhere_is_not_over_while_no_list_has_the_new_one(world: World) -> None:
    """The first verdict is right: nobody is told that it is canceled, and then that it is not."""
    place(world, "x")
    world.advance(3.0)
    edited_elsewhere(world)
    world.advance(30.0)
    assert row(world, "x").txids == (the_open_one(world),)
    told = [each.receipt.state for each in world.events if isinstance(each, OrderChanged)]
    assert OrderState.CANCELED not in told
    assert not verdicts(world)


def test_an_order_canceled_elsewhere_is_over_by_the_second_look(world: World) -> None:
    place(world, "x")
    world.advance(3.0)
    fill(world, "0.2")
    world.execute("MASTER", "CancelOrder", {"txid": the_open_one(world)})
    world.advance(30.0)
    assert [(each.state, each.filled) for each in verdicts(world)] == [(OrderState.CANCELED, Decimal("0.2"))]


@pytest.mark.parametrize("by", ["txid", "cl_ord_id"])
def test_an_order_canceled_by_a_call_of_ours_is_over_by_the_first_look(world: World, by: str) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    named = the_open_one(world) if by == "txid" else str(UUID(plan.cl_ord_id))
    world.tell(PrivateCall("MASTER", "CancelOrder", {by: named}))
    world.advance(2.2)
    assert row(world, "x").state is OrderState.CANCELED


@pytest.mark.parametrize("how", ["is restarted", "is killed"])
def test_an_order_edited_elsewhere_is_followed_when_the_process_ends_between_two_looks(world: World, how: str) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    edited_elsewhere(world)
    restarts(world, how)
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.live(), "the cancel reaches the new order"
    assert row(world, "x").state is OrderState.CANCELED


def test_an_order_is_over_whose_lost_edit_was_never_carried_out(world: World) -> None:
    plan = place(world, "x")
    world.advance(3.0)
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "lost")]
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(1.0)
    over = world.settle(world.ask(CancelPlacement(plan.cl_ord_id, 30.0)))
    assert (over.state, over.is_final) == (OrderState.CANCELED, True)
    assert not world.live()


def test_a_cancel_reaches_the_new_order_also_when_the_stream_has_told_the_end_of_the_old_one(world: World) -> None:
    """The stream tells that an order of unknown outcome is canceled; the cancel comes before a list tells of an edit.
    """
    plan = place(world, "x", "unheard")
    old = the_open_one(world)
    world.exchange.market.listing_lag = 2.5
    world.execute("MASTER", "EditOrder", asked(world))
    world.ask(StreamTold("MASTER", (Execution(old, cl_ord_id=plan.cl_ord_id, exec_type="canceled"),), False))
    assert (row(world, "x").state, row(world, "x").is_final) == (OrderState.CANCELED, False)
    over = world.settle(world.ask(CancelPlacement(plan.cl_ord_id, 60.0)))
    assert not world.live()
    assert set(over.former) == {old}
    assert len(verdicts(world)) >= 1
    assert {each.txids for each in verdicts(world)} == {over.txids}


@pytest.mark.parametrize("closed", ["lost", "full"])
def test_a_cancel_of_an_order_edited_here_is_over_with_the_new_one(world: World, closed: str) -> None:
    """The new one is over as well when the first list is read, and that of the closed orders fails at first."""
    plan = place(world, "x")
    world.advance(3.0)
    edited(world, "unheard")
    fill(world, "0.2")
    world.execute("MASTER", "CancelOrder", {"txid": the_open_one(world)})
    world.fates += [(lambda endpoint: endpoint == "ClosedOrders", closed)] * 2
    over = world.settle(world.ask(CancelPlacement(plan.cl_ord_id, 60.0)))
    assert not world.fates
    assert (over.state, over.filled, len(over.former)) == (OrderState.CANCELED, Decimal("0.2"), 1)
    assert {each.filled for each in verdicts(world)} == {Decimal("0.2")}


def test_an_edited_order_that_all_were_canceled_with_is_found(world: World) -> None:
    """CancelAll has canceled what a lost edit had made, after it was filled in part."""
    place(world, "x")
    world.advance(3.0)
    world.fates += [(lambda endpoint: endpoint == "EditOrder", "unheard")]
    world.tell(PrivateCall("MASTER", "EditOrder", asked(world)))
    world.advance(0.06)
    fill(world, "0.2")
    names = world.ask(CancelAllComes("MASTER"))
    count = world.execute("MASTER", "CancelAll", {})["count"]
    world.ask(CancelAllCame("MASTER", names, count, 2.0))
    world.advance(60.0)
    assert row(world, "x").state is OrderState.CANCELED
    assert row(world, "x").filled == Decimal("0.2")
    assert {each.filled for each in verdicts(world)} == {Decimal("0.2")}


@pytest.mark.parametrize("fate", ["unheard", "good"])
def test_an_order_is_followed_that_was_edited_twice_before_a_look(world: World, fate: str) -> None:
    place(world, "x")
    world.advance(3.0)
    world.execute("MASTER", "EditOrder", asked(world))
    world.exchange.market.listing_lag = 0.0
    world.clock.now += 1.5
    world.fates += [(lambda endpoint: endpoint == "EditOrder", fate)]
    world.tell(PrivateCall("MASTER", "EditOrder", {**asked(world), "price": "1200.5"}))
    world.advance(60.0)
    assert row(world, "x").state is OrderState.PLACED
    assert row(world, "x").txids == (the_open_one(world),)
    assert len(row(world, "x").former) == 2
