"""Reports the silence of Kraken in time (promise G7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actors.balance.listener import Listener
from engine.actors.events import EngineWarning

LOOK_AGAIN = 0.01  # seconds: the shortest pause between two checks


class SilenceWatch:
    """Checks one account at the moment its silence would begin, so that it is reported in time.

    Belongs to the actor's thread.
    """

    __slots__ = ("_account", "_is_watching", "_listener", "_publish")

    def __init__(self, account: str, listener: Listener, publish: Callable[[Any], None]) -> None:
        self._account, self._listener, self._publish = account, listener, publish
        self._is_watching = False

    def asks(self, interval: float, spacing: float) -> float | None:
        """A balance is asked for: see `Listener.expect`. Seconds until `look` is due; `None`: that is planned."""
        self._listener.expect(self._account, interval, spacing)
        if self._is_watching:
            return None
        self._is_watching = True
        return max(self._listener.left(self._account), LOOK_AGAIN)

    def look(self) -> tuple[str | None, float | None]:
        """The sentence about silence when it has begun; else `None`, and the seconds until the next look."""
        left = self._listener.left(self._account)
        self._is_watching = left > 0
        if self._is_watching:
            return None, max(left, LOOK_AGAIN)
        sentence = self._listener.sentence(self._account)
        if sentence is not None and self._listener.first_to_tell():
            self._publish(EngineWarning("silence", f"{sentence} No account is available until it answers."))
        return sentence, None
