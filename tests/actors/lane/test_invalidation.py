"""Which calls make a balance old: those that have changed, or may have changed, what the account holds (promise G6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import KrakenPrivateActor, PrivateCall
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallError, CallRefused, CallUnknown, ConnectFailed
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
LOST = [
    Fault.http(502, executed=True, endpoint="AddOrder"), Fault.http(502, endpoint="AddOrder"),
    Fault.reset(executed=True, endpoint="AddOrder"), Fault.error("EService:Unavailable", endpoint="AddOrder"),
]  # fmt: skip


@pytest.fixture
def invalidated() -> list[str]:
    return []


@pytest.fixture
def private(sim: Simulator, tmp_path: Path, invalidated: list[str]) -> Iterator[pykka.ActorRef[Any]]:
    ref = KrakenPrivateActor.start(
        sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True, invalidate=invalidated.append
    )
    yield ref
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)


@pytest.mark.parametrize("fault", LOST)
def test_a_write_that_may_have_been_executed_makes_the_balance_old(
    sim: Simulator, private: pykka.ActorRef[Any], invalidated: list[str], fault: Fault
) -> None:
    """Also when it was not: nobody knows that yet. The caller is answered after that."""
    sim.fault(fault)
    with pytest.raises(CallUnknown):
        private.ask(PrivateCall("MASTER", "AddOrder", ORDER))
    assert invalidated == ["MASTER"]


def test_a_write_that_was_done_makes_the_balance_old(private: pykka.ActorRef[Any], invalidated: list[str]) -> None:
    private.ask(PrivateCall("ALICE", "AddOrder", ORDER))
    assert invalidated == ["ALICE"]


def test_what_cannot_have_changed_anything_leaves_the_balance_as_it_is(
    sim: Simulator, private: pykka.ActorRef[Any], invalidated: list[str]
) -> None:
    private.ask(PrivateCall("MASTER", "Balance"))
    private.ask(PrivateCall("MASTER", "AddOrder", {**ORDER, "validate": True}))
    ways: list[tuple[Fault, str, type[CallError]]] = [
        (Fault.error("EOrder:Insufficient funds", endpoint="AddOrder", times=1), "AddOrder", CallRefused),
        (Fault.http(502, endpoint="Balance", times=1), "Balance", CallUnknown),
    ]
    for fault, endpoint, error in ways:
        sim.fault(fault)
        with pytest.raises(error):
            private.ask(PrivateCall("MASTER", endpoint, ORDER if endpoint == "AddOrder" else {}))
    with sim.outage(), pytest.raises(ConnectFailed):
        private.ask(PrivateCall("MASTER", "AddOrder", ORDER))
    assert invalidated == []
