"""Statements to PostgreSQL, each of which ends in time, whatever has become of the server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from engine.errors import ConfigError, StoreError

PATIENCE = 0.8  # seconds for one statement, with all the waiting for a connection
SLICE = 0.05  # seconds of it waited at a time, so that a machine that stood still is not taken for a server that hangs
CONNECTIONS = 4

DEFAULTS: dict[str, Any] = {
    "application_name": "kraken-engine",
    "client_encoding": "UTF8",
    "connect_timeout": 2,  # seconds for each host; libpq takes no less
    "target_session_attrs": "read-write",  # of several hosts, the one that is the primary now
    "tcp_user_timeout": 2000,  # milliseconds; a peer that is gone is noticed by the system, too
}

HANGS = "PostgreSQL does not answer. Until it does, nothing that has to be durable is done; that ends by itself."
FAILS = "PostgreSQL cannot be used: {cause}."
CLOSED = "The connection to PostgreSQL is closed: the node was stopped."

UNREADABLE = (
    "The DSN of the cluster cannot be understood: write postgresql://USER@HOST:PORT/DATABASE, with % signs for what is "
    "special in a URL, or host=HOST port=PORT dbname=DATABASE user=USER."
)

Row = tuple[Any, ...]
Values = Sequence[Any] | Mapping[str, Any]


class Database:
    """PostgreSQL at a DSN. Any thread.

    Guarantees:
        - `run` ends within `patience` seconds in which this process runs, also when the server is frozen, the network
          swallows everything or a name does not resolve: then with `StoreError`, and the statement may be done all the
          same, also later;
        - each statement is a transaction of its own and no statement leaves anything behind in its session, so a pooler
          that hands a connection to another client after each transaction may stand in between;
        - what was wrong with a connection ends with it, and the next statement has another one.

    Nothing is connected before the first statement. No error repeats the DSN, which may hold a password.
    Raises `ConfigError` for a DSN that cannot be understood.
    """

    def __init__(self, dsn: str, *, patience: float = PATIENCE, connections: int = CONNECTIONS) -> None:
        self._patience = patience
        self._params = DEFAULTS | _params(dsn)
        self._places = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._coming: Future[None] | None = None
        self._coming_since = 0.0
        self._is_closed = False

    def run(self, statement: str, values: Values = (), *, patience: float | None = None) -> list[Row]:
        """The rows of one statement, which has its own effects durable when this returns. Raises `StoreError`.

        It may be sent twice, when the first connection proves to be cut: it has to be one that does the same twice.
        """
        limit = Patience(patience or self._patience)
        with self._place(limit):
            kept = self._take_idle()
            if kept is not None:
                with contextlib.suppress(psycopg.Error):
                    return self._run(kept, statement, values, limit)
                self._drop_idle()  # those that were made before are most likely cut as well
            try:
                return self._run(self._connect(limit), statement, values, limit)
            except psycopg.Error as error:
                raise StoreError(FAILS.format(cause=_cause(error))) from None

    def close(self) -> None:
        """End every connection; a second call does nothing."""
        self._is_closed = True
        self._drop_idle()

    def _run(self, connection: _Connection, statement: str, values: Values, limit: Patience) -> list[Row]:
        try:
            rows = connection.rows(statement, values, limit)
        except TimeoutError:
            connection.close()
            self._drop_idle()
            raise StoreError(HANGS) from None
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction):
            connection.close()
            raise
        except psycopg.Error as error:
            self._keep(connection)
            raise StoreError(FAILS.format(cause=_cause(error))) from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return rows

    @contextlib.contextmanager
    def _place(self, limit: Patience) -> Iterator[None]:
        """One of the connections there may be."""
        limit.wait(self._has_place)
        try:
            yield
        finally:
            self._places.release()

    def _has_place(self, seconds: float) -> bool:
        return self._places.acquire(timeout=seconds)

    def _take_idle(self) -> _Connection | None:
        with self._lock:
            if self._is_closed:
                raise StoreError(CLOSED)
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if not self._is_closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def _connect(self, limit: Patience) -> _Connection:
        """A new connection, made in another thread: the name of a host may take longer to resolve than there is time.

        There is one such thread at a time, and what it makes too late is kept for the next statement.
        """
        while True:
            with self._lock:
                if self._is_closed:
                    raise StoreError(CLOSED)
                if self._idle:
                    return self._idle.pop()
                coming = self._coming or self._start_connecting()
                hangs = time.monotonic() > self._coming_since + self._patience
            if hangs and not coming.done():
                raise StoreError(HANGS)  # at once: others have waited for it already
            limit.wait(partial(_is_done, coming))
            coming.result()

    def _start_connecting(self) -> Future[None]:
        """The lock is held."""
        coming: Future[None] = Future()
        self._coming, self._coming_since = coming, time.monotonic()
        threading.Thread(target=self._make, args=(coming,), name="kraken-engine postgresql", daemon=True).start()
        return coming

    def _make(self, coming: Future[None]) -> None:
        failure: Exception | None = None
        try:
            self._keep(_Connection.connect(autocommit=True, prepare_threshold=None, **self._params))
        except Exception as error:  # noqa: BLE001 - told to those who wait
            failure = error
        with self._lock:
            self._coming = None
        if failure is None:
            coming.set_result(None)
        else:
            coming.set_exception(failure)


class Patience:
    """Some seconds in which this process runs: one that stood still finds what came meanwhile, not that it is late."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._seen = time.monotonic()

    def look(self) -> None:
        """Raise `TimeoutError` when they are over."""
        now = time.monotonic()
        self._left -= min(now - self._seen, 2 * SLICE)
        self._seen = now
        if self._left <= 0:
            raise TimeoutError

    def wait(self, is_over: Callable[[float], bool]) -> None:
        """Wait for something; `is_over` waits as long as it is told. Raises `StoreError`."""
        while not is_over(SLICE):
            try:
                self.look()
            except TimeoutError:
                raise StoreError(HANGS) from None


class _Connection(psycopg.Connection[Row]):
    """A connection whose statements end in time: psycopg itself waits for as long as the server takes."""

    _limit: Patience | None = None

    def rows(self, statement: str, values: Values, limit: Patience) -> list[Row]:
        """Raises `TimeoutError`; the connection is then of no more use."""
        self._limit = limit
        cursor = self.execute(statement, values or None)
        return cursor.fetchall() if cursor.description is not None else []

    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        """Psycopg's own waiting, looking at the limit whenever it wakes."""
        return super().wait(gen if self._limit is None else _within(gen, self._limit), SLICE)


def _within(gen: Any, limit: Patience) -> Any:
    """A generator of psycopg's, which yields what it waits for, that also ends when the limit is over."""
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send((yield wanted))
            limit.look()
    except StopIteration as end:
        return end.value


def _params(dsn: str) -> dict[str, Any]:
    """The parameters of a DSN. Where a password seems to be in the wrong place, no later error must repeat it."""
    try:
        params = dict(conninfo_to_dict(dsn))
    except psycopg.Error:  # its own sentence repeats parts of the DSN
        raise ConfigError(UNREADABLE) from None
    ports = str(params.get("port", "")).replace(",", "")
    if (ports and not ports.isdecimal()) or "@" in str(params.get("host", "")):
        raise ConfigError(UNREADABLE)
    return params


def _is_done(future: Future[Any], seconds: float) -> bool:
    try:
        future.exception(seconds)
    except TimeoutError:
        return False
    return True


def _cause(error: psycopg.Error) -> str:
    """What PostgreSQL or psycopg says, in one line and without the end of the sentence."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
