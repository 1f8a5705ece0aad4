"""Faults of the WebSocket, typed while `simulate` runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.cli.simulator_console import SimulatorConsole
from engine.simulator import Simulator, StreamFault


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(["MASTER"]) as simulator:
        yield simulator


@pytest.mark.parametrize("fault", StreamFault)
def test_each_fault_can_be_typed(sim: Simulator, fault: StreamFault) -> None:
    word = fault.value.replace(" ", "-")
    assert SimulatorConsole(sim).do(f"push {word} MASTER") == f"Fault of the WebSocket: {word}."
    assert sim.streams.state.holds(fault, "MASTER")
    assert SimulatorConsole(sim).do("clear") == "All is well again."
    assert not sim.streams.state.holds(fault, "MASTER")


@pytest.mark.parametrize(("line", "said"), [
    ("push 403", "Upgrades are refused with HTTP 403: type clear to end it."),
    ("push 1001", "0 sockets are closed with 1001."),
    ("lag MASTER 60", "REST tells MASTER what was 60 s ago."),
    ("lag NOBODY 60", "That cannot be done: there is no account NOBODY."),
    ("push", "push takes a word and perhaps an account: type help."),
    ("push weather", "That cannot be done: 'weather' is not a valid StreamFault."),
    ("push 1001 NOBODY", "0 sockets are closed with 1001."),
])  # fmt: skip
def test_what_it_answers(sim: Simulator, line: str, said: str) -> None:
    assert SimulatorConsole(sim).do(line).rstrip(".") == said.rstrip(".")
