"""When an account is available, as a value that changes only here (promise G7).

Kraken's good reply makes it available; `limit` failures in a row make it unavailable; a revoked key or a missing
permission does so at once. What we did ourselves says nothing about the account and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from engine.errors import (
    CallCut,
    CallError,
    CallNotSent,
    ConnectFailed,
    EngineStopped,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    LockedOut,
    PermissionDenied,
    TemporaryLockout,
)


class Standing(Enum):
    """Where an account stands."""

    UNKNOWN = "unknown"
    """No reply yet."""
    AVAILABLE = "available"
    """The last reply was good."""
    DEGRADED = "degraded"
    """Some failures since, but not enough of them."""
    UNAVAILABLE = "unavailable"
    """Too many failures in a row."""
    BLOCKED = "blocked-by-auth"
    """Kraken refuses the key; only a spaced probe is sent."""


class Weight(Enum):
    """What a failed refresh says about the account."""

    NOTHING = "nothing"
    FAILURE = "failure"
    BLOCK = "block"
    HELD = "held"
    """Kept back for what Kraken said before, or nobody there to send it: it counts until the account is unavailable."""


_KEPT_BACK = (LockedOut, InvalidNonce, TemporaryLockout)
_OURS = (CallNotSent, CallCut)
_BLOCKING = (InvalidKey, InvalidSignature, PermissionDenied)


def weigh(error: CallError) -> Weight:
    """Refused, unknown and could-not-connect count; what we did ourselves does not."""
    if isinstance(error, _BLOCKING):
        return Weight.BLOCK
    if isinstance(error, LockedOut | EngineStopped):
        return Weight.HELD
    if isinstance(error, _OURS) and not isinstance(error, ConnectFailed):
        return Weight.NOTHING
    return Weight.FAILURE


@dataclass(frozen=True, slots=True)
class Availability:
    """An account's standing, its failures in a row, and what the last of them said."""

    standing: Standing = Standing.UNKNOWN
    errors: int = 0
    reason: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether the account may be used."""
        return self.standing in (Standing.AVAILABLE, Standing.DEGRADED)

    @property
    def is_out(self) -> bool:
        """Whether it was found to be unavailable."""
        return self.standing in (Standing.UNAVAILABLE, Standing.BLOCKED)

    def after_success(self) -> Availability:
        """A good reply: available, and the count starts again."""
        return Availability(Standing.AVAILABLE)

    def after_failure(self, error: CallError, limit: int) -> Availability:
        """A failed refresh; the same value when it says nothing about the account."""
        weight = weigh(error)
        if weight is Weight.NOTHING or (weight is Weight.HELD and self.is_out):
            return self
        errors = self.errors + 1
        return Availability(self._standing_after(weight, errors, limit), errors, str(error))

    def _standing_after(self, weight: Weight, errors: int, limit: int) -> Standing:
        if weight is Weight.BLOCK or self.standing is Standing.BLOCKED:
            return Standing.BLOCKED
        if errors >= limit or self.standing is Standing.UNAVAILABLE:
            return Standing.UNAVAILABLE
        return Standing.DEGRADED if self.is_available else Standing.UNKNOWN


def next_refresh(state: Availability, every: float, error: CallError | None) -> float:
    """Seconds until the next refresh: `every` while it goes well, backing off while it does not.

    The failures that decide over availability follow at the normal pace, then the pause doubles up to twelve times
    `every`, but to a minute at most. What Kraken or our limits said of the next try counts when it is longer; where the
    key itself is kept back, only once the account is unavailable, so that this is not found out late.
    """
    doublings = max(0, min(state.errors - 2, 16))
    pause: float = min(every * 2**doublings, max(every, min(12 * every, 60.0)))
    if error is None or error.retry_after is None or (isinstance(error, _KEPT_BACK) and not state.is_out):
        return pause
    return max(pause, error.retry_after)
