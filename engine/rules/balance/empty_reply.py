"""When an empty reply is believed: after a balance that was not empty, only a second one proves it (promise G6)."""

from __future__ import annotations

from engine.values.dataclass import dataclass

CONFIRMS_AFTER = 0.5
"""Seconds between the two requests: one fault at Kraken may empty two replies in quick succession."""


@dataclass(frozen=True, slots=True)
class EmptyReplies:
    """The empty replies in a row that nothing has confirmed yet. Immutable."""

    since: float | None = None
    """When the first of them was requested, by the monotonic clock; `None` while there is no doubt."""

    @property
    def is_doubted(self) -> bool:
        """Whether the last reply is not believed yet."""
        return self.since is not None

    def after(self, *, is_empty: bool, had_amounts: bool, requested_at: float) -> EmptyReplies:
        """What one more reply makes of it; `had_amounts`: whether the balance known so far holds anything."""
        if not (is_empty and had_amounts):
            return NO_DOUBT
        since = requested_at if self.since is None else self.since
        return EmptyReplies(since) if requested_at - since < CONFIRMS_AFTER else NO_DOUBT


NO_DOUBT = EmptyReplies()
"""What nearly every account has, so that they share it."""
