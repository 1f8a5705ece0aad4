"""Tables of states: what each event leads to in each state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeVar

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)
Next = TypeVar("Next", bound=Enum)


def table(events: type[Event], rows: Mapping[State, Iterable[Next]]) -> Mapping[State, Mapping[Event, Next]]:
    """A read-only table with a row for each state, and in each row what the `events` lead to, in their order.

    Raises `ValueError` when a row is too short or too long.
    """
    return MappingProxyType(
        {state: MappingProxyType(dict(zip(events, row, strict=True))) for state, row in rows.items()}
    )
