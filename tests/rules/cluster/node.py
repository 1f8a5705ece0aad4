"""A node and a client of a simulated cluster. What they decide is the engine's: leases, spreading, nonces, orders."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.errors import OwnershipLost, StoreError
from engine.rules.cluster.lease import HeldLane, LaneEvent, LaneState
from engine.rules.cluster.spread import LanePlace, Member, to_claim, to_hand_over
from engine.rules.lane.nonce import NonceSequence
from engine.rules.order.states import OrderEvent, OrderState, after, can_take
from tests.rules.cluster.world import OLD_EPOCH, Call, Process, Steps, World

ROUND = 0.3  # seconds


@dataclass(frozen=True)
class Protocol:
    """What is under trial; a test of the simulation itself takes a part of it away."""

    held: Callable[[str], HeldLane] = HeldLane
    nonces_above: Callable[[int], NonceSequence] = NonceSequence.above


@dataclass
class Request:
    """What a client asks of a node. `order` is the id of an order to place; a write without one is a plain call."""

    key: str
    is_write: bool
    order: str | None
    deadline: float
    answer: Callable[[Any], None]


@dataclass
class Engine:
    """One lane at one node: what it holds in memory."""

    epoch: int
    sequences: dict[str, NonceSequence]
    orders: dict[str, OrderState]
    durable: int
    wanted: int
    queue: deque[Request] = field(default_factory=deque)
    wake: Callable[[Any], None] | None = None


class Node:
    """A process that takes lanes, keeps their leases and serves their keys."""

    def __init__(self, world: World, name: str, lanes: dict[str, list[str]], protocol: Protocol) -> None:
        self.world, self.name, self.lanes, self.protocol = world, name, lanes, protocol
        self.wrong_by = world.random.randint(-3600, 3600) * 10**9
        self.origin = world.random.uniform(-1e6, 1e6)
        self.boot()

    def boot(self) -> None:
        """Start as a new process, which knows nothing."""
        self.process = Process()
        self.held = {lane: self.protocol.held(lane) for lane in self.lanes}
        self.engines: dict[str, Engine] = {}
        self.free_before: frozenset[str] = frozenset()
        self.world.start(self.process, self.rounds())

    def monotonic(self) -> float:
        return self.world.now + self.origin

    def wall_ns(self) -> int:
        return int((self.world.now + 1.7e9) * 1e9) + self.wrong_by

    def lane_of(self, key: str) -> str:
        return next(lane for lane, keys in self.lanes.items() if key in keys)

    def serves(self, key: str) -> bool:
        """What the node says when somebody looks for an account."""
        return self.process.alive and self.held[self.lane_of(key)].serves(key)

    def ask(self, request: Request) -> None:
        """Take in a request of a client."""
        engine = self.engines.get(self.lane_of(request.key))
        if engine is None:
            request.answer(None)
            return
        engine.queue.append(request)
        self._wake(engine)

    def rounds(self) -> Steps:
        """Look, renew, claim, hand over; again and again."""
        while True:
            view = yield self.world.ask(self.name, self._look)
            yield from self._renew_all()
            if view is not None:
                members, lanes = view
                yield from self._claim_all(to_claim(self.name, members, lanes, self.free_before))
                for lane in to_hand_over(self.name, members, lanes):
                    self._happens(lane, LaneEvent.HAND_OVER)
                self.free_before = frozenset(each.id for each in lanes if each.is_free)
            yield self.world.random.uniform(0.8, 1.2) * ROUND

    def _look(self) -> tuple[list[Member], list[LanePlace]]:
        database, now = self.world.database, self.world.now
        database.nodes[self.name] = now, frozenset(self.lanes)
        members = [
            Member(name, lanes, name in database.draining, now - seen) for name, (seen, lanes) in database.nodes.items()
        ]
        lanes = [
            LanePlace(name, row.owner, row.until - now, row.wanted, now - row.claimed, max(0.0, now - row.until))
            for name, row in database.lanes.items()
        ]
        return members, lanes

    def _renew_all(self) -> Steps:
        for lane, engine in tuple(self.engines.items()):
            asked, wanted = self.monotonic(), engine.wanted
            mark = yield self.world.ask(self.name, partial(self.world.database.renew, lane, engine.epoch, wanted))
            if mark == OLD_EPOCH:
                self._happens(lane, LaneEvent.LOST)
            elif mark is not None and self.engines.get(lane) is engine:
                engine.durable = max(engine.durable, mark)
                self.held[lane] = self.held[lane].renewed(asked)
            self.held[lane] = self.held[lane].at(self.monotonic())
            self._wake(engine)

    def _claim_all(self, lanes: tuple[str, ...]) -> Steps:
        for lane in lanes:
            if self.held[lane].state is not LaneState.ELSEWHERE:
                continue
            asked = self.monotonic()
            given = yield self.world.ask(self.name, partial(self.world.database.claim, lane, self.name))
            if given is not None:
                epoch, mark, orders = given
                self.held[lane] = self.held[lane].claimed(epoch, asked)
                sequences = {key: self.protocol.nonces_above(mark) for key in self.lanes[lane]}
                engine = Engine(epoch, sequences, dict(map(_inherited, orders.items())), mark, mark)
                self.engines[lane] = engine
                self._tell(lane)
                self.world.start(self.process, self._work(lane, engine))

    def _work(self, lane: str, engine: Engine) -> Steps:
        """The single file of a lane: fences first, then what is unknown, then what clients ask."""
        while (held := self.held[lane].at(self.monotonic())).state in (LaneState.FENCING, LaneState.SERVING):
            unfenced = [key for key in self.lanes[lane] if not held.writes(key, self.monotonic())]
            unknown = [order for order, state in engine.orders.items() if state is OrderState.UNKNOWN]
            if unfenced:
                if (yield from self._call(lane, engine, unfenced[0])) is True:
                    self.held[lane] = self.held[lane].accept(unfenced[0])
                    self._tell(lane)
            elif unknown:
                yield from self._look_up(lane, engine, unknown[0])
            elif engine.queue:
                request = engine.queue.popleft()
                late = self.world.now > request.deadline
                request.answer(None if late else (yield from self._serve(lane, engine, request)))
            else:
                yield partial(setattr, engine, "wake")
        self.held[lane] = held
        if held.state is LaneState.DRAINING:
            yield self.world.ask(self.name, partial(self.world.database.release, lane, engine.epoch))
        del self.engines[lane]
        self.held[lane] = self.held[lane].on(LaneEvent.ENDED)
        for request in engine.queue:
            request.answer(None)

    def _serve(self, lane: str, engine: Engine, request: Request) -> Generator[Any, Any, OrderState | None]:
        if request.order is None:
            accepted = yield from self._call(lane, engine, request.key, is_write=request.is_write)
            return OrderState.PLACED if accepted is True else None
        if request.order not in engine.orders:
            yield from self._place(lane, engine, request.key, request.order)
        return engine.orders.get(request.order)

    def _place(self, lane: str, engine: Engine, key: str, order: str) -> Steps:
        """Write it down, send it, write down what became of it."""
        write = partial(self.world.database.write, lane, engine.epoch, order)
        if not (yield self.world.ask(self.name, partial(write, OrderState.SENT.value))):
            return
        engine.orders[order] = OrderState.SENT
        answer = yield from self._call(lane, engine, key, is_write=True, order=order)
        events = {True: OrderEvent.ACCEPTED, False: OrderEvent.REFUSED, None: OrderEvent.NO_ANSWER}
        engine.orders[order] = after(OrderState.SENT, events.get(answer, OrderEvent.NOT_SENT))
        yield self.world.ask(self.name, partial(write, engine.orders[order].value))

    def _look_up(self, lane: str, engine: Engine, order: str) -> Steps:
        """Ask the exchange, whose answer with a higher nonce also keeps out what is still under way."""
        key = order.partition("/")[0]
        if (yield from self._call(lane, engine, key, order=order)) is not True:
            yield 0.1
            return
        found = OrderEvent.FOUND_OPEN if self.world.exchange.orders[order] else OrderEvent.ABSENT
        engine.orders[order] = after(engine.orders[order], found)
        write = partial(self.world.database.write, lane, engine.epoch, order, engine.orders[order].value)
        yield self.world.ask(self.name, write)

    def _call(
        self, lane: str, engine: Engine, key: str, *, is_write: bool = False, order: str | None = None
    ) -> Steps:
        """One attempt: accepted or refused, `None` without an answer, "not sent"."""
        held = self.held[lane]
        needs_fence = is_write or order is not None
        if not (held.writes(key, self.monotonic()) if needs_fence else held.reads(self.monotonic())):
            yield 0.05
            return "not sent"
        try:
            reserve, renew = partial(self._reserve, lane, engine), partial(self._want, engine)
            nonce = engine.sequences[key].issue(self.wall_ns(), reserve, renew)
        except OwnershipLost:
            self._happens(lane, LaneEvent.LOST)
            return "not sent"
        except StoreError:
            yield 0.2
            return "not sent"
        if self.world.random.random() < 0.02:  # the process stands still between signing and sending
            self.process.still_until = self.world.now + self.world.random.uniform(0.5, 6.0)
        yield 0.002
        return (yield self.world.send(self.name, Call(key, nonce, engine.epoch, is_write, order)))

    def _reserve(self, lane: str, engine: Engine, mark: int) -> None:
        if not self.world.reaches_database(self.name):
            raise StoreError("The database does not answer.")
        durable = self.world.database.renew(lane, engine.epoch, mark)
        if durable == OLD_EPOCH:
            raise OwnershipLost("The lane has another epoch.")
        engine.durable = max(engine.durable, durable)

    def _want(self, engine: Engine, _: int, wanted: int) -> int:
        engine.wanted = max(engine.wanted, wanted)
        return engine.durable

    def _happens(self, lane: str, event: LaneEvent) -> None:
        if self.held[lane].state is not LaneState.ELSEWHERE:
            self.held[lane] = self.held[lane].on(event)
            self._wake(self.engines[lane])

    def _tell(self, lane: str) -> None:
        """What others may rely on from now on."""
        for key in self.lanes[lane]:
            if self.held[lane].serves(key):
                self.world.exchange.serves(key, self.held[lane].epoch)

    def _wake(self, engine: Engine) -> None:
        if engine.wake is not None:
            wake, engine.wake = engine.wake, None
            wake(None)


def _inherited(row: tuple[str, str]) -> tuple[str, OrderState]:
    """An order as a new owner takes it over: what was under way is unknown."""
    order, state = row[0], OrderState(row[1])
    return order, after(state, OrderEvent.NO_ANSWER) if can_take(state, OrderEvent.NO_ANSWER) else state
