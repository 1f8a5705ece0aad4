"""The circuit breaker of an API key: what it may do, by what Kraken last said of it.

Kraken locks out a key that keeps failing, and each further try prolongs the lockout (its page of API errors). So a
refused key is left alone, except for a *probe* now and then: an ordinary call that is let through. The states are those
of `key_state`; how long calls are kept back is in `breaker_state`.

A *denied* call holds back only its endpoint, until that has a good reply. Kraken answers the same to an order for one
product that this account may not trade (a tokenized share, a coin that its country forbids), so a denied order holds
back its market alone while that may be the reason: the key is known to have the permission, or no second market was
denied before the endpoint had a good reply.

A nonce is refused at most three times before the key is left alone: the call, its second signature, and one more call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from engine.errors import AccountLocked, CallError, OtpNeeded, PermissionDenied
from engine.rules.lane.admission import Wait
from engine.rules.lane.breaker_state import CLOSED, BreakerState
from engine.rules.lane.key_state import ALL_HELD, TABLE, KeyAnswer, KeyState, answer_of
from engine.values.dataclass import dataclass

K = TypeVar("K")
V = TypeVar("V")

LOCKOUT = 900.0
"""Seconds of quiet after each refusal: Kraken says "a few minutes" on one page and 15 minutes on another."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})  # of thousands of keys nothing is denied
DENIED_AT_MOST = 1000
"""So many endpoints of a key, and so many markets, are held back at a time; Kraken has fewer endpoints."""


