"""A cluster in virtual time: an exchange, a database, a network and a heap of events, all from one seed.

The exchange is the judge: it keeps the highest nonce of each key, as Kraken does (its support article on nonces), and
notes what must never happen. It shares nothing with the engine.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from engine.rules.cluster.lease import TTL

PATIENCE = 0.8  # seconds that a node waits for the database
OLD_EPOCH = -1
CALL_TIMEOUT = 1.0  # seconds that a lane waits for the exchange

Resume = Callable[[Any], None]
Steps = Generator[Any, Any, Any]
"""What runs in a process: it yields seconds to wait, or what is called with the way to continue it."""


@dataclass
class Process:
    """What events belong to. One that is killed gets none; one that stands still gets them later."""

    alive: bool = True
    still_until: float = 0.0


@dataclass
class Call:
    """A signed call on its way to the exchange."""

    key: str
    nonce: int
    epoch: int
    is_write: bool
    order: str | None = None
    """The id of the order that it places, or asks for."""
    given_up: bool = False


@dataclass
class LaneRow:
    """A row of the database."""

    epoch: int = 0
    owner: str | None = None
    until: float = -1.0
    claimed: float = 0.0
    mark: int = 0
    wanted: str | None = None


@dataclass
class Database:
    """The truth about lanes, nodes and orders. Every write carries an epoch, and does nothing when that is old."""

    clock: Callable[[], float]
    lanes: dict[str, LaneRow]
    nodes: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    draining: set[str] = field(default_factory=set)
    orders: dict[str, dict[str, str]] = field(default_factory=dict)
    stopped_until: float = 0.0

    def claim(self, lane: str, node: str) -> tuple[int, int, dict[str, str]] | None:
        """The new epoch, the mark and the orders of a lane; `None` when somebody has its lease."""
        row, now = self.lanes[lane], self.clock()
        if row.owner is not None and row.until >= now:
            return None
        row.epoch, row.owner, row.until, row.claimed = row.epoch + 1, node, now + TTL, now
        return row.epoch, row.mark, dict(self.orders.get(lane, {}))

    def renew(self, lane: str, epoch: int, mark: int) -> int:
        """The durable mark after a renewal of lease and mark; `OLD_EPOCH` for an old one."""
        row = self.lanes[lane]
        if row.epoch != epoch:
            return OLD_EPOCH
        row.until, row.mark = max(row.until, self.clock() + TTL), max(row.mark, mark)
        return row.mark

    def release(self, lane: str, epoch: int) -> bool:
        row = self.lanes[lane]
        if row.epoch == epoch:
            row.epoch, row.owner = epoch + 1, None
        return row.epoch == epoch

    def write(self, lane: str, epoch: int, order: str, state: str) -> bool:
        """Write down where an order stands."""
        is_held = self.lanes[lane].epoch == epoch
        if is_held:
            self.orders.setdefault(lane, {})[order] = state
        return is_held


class Exchange:
    """Accepts a call whose nonce is above all earlier ones of its key, and notes what must not happen."""

    def __init__(self, newest_epoch: Callable[[str], int]) -> None:
        self.faults: list[str] = []
        self.orders: Counter[str] = Counter()
        self.accepted = 0
        self.down_until = 0.0
        self._newest_epoch = newest_epoch
        self._highest: dict[str, int] = {}
        self._served: dict[str, int] = {}
        self._called: dict[str, int] = {}

    def serves(self, key: str, epoch: int) -> None:
        """A node says that it serves a key."""
        self._served[key] = max(self._served.get(key, 0), epoch)

    def take(self, call: Call) -> bool:
        """Whether a call that arrives now is accepted."""
        if call.nonce <= self._highest.get(call.key, 0):
            if call.epoch == self._newest_epoch(call.key) and not call.given_up:
                self.faults.append("a nonce of the owner was refused")
            return False
        self._highest[call.key] = call.nonce
        self._judge(call)
        self.accepted += 1
        if call.is_write and call.order is not None:
            self.orders[call.order] += 1
            if self.orders[call.order] > 1:
                self.faults.append("an order was placed twice")
        return True

    def _judge(self, call: Call) -> None:
        if call.is_write and call.epoch < self._served.get(call.key, 0):
            self.faults.append("a write of an earlier owner was accepted after a later one served")
        if call.epoch < self._called.get(call.key, 0):
            self.faults.append("a call of an earlier owner was accepted after one of a later")
        if call.is_write and call.epoch > self._called.get(call.key, 0):
            self.faults.append("the first call of an owner was a write")
        self._called[call.key] = max(self._called.get(call.key, 0), call.epoch)


class World:
    """Virtual time and chance: everything happens in the order of one heap."""

    def __init__(self, seed: int, lanes: dict[str, list[str]]) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.database = Database(lambda: self.now, {lane: LaneRow() for lane in lanes})
        lane_of = {key: lane for lane, keys in lanes.items() for key in keys}
        self.exchange = Exchange(lambda key: self.database.lanes[lane_of[key]].epoch)
        self.cut_from_database: dict[str, float] = {}
        self.cut_from_exchange: dict[str, float] = {}
        self._heap: list[tuple[float, int, Process | None, Callable[..., None], Any]] = []
        self._number = itertools.count()

    def at(self, when: float, act: Callable[..., None], process: Process | None = None, value: Any = None) -> None:
        """Call ``act(value)`` at a moment, or as soon after it as the process runs."""
        heapq.heappush(self._heap, (when, next(self._number), process, act, value))

    def start(self, process: Process, steps: Steps) -> None:
        """Run steps in a process, from the next moment on."""

        def go(value: Any) -> None:
            try:
                wanted = steps.send(value)
            except StopIteration:
                return
            if isinstance(wanted, float):
                self.at(self.now + wanted, go, process)
            else:
                wanted(lambda answer, delay=0.0: self.at(self.now + delay, go, process, answer))

        self.at(self.now, go, process)

    def run(self, until: float) -> None:
        """Let everything happen up to a moment."""
        while self._heap and self._heap[0][0] <= until:
            when, _, process, act, value = heapq.heappop(self._heap)
            self.now = when
            if process is None or (process.alive and process.still_until <= when):
                act(value)
            elif process.alive:
                self.at(process.still_until, act, process, value)

    def reaches_database(self, node: str) -> bool:
        """Whether a statement of a node is answered now."""
        return self.cut_from_database.get(node, 0.0) <= self.now and self.database.stopped_until <= self.now

    def ask(self, node: str, statement: Callable[[], Any]) -> Callable[..., None]:
        """To be yielded: the database's answer to a statement, `None` when it does not come within the patience.

        What a database that stands still has received, it does when it goes on.
        """

        def wait(answer: Callable[..., None]) -> None:
            chance = self.random.random()
            if self.reaches_database(node):
                value = statement()
                answer(None, PATIENCE) if chance < 0.01 else answer(value, 0.002 + 0.02 * chance)
                return
            if self.cut_from_database.get(node, 0.0) <= self.now:
                self.at(self.database.stopped_until, lambda _: statement())
            answer(None, PATIENCE)

        return wait

    def send(self, node: str, call: Call) -> Callable[..., None]:
        """To be yielded: whether the exchange accepts a call, `None` when its answer does not come in time.

        Bytes may be on their way for seconds, also after the one who sent them has gone.
        """

        def wait(answer: Callable[..., None]) -> None:
            sent, chance = self.now, self.random.random()
            travel = self.random.uniform(0.5, 6.0) if chance < 0.02 else 0.02 + 0.05 * chance
            is_lost = 0.02 < chance < 0.04 or self.cut_from_exchange.get(node, 0.0) > sent

            def give_up(_: object) -> None:
                call.given_up = True
                answer(None)

            def arrive(_: object) -> None:
                accepted = None if self.exchange.down_until > self.now else self.exchange.take(call)
                if accepted is not None and not call.given_up and not is_lost and chance > 0.04:
                    answer(accepted)
                elif not call.given_up:
                    self.at(sent + CALL_TIMEOUT, give_up)

            if not is_lost:
                self.at(sent + travel, arrive)
            if is_lost or travel > CALL_TIMEOUT:
                self.at(sent + CALL_TIMEOUT, give_up)

        return wait
