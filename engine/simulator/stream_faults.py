"""What goes wrong on the WebSocket, and what was seen there."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from enum import Enum

PUBLIC = "public"
"""In the place of an account: the connections without a private channel."""


class StreamFault(Enum):
    """A fault of the WebSocket. Those of a frame strike the next frame of data, once; the others last.

    A frame of ``ticker`` has no number: for it a repeat, an exchange and a missing number change nothing.
    """

    MUTE = "mute"
    """Nothing is sent any more, heartbeats neither; a ping of the protocol is answered."""
    PONG_ONLY = "pong only"
    """Nothing but the answers to pings, and one each half second that nobody has asked for."""
    NO_SNAPSHOT = "no snapshot"
    """Subscriptions are acknowledged, heartbeats go on, and the first frame never comes."""
    STALE_TOKEN = "stale token"
    """Every token counts as expired."""
    GAP = "gap"
    REPEAT = "repeat"
    REORDER = "reorder"
    UNNUMBERED = "unnumbered"
    UNKNOWN_TYPE = "unknown type"
    HALF = "half"
    """Half a JSON document."""
    BINARY = "binary"

    @property
    def is_of_a_frame(self) -> bool:
        """Whether it strikes one frame."""
        return self not in (self.MUTE, self.PONG_ONLY, self.NO_SNAPSHOT, self.STALE_TOKEN)


@dataclass(slots=True)
class StreamState:
    """The faults in force, and what was seen. Thread-safe."""

    refused: int | None = None
    """The HTTP status that refuses each upgrade; `None`: none does."""
    upgrades: list[float] = field(default_factory=list)
    """When each upgrade was asked for, refused ones included, by the monotonic clock."""
    _faults: dict[StreamFault, set[str | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: StreamFault, account: str | None) -> None:
        """Let it strike this account, `PUBLIC`, or with `None` every one."""
        with self._lock:
            self._faults.setdefault(fault, set()).add(account)

    def clear(self) -> None:
        """No fault is left, and upgrades are accepted."""
        with self._lock:
            self._faults.clear()
            self.refused = None

    def holds(self, fault: StreamFault, account: str | None) -> bool:
        """Whether a lasting fault strikes this account."""
        with self._lock:
            struck = self._faults.get(fault, ())
            return None in struck or account in struck

    def take(self, account: str | None) -> StreamFault | None:
        """The fault that strikes the next frame of this account; it is used up."""
        with self._lock:
            for fault, struck in self._faults.items():
                found = next((each for each in (account, None) if each in struck), ...)
                if fault.is_of_a_frame and found is not ...:
                    struck.discard(found)
                    return fault
            return None

    def note_upgrade(self) -> int | None:
        """An upgrade is asked for; the status that refuses it."""
        with self._lock:
            self.upgrades.append(time.monotonic())
            return self.refused
