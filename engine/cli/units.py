"""Which unit of time a nonce looks like."""

from __future__ import annotations

UNITS = (
    ("seconds", 1_000_000_000),
    ("milliseconds", 1_000_000),
    ("microseconds", 1_000),
    ("tens of nanoseconds", 10),
    ("nanoseconds", 1),
)
"""Names and lengths in nanoseconds; tens of nanoseconds are what python-kraken-sdk counts in."""

FACTOR = 2.5  # two of the units are a factor of 10 apart, so each claims less than its square root


def unit_of(number: int, now: int) -> str | None:
    """The unit in which `number` would be a time near `now` (nanoseconds), or `None` for none."""
    for name, length in UNITS:
        if now / FACTOR < number * length < now * FACTOR:
            return name
    return None
