"""Seconds on a machine that may be busy, or stand still for a second or two as rented ones do.

What a promise says in seconds is measured without the moments in which the machine stood still (`Stopwatch`), or again
when there were such moments (`again_if_stalled`), so that the limit can stay as strict as the promise. Everything else
waits for events with `PATIENCE`, and what hangs does so for `LONG`: quick and hung are an order of magnitude apart.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 30.0
"""Seconds to wait for what comes at once on a quiet machine; only a fault ever takes so long."""

AT_ONCE = 1.0
"""Seconds, by the stopwatch, for what waits for nothing."""

SOON = 10.0
"""Seconds for what takes a moment, and does not wait for what hangs."""

LONG = 100.0
"""Seconds for which something hangs when nobody ends it."""

BEAT = 0.01
STALL = 0.1  # seconds: a thread that sleeps for a `BEAT` and wakes so much later did not get the machine
TRIES = 5

Check = TypeVar("Check", bound=Callable[..., None])


class Stopwatch:
    """Measures a block: `wall` is what passed, `seconds` what passed while the machine ran.

    A thread that sleeps and wakes sees the machine stand still. It sees as well when another thread keeps the
    interpreter to itself: where that may be the fault, measure `wall`.
    """

    def __enter__(self) -> Stopwatch:
        self.wall = self.seconds = float("nan")
        self.stalled = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="stopwatch", daemon=True)
        self._started = self._last = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.seconds = self.clock() - self._started
        self.wall = self.seconds + self.stalled

    def clock(self) -> float:
        """Seconds from anywhere, without those in which the machine stood still; for any thread, within the block."""
        with self._lock:
            now = time.monotonic()
            late = now - self._last - BEAT
            if late > STALL:
                self.stalled += late
            self._last = now
            return now - self.stalled

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            self.clock()


def again_if_stalled(check: Check) -> Check:
    """Make a check again that failed while the machine stood still, a few times: such a failure proves nothing.

    For what has to happen within a part of a second. What is wrong fails without a stall, and each time.
    """

    @functools.wraps(check)
    def checked(*arguments: object, **named: object) -> None:
        for _ in range(TRIES - 1):
            watch = Stopwatch()
            try:
                with watch:
                    check(*arguments, **named)
                return
            except BaseException as error:  # what pytest raises is no `Exception`
                if not watch.stalled or isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                print(f"Again, after a stall of {watch.stalled:.1f} s: {error!r}")
        check(*arguments, **named)

    return checked  # type: ignore[return-value]
