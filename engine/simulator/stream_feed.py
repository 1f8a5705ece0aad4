"""What happens to one account, told to its WebSockets as it happens, and remembered for a REST that lags behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Listener = Callable[[str, list[Row]], None]


class StreamFeed:
    """The listeners of one account. The exchange holds its lock around every method and every call of a listener.

    A listener gets a channel (``balances`` or ``executions``) and rows; it must not wait.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tell this one, too."""
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Tell this one no longer."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, channel: str, row: Callable[[], Row]) -> None:
        """Tell all of them; the row is only made when somebody listens."""
        if self._listeners:
            made = row()
            for each in tuple(self._listeners):
                each(channel, [made])
