"""What is done for a client ends when the client disconnects, and with it nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from engine.web.gateway.client_watch import ClientWatch


class Client:
    """A client of whom the server hears nothing until it goes."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def request(self) -> Request:
        return Request({"type": "http", "headers": []}, self.receive)


async def until_cancelled(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("inner")


def test_a_client_that_goes_ends_what_is_awaited_and_the_task_goes_on() -> None:
    async def test() -> list[str]:
        client, ended = Client(), list[str]()
        asyncio.get_running_loop().call_later(0.1, client.gone.set)
        with ClientWatch(client.request()):
            await until_cancelled(ended)
        task: Any = asyncio.current_task()
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        return [*ended, "behind"]

    assert asyncio.run(test()) == ["inner", "behind"]


def test_a_client_that_stays_gets_its_answer_and_nobody_watches_any_more() -> None:
    async def test() -> int:
        client = Client()
        with ClientWatch(client.request()):
            found = await asyncio.sleep(0.1, 7)
        client.gone.set()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    assert asyncio.run(test()) == 7


def test_who_else_cancels_the_task_is_heard() -> None:
    async def work(client: Client) -> None:
        with ClientWatch(client.request()):
            await asyncio.Event().wait()

    async def test() -> None:
        task = asyncio.ensure_future(work(Client()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(test())


def test_an_error_inside_is_the_caller_s() -> None:
    async def test() -> None:
        with ClientWatch(Client().request()):
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(test())
