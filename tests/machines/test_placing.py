"""How a placement is written down and told, when the disk takes it and when it does not (promise G9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.actors.events import OrderChanged
from engine.errors import CallNotSent
from engine.rules.order.states import OrderState
from tests.machines.order_world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def told(world: World) -> list[OrderState]:
    return [event.receipt.state for event in world.events if isinstance(event, OrderChanged)]


def test_a_placement_that_cannot_be_written_is_neither_told_nor_sent_and_may_be_tried_again(world: World) -> None:
    world.is_owned = False
    with pytest.raises(CallNotSent, match="could not be written down"):
        world.place(world.plan("x", "XBTUSD", "1500", "0.5"))
    world.is_owned = True
    world.advance(3.0)
    assert (world.orders(), told(world)) == ({}, [])
    world.place(world.plan("x", "XBTUSD", "1500", "0.5"))
    world.advance(3.0)
    assert len(world.orders()) == 1
    assert told(world) == [OrderState.PLANNED, OrderState.PLACED]


def test_a_placement_that_cannot_be_written_in_its_turn_may_be_tried_again(world: World) -> None:
    world.place(world.plan("x", "XBTUSD", "1500", "0.5"))
    world.is_owned = False
    world.advance(3.0)
    world.is_owned = True
    world.advance(30.0)
    assert (world.orders(), told(world)) == ({}, [OrderState.PLANNED, OrderState.NOT_PLACED])
    world.place(world.plan("x", "XBTUSD", "1500", "0.5"))
    world.advance(3.0)
    assert len(world.orders()) == 1
