"""What a key's nonces may lead the clock by, after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.actors.lane.queued_call import QueuedCall
from engine.rules.lane.nonce import AHEAD

LEAD = AHEAD / 1e9 + 0.1  # seconds
LOOK_EVERY = 0.02  # seconds between two looks whether the call was cut


def let_lead_pass(
    queued_call: QueuedCall, monotonic: Callable[[], float], delays_others: Callable[[str], bool]
) -> None:
    """Let the clock pass what another state directory of the same key may have used, if no other key waits.

    Nonces go on above the mark after a restart, so they lead the clock by up to a second. Whoever uses the same key
    from a new directory right after that has only the clock, and would be refused in vain. The lane is held only while
    the call has time for that and no call of another account waits. Runs in the lane's thread.
    """
    if monotonic() + LEAD < queued_call.deadline:
        for _ in range(round(LEAD / LOOK_EVERY)):
            if queued_call.was_cut or delays_others(queued_call.call.account):
                return
            time.sleep(LOOK_EVERY)
