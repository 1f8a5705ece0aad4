"""The life of a private call in the lane, as a table of states that changes only here (promise G5).

::

                 taken      withdrawn  refused    cut        ended
    waiting      running    withdrawn  answered   waiting    waiting
    running      running    running    running    cut        answered
    cut          cut        cut        cut        cut        answered
    withdrawn    withdrawn  withdrawn  withdrawn  withdrawn  withdrawn
    answered     answered   answered   answered   answered   answered

*taken*: its turn has come. *withdrawn*: its turn has come, or an answer is due, and its caller has given it up.
*refused*: it is answered before its turn, since its deadline has passed, a cancel covers it, or the mailbox is full or
closed. *cut*: its exchange is ended early. *ended*: it was made, and is answered.

Whoever changes the state is the only one to act on it: a call is made at most once and answered at most once.
"""

from __future__ import annotations

from enum import Enum

from engine.rules.transitions import table


class CallState(Enum):
    """Where a call is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    CUT = "cut"
    """It runs, and its exchange was ended early."""
    WITHDRAWN = "withdrawn"
    """It is neither made nor answered."""
    ANSWERED = "answered"
    __hash__ = object.__hash__  # that of Enum is written in Python, and this is asked for several times in each call


class CallEvent(Enum):
    """What can happen to a call."""

    TAKEN = "taken"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    CUT = "cut"
    ENDED = "ended"
    __hash__ = object.__hash__


_S = CallState
TABLE = table(
    CallEvent,
    {
        _S.WAITING: (_S.RUNNING, _S.WITHDRAWN, _S.ANSWERED, _S.WAITING, _S.WAITING),
        _S.RUNNING: (_S.RUNNING, _S.RUNNING, _S.RUNNING, _S.CUT, _S.ANSWERED),
        _S.CUT: (_S.CUT, _S.CUT, _S.CUT, _S.CUT, _S.ANSWERED),
        _S.WITHDRAWN: (*5 * [_S.WITHDRAWN],),
        _S.ANSWERED: (*5 * [_S.ANSWERED],),
    },
)
