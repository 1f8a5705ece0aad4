"""The life of a mailbox: what it takes in, and that nothing brings it back."""

from __future__ import annotations

from itertools import product

from engine.actors.runtime import mailbox_state
from engine.actors.runtime.mailbox_state import TABLE, MailboxEvent, MailboxState


def test_the_drawing_is_the_table() -> None:
    """What a person reads at the top of the file is what the program does."""
    lines = [line.split() for line in (mailbox_state.__doc__ or "").splitlines()]
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in {state.value for state in MailboxState}}
    assert drawn == {here.value: [row[event].value for event in MailboxEvent] for here, row in TABLE.items()}


def test_a_mailbox_never_takes_in_more_than_before() -> None:
    for here, event in product(MailboxState, MailboxEvent):
        after = TABLE[here][event]
        assert after.takes_messages <= here.takes_messages
        assert after.takes_stops <= here.takes_stops
        assert after.is_stopping, "whatever happens to a mailbox, it is on its way to its end"
