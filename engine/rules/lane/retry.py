"""When the sender of a call may make it again by itself (promise G5: unknown is never re-sent by itself).

A read may be repeated after every passing failure. A write only when it is provably not executed, and a placement
never: a cancel that covers it may have come in between. A cancel that names its orders, or all, cannot be done twice,
so it may be repeated like a read.
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

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds

_NOT_EXECUTED = (ConnectFailed, CounterFull, LockedOut, MailboxFull, RateLimited)
_PASSING = (*_NOT_EXECUTED, CallUnknown, MarketUnavailable)


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
    return isinstance(error, (*_PASSING, InvalidNonce))


def pause_before_retry(
    error: CallError, attempt: int, *, writes: bool, places: bool, cancels_by_name: bool = False
) -> float | None:
    """Seconds until the call may be made again after its `attempt`-th failure (from 0), or `None`: it is over."""
    passing = () if places else _PASSING if cancels_by_name else _NOT_EXECUTED if writes else _PASSING
    if not isinstance(error, passing):
        return None
    # Never at once, whoever says so: Kraken's "come back at" is often over when it arrives.
    return max(error.retry_after or 0.0, min(FIRST_PAUSE * 2.0 ** min(attempt, 10), LONGEST_PAUSE))
