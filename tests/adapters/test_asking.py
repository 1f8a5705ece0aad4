"""The same steps in a thread and on an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.adapters.asking import Steps, ask, run, run_async


class Answers:
    """An engine that answers, refuses, and waits."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def twice(self, number: int, *, plus: int = 0) -> int:
        if number < 0:
            raise ValueError("too small")
        return 2 * number + plus

    @property
    def aio(self) -> Any:
        return self

    async def never(self) -> None:
        self.asked.set()
        await asyncio.Event().wait()


class Coroutines:
    """Its asyncio view."""

    def __init__(self, engine: Answers) -> None:
        self.aio = self
        self._engine = engine

    async def twice(self, number: int, *, plus: int = 0) -> int:
        return self._engine.twice(number, plus=plus)


def steps(number: int) -> Steps[list[Any]]:
    told: list[Any] = [(yield from ask("twice", number, plus=1))]
    try:
        yield from ask("twice", -1)
    except ValueError as error:
        told.append(str(error))
    return told


def test_steps_get_answers_and_errors_and_return_a_result() -> None:
    assert run(Answers(), steps(3)) == [7, "too small"]
    assert asyncio.run(run_async(Coroutines(Answers()), steps(3))) == [7, "too small"]


def test_what_the_steps_do_not_handle_is_raised() -> None:
    with pytest.raises(ValueError, match="too small"):
        run(Answers(), ask("twice", -2))


def test_a_cancelled_task_is_seen_by_the_steps() -> None:
    seen: list[type[BaseException]] = []

    def waits() -> Steps[None]:
        try:
            yield from ask("never")
        except BaseException as error:
            seen.append(type(error))
            raise

    async def main() -> None:
        engine = Answers()
        task = asyncio.create_task(run_async(engine, waits()))
        await engine.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == [asyncio.CancelledError]
