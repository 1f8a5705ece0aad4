"""What other programs of this user have under way at the service."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from engine.app.call_threads import CallThreads
from engine.web.event_lines import EventLines
from engine.web.protocol import CONNECTIONS_AT_MOST


class RemoteCalls:
    """The questions, submitted calls and streams of events of the programs that are connected.

    Each connection has one question at a time, and so there is a thread for each: none waits for another one's.
    """

    def __init__(self) -> None:
        self.threads = CallThreads(CONNECTIONS_AT_MOST, "kraken-engine remote")
        self.followed: set[EventLines] = set()
        self._submitted: dict[str, Future[Any]] = {}

    def note(self, token: str, future: Future[Any]) -> None:
        """A call was submitted, under a name of its program's choosing by which it can be withdrawn."""
        self._submitted[token] = future
        future.add_done_callback(lambda _: self._submitted.pop(token, None))

    def withdraw(self, token: str) -> bool:
        """Withdraw a submitted call; whether it will certainly not be sent."""
        future = self._submitted.get(token)
        return future is not None and future.cancel()

    def close(self) -> None:
        """The service ends, and with it the streams of events."""
        for each in tuple(self.followed):
            each.end()
