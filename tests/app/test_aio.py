"""`Engine.aio`: the engine from an event loop, which goes on whatever Kraken does (promises G5, G9)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Order, OrderChanged, OrderState, Settings
from engine.app.aio import EVENTS_AT_MOST, AsyncVerbs, _Inbox
from engine.app.call_threads import AT_ONCE
from engine.errors import InsufficientFunds, UnknownName
from engine.simulator import Fault, Simulator
from tests.stopwatch import PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
PACE = Settings(tier="pro", local_limits=False)


def run(doing: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(doing, 4 * PATIENCE))


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Any:
    sim.set_balance("MASTER", {"ZUSD": "10000"})
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE, live=True) as engine:
        yield engine


def test_every_method_returns_and_raises_what_the_engine_does(engine: Engine) -> None:
    async def bot() -> None:
        aio = engine.aio
        assert (await aio.balance("MASTER", max_age=0, timeout=PATIENCE)).cash == 10000
        assert "eb" in await aio.call("MASTER", "TradeBalance", {"asset": "ZUSD"})
        assert "unixtime" in await aio.public("Time")
        receipt = await aio.place("MASTER", ORDER, id="one")
        assert [each.id for each in await aio.open_orders("MASTER")] == ["one"]
        assert (await aio.cancel("MASTER", receipt)).state is OrderState.CANCELED
        assert await aio.cancel_all("MASTER") == 0
        assert (await aio.gates("MASTER")).account == "MASTER"
        with pytest.raises(UnknownName):
            await aio.balance("NOBODY")
        with pytest.raises(InsufficientFunds):
            await aio.place("MASTER", Order("XBTUSD", "buy", "limit", "5", "60000"))

    run(bot())


def test_g9_cancelling_the_task_ends_the_waiting_and_not_the_placement(sim: Simulator, engine: Engine) -> None:
    hang = sim.fault(Fault.hang(endpoint="AddOrder", executed=True))
    changed = threading.Event()
    engine.subscribe(lambda event: changed.set() if isinstance(event, OrderChanged) and event.receipt.txids else None)

    async def bot() -> None:
        task = asyncio.create_task(engine.aio.place("MASTER", ORDER, id="kept"))
        await asyncio.to_thread(sim.wait_for_calls, 1, endpoint="AddOrder", ended=False, timeout=PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(bot())
    hang.remove()
    assert changed.wait(PATIENCE)
    assert engine.order("MASTER", "kept").txids == tuple(each.txid for each in sim.placements("MASTER"))


def test_the_loop_goes_on_while_the_exchange_hangs(sim: Simulator, engine: Engine) -> None:
    sim.fault(Fault.hang())

    async def bot() -> int:
        asked = asyncio.create_task(engine.aio.balance("MASTER", max_age=0, timeout=0.3))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert run(bot()) > 100


def test_more_calls_than_threads_all_end() -> None:
    """Beyond the bound they wait for a thread; none is lost, and none of the threads is left."""
    released, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    class Slow:
        def call(self, account: str, endpoint: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            assert released.wait(PATIENCE)
            with lock:
                running -= 1
            return endpoint

    async def bot() -> list[str]:
        aio = AsyncVerbs(Slow())  # type: ignore[arg-type]
        calls = [asyncio.create_task(aio.call("A", str(number))) for number in range(AT_ONCE + 50)]
        while running < AT_ONCE:
            await asyncio.sleep(0)
        released.set()
        return list(await asyncio.gather(*calls))

    assert run(bot()) == [str(number) for number in range(AT_ONCE + 50)]
    assert most == AT_ONCE
    ours = [thread for thread in threading.enumerate() if thread.name == "kraken-engine aio"]
    for thread in ours:
        thread.join(PATIENCE)
    assert not [thread for thread in ours if thread.is_alive()]


def test_events_come_in_order_and_end_with_the_engine(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE, live=True)

    async def bot() -> list[Any]:
        seen = []
        listening = engine.aio.events()
        first = asyncio.ensure_future(anext(listening))  # it may begin before the engine has started
        await asyncio.sleep(0)
        await asyncio.to_thread(engine.start)
        seen.append(await first)
        await engine.aio.place("MASTER", ORDER)
        await asyncio.to_thread(engine.stop)
        seen += [event async for event in listening]
        return seen

    sim.set_balance("MASTER", {"ZUSD": "10000"})
    states = [each.receipt.state for each in run(bot()) if isinstance(each, OrderChanged)]
    assert states[-1] is OrderState.PLACED
    assert engine._subscribers == []


def test_a_loop_that_does_not_keep_up_is_told_so_once() -> None:
    async def bot() -> list[Any]:
        inbox = _Inbox(asyncio.get_running_loop())
        for number in range(EVENTS_AT_MOST + 10):
            inbox._put(number)
        return list(inbox.events)

    events = run(bot())
    assert events[:EVENTS_AT_MOST] == list(range(EVENTS_AT_MOST))
    assert [each.code for each in events[EVENTS_AT_MOST:]] == ["events-dropped"]


def test_a_call_that_hangs_does_not_keep_the_process_from_its_end(sim: Simulator, tmp_path: Path) -> None:
    """Its thread is a daemon: Python's own pool would wait for it before anybody can stop the engine."""
    sim.fault(Fault.hang(endpoint="TradeBalance"))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:

        async def bot() -> None:
            task = asyncio.create_task(engine.aio.call("MASTER", "TradeBalance", timeout=60))
            await asyncio.to_thread(sim.wait_for_calls, 1, endpoint="TradeBalance", ended=False, timeout=PATIENCE)
            task.cancel()

        began = time.monotonic()
        run(bot())
        assert all(each.daemon for each in threading.enumerate() if each.name == "kraken-engine aio")
    assert time.monotonic() - began < 4 * PATIENCE
