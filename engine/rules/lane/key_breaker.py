"""When calls of a key are kept back because Kraken refused the key itself, as values that change only here.

Kraken locks out a key that goes on failing, and each further try prolongs it (KRAKEN.md §4.4). So a refused key is
left alone, but for a *probe* now and then, which is an ordinary call that is let through. Where a key stands, and where
it stands after an answer:

    ============ ============ ============ ============ ============ ============ ============
    stands \\ got good         lockout      bad key      bad nonce    denied       other
    ============ ============ ============ ============ ============ ============ ============
    OPEN         OPEN         LOCKED_OUT   REFUSED_KEY  NONCE_DOUBT  OPEN         OPEN
    NONCE_DOUBT  OPEN         LOCKED_OUT   REFUSED_KEY  NONCE_STORM  NONCE_DOUBT  NONCE_DOUBT
    NONCE_STORM  OPEN         LOCKED_OUT   REFUSED_KEY  NONCE_STORM  NONCE_STORM  NONCE_STORM
    REFUSED_KEY  OPEN         LOCKED_OUT   REFUSED_KEY  NONCE_STORM  OPEN         REFUSED_KEY
    LOCKED_OUT   OPEN         LOCKED_OUT   REFUSED_KEY  NONCE_STORM  OPEN         OPEN
    ============ ============ ============ ============ ============ ============ ============

*Denied* holds back only its endpoint (REFUSED_CALL) until that endpoint has a good reply. It shows that Kraken knows
the key, and nothing about the nonce, since nobody knows which of the two is looked at first. Kraken says the same to an
order for one product that this account may not trade (a tokenized share, a coin that its country forbids), so a denied
order holds back its market alone as long as that may be the reason: the key is known to have the permission, or no
second market was denied before the endpoint had a good reply. Calls go again when the
time of a lockout is over, so LOCKED_OUT stays in name only until the first of them is answered. Nothing is learnt from
a call that was not sent.

A nonce is refused at most three times before the key is left alone: the call, its second signature, and one more call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from engine.errors import (
    AccountLocked,
    CallError,
    CallNotSent,
    InsufficientFunds,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    OrderRejected,
    OtpNeeded,
    PermissionDenied,
    TemporaryLockout,
)
from engine.rules.lane.admission import Wait

K = TypeVar("K")
V = TypeVar("V")

LOCKOUT = 900.0
"""Seconds of quiet after each refusal: Kraken says "a few minutes" in one place and 15 in another (KRAKEN.md §4.4)."""

PAUSES = (0.0, 12.0, 60.0, 180.0)
"""The pause before a probe in units of `probe_every`, by the failed probes before it; the last one stays.

At the default of 5 s: at once (the third call of a nonce storm), a minute, 5 minutes, 15 minutes.
"""
LONGEST = 900.0
"""No pause is longer: a lockout clears in that time, so rarer probes would spare the key nothing."""


DENIED_AT_MOST = 1000
"""Endpoints of a key, and markets, that are held back at a time; Kraken has no more of the first."""


class State(Enum):
    """Where a key stands, or a key with one endpoint (REFUSED_CALL) or with one market there (REFUSED_PRODUCT)."""

    OPEN = "open"
    NONCE_DOUBT = "nonce-refused-once"
    NONCE_STORM = "nonces-refused"
    REFUSED_KEY = "key-refused"
    REFUSED_CALL = "call-refused"
    REFUSED_PRODUCT = "product-refused"
    LOCKED_OUT = "locked-out"


class Answer(Enum):
    """What an answer of Kraken's says about the key."""

    GOOD = "good"
    LOCKOUT = "lockout"
    BAD_KEY = "bad key"
    BAD_NONCE = "bad nonce"
    DENIED = "denied"
    RESTRICTED = "restricted"
    OTHER = "other"
    UNSENT = "unsent"


