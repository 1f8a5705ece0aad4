"""When an account is available, as a table of states that changes only here (promise G7).

::

                  good        failure      last failure  refused key  nothing      asked       silence
    unknown       available   unknown      unavailable   blocked      unknown      unknown     unknown
    available     available   degraded     unavailable   blocked      available    available   unavailable
    degraded      available   degraded     unavailable   blocked      degraded     degraded    unavailable
    unavailable   available   unavailable  unavailable   blocked      unavailable  recovering  unavailable
    recovering    available   unavailable  unavailable   blocked      unavailable  recovering  recovering
    blocked       available   blocked      blocked       blocked      blocked      blocked     blocked

*good*: a good reply of Kraken's, which also resets the count of failures. *last failure*: the one that makes `limit`
failures in a row. *refused key*: a revoked key or a missing permission. *nothing*: an error of the engine's own making,
which says nothing about the account. *asked*: a request is sent; after an outage it is the only probe. *silence*: no
good reply for too long.
"""

from __future__ import annotations

from dataclasses import replace
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
from engine.rules.backoff import Backoff
from engine.rules.transitions import table
from engine.values.dataclass import dataclass


class Standing(Enum):
    """Where an account stands."""

    UNKNOWN = "unknown"
    """No reply yet."""
    AVAILABLE = "available"
    """The last reply was good."""
    DEGRADED = "degraded"
    """Some failures since, but not enough of them."""
    UNAVAILABLE = "unavailable"
    """Too many failures in a row, or no good reply for too long."""
    RECOVERING = "recovering"
    """Unavailable, and a probe is under way."""
    BLOCKED = "blocked-by-auth"
    """Kraken refuses the key; only a probe now and then is sent."""

    @property
    def is_available(self) -> bool:
        """Whether the account may be used."""
        return self in (Standing.AVAILABLE, Standing.DEGRADED)

    @property
    def is_out(self) -> bool:
        """Whether the account has been found unavailable."""
        return self in (Standing.UNAVAILABLE, Standing.RECOVERING, Standing.BLOCKED)

    def differs_from(self, published: Standing) -> bool:
        """Whether the change from the one published last is an event: a first failure or a probe is not."""
        return _QUIET.get(self, self) is not _QUIET.get(published, published)


_QUIET = {Standing.DEGRADED: Standing.AVAILABLE, Standing.RECOVERING: Standing.UNAVAILABLE}


class AvailabilityEvent(Enum):
    """What can happen to an account's standing."""

    GOOD = "good"
    FAILURE = "failure"
    LAST_FAILURE = "last failure"
    REFUSED_KEY = "refused key"
    NOTHING = "nothing"
    ASKED = "asked"
    SILENCE = "silence"


_S = Standing
TABLE = table(
    AvailabilityEvent,
    {
        _S.UNKNOWN: (
            _S.AVAILABLE, _S.UNKNOWN, _S.UNAVAILABLE, _S.BLOCKED, _S.UNKNOWN, _S.UNKNOWN, _S.UNKNOWN,
        ),
        _S.AVAILABLE: (
            _S.AVAILABLE, _S.DEGRADED, _S.UNAVAILABLE, _S.BLOCKED, _S.AVAILABLE, _S.AVAILABLE, _S.UNAVAILABLE,
        ),
        _S.DEGRADED: (
            _S.AVAILABLE, _S.DEGRADED, _S.UNAVAILABLE, _S.BLOCKED, _S.DEGRADED, _S.DEGRADED, _S.UNAVAILABLE,
        ),
        _S.UNAVAILABLE: (
            _S.AVAILABLE, _S.UNAVAILABLE, _S.UNAVAILABLE, _S.BLOCKED, _S.UNAVAILABLE, _S.RECOVERING, _S.UNAVAILABLE,
        ),
        _S.RECOVERING: (
            _S.AVAILABLE, _S.UNAVAILABLE, _S.UNAVAILABLE, _S.BLOCKED, _S.UNAVAILABLE, _S.RECOVERING, _S.RECOVERING,
        ),
        _S.BLOCKED: (_S.AVAILABLE, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED),
    },
)  # fmt: skip


class Weight(Enum):
    """What a failed refresh says about the account."""

    NOTHING = "nothing"
    FAILURE = "failure"
    BLOCK = "block"
    HELD = "held"
    """Not sent because of what Kraken answered before, or because the lane is gone: it counts until the account is
    unavailable."""


_KEPT_BACK = (LockedOut, InvalidNonce, TemporaryLockout)
_OURS = (CallNotSent, CallCut)
_BLOCKING = (InvalidKey, InvalidSignature, PermissionDenied)


def weigh(error: CallError) -> Weight:
    """What an error says: *refused*, *unknown* and *could not connect* count; the engine's own doing does not."""
    if isinstance(error, _BLOCKING):
        return Weight.BLOCK
    if isinstance(error, LockedOut | EngineStopped):
        return Weight.HELD
    if isinstance(error, _OURS) and not isinstance(error, ConnectFailed):
        return Weight.NOTHING
    return Weight.FAILURE


@dataclass(frozen=True, slots=True)
class Availability:
    """An account's standing, its failures in a row, and the last of their messages."""

    standing: Standing = Standing.UNKNOWN
    errors: int = 0
    reason: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether the account may be used."""
        return self.standing.is_available

    def asked(self) -> Availability:
        """A request is sent."""
        return self._after(AvailabilityEvent.ASKED)

    def after_success(self) -> Availability:
        """A good reply: the account is available, and the count starts again."""
        return _WITHOUT_ERRORS[TABLE[self.standing][AvailabilityEvent.GOOD]]

    def after_failure(self, error: CallError, limit: int) -> Availability:
        """A failed request. One that says nothing about the account changes neither count nor reason."""
        weight = weigh(error)
        if weight is Weight.NOTHING or (weight is Weight.HELD and self.standing.is_out):
            return self._after(AvailabilityEvent.NOTHING)
        errors = self.errors + 1
        event = AvailabilityEvent.LAST_FAILURE if errors >= limit else AvailabilityEvent.FAILURE
        standing = TABLE[self.standing][AvailabilityEvent.REFUSED_KEY if weight is Weight.BLOCK else event]
        return Availability(standing, errors, str(error))

    def after_silence(self, reason: str) -> Availability:
        """No good reply for too long: the account is no longer available; the count of failures stays."""
        after = self._after(AvailabilityEvent.SILENCE)
        return replace(after, reason=reason) if self.is_available else after

    def _after(self, event: AvailabilityEvent) -> Availability:
        standing = TABLE[self.standing][event]
        return self if standing is self.standing else replace(self, standing=standing)


_WITHOUT_ERRORS = {standing: Availability(standing) for standing in Standing}  # shared: nearly every account has one


def next_refresh(state: Availability, every: float, error: CallError | None) -> float:
    """Seconds until the next request: `every` after a good reply, backing off after failures.

    The failures that decide availability follow at the normal pace; then the pause doubles, up to twelve times `every`
    or a minute, whichever is less, but never below `every`. A longer pause that Kraken or the local limits ask for
    counts instead. While the key itself is held back, that applies only once the account is unavailable, so that
    unavailability is not found late.
    """
    backoff = Backoff(every, max(every, min(12 * every, 60.0)))
    pause = backoff.pause(max(0, state.errors - 2))
    if error is None or error.retry_after is None or (isinstance(error, _KEPT_BACK) and not state.standing.is_out):
        return pause
    return max(pause, error.retry_after)
