"""Names of accounts in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 3  # accounts that a sentence names


def few(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
