"""Order of service: what a cancel covers, and when a hung call gives way (promise G4).

Classes of service are numbers, the most urgent first: 0 cancel, 1 order, 2 settle, 3 read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

CANCEL, ORDER, SETTLE, READ = range(4)

CUTS_OF_ONE_READ = 2
"""A read that was cut this often gives way only to cancels, so that it ends some time."""
CUTS_A_MINUTE = 6
"""A read that arrives late may count as an invalid nonce at Kraken, and too many of those end in a lockout. So reads
are cut this often in a minute for orders and settles, and twice as often for cancels. Cuts of writes count as well, and
are always allowed."""

COVERS_ALL = "CancelAll"
"""Covers every placement of its account; any other cancel covers those with which it shares one of `names_of`."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def patience(
    under_way: int, waiting: int | None, cuts_of_it: int, cuts_this_minute: int, read: float, write: float
) -> float | None:
    """Seconds that a call of class `under_way` may take while a `waiting` one waits; `None`: as long as it needs.

    `cuts_of_it`: how often this read was cut already. `read`, `write`: `Settings.cut_read_after`, `cut_write_after`.
    """
    if waiting is None or waiting >= under_way:
        return None
    if under_way < SETTLE:  # a write that hangs always gives way to a cancel
        return write
    for_cancel = waiting == CANCEL
    if cuts_this_minute >= CUTS_A_MINUTE * (2 if for_cancel else 1):
        return None
    return read if for_cancel or cuts_of_it < CUTS_OF_ONE_READ else None


def names_of(params: Mapping[str, Any]) -> set[str]:
    """Every name by which the parameters of a call refer to an order."""
    found = {_normal(params[name]) for name in ("txid", "cl_ord_id", "userref") if params.get(name) is not None}
    for name in ("orders", "cl_ord_ids"):
        for each in _listed(params.get(name)):
            found |= names_of(each) if isinstance(each, Mapping) else {_normal(each)}
    return found


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


def _normal(value: Any) -> str:
    """Kraken stores a `cl_ord_id` as a number, so a UUID is the same with and without hyphens (AddOrder reference)."""
    text = str(value)
    return text.replace("-", "").lower() if _UUID.fullmatch(text) else text
