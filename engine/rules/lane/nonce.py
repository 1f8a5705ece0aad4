"""Nonces that only rise: the formula and the mark (promise G1).

A nonce is ``max(last + 1, now)`` in nanoseconds. A *mark* is a number that is durable before any nonce up to it is
used; after a crash the next nonce starts above the mark, so no crash can repeat one. It counts nanoseconds because
Kraken keeps the highest nonce of a key for ever (Kraken's support article on nonces): a key that was used with
nanoseconds refuses the smaller numbers of any other unit.

Time is an argument, and so is the durable write: `reserve(mark)` returns only when the mark is durable.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import NonceNotDurable, NoncesUsedUp, OwnershipLost, StoreError
from engine.values.dataclass import dataclass

SECOND = 1_000_000_000
HIGHEST = 2**63 - 1  # Kraken's OpenAPI file says int64

BELIEVABLE = 2**62
"""A clock past this (the year 2116) is ignored: it would drive the key to the end of its range for ever."""

AHEAD = SECOND
STEP = 1_000_000
KEPT_FOR_CANCELS = 1_000
"""The last nonces below a mark: only cancels may use them, and only while the store fails, so that orders can be
cancelled with a full disk."""


def next_nonce(last: int, now: int) -> int:
    """The next nonce after `last` when the clock reads `now` (both in nanoseconds)."""
    return max(last + 1, now if now < BELIEVABLE else 0)


def next_mark(nonce: int, now: int) -> int:
    """What to reserve so that `nonce` may be used: a second ahead of the clock, a millisecond ahead of the nonce."""
    ahead = now + AHEAD if now < BELIEVABLE else 0
    return min(max(ahead, nonce + STEP), HIGHEST)


Reserve = Callable[[int], None]
Renew = Callable[[int, int], int]
Durable = Callable[[], int]


@dataclass(slots=True)
class NonceSequence:
    """The nonces of one API key. Not thread-safe: it has one owner.

    Guarantees: every `issue` returns more than every earlier one, and at most a mark that was durable by then.
    """

    mark: int = 0
    last: int = 0
    easy: int = 0
    """Up to here a nonce is issued from memory: it is below the mark, which need not be renewed yet."""

    @classmethod
    def above(cls, mark: int) -> NonceSequence:
        """A sequence that continues after a restart: nothing up to `mark` is used again."""
        return cls(mark=mark, last=mark)

    def issue(
        self,
        now: int,
        reserve: Reserve,
        renew: Renew | None = None,
        durable: Durable | None = None,
        *,
        cancel: bool = False,
    ) -> int:
        """The next nonce. Calls `reserve` first when it would come near the mark.

        With `renew`, a key in use never comes near it: ``renew(mark, wanted)`` returns the highest durable mark at
        once; when that is still `mark`, it has `wanted` made durable in the background. With `durable`, which returns
        the highest durable mark as well, a mark that was made durable for other keys too is used before a new one is.

        Raises `NonceNotDurable` when the store cannot reserve; a cancel then takes one of the nonces kept for it.
        Raises `OwnershipLost`, also for a cancel, when `reserve` does.
        """
        nonce = self.issue_easily(now)
        if not nonce:
            nonce = self.last = self._beyond_easy(now, reserve, renew, durable, cancel=cancel)
        return nonce

    def issue_easily(self, now: int) -> int:
        """The next nonce, if it can be issued from memory; else 0, and nothing changes: `issue` it."""
        nonce = self.last + 1
        if now > nonce:  # noqa: PLR1730 - next_nonce() without a call: this runs for every nonce, the rest rarely
            nonce = now
        if nonce > self.easy:
            return 0
        self.last = nonce
        return nonce

    def raise_mark(self, mark: int, reserve: Reserve) -> None:
        """Make `mark` durable unless it is so already. A mark is never lowered."""
        if mark > self.mark:
            reserve(mark)
            self.mark = mark

    def skip_to(self, nonce: int, reserve: Reserve) -> None:
        """Let the next nonce be above `nonce`; does nothing when it would be anyway."""
        self.raise_mark(nonce, reserve)
        self.last = max(self.last, nonce)

    def _beyond_easy(
        self, now: int, reserve: Reserve, renew: Renew | None, durable: Durable | None, *, cancel: bool
    ) -> int:
        nonce, before = next_nonce(self.last, now), self.mark
        if durable is not None:
            self.mark = max(self.mark, durable())
        wanted = next_mark(nonce, now)
        is_half_used = 2 * (wanted - self.mark) >= wanted - nonce
        if renew is not None and is_half_used and nonce <= self.mark - KEPT_FOR_CANCELS:
            self.mark = max(self.mark, renew(self.mark, wanted))
        if nonce > self.mark - KEPT_FOR_CANCELS:
            try:
                self.raise_mark(wanted, reserve)
            except OwnershipLost:
                raise
            except StoreError as error:
                nonce = self.last + 1
                if not cancel or nonce > self.mark:
                    raise NonceNotDurable(f"No nonce could be made durable: {error}") from error
        if nonce > self.mark:
            raise NoncesUsedUp("The nonces of this API key are used up: make a new key at Kraken.")
        if self.mark > before:
            not_easy = KEPT_FOR_CANCELS if renew is None else max((self.mark - nonce) // 2, KEPT_FOR_CANCELS)
            self.easy = min(self.mark - not_easy, BELIEVABLE - 1)
        return nonce
