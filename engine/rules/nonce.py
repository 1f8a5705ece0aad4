"""Nonces that only rise: the formula and the mark (promise G1).

A nonce is ``max(last + 1, now)`` in nanoseconds. A *mark* is a number that is durable before any nonce up to it is
used; after a crash the next nonce starts above the mark, so no crash can repeat one. Nanoseconds, because Kraken
keeps the highest nonce of a key for ever and a key that has seen a higher unit refuses lower ones (KRAKEN.md §3).

Time is an argument, and so is the barrier: `reserve(mark)` returns only when the mark is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import NonceNotDurable, StoreError

SECOND = 1_000_000_000
HIGHEST = 2**63 - 1  # Kraken's schema says int64

BELIEVABLE = 2**62
"""A clock past this (the year 2116) is not believed: it would drive the key to the end of its range for ever."""

AHEAD = SECOND
STEP = 1_000_000
KEPT_FOR_CANCELS = 1_000
"""The last nonces below a mark: only a cancel may use them, and only while the store fails, so that a full disk does
not strand open orders."""


def next_nonce(last: int, now: int) -> int:
    """The next nonce after `last` when the clock reads `now` (both in nanoseconds)."""
    return max(last + 1, now if now < BELIEVABLE else 0)


def next_mark(nonce: int, now: int) -> int:
    """What to reserve so that `nonce` may be used: a second ahead of the clock, a millisecond ahead of the nonce."""
    ahead = now + AHEAD if now < BELIEVABLE else 0
    return min(max(ahead, nonce + STEP), HIGHEST)


@dataclass(slots=True)
class NonceSequence:
    """The nonces of one API key. Not thread-safe: it has one owner.

    Guarantees: every `issue` returns more than every earlier one, and at most the mark last reserved.
    """

    mark: int = 0
    last: int = 0

    @classmethod
    def above(cls, mark: int) -> NonceSequence:
        """A sequence that continues after a restart: nothing up to `mark` is used again."""
        return cls(mark=mark, last=mark)

    def issue(self, now: int, reserve: Callable[[int], None], *, cancel: bool = False) -> int:
        """The next nonce. Calls `reserve` first when it would come near the mark.

        Raises `NonceNotDurable` when the store cannot reserve; a cancel then takes one of the nonces kept for it.
        """
        nonce = next_nonce(self.last, now)
        if nonce > self.mark - KEPT_FOR_CANCELS:
            try:
                self.raise_mark(next_mark(nonce, now), reserve)
            except StoreError as error:
                nonce = self.last + 1
                if not cancel or nonce > self.mark:
                    raise NonceNotDurable(f"No nonce could be made durable: {error}") from error
        if nonce > self.mark:
            raise NonceNotDurable("The nonces of this API key are used up: make a new key at Kraken.")
        self.last = nonce
        return nonce

    def raise_mark(self, mark: int, reserve: Callable[[int], None]) -> None:
        """Make `mark` durable unless it is so already. A mark is never lowered."""
        if mark > self.mark:
            reserve(mark)
            self.mark = mark

    def skip_to(self, nonce: int, reserve: Callable[[int], None]) -> None:
        """Let the next nonce be above `nonce`; does nothing when it would be anyway."""
        self.raise_mark(nonce, reserve)
        self.last = max(self.last, nonce)
