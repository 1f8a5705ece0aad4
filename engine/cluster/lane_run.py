"""One lane at this node, from its claim to its end: its lease is kept, its engine runs, its keys are fenced."""

from __future__ import annotations

import contextlib
import heapq
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from functools import partial
from typing import Any

from engine.actors.events import EngineWarning
from engine.app import Engine
from engine.cluster.backing import LaneBacking
from engine.errors import EngineError, EngineStopped, LockedOut, StoreError, TemporaryLockout
from engine.kraken.refusal_words import code_of
from engine.rules.backoff import Backoff
from engine.rules.cluster.lease import HeldLane, LaneEvent, LaneState

ROUND = 0.3  # seconds between two renewals, so that there are fewer than four writes a second
FENCE = "GetApiKeyInfo"  # a read that every key may make
FENCED_WITHIN = 5.0  # seconds for one try
FENCED_AT_ONCE = 8
"""Keys that wait in the lane at a time: so few that none waits there for `FENCED_WITHIN` while Kraken answers."""
STOP_LOST_WITHIN = 2.0  # seconds: what a lost lane still waits for cannot be written down any more
AGAIN = Backoff(first=0.25, longest=30.0)

_LOST = (
    "The lane {lane} may be another node's now: its lease was not renewed in time, or another node has taken it. Its "
    "engine stops here; what it was not told of is looked up by the next owner."
)

logger = logging.getLogger(__name__)

Ask = tuple[float, str, int]
"""When to try the fence of an account, and how often that has failed."""


class _Told(Enum):
    """What the thread of the engine is told, besides that a fence is to be tried again."""

    ACCEPTED = "accepted"
    OVER = "over"


