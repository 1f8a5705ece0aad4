"""When an id may be used for another try, and when it is used up (promise G9)."""

from __future__ import annotations

import pytest

from engine import CallNotSent, Engine, OrderState
from engine.simulator import Simulator
from tests.app.test_place import RESTS, live, sent

__all__ = ["live"]  # a fixture


def test_a_cancel_that_comes_after_a_try_that_was_not_sent_uses_up_its_id(sim: Simulator, live: Engine) -> None:
    """Whoever wants the order canceled does not want it placed by a late repetition."""
    live.place("MASTER", RESTS)  # so that nothing has to be asked any more
    with sim.outage(), pytest.raises(CallNotSent):
        live.place("MASTER", RESTS, id="x")
    assert live.cancel("MASTER", "x").state is OrderState.NOT_PLACED
    with pytest.raises(CallNotSent):
        live.place("MASTER", RESTS, id="x")
    assert sent(sim) == 1
    assert live.place("MASTER", RESTS, id="y").state is OrderState.PLACED
