"""Reads of several clients: equal ones that wait share one call, and every client has the same share of the lane."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from engine.actors.lane.messages import CallDone, PrivateCall
from engine.errors import CounterFull, DeadlinePassed, EngineError, EngineStopped, LaneElsewhere
from engine.web.gateway.calls import Calls, Ended, RepeatedCall
from engine.web.gateway.reads import SETTLE, Asked, FairReads
from engine.web.gateway.turns import Turns
from tests.stopwatch import PATIENCE


class Attempt(RepeatedCall):
    """One attempt, and no other one whatever comes of it."""

    def begin(self) -> None:
        self._attempt = Future()


class Lane(Calls):
    """Takes the place of an engine: calls are made one after the other, each as soon as the test lets it."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Mapping[str, Any]]] = []
        self.attempts: list[Future[Any]] = []
        self.going = asyncio.Event()
        self.error: EngineError | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def begin(
        self, account: str, name: str, params: Mapping[str, Any], deadline: float, ended: Ended,
        endpoint_class: str | None = None,
    ) -> RepeatedCall:  # fmt: skip
        engine: Any = None
        call = Attempt(engine, account, name, params, deadline, ended, endpoint_class)
        call.begin()
        assert call._attempt is not None
        self.attempts.append(call._attempt)
        self.tasks.append(asyncio.ensure_future(self._make(call._attempt, PrivateCall(account, name, params), ended)))
        return call

    async def _make(self, attempt: Future[Any], call: PrivateCall, ended: Ended) -> None:
        await self.going.wait()
        if not attempt.running():
            attempt.set_running_or_notify_cancel()
        await asyncio.sleep(0)
        self.made.append((call.endpoint, call.params))
        attempt.set_result(None)
        ended(CallDone(call, len(self.made)) if self.error is None else self.error)


def asked(number: int = 0, account: str = "MASTER") -> Asked:
    return Asked(account, "Balance", {"number": number} if number else {})


def later() -> float:
    return time.monotonic() + PATIENCE


async def settled() -> None:
    """Let everything run that can run."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE))


def test_equal_reads_that_wait_share_one_call() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        waiting = [asyncio.ensure_future(reads.read(f"client {each}", asked(), later())) for each in range(6)]
        await settled()
        lane.going.set()
        answers = {id(await each) for each in waiting}
        assert (len(answers), len(lane.made), reads.shared) == (1, 1, 5)

    run(test())


def test_a_read_joins_none_that_was_sent_before_it_came() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        first = asyncio.ensure_future(reads.read("a", asked(), later()))
        await settled()
        lane.attempts[0].set_running_or_notify_cancel()
        second = asyncio.ensure_future(reads.read("b", asked(), later()))
        await settled()
        lane.going.set()
        assert ((await first).result, (await second).result) == (1, 2)

    run(test())


def test_clients_take_turns_however_many_reads_each_has_waiting() -> None:
    async def test() -> None:
        lane, order = Lane(), list[str]()
        reads = FairReads(lane)
        numbers = itertools.count(1)

        async def read(client: str) -> None:
            await reads.read(client, asked(next(numbers)), later())
            order.append(client)

        busy = [asyncio.ensure_future(read("busy")) for _ in range(20)]
        await settled()
        quiet = [asyncio.ensure_future(read("quiet")) for _ in range(3)]
        await settled()
        lane.going.set()
        await asyncio.gather(*busy, *quiet)
        assert order[:7] == ["busy", "busy", "quiet", "busy", "quiet", "busy", "quiet"]

    run(test())


def test_accounts_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        waiting = [asyncio.ensure_future(reads.read("a", asked(account=each), later())) for each in ("MASTER", "ALICE")]
        await settled()
        assert len(lane.attempts) == 2
        lane.going.set()
        await asyncio.gather(*waiting)

    run(test())


def test_a_look_for_an_order_does_not_wait_for_other_reads() -> None:
    """G4: in the lane it goes before them, and one that hangs gives way to it."""
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        looks = (Asked("MASTER", "OpenOrders", {}, SETTLE), Asked("MASTER", "QueryOrders", {"txid": "O"}))
        waiting = [asyncio.ensure_future(reads.read("a", each, later())) for each in (asked(1), asked(2), *looks)]
        await settled()
        assert len(lane.attempts) == 3, "the first read, and both looks"
        lane.going.set()
        await asyncio.gather(*waiting)

    run(test())


def test_a_client_that_goes_takes_nothing_from_one_that_stays() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        gone = asyncio.ensure_future(reads.read("gone", asked(), later()))
        stays = asyncio.ensure_future(reads.read("stays", asked(), later()))
        await settled()
        gone.cancel()
        await settled()
        lane.going.set()
        assert (await stays).result == 1
        assert gone.cancelled()

    run(test())


def test_one_with_more_time_than_the_one_it_joined_asks_again() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        first = asyncio.ensure_future(reads.read("a", asked(), later()))
        second = asyncio.ensure_future(reads.read("b", asked(), later()))
        await settled()
        lane.error = CounterFull("full")
        lane.going.set()
        with pytest.raises(CounterFull):
            await first
        with pytest.raises(CounterFull):
            await second
        assert len(lane.made) == 2

    run(test())


def test_a_read_whose_turn_never_comes_is_not_sent() -> None:
    async def test() -> None:
        lane = Lane()
        reads = FairReads(lane)
        first = asyncio.ensure_future(reads.read("a", asked(1), later()))
        await settled()
        with pytest.raises(DeadlinePassed):
            await reads.read("b", asked(2), time.monotonic() - 1.0)
        lane.error = EngineStopped("stopped")
        lane.going.set()
        with pytest.raises(EngineStopped):
            await first
        assert [params for _, params in lane.made] == [{"number": 1}]

    run(test())


def test_each_client_has_one_order_under_way() -> None:
    async def test() -> None:
        turns, log = Turns(), list[str]()
        goes_on = asyncio.Event()

        async def place(client: str) -> None:
            async with turns.turn(client, later()):
                log.append(client)
                await goes_on.wait()

        tasks = [asyncio.ensure_future(place(client)) for client in ("a", "a", "b")]
        await settled()
        assert log == ["a", "b"]
        with pytest.raises(DeadlinePassed):
            async with turns.turn("a", time.monotonic() - 1.0):
                pass
        goes_on.set()
        await asyncio.gather(*tasks)
        assert log == ["a", "b", "a"]

    run(test())


def test_a_read_of_a_lane_that_no_node_has_ends_at_once() -> None:
    async def run() -> None:
        lane = Lane()
        lane.error = LaneElsewhere("Account MASTER is in lane one, which no node has now.", "one")
        lane.going.set()
        with pytest.raises(LaneElsewhere):
            await asyncio.wait_for(FairReads(lane).read("a", asked(), later()), PATIENCE / 2)

    asyncio.run(run())
