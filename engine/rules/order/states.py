"""What becomes of a placement, as a table of states that changes only here (promise G9).

::

               sent  accepted  refused  not sent    no answer  found open  closed  canceled  said canceled  absent
    planned    sent  ·         ·        not placed  ·          ·           ·       ·         ·              ·
    sent       ·     placed    refused  not placed  unknown    placed      closed  canceled  ·              ·
    unknown    ·     ·         ·        ·           unknown    placed      closed  canceled  canceled       not placed
    placed     ·     ·         ·        ·           ·          placed      closed  canceled  canceled       ·
    closed     ·     ·         ·        ·           ·          ·           closed  ·         ·              ·
    canceled   ·     ·         ·        ·           ·          placed      closed  canceled  canceled       ·
    refused, not placed: the end, nothing can happen any more

A dot is impossible: it raises, and nothing changes. A *sent* order is found when Kraken's stream tells of it before
the answer to its call has come. *closed* and *canceled* may be told again, with what was filled.
*said canceled* is Kraken's answer to a cancel, which counts orders and says nothing of amounts: a row that is read
later is the witness, and may say otherwise.
*absent* is what complete, good replies say that were all asked for when the order could not appear any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class OrderState(Enum):
    """Where a placement stands."""

    PLANNED = "planned"
    """Written down; nothing was sent."""
    SENT = "sent"
    """Its turn came: it is, or was, under way to Kraken."""
    UNKNOWN = "unknown"
    """It may be on the exchange; it is looked up until that is known, and never sent again."""
    PLACED = "placed"
    """Kraken has it, and it is open."""
    REFUSED = "refused"
    """Kraken said no; nothing was placed."""
    NOT_PLACED = "not placed"
    """It never reached Kraken, or Kraken has provably no such order."""
    CLOSED = "closed"
    """Filled to the end."""
    CANCELED = "canceled"
    """Canceled or expired; a part may have been filled before."""

    @property
    def is_settled(self) -> bool:
        """Whether it is known if Kraken has the order."""
        return self not in (OrderState.PLANNED, OrderState.SENT, OrderState.UNKNOWN)

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self.is_settled and self is not OrderState.PLACED


class OrderEvent(Enum):
    """What can happen to a placement."""

    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    NO_ANSWER = "no answer"
    FOUND_OPEN = "found open"
    FOUND_CLOSED = "found closed"
    FOUND_CANCELED = "found canceled"
    SAID_CANCELED = "said canceled"
    ABSENT = "absent"


class IllegalTransition(Exception):
    """That cannot happen to a placement in this state: a defect of ours, never of the exchange's."""


_S, _N = OrderState, OrderEvent
_FOUND = {
    _N.FOUND_OPEN: _S.PLACED,
    _N.FOUND_CLOSED: _S.CLOSED,
    _N.FOUND_CANCELED: _S.CANCELED,
    _N.SAID_CANCELED: _S.CANCELED,
}

TABLE: Mapping[OrderState, Mapping[OrderEvent, OrderState]] = MappingProxyType(
    {
        _S.PLANNED: {_N.SENT: _S.SENT, _N.NOT_SENT: _S.NOT_PLACED},
        _S.SENT: {
            _N.ACCEPTED: _S.PLACED,
            _N.REFUSED: _S.REFUSED,
            _N.NOT_SENT: _S.NOT_PLACED,
            _N.NO_ANSWER: _S.UNKNOWN,
            _N.FOUND_OPEN: _S.PLACED,
            _N.FOUND_CLOSED: _S.CLOSED,
            _N.FOUND_CANCELED: _S.CANCELED,
        },
        _S.UNKNOWN: {
            _N.NO_ANSWER: _S.UNKNOWN,
            _N.ABSENT: _S.NOT_PLACED,
            **_FOUND,
        },
        _S.PLACED: _FOUND,
        _S.CLOSED: {_N.FOUND_CLOSED: _S.CLOSED},
        _S.CANCELED: _FOUND,
        _S.REFUSED: {},
        _S.NOT_PLACED: {},
    }
)


def after(state: OrderState, event: OrderEvent) -> OrderState:
    """The state after some event. Raises `IllegalTransition`."""
    try:
        return TABLE[state][event]
    except KeyError:
        sentence = f"A placement that is {state.value} cannot become anything by {event.value!r}."
        raise IllegalTransition(sentence) from None


def can_take(state: OrderState, event: OrderEvent) -> bool:
    """Whether that can happen to a placement in this state."""
    return event in TABLE[state]
