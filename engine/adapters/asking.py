"""What is asked of an engine, told apart from how: the same steps run in a thread and on an event loop."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One method of the engine to call, with its arguments."""

    method: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


Steps = Generator[Ask, Any, T]
"""A generator that yields what it asks, is sent the answers, has errors raised inside, and returns a result."""


def ask(method: str, *args: Any, **options: Any) -> Steps[Any]:
    """The answer of one method; raises what it raises."""
    return (yield Ask(method, args, options))


def run(engine: Any, steps: Steps[T]) -> T:
    """Take the steps in this thread, with an `Engine` or a `RemoteEngine`."""
    reply: Callable[[], Ask] = partial(next, steps)
    while True:
        try:
            asked = reply()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            told = getattr(engine, asked.method)(*asked.args, **asked.options)
        except BaseException as error:  # noqa: BLE001 - the steps decide, also when the thread is interrupted
            reply = partial(steps.throw, error)
        else:
            reply = partial(steps.send, told)


async def run_async(engine: Any, steps: Steps[T]) -> T:
    """Take the steps on an event loop, which is never blocked; a cancelled task raises inside of the steps."""
    reply: Callable[[], Ask] = partial(next, steps)
    while True:
        try:
            asked = reply()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            told = await getattr(engine.aio, asked.method)(*asked.args, **asked.options)
        except BaseException as error:  # noqa: BLE001 - CancelledError as well
            reply = partial(steps.throw, error)
        else:
            reply = partial(steps.send, told)
