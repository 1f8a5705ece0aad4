"""Runs the service: one event loop with a server on TCP and one on the Unix socket, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from engine.errors import ConfigError, StoreError
from engine.ownership.local_socket import SOCKET_NAME
from engine.web.app import node_app, socket_app, tcp_app
from engine.web.event_counters import EventCounters
from engine.web.feed.feed import Feed
from engine.web.gateway.credentials import Credentials
from engine.web.gateway.gateway import Gateway
from engine.web.metrics import Metrics
from engine.web.options import WebOptions
from engine.web.protocol import CONNECTIONS_AT_MOST, PatientProtocol
from engine.web.remote_calls import RemoteCalls
from engine.web.subject import Subject
from engine.web.unix_socket import LocalProtocol, listen
from engine.web.web_state import WebState

logger = logging.getLogger("engine")

TICK = 1.0  # seconds between two messages to the dashboards
STOP_PATIENCE = 10.0  # seconds for the engine to stop, and for the answers that are still due
KEEP_ALIVE = 20
LONGEST_HEAD = 16 * 1024


class Parts(NamedTuple):
    """An engine's service, ready to run: what the endpoints share, a server for each socket, and the URL."""

    service: WebState
    servers: tuple[Server, Server]
    url: str


def serve(
    subject: Subject, options: WebOptions, *, ready: Callable[[str], None],
    started: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Start what is served and serve it until SIGTERM or SIGINT, then stop both; `ready` gets the URL once it listens.

    `started` is called in between. Runs in the main thread. Raises what the start raises, `ConfigError` when the
    address or a TLS file cannot be used, and `StoreError`.
    """
    with contextlib.ExitStack() as undo:
        tcp = bound(options, undo)  # a port that is taken is told before the engine makes a call
        counters, feed = subscribed(subject, options, undo)
        undo.callback(subject.engine.stop)
        subject.start(url_of(options, tcp))
        parts = opened(subject, counters, feed, options, tcp, undo)
        started()
        asyncio.run(_until_signalled(parts, ready))


def subscribed(subject: Subject, options: WebOptions, undo: contextlib.ExitStack) -> tuple[EventCounters, Feed]:
    """Subscribe the service's counters and feed to the engine's events, until `undo`."""
    engine = subject.engine
    counters, feed = EventCounters(), Feed(engine.status, may_act=options.allow_actions, cluster=subject.cluster)
    for subscriber in (counters, feed):
        engine.subscribe(subscriber)
        undo.callback(engine.unsubscribe, subscriber)
    return counters, feed


def opened(
    subject: Subject, counters: EventCounters, feed: Feed, options: WebOptions, tcp: socket.socket,
    undo: contextlib.ExitStack,
) -> Parts:  # fmt: skip
    """The service of what runs, on TCP and a Unix socket, until `undo`. Raises `ConfigError` or `StoreError`."""
    state_dir = subject.state_dir
    credentials = Credentials(state_dir)
    undo.callback(credentials.close)
    if credentials.damage:
        logger.warning("gateway-keys-lost: %s The gateway's keys are void: issue them anew.", credentials.damage)
    local = undo.enter_context(contextlib.closing(_local(state_dir)))
    undo.callback(_remove, state_dir / SOCKET_NAME)
    gateway = Gateway(subject.engine, credentials, settings=subject.settings, show=feed.refused)
    metrics = Metrics(subject.own_status, counters, feed, gateway, subject.cluster)
    service = WebState(subject.engine, subject, feed, metrics, gateway, RemoteCalls(), options.allow_actions)
    servers = (
        Server(_config(_tcp_app(service, options), options), tcp),
        Server(_config(socket_app(replace(service, engine=subject.programs)), protocol=LocalProtocol), local),
    )
    return Parts(service, servers, f"{url_of(options, tcp)}/")


def bound(options: WebOptions, undo: contextlib.ExitStack) -> socket.socket:
    """The socket on TCP, until `undo`. Raises `ConfigError`."""
    return undo.enter_context(contextlib.closing(_bound(options)))


def url_of(options: WebOptions, tcp: socket.socket) -> str:
    """Where that is."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{options.scheme}://{host}:{tcp.getsockname()[1]}"


def _tcp_app(service: WebState, options: WebOptions) -> ASGIApp:
    app, cluster = tcp_app(service, options), service.subject.cluster
    if cluster is None or cluster.token is None:
        return app
    return node_app(replace(service, engine=cluster.here), cluster.token, app)


class Server(uvicorn.Server):
    """One of several servers in a loop; signals are handled outside."""

    def __init__(self, config: uvicorn.Config, sock: socket.socket) -> None:
        super().__init__(config)
        self._socket = sock

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def run_until_told(self) -> None:
        """Serve until `should_exit`."""
        await self.serve(sockets=[self._socket])


async def _until_signalled(parts: Parts, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; the engine, which stops with it, answers every call that is still due."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        engine = parts.service.engine
        await run(parts, stop, lambda: ready(parts.url), asyncio.to_thread(engine.stop, STOP_PATIENCE))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def run(parts: Parts, stop: asyncio.Event, ready: Callable[[], None], ending: Awaitable[None]) -> None:
    """Serve until `stop`, or until the engine has stopped; `ready` is called once it listens.

    `ending` is awaited once no new request is taken and before those under way are waited for.
    """
    service, servers, _ = parts
    running = [asyncio.create_task(server.run_until_told()) for server in servers]
    ticking = asyncio.create_task(_tick(service.feed, stop, service.subject))
    announcing = asyncio.create_task(_announce(servers, ready))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
        logger.info("The service stops.")
        for server in servers:
            server.should_exit = True
        service.feed.close()
        service.remote.close()
        await ending
        await asyncio.gather(*running)
        await service.gateway.close()
    finally:
        for task in (ticking, announcing, stopping):
            task.cancel()


async def _tick(feed: Feed, stop: asyncio.Event, subject: Subject) -> None:
    due = time.monotonic()
    loop = asyncio.get_running_loop()
    learned: frozenset[str] = frozenset()
    while not stop.is_set():
        served = subject.served()
        if served - learned:  # at a node, lanes come and go
            loop.run_in_executor(None, feed.orders.learn, subject.engine, served - learned)
        learned = served
        due = max(due + TICK, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        try:
            for question in feed.questions():
                loop.run_in_executor(None, question, subject.engine)
            feed.tick()
        except Exception:
            logger.exception("The dashboard could not be brought up to date.")
        if not subject.own_status().running:  # the pykka system was stopped, or the actors failed
            stop.set()


async def _announce(servers: Sequence[Server], ready: Callable[[], None]) -> None:
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    ready()


def _config(
    app: Any, options: WebOptions | None = None, protocol: type[PatientProtocol] = PatientProtocol
) -> uvicorn.Config:
    certificate = None if options is None else options.certificate
    key = None if options is None or options.key is None else str(options.key)
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", loop="asyncio", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS_AT_MOST, backlog=512,
        timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=round(STOP_PATIENCE),
        h11_max_incomplete_event_size=LONGEST_HEAD, ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"The TLS certificate or its key cannot be used: {error.strerror or error}.") from error
    return config


def _bound(options: WebOptions) -> socket.socket:
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        server = socket.create_server((options.host, options.port), family=family, backlog=512)
        # Connections inherit it; asyncio sets it only where the protocol is named, and a reply then waits 40 ms.
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # create_server adds the address to it
        raise ConfigError(
            f"{options.host} port {options.port} cannot be listened on: {reason}. Give another port or host, or end "
            "what listens there."
        ) from error


def _local(directory: Path) -> socket.socket:
    try:
        return listen(directory)
    except OSError as error:
        raise StoreError(f"The socket {directory / SOCKET_NAME} cannot be made: {error.strerror or error}.") from error


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