_UNLESS_NAMED: Mapping[Answer, State] = {
    Answer.GOOD: State.OPEN,
    Answer.LOCKOUT: State.LOCKED_OUT,
    Answer.BAD_KEY: State.REFUSED_KEY,
    Answer.BAD_NONCE: State.NONCE_STORM,
}
_NAMED: Mapping[State, Mapping[Answer, State]] = {
    State.OPEN: {Answer.BAD_NONCE: State.NONCE_DOUBT},
    State.REFUSED_KEY: {Answer.DENIED: State.OPEN},
    State.LOCKED_OUT: {Answer.DENIED: State.OPEN, Answer.OTHER: State.OPEN},
}

# The first row that fits: the class of the error and the beginning of Kraken's code.
_ANSWERS: tuple[tuple[type[CallError], str, Answer], ...] = (
    (CallNotSent, "", Answer.UNSENT),
    (TemporaryLockout, "", Answer.LOCKOUT),
    (CallError, "EGeneral:Temporary lockout", Answer.LOCKOUT),  # beside a result it is an unknown outcome
    (InvalidNonce, "", Answer.BAD_NONCE),
    (InvalidKey, "", Answer.BAD_KEY),
    (InvalidSignature, "", Answer.BAD_KEY),
    (AccountLocked, "ETrade:", Answer.DENIED),  # trading is locked: the balance can still be read
    (AccountLocked, "", Answer.BAD_KEY),
    (PermissionDenied, "EAccount:", Answer.RESTRICTED),  # depends on what was asked for: one pair, one country
    (PermissionDenied, "EEarnings:", Answer.OTHER),
    (PermissionDenied, "", Answer.DENIED),
    (InsufficientFunds, "", Answer.GOOD),  # the key, its signature and the nonce passed, or this would not be known
    (OrderRejected, "", Answer.GOOD),
)


def answer_of(error: CallError | None) -> Answer:
    """What the end of a call says about its key; `None` is a good reply."""
    if error is None:
        return Answer.GOOD
    code = _plain(error.kraken_code or "")
    fits = (answer for kind, prefix, answer in _ANSWERS if isinstance(error, kind) and code.startswith(_plain(prefix)))
    return next(fits, Answer.OTHER)


def _plain(code: str) -> str:
    return "".join(code.lower().split())


_PROBES = "One call is let through now and then to see whether it is over; 'resume' tries at once."

SENTENCES: Mapping[State, str] = MappingProxyType(
    {
        State.OPEN: "Kraken takes this key.",
        State.NONCE_DOUBT: (
            "Kraken refused a nonce of this key once. If it does so again, something else uses the key: give this "
            "engine a key of its own."
        ),
        State.NONCE_STORM: f"Kraken refuses the nonces of this key, so its calls are kept back. {_PROBES}",
        State.REFUSED_KEY: (
            f"Kraken refuses this key, so all its calls are kept back: it may be disabled, expired or mistyped, or the "
            f"account is locked. Mend it at Kraken, or put in a new key with 'replace_key'. {_PROBES}"
        ),
        State.REFUSED_CALL: (
            f"Kraken denies this call to this key, so it is kept back; other calls go on. {_PROBES}"
        ),
        State.REFUSED_PRODUCT: (
            "Kraken denies orders on this market to this account or key, so they are kept back; other markets go on. "
            "See at Kraken whether your account may trade it where you live, and whether the key may create orders. "
            f"{_PROBES}"
        ),
        State.LOCKED_OUT: (
            "Kraken has locked this key out, usually after too many calls with a bad key, signature or nonce. No call "
            "is made for 15 minutes, not even a cancel, because each one would prolong it. Look for what went wrong "
            "before, and for other programs that use the key or this address."
        ),
    }
)

