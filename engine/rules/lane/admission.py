"""The rate limiter: whether a call may go to Kraken now, decided from the counters of its key before a nonce is drawn.

It never sleeps. A call that has to wait is answered with a `Wait`, which says for how long, and its sender asks again.
A cancel is never kept back: our count is a prediction, and one that is too high would leave an order open.

What the end of a call changes, and only that::

    end            REST counter    trading counter    pause
    not sent       -               -                  -
    good reply     charged         charged            -
    other error    charged         charged            -
    calls          full            charged            told
    trades         charged         full               -
    pause          charged         charged            always

*calls*, *trades*, *pause*: Kraken says that this limit was exceeded (`Limit`). *charged*: by what the call costs.
*full*: charged, and at least at the maximum. *told*: for the time that Kraken tells, if it does. *always*: for that
time, or `THROTTLED` seconds.

The numbers of Kraken's counters are in `kraken/limits.py`. Both counters err on the high side: a call is charged when
its reply arrives, and a level that cannot be read counts as full. Seconds are the caller's, of one monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.errors import CallError, CallNotSent, CallUnknown, RateLimited
from engine.kraken.limits import Tier
from engine.rules.lane.priority import CANCEL
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

_NO_WAIT = 1e-6  # seconds: a shorter wait is a rounding error
_PAUSED = "Kraken asked for a pause, so calls of this key are kept back."
_CALLS_FULL = "The call counter of this key is nearly full, so Kraken might refuse the call."
_REST_IS_KEPT = (
    "The points of this key's call counter that such calls share are used for now: {kept:g} of its {most:g} are kept "
    "free for orders and cancels."
)
_TRADES_FULL = "The trading counter of {pair} is full, so Kraken would refuse the order."
_IDLE: Mapping[str, float] = MappingProxyType({})


class Limit(Enum):
    """The limit that a refusal is about."""

    CALLS = "calls"
    TRADES = "trades"
    PAUSE = "pause"


# By the beginning of the code, in lower case and without spaces; any other is the REST counter's (Kraken's error page).
_LIMITS = (("eorder:", Limit.TRADES), ("eservice:throttled", Limit.PAUSE), ("eauth:", Limit.PAUSE))


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


class Admission(NamedTuple):
    """The counters of one API key and its account, as we count them. Each change is a new value.

    For each send: `check` before its nonce is drawn, `after` when its answer has come.

    A counter falls continuously and is kept as the moment at which it is empty. calls: the REST counter (Kraken's
    rate-limit page: per key, cost per call, decay), which is never above its maximum. trades: the trading counters by
    pair; they may exceed the maximum, since Kraken accepts cancels that overflow it. Pairs go by the names that the
    caller gives them, and one whose counter is empty is forgotten. kept: see `KEPT`.
    """

    tier: Tier
    kept: Sequence[float] = KEPT
    calls: float = -math.inf
    trades: Mapping[str, float] = _IDLE
    paused_until: float = -math.inf

    def check(
        self, call_class: int, cost: float, now: float, *, pair: str | None = None, points: float = 0.0
    ) -> Wait | None:
        """`None` when the call may go, else why not and for how long. Never holds a cancel.

        `call_class` is its class of service, `cost` what it adds to the REST counter, `points` what it adds
        to the trading counter of `pair`.
        """
        if call_class == CANCEL:
            return None
        pause = max(0.0, self.paused_until - now)
        calls = self.calls_wait(cost, now, kept=self.kept[call_class]) if cost else 0.0
        trades = self.trades_wait(points, pair, now) if points and pair is not None else 0.0
        if not (pause or calls or trades):
            return None
        longest = max(pause, calls, trades)
        if longest == pause:
            return Wait(_PAUSED, pause)
        if longest == calls:
            return Wait(self._calls_reason(call_class, cost, now), calls, code=CALLS_CODE)
        return Wait(_TRADES_FULL.format(pair=pair), trades, code=TRADES_CODE)

    def _calls_reason(self, call_class: int, cost: float, now: float) -> str:
        """Why a call waits for the REST counter: it is full, or what is left is kept for what is more urgent."""
        if self.calls_wait(cost, now):
            return _CALLS_FULL
        return _REST_IS_KEPT.format(kept=self.kept[call_class], most=self.tier.calls)

    def after(
        self, error: CallError | None, cost: float, now: float, *, pair: str | None = None, points: float = 0.0
    ) -> Admission:
        """The call ended: see the table. `error` is `None` after a good reply.

        `now` is when the answer came: charged that late, our level is never below Kraken's.
        """
        if error is not None and isinstance(error, CallNotSent):
            return self
        after = self._charged(cost, now) if cost else self
        if pair is not None and points:
            after = after.traded(points, pair, now)
        return after if error is None else after._refused(error, pair, now)

    def traded(self, points: float, pair: str, now: float) -> Admission:
        """Kraken has charged an action on that pair, or may have."""
        if not points:
            return self
        return self._with_pair(pair, max(self.trades.get(pair, now), now) + points / self.tier.trades_decay, now)

    def calls_level(self, now: float) -> float:
        """The points of the REST counter now: from 0 to its maximum."""
        return min(max(0.0, (self.calls - now) * self.tier.calls_decay), self.tier.calls)

    def calls_wait(self, cost: float, now: float, *, kept: float = 0.0) -> float:
        """Seconds until `cost` fits and leaves `kept` points of room; 0 when it does now.

        A cost that exceeds the whole counter waits until it is empty, not for ever.
        """
        tier = self.tier
        wait = self.calls - max(0.0, tier.calls - kept - cost) / tier.calls_decay - now
        return wait if wait > _NO_WAIT else 0.0

    def trades_level(self, pair: str, now: float) -> float:
        """The points of that pair's trading counter now: never below 0."""
        return max(0.0, (self.trades.get(pair, now) - now) * self.tier.trades_decay)

    def trades_levels(self, now: float) -> dict[str, float]:
        """The points now of every pair that is not idle."""
        return {pair: level for pair in self.trades if (level := self.trades_level(pair, now)) > 0}

    def trades_wait(self, points: float, pair: str, now: float) -> float:
        """Seconds until `points` fit under the maximum of that pair; 0 when they do now."""
        tier = self.tier
        wait = self.trades.get(pair, now) - max(0.0, tier.trades - points) / tier.trades_decay - now
        return wait if wait > _NO_WAIT else 0.0

    def calls_full(self, now: float) -> Admission:
        """The REST counter is at its maximum, whatever was counted here."""
        return self._replace(calls=now + self.tier.calls / self.tier.calls_decay)

    def trades_full(self, pair: str, now: float) -> Admission:
        """That pair's counter is at least at its maximum, whatever was counted here."""
        least = now + self.tier.trades / self.tier.trades_decay
        return self._with_pair(pair, max(self.trades.get(pair, now), least), now)

    def to_dict(self, now: float, wall: float) -> dict[str, float]:
        """The level of the REST counter and the time by the wall clock (Unix seconds), as JSON takes it."""
        return {"level": self.calls_level(now), "at": wall}

    def restored(self, document: Any, now: float, wall: float) -> Admission:
        """As after a restart: the level saved, less what decayed by the wall clock since.

        A level from the future, or a malformed document, counts as full.
        """
        level, at = (_number(document, name) for name in ("level", "at"))
        if level is None or at is None or level < 0 or at > wall:
            return self.calls_full(now)
        left = min(level, self.tier.calls) - (wall - at) * self.tier.calls_decay
        return self._replace(calls=now + left / self.tier.calls_decay) if left > 0 else self

    def _charged(self, cost: float, now: float) -> Admission:
        """A call reached Kraken, or may have. Each call comes through here, so it takes no more time than it must."""
        tier, kept, calls, trades, paused_until = self
        empty_at = (calls if calls > now else now) + cost / tier.calls_decay
        longest = now + tier.calls / tier.calls_decay
        return Admission(tier, kept, empty_at if empty_at < longest else longest, trades, paused_until)

    def _refused(self, error: CallError, pair: str | None, now: float) -> Admission:
        wait = error.retry_after
        match limit_of(error):
            case Limit.CALLS:
                full = self.calls_full(now)
                return full if wait is None else full._paused(wait, now)  # EAPI:Rate limit exceeded with a time
            case Limit.TRADES if pair is not None:
                return self.trades_full(pair, now)
            case Limit.PAUSE:
                return self._paused(THROTTLED if wait is None else wait, now)
        return self

    def _paused(self, seconds: float, now: float) -> Admission:
        return self._replace(paused_until=max(self.paused_until, now + max(seconds, SHORTEST)))

    def _with_pair(self, pair: str, empty_at: float, now: float) -> Admission:
        trades = {name: at for name, at in self.trades.items() if at > now}
        return self._replace(trades=MappingProxyType({**trades, pair: empty_at}))


def _number(document: Any, name: str) -> float | None:
    value = document.get(name) if isinstance(document, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
