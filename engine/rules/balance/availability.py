"""When an account is available, as a table of states that changes only here (promise G7).

::

                  good        failure      last failure  refused key  nothing      asked       silence
    unknown       available   unknown      unavailable   blocked      unknown      unknown     unknown
    available     available   degraded     unavailable   blocked      available    available   unavailable
    degraded      available   degraded     unavailable   blocked      degraded     degraded    unavailable
    unavailable   available   unavailable  unavailable   blocked      unavailable  recovering  unavailable
    recovering    available   unavailable  unavailable   blocked      unavailable  recovering  recovering
    blocked       available   blocked      blocked       blocked      blocked      blocked     blocked

*good*: Kraken's good reply, which also sets the count of failures back. *last failure*: the one that makes it `limit`
failures in a row. *refused key*: a revoked key or a missing permission. *nothing*: what we did ourselves, which says
nothing about the account. *asked*: a refresh goes out; after an outage that is the one probe. *silence*: there was no
good reply for too long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

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
    """Kraken refuses the key; only a spaced probe is sent."""

    @property
    def is_available(self) -> bool:
        """Whether the account may be used."""
        return self in (Standing.AVAILABLE, Standing.DEGRADED)

    @property
    def is_out(self) -> bool:
        """Whether it was found to be unavailable."""
        return self in (Standing.UNAVAILABLE, Standing.RECOVERING, Standing.BLOCKED)

    def differs_from(self, told: Standing) -> bool:
        """Whether it is event to those who were told of another: neither a first failure nor a probe is."""
        return _QUIET.get(self, self) is not _QUIET.get(told, told)


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


def _row(*standings: Standing) -> Mapping[AvailabilityEvent, Standing]:
    return MappingProxyType(dict(zip(AvailabilityEvent, standings, strict=True)))


_S = Standing
TABLE: Mapping[Standing, Mapping[AvailabilityEvent, Standing]] = MappingProxyType(
    {
        _S.UNKNOWN: _row(
            _S.AVAILABLE, _S.UNKNOWN, _S.UNAVAILABLE, _S.BLOCKED, _S.UNKNOWN, _S.UNKNOWN, _S.UNKNOWN
        ),
        _S.AVAILABLE: _row(
            _S.AVAILABLE, _S.DEGRADED, _S.UNAVAILABLE, _S.BLOCKED, _S.AVAILABLE, _S.AVAILABLE, _S.UNAVAILABLE
        ),
        _S.DEGRADED: _row(
            _S.AVAILABLE, _S.DEGRADED, _S.UNAVAILABLE, _S.BLOCKED, _S.DEGRADED, _S.DEGRADED, _S.UNAVAILABLE
        ),
        _S.UNAVAILABLE: _row(
            _S.AVAILABLE, _S.UNAVAILABLE, _S.UNAVAILABLE, _S.BLOCKED, _S.UNAVAILABLE, _S.RECOVERING, _S.UNAVAILABLE
        ),
        _S.RECOVERING: _row(
            _S.AVAILABLE, _S.UNAVAILABLE, _S.UNAVAILABLE, _S.BLOCKED, _S.UNAVAILABLE, _S.RECOVERING, _S.RECOVERING
        ),
        _S.BLOCKED: _row(
            _S.AVAILABLE, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED, _S.BLOCKED
        ),
    }
)  # fmt: skip


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
        return self.standing.is_available

    def asked(self) -> Availability:
        """A refresh goes out."""
        return self._after(AvailabilityEvent.ASKED)

    def after_success(self) -> Availability:
        """A good reply: available, and the count starts again."""
        return Availability(TABLE[self.standing][AvailabilityEvent.GOOD])

    def after_failure(self, error: CallError, limit: int) -> Availability:
        """A failed refresh; one that says nothing about the account changes neither count nor reason."""
        weight = weigh(error)
        if weight is Weight.NOTHING or (weight is Weight.HELD and self.standing.is_out):
            return self._after(AvailabilityEvent.NOTHING)
        errors = self.errors + 1
        event = AvailabilityEvent.LAST_FAILURE if errors >= limit else AvailabilityEvent.FAILURE
        standing = TABLE[self.standing][AvailabilityEvent.REFUSED_KEY if weight is Weight.BLOCK else event]
        return Availability(standing, errors, str(error))

    def after_silence(self, reason: str) -> Availability:
        """No good reply for too long: whoever was available is not any more; the count of failures stays."""
        after = self._after(AvailabilityEvent.SILENCE)
        return replace(after, reason=reason) if self.is_available else after

    def _after(self, event: AvailabilityEvent) -> Availability:
        return replace(self, standing=TABLE[self.standing][event])


def next_refresh(state: Availability, every: float, error: CallError | None) -> float:
    """Seconds until the next refresh: `every` while it goes well, backing off while it does not.

    The failures that decide over availability follow at the normal pace, then the pause doubles up to twelve times
    `every`, but to a minute at most. What Kraken or our limits said of the next try counts when it is longer; where the
    key itself is kept back, only once the account is unavailable, so that this is not found out late.
    """
    backoff = Backoff(every, max(every, min(12 * every, 60.0)))
    pause = backoff.pause(max(0, state.errors - 2))
    if error is None or error.retry_after is None or (isinstance(error, _KEPT_BACK) and not state.standing.is_out):
        return pause
    return max(pause, error.retry_after)
