"""Seconds in words."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A span of time, as a person reads it."""
    for unit, size in (("years", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
