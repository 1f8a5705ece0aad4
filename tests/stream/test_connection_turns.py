"""Whose turn it is to connect when the machine has few attempts left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.rules.stream.connections import MOST
from engine.stream.budget import ConnectionBudget
from engine.stream.connection_turns import PRICES, ConnectionTurns


@pytest.mark.parametrize(("left", "first"), [(1, ["ORDERS"]), (2, ["ORDERS", PRICES]), (3, ["ORDERS", PRICES, "A"])])
def test_orders_come_first_then_prices_then_the_others(tmp_path: Path, left: int, first: list[str]) -> None:
    budget = ConnectionBudget("ws://127.0.0.1:1/v2", tmp_path / "budget")
    for _ in range(MOST - left):
        assert budget.take()
    went: list[str] = []

    async def connect(turns: ConnectionTurns, name: str) -> None:
        async with turns.turn(name):
            assert budget.take()
            went.append(name)

    async def run() -> None:
        turns = ConnectionTurns(budget, lambda: {"ORDERS"} - set(went))
        tasks = [asyncio.create_task(connect(turns, name)) for name in ("A", "B", PRICES, "ORDERS")]
        while len(went) < left:
            await asyncio.sleep(0)
        turns.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    assert went == first
