"""One circuit breaker: whether it holds calls back, until when, and when the next probe may go out.

A *probe* is an ordinary call that is let through when it is due. While one is under way, the next is due a whole pause
later, whatever becomes of it.
"""

from __future__ import annotations

import math
from dataclasses import replace

from engine.rules.lane.admission import Wait
from engine.rules.lane.key_state import CODES, SENTENCES, KeyState
from engine.values.dataclass import dataclass

PAUSES = (0.0, 12.0, 60.0, 180.0)
"""The pause before a probe in units of `probe_every`, by the failed probes before it; the last one stays.

At the default of 5 s: at once (the third call whose nonce is refused), a minute, 5 minutes, 15 minutes.
"""
LONGEST = 900.0
"""Seconds: the longest pause. A lockout clears in that time, so rarer probes would spare the key nothing."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What keeps calls back.

    state: why. failed: how many probes were refused. due: when the next call may go. cause: Kraken's words.
    was_due: while a probe is under way, the `due` that let it go.
    """

    state: KeyState = KeyState.ACCEPTED
    failed: int = 0
    due: float = -math.inf
    cause: str = ""
    was_due: float | None = None

    @property
    def sentence(self) -> str:
        """The state for a person, with the likely cause and the remedy."""
        return f"{self.cause} {SENTENCES[self.state]}".strip()

    def check(self, now: float) -> Wait | None:
        """`None` when a call may go, which then is the probe; else for how long none may."""
        if now >= self.due:
            return None
        return Wait(self.sentence, self.due - now, self.state.is_probed, CODES.get(self.state))

    def probing(self, now: float, probe_every: float) -> BreakerState:
        """A call goes out. When it is a probe, the next one waits a whole pause, whatever becomes of this one."""
        if not self.state.is_probed:
            return self
        return replace(self, was_due=self.due, due=now + _pause(max(1, self.failed), probe_every))

    def answered(self) -> BreakerState:
        """The probe under way, if any, has ended and may have reached Kraken."""
        return replace(self, was_due=None)

    def not_sent(self) -> BreakerState:
        """The probe under way, if any, did not reach Kraken, so it has still to be made."""
        return self if self.was_due is None else replace(self, due=self.was_due, was_due=None)

    def failed_again(self, state: KeyState, cause: str, now: float, probe_every: float) -> BreakerState:
        """Refused once more: the next probe comes later than the last one did."""
        first = self.state is KeyState.NONCE_REFUSED_ONCE and state is KeyState.NONCES_REFUSED
        failed = 0 if first else self.failed + 1
        return BreakerState(state, failed, now + _pause(failed, probe_every), cause)


CLOSED = BreakerState()
"""Holds nothing back."""


def _pause(failed: int, probe_every: float) -> float:
    return min(probe_every * PAUSES[min(failed, len(PAUSES) - 1)], LONGEST)
