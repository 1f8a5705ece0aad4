"""What push tells the engine, and what it asks of it: functions that never wait, for it runs in one thread."""

from __future__ import annotations

from collections.abc import Callable, Collection

from engine.errors import CallError
from engine.kraken.drift import Note
from engine.kraken.stream import Execution
from engine.values import Secret
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Ears:
    """Called in the push thread.

    token: asks for a token through the lane; the second argument is called once with it, or with why there is none, in
        any thread.
    changed: the account's balance has changed, or may have: it is not FRESH when this returns.
    live: the account's stream is believed from now on.
    executions: the stream has told what became of orders; whether as a snapshot.
    first: the accounts with open or unknown orders.
    warn: tells a person something; a code and a sentence.
    note: counts what of the stream is new, missing or odd.
    """

    token: Callable[[str, Callable[[Secret | CallError], None]], None]
    changed: Callable[[str], None]
    live: Callable[[str], None]
    executions: Callable[[str, tuple[Execution, ...], bool], None]
    first: Callable[[], Collection[str]]
    warn: Callable[[str, str], None]
    note: Note
