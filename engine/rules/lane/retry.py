"""When the sender of a call may make it again by itself (promise G5: unknown is never re-sent by itself).

A read may be repeated after every passing failure. A write only when it is provably not executed, and a placement
never: a cancel that covers it may have come in between.
"""

from __future__ import annotations

from engine.errors import (
    CallError,
    CallUnknown,
    ConnectFailed,
    CounterFull,
    LockedOut,
    MailboxFull,
    MarketUnavailable,
    RateLimited,
)
from engine.rules.backoff import Backoff

BACKOFF = Backoff(first=0.5, longest=5.0)

_NOT_EXECUTED = (ConnectFailed, CounterFull, LockedOut, MailboxFull, RateLimited)
_PASSING = (*_NOT_EXECUTED, CallUnknown, MarketUnavailable)


def pause_before_retry(error: CallError, attempt: int, *, writes: bool, places: bool) -> float | None:
    """Seconds until the call may be made again after its `attempt`-th failure (from 0), or `None`: it is over."""
    passing = () if places else _NOT_EXECUTED if writes else _PASSING
    if not isinstance(error, passing):
        return None
    # Never at once, whoever says so: Kraken's "come back at" is often over when it arrives.
    return BACKOFF.pause(attempt, error.retry_after)