@dataclass(frozen=True, slots=True)
class KeyBreaker:
    """What one API key may do, by what Kraken last said of it. `probe_every` is `Settings.refresh_every`.

    For each send: `check` before its nonce is drawn, `started` when it goes out, `after` when it has ended; each but
    the first returns the next value. After a refused nonce, `may_sign_again` says whether the call may be sent again.

    Guarantees: at most three calls go out while Kraken refuses the nonces; then, and while it refuses the key, one for
    each pause; after a lockout none for 15 minutes from its last refusal. One good reply ends it, for a denied endpoint
    one of its own, for a denied market one on that market.

    calls, products: what is denied: endpoints, and markets by endpoint. granted: the endpoints for which the key is
    known to have the permission, from a good reply or from `told`. suspect: by endpoint the market that was denied
    last, while it is not known which of the two was meant. is_quiet: nothing is held back, so that a good call leaves
    the breaker as it is, unless it is on a market and its endpoint is not in `granted`.
    """

    probe_every: float = 5.0
    key: BreakerState = CLOSED
    calls: Mapping[str, BreakerState] = field(default_factory=lambda: _NOTHING)
    products: Mapping[tuple[str, str], BreakerState] = field(default_factory=lambda: _NOTHING)
    granted: frozenset[str] = frozenset()
    suspect: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    is_quiet: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_quiet", self.key is CLOSED and not self.calls and not self.products)

    @property
    def state(self) -> KeyState:
        """The state of the key; CALL_REFUSED or PRODUCT_REFUSED when only endpoints or markets are kept back."""
        if self.key.state is not KeyState.ACCEPTED:
            return self.key.state
        return KeyState.CALL_REFUSED if self.calls else KeyState.PRODUCT_REFUSED if self.products else KeyState.ACCEPTED

    @property
    def sentence(self) -> str:
        """The state of the key for a person: the likely cause and the remedy, for each thing that is denied."""
        denied = [hold.sentence for hold in self.calls.values()]
        denied += [f"{market}: {hold.sentence}" for (_, market), hold in self.products.items()]
        return " ".join(denied) if denied and self.key.state is KeyState.ACCEPTED else self.key.sentence

    @property
    def denied(self) -> tuple[str, ...]:
        """The endpoints that are denied, and those where it is not known yet whether the key or a market is meant."""
        return (*self.calls, *(name for name in self.suspect if name not in self.calls))

    def denied_markets(self, now: float) -> tuple[str, ...]:
        """The markets on which no order may be placed now."""
        return tuple(market for (name, market), hold in self.products.items() if name == "AddOrder" and now < hold.due)

    @property
    def may_sign_again(self) -> bool:
        """Whether a call whose nonce was just refused may be signed a second time: only after the first refusal."""
        return self.key.state is KeyState.NONCE_REFUSED_ONCE

    @property
    def locked_until(self) -> float | None:
        """When the lockout ends, or ended if no call has gone since; `None` without one."""
        return self.key.due if self.key.state is KeyState.LOCKED_OUT else None

    def check(self, endpoint: str, now: float, market: str | None = None) -> Wait | None:
        """`None` when the call may go, else why not. Cancels are kept back as well: they would fail and prolong it.

        `market`: that of the order which the call places or changes, here and in the other methods.
        """
        held = self.key.check(now) or self.calls.get(endpoint, CLOSED).check(now)
        return held or self.products.get((endpoint, market or ""), CLOSED).check(now)

    def started(self, endpoint: str, now: float, market: str | None = None) -> KeyBreaker:
        """A call that `check` let pass goes out. When it is a probe, no other call passes during a whole pause."""
        if self.is_quiet:
            return self
        return self._changed(endpoint, market, lambda hold: hold.probing(now, self.probe_every))

    def after(
        self, error: CallError | None, endpoint: str, now: float, market: str | None = None, *, cause: str = ""
    ) -> KeyBreaker:
        """The call ended: `error`, or a good reply. `cause` replaces Kraken's words (see `diagnose_nonce`)."""
        if error is None and self.is_quiet and (market is None or endpoint in self.granted):
            return self
        answer = answer_of(error)
        if answer is KeyAnswer.UNSENT:
            return self._changed(endpoint, market, BreakerState.not_sent)
        cause = cause or (str(error) if error is not None else "")
        breaker = self._changed(endpoint, market, BreakerState.answered)
        breaker = replace(breaker, key=breaker._next(answer, cause, now))
        if answer is KeyAnswer.GOOD:
            return breaker._allowed(endpoint, market)
        if answer not in (KeyAnswer.DENIED, KeyAnswer.RESTRICTED):
            return breaker
        is_locked = isinstance(error, AccountLocked | OtpNeeded)  # on every market
        if market is not None and isinstance(error, PermissionDenied) and not is_locked:
            return breaker._denied_on(market, endpoint, error, now)
        return breaker._denied(endpoint, cause, now) if answer is KeyAnswer.DENIED else breaker

    def told(self, granted: Iterable[str], denied: Iterable[str]) -> KeyBreaker:
        """Kraken said for which endpoints the key has the permission, and for which not."""
        known = (self.granted | frozenset(granted)) - frozenset(denied)
        suspect = {endpoint: market for endpoint, market in self.suspect.items() if endpoint not in known}
        return replace(self, granted=known, suspect=MappingProxyType(suspect))

    def resume(self) -> KeyBreaker:
        """An operator says that it was fixed: all may go at once. A lockout stays, since a try would prolong it."""
        key = self.key if self.key.state is KeyState.LOCKED_OUT else CLOSED
        return KeyBreaker(self.probe_every, key, granted=self.granted)

    def to_dict(self, now: float, wall: float) -> dict[str, float]:
        """The end of a lockout by the wall clock (Unix seconds), as JSON takes it; empty when there is none."""
        locked = self.key.state is KeyState.LOCKED_OUT and now < self.key.due
        return {"locked_until": wall + self.key.due - now} if locked else {}

    @classmethod
    def from_dict(cls, document: Any, now: float, wall: float, *, probe_every: float = 5.0) -> KeyBreaker:
        """The breaker after a restart: locked out for what is left of it by the wall clock, else accepted.

        What `to_dict` cannot have written counts as 15 minutes from now, and no lockout is longer than that.
        """
        left = _seconds_left(document, wall)
        return cls(probe_every, BreakerState(KeyState.LOCKED_OUT, 0, now + left) if left > 0 else CLOSED)

    def _next(self, answer: KeyAnswer, cause: str, now: float) -> BreakerState:
        state = TABLE[self.key.state][answer]
        if state is KeyState.LOCKED_OUT:
            due = now + LOCKOUT if answer is KeyAnswer.LOCKOUT else self.key.due
            return BreakerState(state, self.key.failed, due, cause)
        if not state.is_probed:
            return CLOSED if state is KeyState.ACCEPTED else BreakerState(state)
        refused = answer in (KeyAnswer.BAD_KEY, KeyAnswer.BAD_NONCE)
        return self.key.failed_again(state, cause, now, self.probe_every) if refused else self.key

    def _allowed(self, endpoint: str, market: str | None) -> KeyBreaker:
        """A good reply: the key has the permission, and is not kept from that market."""
        breaker = self._with_call(endpoint, None)
        if market is None:
            return breaker
        breaker = replace(breaker, granted=self.granted | {endpoint}, suspect=_with(self.suspect, endpoint, None))
        return breaker._with_product(endpoint, market, None)

    def _denied(self, endpoint: str, cause: str, now: float) -> KeyBreaker:
        hold = self.calls.get(endpoint, CLOSED).failed_again(KeyState.CALL_REFUSED, cause, now, self.probe_every)
        return replace(self, granted=self.granted - {endpoint})._with_call(endpoint, hold)

    def _denied_on(self, market: str, endpoint: str, error: PermissionDenied, now: float) -> KeyBreaker:
        """Denied for one market: that is held back alone, until a second one shows that the key is meant."""
        is_product = answer_of(error) is KeyAnswer.RESTRICTED or endpoint in self.granted
        if endpoint in self.calls or not (is_product or self.suspect.get(endpoint, market) == market):
            return self._denied(endpoint, str(error), now)
        cause = f"Kraken refused {endpoint} with {error.kraken_code!r}."
        before = self.products.get((endpoint, market), CLOSED)
        hold = before.failed_again(KeyState.PRODUCT_REFUSED, cause, now, self.probe_every)
        suspect = self.suspect if is_product else _with(self.suspect, endpoint, market)
        return replace(self, suspect=suspect)._with_product(endpoint, market, hold)

    def _changed(self, endpoint: str, market: str | None, change: Callable[[BreakerState], BreakerState]) -> KeyBreaker:
        """The breaker with every state that applies to that call changed: the key's, the endpoint's, the market's."""
        breaker = replace(self, key=change(self.key))
        if endpoint in self.calls:
            breaker = breaker._with_call(endpoint, change(self.calls[endpoint]))
        hold = self.products.get((endpoint, market or ""))
        return breaker if hold is None else breaker._with_product(endpoint, market or "", change(hold))

    def _with_call(self, endpoint: str, hold: BreakerState | None) -> KeyBreaker:
        return replace(self, calls=_with(self.calls, endpoint, hold))

    def _with_product(self, endpoint: str, market: str, hold: BreakerState | None) -> KeyBreaker:
        return replace(self, products=_with(self.products, (endpoint, market), hold))


