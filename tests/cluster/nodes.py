"""Nodes of a cluster for tests: some in this process, some in processes of their own that can be killed or stopped."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from engine import Account, CallNotSent, Engine, EngineError, LaneElsewhere, Settings
from engine.cluster import Node
from engine.simulator import Simulator
from tests.stopwatch import LONG, PATIENCE

CONTEXT = multiprocessing.get_context("forkserver")

LANES: Mapping[str, Sequence[str]] = {"one": ["MASTER"], "two": ["ALICE", "BOB"]}
SETTINGS = Settings(
    refresh_every=0.5, call_timeout=5.0, local_limits=False, order_deadline=2.0, settle_margin=1.0, max_age=60.0
)
"""What is unknown is settled within a few seconds."""

T = TypeVar("T")


def eventually(ask: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """The first answer that is true; an `EngineError` is none yet."""
    end = time.monotonic() + patience
    while True:
        failure: EngineError | None = None
        try:
            if answer := ask():
                return answer
        except EngineError as error:
            failure = error
        assert time.monotonic() < end, f"it did not happen: {failure!r}"
        time.sleep(0.01)


def node_of(
    sim: Simulator, dsn: str, tmp_path: Path, name: str, lanes: Mapping[str, Sequence[str]] = LANES, **options: Any
) -> Node:
    """A node in this process, not started. No lease of its runs out because the machine is slow."""
    wanted = {account for accounts in lanes.values() for account in accounts}
    accounts = [account for account in sim.accounts if account.name in wanted]
    given: dict[str, Any] = {
        "url": f"http://{name}:8710", "settings": SETTINGS, "live": True, "ttl": LONG, "patience": PATIENCE, **options
    }
    return Node(accounts, lanes, dsn, name, kraken_url=sim.url, local=tmp_path / name, **given)


class Exchange(Protocol):
    """What a node needs to know of the exchange: a `Simulator`, or another stand-in."""

    @property
    def url(self) -> str: ...

    @property
    def accounts(self) -> Sequence[Iterable[str]]: ...


class FarNode:
    """A node in a process of its own."""

    def __init__(
        self, sim: Exchange, dsn: str, tmp_path: Path, name: str, lanes: Mapping[str, Sequence[str]] = LANES,
        settings: Settings = SETTINGS, **options: Any,
    ) -> None:  # fmt: skip
        self.name = name
        self._ours, theirs = CONTEXT.Pipe()
        accounts = [tuple(account) for account in sim.accounts]
        place = (accounts, dsn, sim.url, tmp_path / name)
        given = {"lanes": dict(lanes), "name": name, "url": f"http://{name}:8710", "settings": settings, **options}
        self.process = CONTEXT.Process(target=_be_node, args=(place, given, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self._asked: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.ask("", "status").result(PATIENCE)

    def ask(self, account: str, method: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a method of the engine of an account, or of the node for ""; it fails when the process ends."""
        asked: Future[Any] = Future()
        number = next(self._numbers)
        self._asked[number] = asked
        try:
            with self._sending:
                self._ours.send((number, account, method, args, kwargs))
        except OSError:
            self._fail()
        return asked

    def do(self, account: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """The same, waiting for the result."""
        return self.ask(account, method, *args, **kwargs).result(PATIENCE)

    def serves(self, account: str) -> bool:
        """Whether it says that it serves an account."""
        served = self.do("", "status").lanes
        return any(account in lane.served for lane in served)

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self) -> None:
        """Kill it; a second call does nothing."""
        self.process.kill()
        self.process.join()
        self._reader.join()
        self._ours.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                number, result, error = self._ours.recv()
                asked = self._asked.pop(number)
                if error is None:
                    asked.set_result(result)
                else:
                    asked.set_exception(error)
        self._fail()

    def _fail(self) -> None:
        for number in tuple(self._asked):
            if (asked := self._asked.pop(number, None)) is not None:
                asked.set_exception(EngineError("the process of the node has ended"))


def _be_node(place: tuple[list[Any], str, str, Path], options: dict[str, Any], pipe: Connection) -> None:
    accounts, dsn, kraken_url, local = place
    with Node([Account(*each) for each in accounts], dsn=dsn, kraken_url=kraken_url, local=local, live=True,
              **options) as node, ThreadPoolExecutor(32) as pool:  # fmt: skip
        sending = threading.Lock()

        def answer(number: int, account: str, method: str, args: Any, kwargs: Any) -> None:
            result, failure = None, None
            try:
                found = getattr(node.engine(account) if account else node, method)
                result = found(*args, **kwargs)
                if method == "start":
                    result = None
            except Exception as error:
                failure = error
            with sending:
                pipe.send((number, result, failure))

        with contextlib.suppress(EOFError):
            while True:
                pool.submit(answer, *pipe.recv())


@contextlib.contextmanager
def far_nodes(sim: Simulator, dsn: str, tmp_path: Path, *names: str, **options: Any) -> Iterator[list[FarNode]]:
    """Nodes in processes of their own, each account served by one of them; killed at the end."""
    nodes: list[FarNode] = []
    try:
        for name in names:
            nodes.append(FarNode(sim, dsn, tmp_path, name, **options))
        yield nodes
    finally:
        for node in nodes:
            node.end()


class Bot:
    """Asks for one account at whichever node serves it, again and again in a thread, and notes what it is told."""

    def __init__(self, nodes: Sequence[Node], account: str, ask: Callable[[Engine, int], Any]) -> None:
        self.done = 0
        self.not_sent = self.elsewhere = 0
        self.others: list[EngineError] = []
        self._nodes, self._account, self._ask = nodes, account, ask
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Bot:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for_more(self, count: int = 3) -> None:
        """Wait until it was served so many times more."""
        wanted = self.done + count
        eventually(lambda: self.done >= wanted)

    def _run(self) -> None:
        for number, node in enumerate(itertools.cycle(self._nodes)):
            if self._is_over.is_set():
                break
            try:
                self._ask(node.engine(self._account), number)
                self.done += 1
            except LaneElsewhere:
                self.elsewhere += 1
                time.sleep(0.01)
            except CallNotSent:
                self.not_sent += 1
            except EngineError as error:
                self.others.append(error)
