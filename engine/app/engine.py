"""The `Engine`: one class made of its subjects, which starts, stops and watches the actors."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pykka

from engine import config
from engine.actors.backing.file_backing import FileBacking
from engine.actors.events import EngineWarning, KeyChanged, PassFinished
from engine.actors.events.event_bus import PUBLISHER
from engine.actors.events.publisher import Subscribe, Unsubscribe
from engine.actors.lane.attempt import distinct
from engine.actors.system import PRIVATE_LANE, ActorSystem, balance_of
from engine.app import interval
from engine.app.gates import GateMethods
from engine.app.host import check_files, check_host
from engine.app.one_type import one_type
from engine.app.service import Service, start_service
from engine.app.state import AppState
from engine.app.status import EngineStatus
from engine.app.timeouts import LONGEST
from engine.app.uninterrupted import uninterrupted
from engine.errors import ConfigError, EngineStopped
from engine.ownership.local_socket import is_served
from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import moment
from engine.store.backing import Backing
from engine.stream.address import check_ws_urls
from engine.transport import check_proxy, check_url
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Account, Clock, Settings

if TYPE_CHECKING:
    from engine.app.aio import AsyncEngine
    from engine.app.remote.remote_engine import RemoteEngine

logger = logging.getLogger("engine")

WARNINGS_KEPT = 50
ENDS_WITHIN = 10.0  # seconds that a start waits for what a stop has left


@one_type
class Engine(GateMethods):
    """Everything private between a bot and Kraken, for any number of accounts. Thread-safe.

    What it does stands in its bases, one for each subject: calls, accounts, orders and gates. Here it is started,
    stopped and watched.

    Starting needs no network. `with Engine(...) as engine:` starts and stops it; `start()` raises `StoreInUse` when
    another engine owns the state directory or a key, `StoreError` when the directory cannot be used or this process may
    open too few files. The constructor raises `ConfigError`; `start()` raises it as well, for a CA file that cannot be
    read and for a name in `Settings.cash` that is missing in a list of Kraken's assets less than an hour old. Without
    `live=True` nothing can trade. `balances` names the accounts whose balances are kept up to date (`None`: all); the
    others are only used for explicit calls.

    `private` and `balances` (by account name) are the refs of the actors, for embedding in a larger pykka system. An
    actor that dies is replaced; an old ref is dead then, and these give the new one.
    """

    def __init__(
        self,
        accounts: Iterable[Account | tuple[str, str, str]],
        *,
        url: str = KRAKEN_URL,
        state_dir: str | os.PathLike[str] | None = None,
        settings: Settings | None = Settings(),  # noqa: B008 - frozen
        live: bool = False,
        balances: Iterable[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        settings = settings or Settings()
        if not isinstance(settings, Settings):
            raise ConfigError("The settings of an engine are a Settings, or None.")
        distinct_accounts = distinct(accounts)
        check_url(url, settings)
        check_proxy(settings.proxy)
        if settings.push:
            check_ws_urls(settings)
        backing = FileBacking(config.state_directory(state_dir))
        super().__init__(AppState(distinct_accounts, balances, settings, clock, self._notice, backing, live=live))
        self._url = url
        self._subscribers: list[Any] = []
        self._services: list[Service] = []
        self._warnings: deque[EngineWarning] = deque(maxlen=WARNINGS_KEPT)
        self._turn = threading.Lock()  # one start or stop at a time
        self._before: ActorSystem | None = None  # of the last start
        self._at_exit = partial(_stop_at_exit, weakref.ref(self))

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        config_file: str | os.PathLike[str] | None = None,
        url: str | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        live: bool = False,
    ) -> Engine:
        """An engine from the environment (`None`: that of the process) and, where named, a TOML file."""
        found = config.load(environ, config_file, url=url, state_dir=state_dir).without_cluster()
        return cls(
            found.accounts, url=found.url, state_dir=found.state_dir, settings=settings or found.settings, live=live
        )

    @classmethod
    def over(cls, backing: Backing, accounts: Iterable[Account | tuple[str, str, str]], **options: Any) -> Engine:
        """An engine that keeps and owns `backing` in place of a state directory. The options are the constructor's."""
        engine = cls(accounts, state_dir=backing.local, **options)
        engine._state.backing = backing
        return engine

    @classmethod
    def connect(cls, state_dir: str | os.PathLike[str] | None = None) -> RemoteEngine:
        """The engine that another process of this user runs and serves, by its state directory, as that of `Engine`.

        That is a `kraken-engine serve`, or an engine with `engine.serve()`. Any number of processes may connect: their
        calls and orders go through its one lane. Raises `EngineStopped` when nobody serves, `StoreInUse` (with `pid`)
        when an engine has the directory and does not serve it, `StoreError` when another user does, and `ConfigError`
        when the service is of another version.
        """
        from engine.app.remote.connect import connect  # noqa: PLC0415 - few programs need it

        return connect(state_dir)

    def start(self) -> Engine:
        """Take the state directory and the keys, and start the actors; a second call does nothing.

        When it raises, also what a signal handler raised meanwhile, as with Ctrl-C, nothing is left behind: no lock, no
        thread and no descriptor. It may then be called again.
        """
        if not self._state.is_running:
            try:
                uninterrupted(self._start_in_turn, undo=self.stop)
            except BaseException:
                self.stop()  # what came in the last moment found it started
                raise
        return self

    def _start_in_turn(self) -> None:
        with self._turn:
            if not self._state.is_running:
                self._start()

    def _start(self) -> None:
        check_host()
        state = self._state
        if self._before is not None:
            self._before.wait_ended(ENDS_WITHIN)  # a stop whose time was too short: else the directory is in use
        check_files(len(state.accounts), len(state.kept) if state.settings.push else 0)
        with contextlib.ExitStack() as undo:
            undo.callback(self._close_pool)
            self._open_pool(self._url)
            system = self._system()
            system.start()
            undo.pop_all()
        self._before = system
        state.opened(system)
        interval.shorten(self, state.settings.switch_interval)
        atexit.register(self._at_exit)

    def _system(self) -> ActorSystem:
        state = self._state
        return ActorSystem(
            state.accounts, url=self._url, backing=state.backing, settings=state.settings, live=state.live,
            clock=state.clock, kept=state.kept, board=state.board, subscribers=self._subscribers,
            notice=self._notice, world_stopped=self.stop, fetch=self._fetch, drift=state.drift,
        )  # fmt: skip

    def stop(self, timeout: float = 10.0) -> None:
        """End every thread, answer every waiting caller and close the store, within `timeout` seconds.

        A read under way is cut at once, a write after half of the timeout (it ends as *unknown*). A second call does
        nothing. A subscriber may call it; the thread it runs in ends when it returns.
        """
        timeout = max(0.0, self._state.seconds(min(timeout, LONGEST)))
        if not self._state.is_running:
            return
        deadline = time.monotonic() + timeout
        system = self._state.running
        if system is None or not system.is_own_thread():
            uninterrupted(partial(self._stop_in_turn, deadline))
            return
        self._state.stopped.set()
        if self._turn.acquire(blocking=False):  # else the stop under way waits for this subscriber to return
            try:
                self._stop(deadline)
            finally:
                self._turn.release()

    def _stop_in_turn(self, deadline: float) -> None:
        self._state.stopped.set()
        with self._turn:
            if self._state.is_running:
                self._stop(deadline)

    def _stop(self, deadline: float) -> None:
        system, board = self._state.system, self._state.board
        services, self._services[:] = tuple(self._services), []
        for service in services:
            service.stop_accepting()
        self._state.closed()
        interval.restore(self)
        atexit.unregister(self._at_exit)
        self._close_pool()
        system.stop(deadline)
        self._end_trading()
        for service in services:  # whose requests under way the actors have answered by now
            service.stop(max(0.0, deadline - time.monotonic()))
        for name, snapshot in tuple(board.items()):
            board[name] = replace(snapshot, is_available=False, standing=Standing.UNKNOWN)

    def __enter__(self) -> Engine:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def private(self) -> pykka.ActorRef[Any]:
        """The ref of the `KrakenPrivateActor`. Raises `EngineStopped` when the engine is not running."""
        return self._state.ref(PRIVATE_LANE)

    @property
    def balances(self) -> Mapping[str, pykka.ActorRef[Any]]:
        """The refs of the `BalanceActor`s by account. Raises `EngineStopped` when the engine is not running."""
        refs = self._state.system.refs
        found = {name: refs.get(balance_of(name)) for name in tuple(self._state.kept)}
        return {name: ref for name, ref in found.items() if ref is not None}

    def serve(self, port: int = 8710, **options: Any) -> Service:
        """Serve this engine's dashboard, metrics, health and gateway, as `kraken-engine serve` does, in a thread.

        `port` 0 takes a free one; the service's `url` says which. The other options are `host`, `names`, `token`,
        `certificate`, `key`, `plain`, `allow_actions` and `acting_token`: by default only this machine reaches it, and
        the page only shows. The command line and other processes
        of this user go through it as well (`Engine.connect`). It ends with its `stop()` or with the engine.

        Raises `EngineStopped` while the engine does not run, `ConfigError` while it is served already, for an address
        or an option that cannot be used, and without the extra ``web``, and `StoreError`.
        """
        if not self._state.is_running:
            raise EngineStopped("The engine is not running: start it before it is served.")
        state = self._state
        if is_served(state.directory):
            raise ConfigError("This engine is served already: stop that service before it is served anew.")
        service = start_service(self, state_dir=state.directory, settings=state.settings, port=port, **options)
        self._services.append(service)
        return service

    @property
    def live(self) -> bool:
        """Whether it may trade, as given."""
        return self._state.live

    @cached_property
    def aio(self) -> AsyncEngine:
        """The same methods as coroutines, and the events as an asynchronous iterator."""
        from engine.app.aio import AsyncEngine, LoopSubscription  # noqa: PLC0415 - only where there is asyncio

        return AsyncEngine(self, lambda take: LoopSubscription(self, take, lambda: self._state.is_running))

    def status(self) -> EngineStatus:
        """What the engine is doing now; never waits."""
        state = self._state
        system = state.running
        mailbox = system.lane_mailbox() if system else None
        under_way = mailbox.under_way if mailbox else None
        spent, left = (mailbox.times() if mailbox else None) or (None, None)
        return EngineStatus(
            running=system is not None,
            live=state.live,
            url=self._url,
            state_dir=state.directory,
            pid=os.getpid(),
            as_of=moment(state.clock.wall_ns()),
            accounts=state.all_judged(),
            under_way=None if under_way is None else (under_way.call.account, under_way.call.endpoint),
            waiting={each.name.lower(): n for each, n in mailbox.waiting().items()} if mailbox else {},
            refresh_intervals=system.intervals() if system else {},
            keys=dict(state.keys),
            warnings=tuple(self._warnings),
            under_way_seconds=spent,
            under_way_left=left,
            cuts=mailbox.cuts if mailbox else 0,
            lane=system.report() if system else None,
            dead=system.dead() if system else (),
            passes=dict(state.passes),
            drift=state.drift.read(),
            push=system.push.reports() if system else (),
            push_prices=system.push.prices_report() if system else None,
            silent_since=system.listener.silent_since() if system else None,
            heard=system.listener.heard_ago() if system else {},
            refusing=system is not None and system.listener.is_refusing(),
            paused=system.safeguards.paused if system else {},
            switches=system.safeguards.switches if system else {},
        )

    def subscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], object]) -> None:
        """Give every event from now on, in order, to an actor (told) or a callable (called in an engine thread).

        Callables share that thread: while one is busy the others wait, and each account's balance events become one,
        the newest with the sum of the changes. Beyond 10,000 waiting events finished calls are dropped, which an
        `EngineWarning` says. An actor is told at once; its mailbox is not bounded by the engine.
        """
        self._subscribers.append(subscriber)
        if self._state.is_running:
            self._state.system.tell(PUBLISHER, Subscribe(subscriber))

    def unsubscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], object]) -> None:
        """Give no more events to `subscriber`."""
        self._subscribers[:] = [each for each in self._subscribers if each != subscriber]
        if self._state.is_running:
            self._state.system.tell(PUBLISHER, Unsubscribe(subscriber))

    def announce(self, event: object) -> None:
        """Give an event of the host's own, such as an `OperatorActed`, to every subscriber, in order with the engine's.

        Does nothing while the engine does not run.
        """
        if self._state.is_running:
            self._state.publish(event)

    def _notice(self, event: Any) -> None:
        """What the engine itself takes from its events; finished calls are not among them. Must not wait."""
        if isinstance(event, EngineWarning):
            self._warnings.append(event)
            logger.warning("%s: %s", event.code, event.message)
        elif isinstance(event, KeyChanged):
            self._state.keys[event.account] = event
        elif isinstance(event, PassFinished) and event.account in self._state.accounts:
            self._state.passes[event.account] = event.report


def _stop_at_exit(engine: weakref.ref[Engine]) -> None:
    running = engine()
    if running is not None:
        running.stop()
