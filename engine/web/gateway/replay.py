"""Whether a signed request is new: the guard against replays.

Clients of one gateway key may overtake each other a little, so a nonce need not be the highest; but no signature passes
twice, and no nonce from further back than the window. After a restart what was seen is forgotten, so nothing up to the
durable mark passes then; the mark is made durable before any nonce up to it passes, a moment ahead, which keeps it
cheap.
"""

from __future__ import annotations

import heapq

WINDOW = 10.0  # seconds that one client's request may come after a later one's
AHEAD = 1.0  # seconds that a mark is ahead of the nonce that needed it
SEEN_AT_MOST = 100_000  # signatures of one key that are kept; beyond, the window is shorter
HIGHEST = 2**64


class ReplayGuard:
    """The nonces of one gateway key. Not thread-safe. `mark` is durable; see `next_mark`."""

    def __init__(self, mark: int) -> None:
        self.mark = mark
        self.highest = mark
        self._floor = mark
        self._seen: set[str] = set()
        self._by_nonce: list[tuple[int, str]] = []

    def admit(self, nonce: int, signature: str, now: float) -> bool:
        """Whether this request is new, which it is not a second time. `now` is in Unix seconds."""
        if not self._floor < nonce < HIGHEST or signature in self._seen:
            return False
        self._seen.add(signature)
        heapq.heappush(self._by_nonce, (nonce, signature))
        self.highest = max(self.highest, nonce)
        self._floor = max(self._floor, self.highest - span(WINDOW, self.highest, now))
        self._forget()
        return True

    def _forget(self) -> None:
        """Drop the signatures that the floor keeps out anyway; when there are too many, the floor rises."""
        while self._by_nonce and (self._by_nonce[0][0] <= self._floor or len(self._by_nonce) > SEEN_AT_MOST):
            oldest, gone = heapq.heappop(self._by_nonce)
            self._seen.discard(gone)
            self._floor = max(self._floor, oldest)

    def next_mark(self, nonce: int, now: float) -> int | None:
        """The mark to make durable before `nonce` may pass, or `None` when it may."""
        return None if nonce <= self.mark else nonce + span(AHEAD, nonce, now)


def span(seconds: float, nonce: int, now: float) -> int:
    """So many seconds in the unit of a nonce that counts some unit of time since 1970; 0 for a plain counter."""
    return nonce * round(seconds * 1000) // max(1, round(now * 1000))
