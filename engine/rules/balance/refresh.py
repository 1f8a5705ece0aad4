"""When an account's balance is refreshed, as a table of phases that change only here (promises G6, G7).

::

                asked  woken  invalidated  settled  unsettled  unsupported  replaced  silent
    planned     sent   sent   urgent       planned  planned    planned      sent      planned
    urgent      sent   sent   urgent       urgent   urgent     urgent       sent      urgent
    sent        sent   sent   sent         planned  urgent     sent         sent      sent

*asked*: a caller wants a younger balance. *woken*: the timer of the newest plan fires. *invalidated*: an order, a
cancel or a fill of ours changed the balance. *settled*: the reply is conclusive, good or bad. *unsettled*: another
request has to follow soon, outside the account's turn, and callers wait for it. *unsupported*: this server or key has
no BalanceEx, so Balance is requested at once. *replaced*: the account has another key. *silent*: no good reply for too
long. A reply that arrives while no request is under way changes nothing.
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum

from engine.errors import CallError, CounterFull, InvalidNonce
from engine.rules.balance.endpoint_choice import EndpointChoice
from engine.rules.transitions import table
from engine.values.dataclass import dataclass

REQUEST_AGAIN_IN = 1.0
"""Seconds to the next request when a reply predates our last order or cancel, and between requests while they go on."""
CONFIRM_IN = 1.0
"""Seconds from a reply that is not believed yet to the request that confirms it."""
AFTER_A_LEAD = 1.1
"""Seconds: the nonces of a run on another directory that has just ended are up to one second ahead of the clock."""
SETTLES_IN = 0.2
"""Seconds from an order or a cancel of ours to the request, so that several of them share one."""


class Phase(Enum):
    """Where an account's refresh stands."""

    PLANNED = "planned"
    """The next request is sent when it is the account's turn."""
    URGENT = "urgent"
    """The next request is sent at a set time, whoever's turn it is."""
    SENT = "sent"
    """A request is under way."""


class RefreshEvent(Enum):
    """What can happen to a refresh."""

    ASKED = "asked"
    WOKEN = "woken"
    INVALIDATED = "invalidated"
    SETTLED = "settled"
    UNSETTLED = "unsettled"
    UNSUPPORTED = "unsupported"
    REPLACED = "replaced"
    SILENT = "silent"


_P, _U, _S = Phase.PLANNED, Phase.URGENT, Phase.SENT
TABLE = table(
    RefreshEvent,
    {
        _P: (_S, _S, _U, _P, _P, _P, _S, _P),
        _U: (_S, _S, _U, _U, _U, _U, _S, _U),
        _S: (_S, _S, _S, _P, _U, _S, _S, _S),
    },
)


class RefreshResult(Enum):
    """What a request has come to."""

    GOOD = "good"
    """The next request follows at the account's turn."""
    FAILED = "failed"
    """The next request follows at the account's turn, backing off."""
    BEHIND = "behind"
    """Good, but Kraken's stream has told what this reply does not know yet."""
    OUTDATED = "outdated"
    """Good, but requested before an order, a cancel or a fill of ours."""
    UNCONFIRMED = "unconfirmed"
    """An empty reply, which counts when a second one confirms it."""
    NONCE_LEAD = "nonce lead"
    """The first Invalid nonce in a row: nonces of an earlier run on another directory may be ahead of the clock."""
    NO_ROOM = "no room"
    """Callers wait, and the key's call counter has no room yet."""

    @property
    def is_settled(self) -> bool:
        """Whether it answers the callers; they wait for the next request otherwise."""
        return self in (RefreshResult.GOOD, RefreshResult.FAILED)

    def pause(self, planned: float, error: CallError | None = None) -> float:
        """Seconds until the next request; `planned` is what the account's turns and failures make it."""
        match self:
            case RefreshResult.OUTDATED:
                return min(planned, REQUEST_AGAIN_IN)
            case RefreshResult.UNCONFIRMED:
                return CONFIRM_IN
            case RefreshResult.NONCE_LEAD:
                return AFTER_A_LEAD
            case RefreshResult.NO_ROOM:
                return room_in(error) or 0.0
        return planned


