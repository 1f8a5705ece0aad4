"""Order of service: when a hung call gives way to a more urgent one (promise G4).

The classes of service are those of Kraken's endpoints, the most urgent first.
"""

from __future__ import annotations

from engine.kraken.endpoints import CallClass

CANCEL, ORDER, SETTLE, READ = CallClass

CUTS_OF_ONE_READ = 2
"""A read that was cut this often gives way only to cancels, so that it ends some time."""
CUTS_A_MINUTE = 6
"""A read that arrives late may count as an invalid nonce at Kraken, and too many of those end in a lockout. So reads
are cut this often in a minute for orders and settles, and twice as often for cancels. Cuts of writes count as well, and
are always allowed."""


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