def _with(mapping: Mapping[K, V], name: K, value: V | None) -> Mapping[K, V]:
    """The mapping with that value, or without the name."""
    others = {each: known for each, known in mapping.items() if each != name}
    if len(others) >= DENIED_AT_MOST:  # the longest denied is forgotten: callers may choose names of their own
        del others[next(iter(others))]
    return MappingProxyType(others if value is None else {**others, name: value})


_NO_CLOCK = 1e12  # Unix seconds that no clock shows


def _seconds_left(document: Any, wall: float) -> float:
    """Seconds of a saved lockout that are left, at most `LOCKOUT`, which also stands for all that cannot be read."""
    if document == {}:
        return 0.0
    if not isinstance(document, Mapping):
        return LOCKOUT
    until = document.get("locked_until")
    if isinstance(until, bool) or not isinstance(until, int | float) or not abs(until) < _NO_CLOCK:
        return LOCKOUT
    return min(max(0.0, until - wall), LOCKOUT)


def check_all(breakers: Iterable[KeyBreaker], now: float) -> Wait | None:
    """Why every key has to wait, and until when: two are locked out at once; `None` when they need not."""
    ends = sorted(end for breaker in breakers if (end := breaker.locked_until) is not None)
    at_once = len(ends) >= 2 and ends[-1] - ends[-2] < LOCKOUT
    return Wait(ALL_HELD, ends[-1] - now) if at_once and now < ends[-1] else None
