"""Whether a signed request is new: the guard against replays.

Requests of one gateway key may arrive slightly out of order, so a nonce need not be the highest; but no signature
passes twice, and no nonce older than the window. The signatures are lost at a restart, so after it nothing up to the
durable mark passes. The mark is made durable before any nonce up to it passes, one second ahead, so that it is rarely
written.
"""

from __future__ import annotations

import heapq

WINDOW = 10.0  # seconds by which a request may be late
AHEAD = 1.0  # seconds by which a mark is ahead of the nonce that needed it
SEEN_AT_MOST = 100_000  # signatures kept per key; beyond that the window is shorter
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
        """Whether this request is new; false the second time. `now` is in Unix seconds."""
        if not self._floor < nonce < HIGHEST or signature in self._seen:
            return False
        self._seen.add(signature)
        heapq.heappush(self._by_nonce, (nonce, signature))
        self.highest = max(self.highest, nonce)
        self._floor = max(self._floor, self.highest - span(WINDOW, self.highest, now))
        self._forget()
        return True

    def why_not(self, nonce: int, now: float) -> str:
        """Why a request with this nonce was not admitted, for a person."""
        told, seen = _unit(nonce, now), _unit(self.highest, now)
        if self.highest and told != seen and nonce < self.highest:
            return (
                f"The nonce counts {told}, and this key has seen nonces that count {seen}: lower ones are refused for "
                "ever. Programs that count differently need gateway keys of their own."
            )
        if nonce >= HIGHEST:
            return "The nonce has more than 64 bits."
        return "The nonce is not higher than those that this key has seen before, or the call was sent before."

    def _forget(self) -> None:
        """Drop the signatures at or below the floor; if there are too many, raise the floor."""
        while self._by_nonce and (self._by_nonce[0][0] <= self._floor or len(self._by_nonce) > SEEN_AT_MOST):
            oldest, gone = heapq.heappop(self._by_nonce)
            self._seen.discard(gone)
            self._floor = max(self._floor, oldest)

    def next_mark(self, nonce: int, now: float) -> int | None:
        """The mark to make durable before `nonce` may pass, or `None` when it may."""
        return None if nonce <= self.mark else nonce + span(AHEAD, nonce, now)


_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")


def _unit(nonce: int, now: float) -> str:
    """What a nonce counts since 1970, as far as it can be told."""
    for power, name in enumerate(_UNITS):
        if 0.5 < nonce / (now * 1000**power) < 2.0:
            return name
    return "something else than time"


def span(seconds: float, nonce: int, now: float) -> int:
    """A number of seconds in the unit of a nonce that counts time since 1970; 0 for a plain counter."""
    return nonce * round(seconds * 1000) // max(1, round(now * 1000))
