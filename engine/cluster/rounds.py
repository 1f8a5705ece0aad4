"""What a node does all the time: it says that it is there, takes free lanes and hands lanes over."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from engine.app import Engine
from engine.cluster.backing import LaneBacking
from engine.cluster.lane_run import ROUND, LaneRun
from engine.cluster.leases import Leases
from engine.cluster.node_status import Takeover
from engine.cluster.view import ClusterView
from engine.errors import ConfigError, StoreInUse
from engine.rules.cluster.lease import LaneState
from engine.rules.cluster.spread import LanePlace, to_claim, to_hand_over

ATTEND_EVERY = 2.0  # seconds
NOT_AGAIN_WITHIN = 30.0  # seconds after a lane cannot be served here, in which only others try
SOON_AGAIN = 1.0  # seconds after it could not, since PostgreSQL or the disk did not answer
HAND_OVER_WITHIN = 10.0  # seconds that an engine has to stop in order
SOONEST = 0.02  # seconds between two rounds
TAKEOVERS_KEPT = 50

logger = logging.getLogger(__name__)


class Rounds:
    """The lanes of one node. `once` is called by one thread at a time; everything may be read by any.

    `lanes` has the accounts of the lanes that the node may take. `make` makes the engine of a lane that was claimed;
    what that may keep on this machine is in `local`.
    """

    def __init__(
        self, name: str, url: str | None, leases: Leases, lanes: Mapping[str, tuple[str, ...]],
        local: Path, make: Callable[[LaneBacking], Engine],
    ) -> None:  # fmt: skip
        self._name, self._url, self._leases, self._lanes = name, url, leases, lanes
        self._local, self._make = local, make
        self.runs: dict[str, LaneRun] = {}
        self.failures: dict[str, str] = {}
        self.view = ClusterView()
        self.trouble: str | None = None
        self._is_stopping = False
        self._changed = threading.Event()
        self.claims = Counter[str]()  # by lane
        self._taken: deque[tuple[Takeover, Future[float]]] = deque(maxlen=TAKEOVERS_KEPT)
        self._not_before: dict[str, float] = {}
        self._attended: tuple[float, tuple[frozenset[str], frozenset[tuple[str, int]]]] | None = None
        self._free_before: frozenset[str] = frozenset()

    def once(self) -> float:
        """One round; seconds until the next. Raises `StoreError` while PostgreSQL does not answer."""
        began = time.monotonic()
        self._attend(began)
        self.view = view = ClusterView.of(self._leases.lanes(), self._leases.nodes(), began)
        members, lanes = view.members(), view.to_spread()
        for lane in to_claim(self._name, members, lanes, self._free_before):
            self._claim(lane)
        for lane in to_hand_over(self._name, members, lanes):
            self._hand_over(lane)
        self._free_before = view.free()
        return self._pause(view, time.monotonic() - began)

    def wait(self, seconds: float) -> bool:
        """Wait for the next round, which is at once when a lane has ended here; whether there is none any more."""
        self._changed.wait(seconds)
        self._changed.clear()
        return self._is_stopping

    def stop(self) -> None:
        """Let there be no further round."""
        self._is_stopping = True
        self._changed.set()

    @property
    def takeovers(self) -> tuple[Takeover, ...]:
        """The newest claims, oldest first."""
        return tuple(
            replace(taken, seconds=accepted.result()) if accepted.done() else taken
            for taken, accepted in tuple(self._taken)
        )

    def end(self, deadline: float) -> None:
        """Hand every lane over, all at once, and wait for that. What others can take keeps its switches armed."""
        runs = dict(self.runs)
        members = [replace(each, draining=each.draining or each.name == self._name) for each in self.view.members()]
        held = [LanePlace(lane, self._name) for lane in runs]  # the view may be older than a claim
        taken_by_others = to_hand_over(self._name, members, held)
        for lane, run in runs.items():
            run.hand_over((deadline - time.monotonic()) * 0.9, keeps_switches=lane in taken_by_others)
        for run in runs.values():
            run.wait_over(deadline - time.monotonic())

    def _attend(self, now: float) -> None:
        """Say that the node is there, also at once when a lane has changed hands: who has died does not."""
        able = frozenset(lane for lane in self._lanes if self._not_before.get(lane, now) <= now)
        said = able, frozenset((each.id, each.epoch) for each in self.view.lanes.values())
        if self._attended is None or now - self._attended[0] >= ATTEND_EVERY or said != self._attended[1]:
            self._leases.attend(self._name, self._url, sorted(able))
            self._attended = now, said

    def _claim(self, lane: str) -> None:
        if lane in self.runs:
            return
        row = self.view.lanes.get(lane)
        lease = self._leases.claim(lane, self._name, self._url, self._lanes[lane])
        if lease is None:
            return
        before = None if row is None else row.owner
        logger.info("Lane %s is taken, with epoch %d; its owner before was %s.", lane, lease.epoch, before or "nobody")
        backing = LaneBacking(lease, self._local / lane)
        run = self.runs[lane] = LaneRun(backing, self._lanes[lane], self._make, self._ended)
        self.claims[lane] += 1
        self._taken.append((Takeover(lane, lease.epoch, before, datetime.now(UTC)), run.first_accepted))
        run.start()

    def _hand_over(self, lane: str) -> None:
        run = self.runs.get(lane)
        if run is not None and run.held.state in (LaneState.FENCING, LaneState.SERVING):
            logger.info("Lane %s is handed over.", lane)
            run.hand_over(HAND_OVER_WITHIN, keeps_switches=True)

    def _ended(self, run: LaneRun) -> None:
        """In the thread of the lane."""
        lane = run.lease.lane
        if run.failure is None:
            self.failures.pop(lane, None)
        else:
            self.failures[lane] = str(run.failure)
            is_lasting = isinstance(run.failure, StoreInUse | ConfigError)
            self._not_before[lane] = time.monotonic() + (NOT_AGAIN_WITHIN if is_lasting else SOON_AGAIN)
        self.runs.pop(lane, None)
        self._changed.set()

    def _pause(self, view: ClusterView, spent: float) -> float:
        """A round's time, or less when the lease of another node may end before."""
        ends = [each.seconds_left - spent for each in view.lanes.values() if each.id not in self.runs]
        soonest = min((each for each in ends if each > -spent), default=ROUND)
        return max(SOONEST, min(ROUND, soonest + SOONEST / 2))

