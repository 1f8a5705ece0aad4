"""Whoever keeps a journal hears of each call that may change something, before it goes out and after (promise G9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import KrakenPrivateActor, PrivateCall
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallError, CallNotSent, CallUnknown, InsufficientFunds
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}


class Keeper:
    """Writes down what it is told; `refuses` is what it raises instead of letting a call out."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, Any, type[CallError] | None]] = []
        self.refuses: Exception | None = None

    def going(self, call: PrivateCall) -> None:
        self.heard.append(("going", call.endpoint, None, None))
        if self.refuses is not None:
            raise self.refuses

    def told(self, call: PrivateCall, result: Any, error: CallError | None) -> None:
        self.heard.append(("told", call.endpoint, result, None if error is None else type(error)))


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def private(sim: Simulator, tmp_path: Path, keeper: Keeper) -> Iterator[pykka.ActorRef[Any]]:
    ref = KrakenPrivateActor.start(
        sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True, going=keeper.going, told=keeper.told
    )
    yield ref
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)


def test_what_is_done_is_told_with_its_result(private: pykka.ActorRef[Any], keeper: Keeper) -> None:
    result = private.ask(PrivateCall("MASTER", "AddOrder", ORDER))
    assert keeper.heard == [("going", "AddOrder", None, None), ("told", "AddOrder", result, None)]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.http(502, executed=True, endpoint="AddOrder"), CallUnknown),
        (Fault.error("EOrder:Insufficient funds", endpoint="AddOrder"), InsufficientFunds),
    ],
)
def test_what_is_not_known_to_be_done_is_told_with_its_error(
    sim: Simulator, private: pykka.ActorRef[Any], keeper: Keeper, fault: Fault, error: type[CallError]
) -> None:
    sim.fault(fault)
    with pytest.raises(error) as raised:
        private.ask(PrivateCall("MASTER", "AddOrder", ORDER))
    assert keeper.heard[0][:2] == ("going", "AddOrder")
    assert keeper.heard[1:] == [("told", "AddOrder", None, raised.type)]


@pytest.mark.parametrize("refuses", [CallNotSent("It cannot be written down."), MemoryError()])
def test_a_call_that_must_not_go_out_is_not_sent(
    sim: Simulator, private: pykka.ActorRef[Any], keeper: Keeper, refuses: Exception
) -> None:
    keeper.refuses = refuses
    with pytest.raises(CallNotSent):
        private.ask(PrivateCall("MASTER", "AddOrder", ORDER))
    assert not any(call.endpoint == "AddOrder" for call in sim.calls)
    assert [each[0] for each in keeper.heard] == ["going", "told"]


def test_of_what_changes_nothing_nobody_hears(private: pykka.ActorRef[Any], keeper: Keeper) -> None:
    private.ask(PrivateCall("MASTER", "Balance"))
    private.ask(PrivateCall("MASTER", "AddOrder", {**ORDER, "validate": True}))
    assert keeper.heard == []
