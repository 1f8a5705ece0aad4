"""When a call is retried without asking its caller (promise G5: a call of unknown outcome is never sent again).

A read may be repeated after every temporary failure; a write only when it was provably not executed; a placement never,
since a cancel that covers it may have come in between.
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
_TEMPORARY = (*_NOT_EXECUTED, CallUnknown, MarketUnavailable)


def pause_before_retry(error: CallError, attempt: int, *, writes: bool, places: bool) -> float | None:
    """Seconds until the call may be made again after its `attempt`-th failure (from 0); `None`: not at all."""
    temporary = () if places else _NOT_EXECUTED if writes else _TEMPORARY
    if not isinstance(error, temporary):
        return None
    # Never at once: the time that Kraken names is often over when its reply arrives.
    return BACKOFF.pause(attempt, error.retry_after)
