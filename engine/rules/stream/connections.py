"""How often a machine may connect to Kraken's stream, and how long it pauses after a failure.

Kraken bans an address for ten minutes after about 150 attempts in ten minutes; its own command-line client makes 120 at
most.
Source: Kraken's support article on WebSocket rate limits, and the source of kraken-cli.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.rules.backoff import Backoff

MOST, WINDOW = 120, 610.0
"""Attempts, and the seconds in which they may be made: Kraken counts 600, and when it sees one is not when it was made.
Those that failed or were refused count as well."""
BACKOFF = Backoff(0.5, 30.0)
"""Of it, a part by chance is waited, so that many accounts do not come back at the same moment."""
STEADY = 30.0
"""Seconds that a subscription has to be LIVE until its failures before are forgotten."""


def counted(attempts: Sequence[float], now: float) -> list[float]:
    """The attempts that count at `now`, oldest first.

    One that lies in the future is of a clock that began anew: it counts as if it were made now.
    """
    return sorted(min(each, now) for each in attempts if each > now - WINDOW)


def room(attempts: Sequence[float], now: float) -> int:
    """How many attempts may be made at `now`."""
    return MOST - len(counted(attempts, now))


def wait(attempts: Sequence[float], now: float) -> float:
    """Seconds until one more may be made."""
    counting = counted(attempts, now)
    return 0.0 if len(counting) < MOST else counting[-MOST] + WINDOW - now