class LaneRun:
    """A lane that this node has claimed. Any thread.

    Guarantees:
        - an account is served (`serves`) only after Kraken has accepted a read with its key that was asked for under
          this lease, and no longer than the lease lasts by this machine's own clock;
        - the lease is kept while the engine stops in order, and given back when it has; `ended` is called once then.

    `make` makes the engine, which is not started yet. `failure` is why it could not be started. `first_accepted` has
    the seconds from the claim until Kraken accepted the first read of it. `refusals` has, for an account that is not
    served yet, why the last try to have its key accepted failed, and `lockouts` the error string that Kraken has for it
    where it has locked the key out or refuses it.
    """

    def __init__(
        self, backing: LaneBacking, accounts: tuple[str, ...], make: Callable[[LaneBacking], Engine],
        ended: Callable[[LaneRun], None],
    ) -> None:  # fmt: skip
        self.lease = lease = backing.lease
        self.accounts, self._backing = accounts, backing
        self.engine: Engine | None = None
        self.failure: EngineError | None = None
        self.refusals: dict[str, str] = {}
        self.lockouts: dict[str, str] = {}
        self.first_accepted: Future[float] = Future()
        self._make, self._ended = make, ended
        self._held = HeldLane(lease.lane).claimed(lease.epoch, lease.sure_until - lease.ttl, lease.ttl)
        self._changing = threading.Lock()
        self._is_over = threading.Event()
        self._told: queue.SimpleQueue[Ask | _Told] = queue.SimpleQueue()
        self._began = time.monotonic()
        self._stop_within = STOP_LOST_WITHIN
        self._threads = [
            threading.Thread(target=work, name=f"kraken-engine lane {lease.lane} {what}", daemon=True)
            for what, work in (("lease", self._keep), ("engine", self._run))
        ]

    def start(self) -> None:
        """Start its threads. Raises `RuntimeError` if there is none to be had."""
        for thread in self._threads:
            thread.start()

    @property
    def held(self) -> HeldLane:
        """The lane as it is here now."""
        return self._held.at(time.monotonic())

    def serves(self, account: str) -> bool:
        """Whether callers find the account here now."""
        return self.held.serves(account)

    def hand_over(self, within: float, *, keeps_switches: bool) -> None:
        """Stop the engine in order and give the lane back; returns at once. Open orders stay on the exchange.

        With `keeps_switches` a dead man's switch stays armed for the next owner, who renews it; else it is disarmed.
        """
        self._stop_within, self._backing.is_handed_over = within, keeps_switches
        self._happens(LaneEvent.HAND_OVER)
        self._told.put(_Told.OVER)

    def wait_over(self, seconds: float) -> bool:
        """Whether its engine has stopped within some seconds."""
        return self._is_over.wait(max(0.0, seconds))

    def _keep(self) -> None:
        """Renew the lease until the engine has stopped, and stop the engine when it is lost."""
        while not self._is_over.wait(ROUND):
            is_held = True
            try:
                is_held = self.lease.renew()
            except StoreError as error:
                logger.info("The lease of lane %s was not renewed: %s", self.lease.lane, error)
            with self._changing:
                self._held = self._held.renewed(self.lease.sure_until - self.lease.ttl, self.lease.ttl)
                self._held = self._held.at(time.monotonic())
            if not is_held:
                self._happens(LaneEvent.LOST)
            if self._held.state is LaneState.LOST or (self.engine is not None and not _runs(self.engine)):
                self._told.put(_Told.OVER)

    def _run(self) -> None:
        try:
            engine = self._make(self._backing)
            self.engine = engine.start()
            self._fence(engine)
            self._warn_if_lost(engine)
        except EngineError as error:
            self.failure = error
            logger.warning("lane-failed: The lane %s cannot be served here: %s", self.lease.lane, error)
        except Exception:
            logger.exception("The lane %s has failed.", self.lease.lane)
        finally:
            self._end()

    def _fence(self, engine: Engine) -> None:
        """Have every key accepted by Kraken, again and again until it is, and then wait until the lane ends here.

        One after another: the last key waits for the calls of the others, however many there are, and for no time-out.
        """
        due: list[Ask] = [(0.0, account, 0) for account in self.accounts]
        heapq.heapify(due)
        under_way = 0
        while True:
            now = time.monotonic()
            while due and due[0][0] <= now and under_way < FENCED_AT_ONCE:
                _, account, failures = heapq.heappop(due)
                under_way += 1
                asked = engine.submit(account, FENCE, timeout=FENCED_WITHIN)
                asked.add_done_callback(partial(self._answered, account, failures))
            next_due = due[0][0] if due and under_way < FENCED_AT_ONCE else now + 60.0
            try:
                told = self._told.get(timeout=max(0.0, next_due - now))
            except queue.Empty:
                continue
            if told is _Told.OVER:
                return
            under_way -= 1
            if told is not _Told.ACCEPTED:
                heapq.heappush(due, told)

    def _answered(self, account: str, failures: int, asked: Future[Any]) -> None:
        """Must not wait."""
        error = None if asked.cancelled() else asked.exception()
        if asked.cancelled() or error is not None:
            logger.info("Kraken has not accepted the key of account %s yet: %s", account, error)
            self.refusals[account] = str(error or "the call was withdrawn")
            self.lockouts.pop(account, None)
            if isinstance(error, LockedOut | TemporaryLockout):
                self.lockouts[account] = code_of(error)
            self._told.put((time.monotonic() + AGAIN.pause(failures), account, failures + 1))
            return
        with self._changing:
            if self._held.state is not LaneState.ELSEWHERE:
                self._held = self._held.accept(account)
            if not self.first_accepted.done():
                self.first_accepted.set_result(time.monotonic() - self._began)
        self.refusals.pop(account, None)
        self.lockouts.pop(account, None)
        self._told.put(_Told.ACCEPTED)

    def _warn_if_lost(self, engine: Engine) -> None:
        if self.held.state is LaneState.LOST:
            sentence = _LOST.format(lane=self.lease.lane)
            logger.warning("lane-lost: %s", sentence)
            engine.announce(EngineWarning("lane-lost", sentence))

    def _end(self) -> None:
        """Stop the engine, and give the lease back unless it is lost."""
        if self.engine is not None:
            self.engine.stop(self._stop_within)
        if self.held.state.is_held:
            with contextlib.suppress(StoreError):  # then it runs out by itself
                self.lease.release()
        self._happens(LaneEvent.ENDED)
        self._is_over.set()
        self._ended(self)

    def _happens(self, event: LaneEvent) -> None:
        with self._changing:
            if self._held.state is not LaneState.ELSEWHERE:
                self._held = self._held.on(event)


def _runs(engine: Engine) -> bool:
    """Whether it has not stopped by itself."""
    with contextlib.suppress(EngineStopped):
        return engine.private is not None
    return False
