"""The life of a mailbox, as a table of states that changes only here.

::

                stop told   close     end
    open        stopping    closed    ended
    stopping    stopping    closed    ended
    closed      closed      closed    ended
    ended       ended       ended     ended

*Open* and *stopping* take in every message, *closed* takes in only a stop, *ended* takes in nothing: the actor handles
no more messages.
"""

from __future__ import annotations

from enum import Enum

from engine.rules.transitions import table


class MailboxState(Enum):
    """Where a mailbox is in its life."""

    OPEN = "open"
    STOPPING = "stopping"
    CLOSED = "closed"
    ENDED = "ended"

    def __init__(self, word: str) -> None:
        self.takes_messages = word in ("open", "stopping")
        self.takes_stops = word != "ended"
        self.is_stopping = word != "open"
        self.needs_no_stop = word in ("stopping", "ended")  # a closed one may not have been told yet


class MailboxEvent(Enum):
    """What can happen to a mailbox."""

    STOP_TOLD = "stop told"
    CLOSE = "close"
    END = "end"


_S = MailboxState
TABLE = table(
    MailboxEvent,
    {
        _S.OPEN: (_S.STOPPING, _S.CLOSED, _S.ENDED),
        _S.STOPPING: (_S.STOPPING, _S.CLOSED, _S.ENDED),
        _S.CLOSED: (_S.CLOSED, _S.CLOSED, _S.ENDED),
        _S.ENDED: (_S.ENDED, _S.ENDED, _S.ENDED),
    },
)
