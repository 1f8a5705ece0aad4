"""When a call is retried without asking its caller (promise G5: a call of unknown outcome is never sent again).

A read may be repeated after every temporary failure; a write only when it was provably not executed; a placement never,
since a cancel that covers it may have come in between. A cancel that names its orders, or all, cannot be done twice, so
it may be repeated like a read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import (
    CallError,
    CallUnknown,
    ConnectFailed,
    CounterFull,
    InvalidNonce,
    LockedOut,
    MailboxFull,
    MarketUnavailable,
    RateLimited,
)
from engine.rules.backoff import Backoff

BACKOFF = Backoff(first=0.5, longest=5.0)

_NOT_EXECUTED = (ConnectFailed, CounterFull, LockedOut, MailboxFull, RateLimited)
_TEMPORARY = (*_NOT_EXECUTED, CallUnknown, MarketUnavailable)


def cancels_by_name(endpoint: str, params: object) -> bool:
    """Whether a call cancels what it names, or everything: done twice, that is as if it were done once.

    Not one by `userref`, a number that later orders may bear as well, and that is put in the place of a txid.
    """
    if endpoint == "CancelAll":
        return True
    if endpoint not in ("CancelOrder", "CancelOrderBatch") or not isinstance(params, Mapping) or "userref" in params:
        return False
    listed = params.get("orders")
    named = [params.get("txid"), *(listed if isinstance(listed, list | tuple) else ())]
    return not any(_is_userref(each) for each in named)


def _is_userref(name: Any) -> bool:
    return isinstance(name, int) or (isinstance(name, str) and name.strip().lstrip("+-").isdigit())


def is_passing(error: CallError) -> bool:
    """Whether a cancel that failed like this may be done a moment later."""
    return isinstance(error, (*_TEMPORARY, InvalidNonce))


def pause_before_retry(
    error: CallError, attempt: int, *, writes: bool, places: bool, cancels_by_name: bool = False
) -> float | None:
    """Seconds until the call may be made again after its `attempt`-th failure (from 0); `None`: not at all."""
    temporary = () if places else _TEMPORARY if cancels_by_name else _NOT_EXECUTED if writes else _TEMPORARY
    if not isinstance(error, temporary):
        return None
    # Never at once: the time that Kraken names is often over when its reply arrives.
    return BACKOFF.pause(attempt, error.retry_after)
