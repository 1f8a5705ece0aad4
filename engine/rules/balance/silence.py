"""When missing replies are silence (promise G7).

An account is silent when it, or every account on its lane, had no good reply for `Settings.silence_to_unavailable`
seconds. When refreshes are planned less often than twice in that time, one missing reply proves nothing: two have to be
missing. On the lane, replies arrive as often as the refreshes of all its accounts together; so with many accounts, each
refreshed rarely, an outage is found just as soon.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

SILENT = "Kraken is silent"
MISSING = 2
"""How many planned refreshes have to be missing."""


class Silence(Enum):
    """Who has had no good reply."""

    NOT_ANSWERED = SILENT + ": it has not answered since {since}."
    NO_GOOD_REPLY = SILENT + ": it has given no good reply since {since}."
    ONE_ACCOUNT = SILENT + ": it has given this account no good reply since {since}."

    def sentence(self, since: datetime) -> str:
        """The message for people; `since` is the last good reply."""
        return self.value.format(since=f"{since:%Y-%m-%d %H:%M:%S} UTC")


def patience(silence: float, interval: float) -> float:
    """Seconds without a good reply that are silence, when a request is planned every `interval` seconds."""
    return max(silence, MISSING * interval)
