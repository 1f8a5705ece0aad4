"""The service in a program of the host's: the same as `kraken-engine serve`, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.app import Engine
from engine.app.service import Service
from engine.errors import ConfigError, StoreError
from engine.values import Secret, Settings
from engine.web.options import WebOptions
from engine.web.serving import Parts, bound, opened, run, subscribed, url_of
from engine.web.subject import Subject, subject_of

START_PATIENCE = 10.0  # seconds until it listens


def start(
    engine: Engine, *, state_dir: Path, settings: Settings, token: str | None = None, acting_token: str | None = None,
    **options: Any,
) -> Service:  # fmt: skip
    """Serve a running engine until its service is stopped.

    `options` are those of `WebOptions`. Raises `ConfigError` when the address, an option or a TLS file cannot be used,
    and `StoreError`; nothing is left then.
    """
    try:
        shown = WebOptions(token=_secret(token), acting_token=_secret(acting_token), **options)
    except TypeError as error:
        raise ConfigError(f"Engine.serve has no such option: {error}.") from None
    return served(replace(subject_of(engine, state_dir, settings), start=_it_runs), shown)


def served(subject: Subject, shown: WebOptions) -> Service:
    """Start what is served, and serve it until the service is stopped, which does not stop it.

    Raises what its start raises, `ConfigError` when the address or a TLS file cannot be used, and `StoreError`. Nothing
    of the service is left then; what was started is for the caller to stop.
    """
    undo = contextlib.ExitStack()
    try:
        tcp = bound(shown, undo)
        counters, feed = subscribed(subject, shown, undo)
        subject.start(url_of(shown, tcp))
        parts = opened(subject, counters, feed, shown, tcp, undo)
        thread = _ServiceThread(parts, undo)
        thread.start()
    except RuntimeError as error:
        undo.close()
        raise StoreError(f"No thread can be started for the service ({error}).") from None
    except BaseException:
        undo.close()
        raise
    try:
        thread.listening.result(START_PATIENCE)
    except TimeoutError:
        thread.stop_accepting()
        raise StoreError(f"The service did not listen within {START_PATIENCE:g} s.") from None
    return Service(parts.url, thread.stop_accepting, thread.stop_within)


def _it_runs(url: str) -> None:
    """The host has started its engine itself."""


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


class _ServiceThread:
    """Runs the event loop of one service, and releases its resources at the end."""

    def __init__(self, parts: Parts, undo: contextlib.ExitStack) -> None:
        self.listening: Future[None] = Future()
        self._parts, self._undo = parts, undo
        self._thread = threading.Thread(target=self._run, name="kraken-engine service", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._is_told = False

    def start(self) -> None:
        """Start. Raises `RuntimeError` if no thread can be started."""
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._undo, asyncio.Runner() as runner:
                runner.get_loop()  # before there is a coroutine, which would be left over where no loop can be made
                runner.run(self._serve())
        except BaseException as error:
            if not self.listening.done():
                self.listening.set_exception(error)
            else:
                raise

    def stop_accepting(self) -> None:
        """Accept no new requests from now on."""
        self._is_told = True
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(self._ended.set)

    def stop_within(self, timeout: float) -> bool:
        """Stop; returns whether it has ended in time. In its own thread it only begins to stop."""
        self.stop_accepting()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._is_told:  # before there was a loop to tell
            self._ended.set()
        await run(self._parts, self._ended, lambda: self.listening.set_result(None), _nothing())


async def _nothing() -> None:
    """The engine goes on."""
