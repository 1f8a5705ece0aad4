"""An order that came late and was canceled is in no list for a moment: that is not absence (promise G9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.actors.order.messages import AllCanceled, CancelAllCame, CancelAllComes, CancelPlacement, KeyReplaced
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from tests.machines.order_world import World

LAG = 2.8  # seconds after which the list of closed orders has one that ended
ABSENT_AFTER = 45.0  # seconds: the deadline and the margin are over


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def use_key(world: World, key: str) -> None:
    world.key = key
    world.ask(KeyReplaced("MASTER"))


def late(world: World) -> Placement:
    """The answer of the placement is lost, and its order arrives when nobody can look."""
    plan = world.plan("x", "XBTUSD", "1000", "0.5")
    world.fates.append((lambda endpoint: endpoint == "AddOrder", "late"))
    world.place(plan)
    world.advance(0.0)
    use_key(world, "OTHER")
    return plan


def row(world: World) -> Placement:
    found = world.actor._journal.find("MASTER", "x")
    assert found is not None
    return found


def test_an_order_canceled_by_a_call_whose_answer_is_lost_is_not_absent(world: World) -> None:
    plan = late(world)
    world.advance(ABSENT_AFTER)
    (txid,) = world.live()
    world.exchange.market.closing_lag = LAG
    world.fates.append((lambda endpoint: endpoint == "CancelOrder", "unheard"))
    use_key(world, "MASTER")
    world.ask(CancelPlacement(plan.cl_ord_id, 5.0))
    world.advance(60.0)
    assert not world.fates
    assert (row(world).state, row(world).txids, row(world).is_final) == (OrderState.CANCELED, (txid,), True)


@pytest.mark.parametrize("way", ["cancel_all", "call"])
def test_an_order_canceled_with_all_others_is_not_absent(world: World, way: str) -> None:
    late(world)
    world.advance(ABSENT_AFTER)
    (txid,) = world.live()
    world.exchange.market.closing_lag = LAG
    names = world.ask(CancelAllComes("MASTER")) if way == "cancel_all" else ()
    world.execute("MASTER", "CancelAll", {})
    if way == "cancel_all":
        world.ask(CancelAllCame("MASTER", names, None, 5.0))
    else:
        world.ask(AllCanceled("MASTER", world.clock.wall()))
    use_key(world, "MASTER")
    world.advance(60.0)
    assert (row(world).state, row(world).txids, row(world).is_final) == (OrderState.CANCELED, (txid,), True)
