"""The rate limiter: whether a call may go to Kraken now, decided from the counters of its key before a nonce is drawn.

It never sleeps. A call that has to wait is answered with a `Wait`, which says for how long, and its sender asks again.
A cancel is never kept back: our count is a prediction, and one that is too high would leave an order open.

How Kraken counts is in `kraken/limits.py`; the rules see the counters as `Calls` and `Trades`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import Protocol

from engine.errors import CallError, CallNotSent, CallUnknown, RateLimited
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a call is kept back, as a sentence for a person, and the seconds after which to ask again.

    is_refusal: Kraken refused the key, an endpoint or a market, so that waiting alone does not help. code: the error
    string that Kraken uses for the same; `None` where it has none.
    """

    reason: str
    retry_after: float
    is_refusal: bool = False
    code: str | None = field(default=None, compare=False)


class Calls(Protocol):
    """The REST counter of the key."""

    def wait_for(self, cost: float, now: float, *, kept: float = 0.0) -> float: ...
    def charge(self, cost: float, now: float) -> None: ...
    def snap(self, now: float) -> None: ...


class Trades(Protocol):
    """The trading counters of the account, by pair."""

    def wait_for(self, points: float, pair: str, now: float) -> float: ...
    def charge(self, points: float, pair: str, now: float) -> None: ...
    def snap(self, pair: str, now: float) -> None: ...


CANCEL = 0
CALLS_CODE, TRADES_CODE = "EAPI:Rate limit exceeded", "EOrder:Rate limit exceeded"

SETTLEMENT = 10.0
"""The REST cost of reconciling one order: OpenOrders 2, ClosedOrders 4, TradesHistory 4."""
WRITES = 1.0
"""The REST cost of a write that must always find room: CancelAll or CancelAllOrdersAfter."""

KEPT = (0.0, 0.0, WRITES, WRITES + SETTLEMENT)
"""The points that a call leaves in the REST counter, by its class of service: cancel, order, settle, read.

At the Starter tier reads share the rest of 15 points: four calls at once, then one balance every 3 seconds.
"""
KEPT_WITHOUT_ORDERS = (0.0, 0.0, WRITES, WRITES)
"""The same for an engine that is not live: with no order to reconcile, reads leave room only for a cancel."""

THROTTLED = 5.0
"""Seconds: the pause after `EService:Throttled` without a time. Kraken's documentation gives no number for it."""
SHORTEST = 1.0
"""Seconds: the shortest pause after one with a time, since our wall clock may be ahead of Kraken's."""


class Limit(Enum):
    """The limit that a refusal is about."""

    CALLS = "calls"
    TRADES = "trades"
    PAUSE = "pause"


# By the beginning of the code, in lower case and without spaces; any other is the REST counter's (Kraken's error page).
_LIMITS = (("eorder:", Limit.TRADES), ("eservice:throttled", Limit.PAUSE), ("eauth:", Limit.PAUSE))


_PAUSED = "Kraken asked for a pause, so calls of this key are kept back."
_CALLS_FULL = "The call counter of this key is nearly full, so Kraken might refuse the call."
_TRADES_FULL = "The trading counter of {pair} is full, so Kraken would refuse the order."


def limit_of(error: CallError | None) -> Limit | None:
    """The limit that Kraken says was exceeded; `None` for any other error.

    An HTTP 429 has no error code, and says how long to wait: it is a pause, even when it leaves a write unknown.
    """
    code = "".join((getattr(error, "kraken_code", None) or "").lower().split())
    if not code and isinstance(error, RateLimited | CallUnknown) and error.retry_after is not None:
        return Limit.PAUSE
    found = next((limit for prefix, limit in _LIMITS if code.startswith(prefix)), Limit.CALLS)
    # A throttled write is a CallUnknown, since Kraken does not say that it did nothing.
    return found if isinstance(error, RateLimited) or code.startswith("eservice:throttled") else None


class Admission:
    """The rate limiter of one API key. Not thread-safe: it has one owner.

    For each send: `check` before its nonce is drawn, `after` when its answer has come.
    """

    def __init__(self, calls: Calls, trades: Trades, kept: Sequence[float] = KEPT) -> None:
        self._kept = kept
        self._calls = calls
        self._trades = trades
        self._paused_until = float("-inf")

    def check(
        self, call_class: int, cost: float, now: float, *, pair: str | None = None, points: float = 0.0
    ) -> Wait | None:
        """`None` when the call may go, else why not and for how long.

        `call_class` is its class of service as a number, `cost` what it adds to the REST counter, `points` what it adds
        to the trading counter of `pair`. Charges nothing. Never holds a cancel.
        """
        if call_class == CANCEL:
            return None
        pause = max(0.0, self._paused_until - now)
        calls = self._calls.wait_for(cost, now, kept=self._kept[call_class]) if cost else 0.0
        trades = self._trades.wait_for(points, pair, now) if points and pair is not None else 0.0
        longest = max(pause, calls, trades)
        if not longest:
            return None
        if longest == pause:
            return Wait(_PAUSED, pause)
        if longest == calls:
            return Wait(_CALLS_FULL, calls, code=CALLS_CODE)
        return Wait(_TRADES_FULL.format(pair=pair), trades, code=TRADES_CODE)

    def after(
        self, error: CallError | None, cost: float, now: float, *, pair: str | None = None, points: float = 0.0
    ) -> None:
        """Charge a call that reached Kraken, or may have, and learn from its refusal (`error`; `None`: a good reply).

        `now` is when the answer came: charged that late, our level is never below Kraken's.
        """
        if isinstance(error, CallNotSent):
            return
        self._calls.charge(cost, now)
        if pair is not None and points:
            self._trades.charge(points, pair, now)
        if error is not None:
            self._learn(error, pair, now)

    def _learn(self, error: CallError, pair: str | None, now: float) -> None:
        wait = error.retry_after
        match limit_of(error):
            case Limit.CALLS:
                self._calls.snap(now)
                if wait is not None:  # EAPI:Rate limit exceeded with a time
                    self._pause(wait, now)
            case Limit.TRADES if pair is not None:
                self._trades.snap(pair, now)
            case Limit.PAUSE:
                self._pause(THROTTLED if wait is None else wait, now)

    def _pause(self, seconds: float, now: float) -> None:
        self._paused_until = max(self._paused_until, now + max(seconds, SHORTEST))
