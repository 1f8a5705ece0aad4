"""When a missing reply is silence (promise G7).

An account is silent when there was no good reply of its own for `Settings.silence_to_unavailable` seconds, or none of
any account on its lane. Where refreshes are planned more rarely than twice in that time, a missing one proves nothing
yet, so two of them have to be missing. On the lane replies follow each other as closely as its accounts' refreshes do:
so with many accounts, each of which is refreshed rarely, a Kraken that does not answer is found out just as soon.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

SILENT = "Kraken is silent"
MISSING = 2
"""Planned refreshes that have to be missing."""


class Silence(Enum):
    """Who had no good reply."""

    NOT_ANSWERED = SILENT + ": it has not answered since {since}."
    NO_GOOD_REPLY = SILENT + ": it has given no good reply since {since}."
    ONE_ACCOUNT = SILENT + ": it has given this account no good reply since {since}."

    def sentence(self, since: datetime) -> str:
        """What a person is told; `since` is the last good reply."""
        return self.value.format(since=f"{since:%Y-%m-%d %H:%M:%S} UTC")


def patience(silence: float, interval: float) -> float:
    """Seconds without a good reply that make silence, where one is planned every `interval` seconds."""
    return max(silence, MISSING * interval)