ALL_HELD = (
    "Kraken has locked out two keys at once, so it is probably this machine's address that it shuts out. No key makes "
    "a call until that is over, because each one would prolong it. Look for other programs that call Kraken from here."
)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What keeps calls back.

    state: why. failed: how many probes were refused. due: when the next call may go. cause: Kraken's words.
    was_due: while a probe is under way, the `due` that let it go.
    """

    state: State = State.OPEN
    failed: int = 0
    due: float = -math.inf
    cause: str = ""
    was_due: float | None = None

    @property
    def sentence(self) -> str:
        """The state for a person, with the likely cause and the remedy."""
        return f"{self.cause} {SENTENCES[self.state]}".strip()

    def check(self, now: float) -> Wait | None:
        """`None` when a call may go, which then is the probe; else for how long none may."""
        return Wait(self.sentence, self.due - now, self.state in _PROBED) if now < self.due else None

    def probing(self, now: float, probe_every: float) -> BreakerState:
        """A call goes out. When it is a probe, the next one waits a whole pause, whatever becomes of this one."""
        if self.state not in _PROBED:
            return self
        return replace(self, was_due=self.due, due=now + _pause(max(1, self.failed), probe_every))

    def answered(self) -> BreakerState:
        """The probe under way, if any, has ended and may have reached Kraken."""
        return replace(self, was_due=None)

    def not_sent(self) -> BreakerState:
        """The probe under way, if any, did not reach Kraken, so it has still to be made."""
        return self if self.was_due is None else replace(self, due=self.was_due, was_due=None)

    def failed_again(self, state: State, cause: str, now: float, probe_every: float) -> BreakerState:
        """Refused once more: the next probe comes later than the last one did."""
        first = self.state is State.NONCE_DOUBT and state is State.NONCE_STORM
        failed = 0 if first else self.failed + 1
        return BreakerState(state, failed, now + _pause(failed, probe_every), cause)


_OPEN = BreakerState()


def _pause(failed: int, probe_every: float) -> float:
    return min(probe_every * PAUSES[min(failed, len(PAUSES) - 1)], LONGEST)


@dataclass(frozen=True, slots=True)
class KeyBreaker:
    """What one API key may do, by what Kraken last said of it. `probe_every` is `Settings.refresh_every`.

    For each send: `check` before its nonce is drawn, `started` when it goes, `after` with its end; each but the first
    returns the next value. After a refused nonce, `may_sign_again` says whether the call may be sent a second time.

    Guarantees: at most three calls go into a storm of refused nonces; then, and while the key is refused, one for each
    pause; after a lockout none for 15 minutes from its last refusal. One good reply ends it, for a denied endpoint one
    of its own, for a denied market one on that market.

    calls, products: what is denied: endpoints, and markets by endpoint. granted: the endpoints for which the key is
    known to have the permission, from a good reply or from `told`. suspect: by endpoint the market that was denied
    last, while it is not known which of the two was meant.
    """

    probe_every: float = 5.0
    key: BreakerState = _OPEN
    calls: Mapping[str, BreakerState] = field(default_factory=lambda: MappingProxyType({}))
    products: Mapping[tuple[str, str], BreakerState] = field(default_factory=lambda: MappingProxyType({}))
    granted: frozenset[str] = frozenset()
    suspect: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def state(self) -> State:
        """The state of the key; REFUSED_CALL or REFUSED_PRODUCT when only endpoints or markets are kept back."""
        if self.key.state is not State.OPEN:
            return self.key.state
        return State.REFUSED_CALL if self.calls else State.REFUSED_PRODUCT if self.products else State.OPEN

    @property
    def sentence(self) -> str:
        """Where the key stands, for a person: the likely cause and the remedy, for each thing that is denied."""
        denied = [hold.sentence for hold in self.calls.values()]
        denied += [f"{market}: {hold.sentence}" for (_, market), hold in self.products.items()]
        return " ".join(denied) if denied and self.key.state is State.OPEN else self.key.sentence

    @property
    def denied(self) -> tuple[str, ...]:
        """The endpoints that are denied, and those where nobody knows yet whether the key or a market is meant."""
        return (*self.calls, *(name for name in self.suspect if name not in self.calls))

    def denied_markets(self, now: float) -> tuple[str, ...]:
        """The markets on which no order may be placed now."""
        return tuple(market for (name, market), hold in self.products.items() if name == "AddOrder" and now < hold.due)

    @property
    def may_sign_again(self) -> bool:
        """Whether a call whose nonce was just refused may be signed a second time: only after the first refusal."""
        return self.key.state is State.NONCE_DOUBT

    @property
    def locked_until(self) -> float | None:
        """When the lockout ends, or ended if no call has gone since; `None` without one."""
        return self.key.due if self.key.state is State.LOCKED_OUT else None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is held against the key: what a good call leaves as it is."""
        return self.key is _OPEN and not self.calls and not self.products

    def check(self, endpoint: str, now: float, market: str | None = None) -> Wait | None:
        """`None` when the call may go, else why not. Cancels are kept back as well: they would fail and prolong it.

        `market`: that of the order which the call places or changes, here and in the other methods.
        """
        held = self.key.check(now) or self.calls.get(endpoint, _OPEN).check(now)
        return held or self.products.get((endpoint, market or ""), _OPEN).check(now)

    def started(self, endpoint: str, now: float, market: str | None = None) -> KeyBreaker:
        """A call that `check` let pass goes out. When it is a probe, no other call passes during a whole pause."""
        if self.is_quiet:
            return self
        return self._holds(endpoint, market, lambda hold: hold.probing(now, self.probe_every))

    def after(
        self, error: CallError | None, endpoint: str, now: float, market: str | None = None, *, cause: str = ""
    ) -> KeyBreaker:
        """The call ended: `error`, or a good reply. `cause` replaces Kraken's words (see `diagnose_nonce`)."""
        if error is None and self.is_quiet and (market is None or endpoint in self.granted):
            return self
        answer = answer_of(error)
        if answer is Answer.UNSENT:
            return self._holds(endpoint, market, BreakerState.not_sent)
        cause = cause or (str(error) if error is not None else "")
        guard = self._holds(endpoint, market, BreakerState.answered)
        guard = replace(guard, key=guard._next(answer, cause, now))
        if answer is Answer.GOOD:
            return guard._allowed(endpoint, market)
        if answer not in (Answer.DENIED, Answer.RESTRICTED):
            return guard
        is_locked = isinstance(error, AccountLocked | OtpNeeded)  # on every market
        if market is not None and isinstance(error, PermissionDenied) and not is_locked:
            return guard._denied_on(market, endpoint, error, now)
        return guard._denied(endpoint, cause, now) if answer is Answer.DENIED else guard

    def told(self, granted: Iterable[str], denied: Iterable[str]) -> KeyBreaker:
        """Kraken said for which endpoints the key has the permission, and for which not."""
        known = (self.granted | frozenset(granted)) - frozenset(denied)
        suspect = {endpoint: market for endpoint, market in self.suspect.items() if endpoint not in known}
        return replace(self, granted=known, suspect=MappingProxyType(suspect))

    def resume(self) -> KeyBreaker:
        """Somebody says that it is mended: all may go at once. A lockout stays, since a try would prolong it."""
        key = self.key if self.key.state is State.LOCKED_OUT else _OPEN
        return KeyBreaker(self.probe_every, key, granted=self.granted)

    def replace_key(self) -> KeyBreaker:
        """The guard of a new key in the place of this one."""
        return KeyBreaker(self.probe_every)

    def to_dict(self, now: float, wall: float) -> dict[str, float]:
        """The end of a lockout by the wall clock (Unix seconds), as JSON takes it; empty when there is none."""
        locked = self.key.state is State.LOCKED_OUT and now < self.key.due
        return {"locked_until": wall + self.key.due - now} if locked else {}

    @classmethod
    def from_dict(cls, document: Any, now: float, wall: float, *, probe_every: float = 5.0) -> KeyBreaker:
        """The guard after a restart: locked out for what is left of it by the wall clock, else open.

        What `to_dict` cannot have written counts as 15 minutes from now, and no lockout is longer than that.
        """
        left = _seconds_left(document, wall)
        return cls(probe_every, BreakerState(State.LOCKED_OUT, 0, now + left) if left > 0 else _OPEN)

    def _next(self, answer: Answer, cause: str, now: float) -> BreakerState:
        state = _NAMED.get(self.key.state, {}).get(answer) or _UNLESS_NAMED.get(answer, self.key.state)
        if state is State.LOCKED_OUT:
            due = now + LOCKOUT if answer is Answer.LOCKOUT else self.key.due
            return BreakerState(state, self.key.failed, due, cause)
        if state not in _PROBED:
            return _OPEN if state is State.OPEN else BreakerState(state)
        refused = answer in (Answer.BAD_KEY, Answer.BAD_NONCE)
        return self.key.failed_again(state, cause, now, self.probe_every) if refused else self.key

    def _allowed(self, endpoint: str, market: str | None) -> KeyBreaker:
        """A good reply: the key has the permission, and is not kept from that market."""
        guard = self._with_call(endpoint, None)
        if market is None:
            return guard
        guard = replace(guard, granted=self.granted | {endpoint}, suspect=_with(self.suspect, endpoint, None))
        return guard._with_product(endpoint, market, None)

    def _denied(self, endpoint: str, cause: str, now: float) -> KeyBreaker:
        hold = self.calls.get(endpoint, _OPEN).failed_again(State.REFUSED_CALL, cause, now, self.probe_every)
        return replace(self, granted=self.granted - {endpoint})._with_call(endpoint, hold)

    def _denied_on(self, market: str, endpoint: str, error: PermissionDenied, now: float) -> KeyBreaker:
        """Denied for one market: that is held back alone, until a second one shows that the key is meant."""
        is_product = answer_of(error) is Answer.RESTRICTED or endpoint in self.granted
        if endpoint in self.calls or not (is_product or self.suspect.get(endpoint, market) == market):
            return self._denied(endpoint, str(error), now)
        cause = f"Kraken refused {endpoint} with {error.kraken_code!r}."
        before = self.products.get((endpoint, market), _OPEN)
        hold = before.failed_again(State.REFUSED_PRODUCT, cause, now, self.probe_every)
        suspect = self.suspect if is_product else _with(self.suspect, endpoint, market)
        return replace(self, suspect=suspect)._with_product(endpoint, market, hold)

    def _holds(self, endpoint: str, market: str | None, change: Callable[[BreakerState], BreakerState]) -> KeyBreaker:
        """The guard with its holds on that call changed: that of the key, and those of what is denied to it."""
        guard = replace(self, key=change(self.key))
        if endpoint in self.calls:
            guard = guard._with_call(endpoint, change(self.calls[endpoint]))
        hold = self.products.get((endpoint, market or ""))
        return guard if hold is None else guard._with_product(endpoint, market or "", change(hold))

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


_PROBED = frozenset({State.REFUSED_KEY, State.REFUSED_CALL, State.REFUSED_PRODUCT, State.NONCE_STORM})
_CENTURIES = 1e12  # Unix seconds that no clock shows


def _seconds_left(document: Any, wall: float) -> float:
    """Seconds of a saved lockout that are left, at most `LOCKOUT`, which also stands for all that cannot be read."""
    if document == {}:
        return 0.0
    if not isinstance(document, Mapping):
        return LOCKOUT
    until = document.get("locked_until")
    if isinstance(until, bool) or not isinstance(until, int | float) or not abs(until) < _CENTURIES:
        return LOCKOUT
    return min(max(0.0, until - wall), LOCKOUT)


def check_all(guards: Iterable[KeyBreaker], now: float) -> Wait | None:
    """Whether every key has to wait because two are locked out at once, until the later of the two is free."""
    ends = sorted(end for guard in guards if (end := guard.locked_until) is not None)
    at_once = len(ends) >= 2 and ends[-1] - ends[-2] < LOCKOUT
    return Wait(ALL_HELD, ends[-1] - now) if at_once and now < ends[-1] else None