def result_of(
    error: CallError | None, errors: int, *, outdated: bool, unconfirmed: bool, awaited: bool, behind: bool = False
) -> RefreshResult:
    """Which result it is.

    error: `None` after a good reply. errors: failures in a row, with this one. outdated: the balance changed after the
    request. behind: what Kraken's stream has told is newer. unconfirmed: the error says only that a second reply has to
    confirm this one. awaited: callers wait.
    """
    if error is None and behind:
        return RefreshResult.BEHIND
    if error is None:
        return RefreshResult.OUTDATED if outdated else RefreshResult.GOOD
    if unconfirmed:
        return RefreshResult.UNCONFIRMED
    if awaited and room_in(error) is not None:
        return RefreshResult.NO_ROOM
    is_lead = isinstance(error, InvalidNonce) and errors == 1
    return RefreshResult.NONCE_LEAD if is_lead else RefreshResult.FAILED


def room_in(error: CallError | None) -> float | None:
    """Seconds until the key's call counter has room, where that is why nothing was sent."""
    return error.retry_after if isinstance(error, CounterFull) else None


@dataclass(frozen=True, slots=True)
class Refresh:
    """The refresh of one account. Immutable; times are seconds of the monotonic clock."""

    phase: Phase = Phase.PLANNED
    turn: int = 0
    """Counts plans and requests. Only the newest plan's timer counts, and a request answers callers by its number."""
    at: float = float("-inf")
    """When the next request is due, or when the one under way was sent."""
    not_before: float = float("-inf")
    """An invalidation causes no request earlier than this."""
    endpoint: EndpointChoice = field(default_factory=EndpointChoice)

    def planned(self, at: float) -> Refresh:
        """The first request is due at `at`."""
        return replace(self, turn=self.turn + 1, at=at)

    def asked(self, now: float) -> Refresh:
        """A caller wants a younger balance: a request is sent, unless one is under way."""
        return self if self.is_sent else self._sent(RefreshEvent.ASKED, now)

    def woken(self, turn: int, now: float) -> Refresh:
        """The timer of plan `turn` fires; it changes nothing when that is not the newest plan."""
        return self if self.is_sent or turn != self.turn else self._sent(RefreshEvent.WOKEN, now)

    def invalidated(self, now: float) -> Refresh:
        """The balance has changed: a request is due soon. An earlier one stays, so that steady trading delays none."""
        at = max(now + SETTLES_IN, self.not_before)
        if self.is_sent or (self.phase is Phase.URGENT and self.at <= at):
            return self
        return self._next(RefreshEvent.INVALIDATED, at)

    def ended(self, result: RefreshResult, now: float, pause: float, room: float | None = None) -> Refresh:
        """The request under way has ended; the next one is due in `pause` seconds.

        `room`: seconds until the call counter has room, where it was full.
        """
        if not self.is_sent:
            return self
        event = RefreshEvent.SETTLED if result.is_settled else RefreshEvent.UNSETTLED
        is_good = result in (RefreshResult.GOOD, RefreshResult.OUTDATED, RefreshResult.BEHIND)
        return replace(
            self._next(event, now + pause), not_before=self.not_before if room is None else now + room,
            endpoint=self.endpoint.served() if is_good else self.endpoint,
        )  # fmt: skip

    def unsupported(self, now: float) -> Refresh:
        """There is no BalanceEx: Balance is requested at once. It does not know holds."""
        if not self.is_sent:
            return self
        return replace(self._next(RefreshEvent.UNSUPPORTED, now), endpoint=self.endpoint.fallen_back())

    def replaced(self, now: float) -> Refresh:
        """The account has another key: a request under way is that of the old one, and does not count."""
        return replace(self, endpoint=EndpointChoice())._sent(RefreshEvent.REPLACED, now)

    def silent(self, at: float) -> Refresh:
        """No good reply for too long: a request that waits for its turn is due at `at` instead."""
        return self._next(RefreshEvent.SILENT, at) if self.phase is Phase.PLANNED else self

    @property
    def is_sent(self) -> bool:
        """Whether a request is under way."""
        return self.phase is Phase.SENT

    def awaits(self, turn: int) -> bool:
        """Whether the request under way is the one with that number."""
        return self.is_sent and turn == self.turn

    def first_for(self, max_age: float, now: float) -> int:
        """The number of the first request that may answer a caller who wants a balance of at most `max_age` now."""
        return self.turn if self.is_sent and now - self.at < max_age else self.turn + 1

    def _sent(self, event: RefreshEvent, now: float) -> Refresh:
        not_before = now + REQUEST_AGAIN_IN if self.phase is Phase.URGENT else self.not_before
        return replace(self._next(event, now), not_before=not_before, endpoint=self.endpoint.sent())

    def _next(self, event: RefreshEvent, at: float) -> Refresh:
        return replace(self, phase=TABLE[self.phase][event], turn=self.turn + 1, at=at)
