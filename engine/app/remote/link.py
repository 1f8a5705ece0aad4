"""The connections to a service: one question and its answer, or an answer in many lines."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from engine.app.remote import codec
from engine.app.remote.place import CONNECT_WITHIN, Place
from engine.errors import CallNotSent, ConfigError, EngineError, MailboxFull
from engine.version import __version__

IDLE_AT_MOST = 10.0  # seconds; the service closes a connection that is idle for 20
KEPT = 16  # idle connections
ANSWER_AT_MOST = 64 * 1024 * 1024  # bytes
LINE_AT_MOST = 16 * 1024 * 1024

PATH = "/engine/"
VERSION = "x-engine-version"
OTHER_VERSION = (
    "The running service is version {theirs} of the engine and this program has version {ours}: use the same for both, "
    "and restart the service after an update."
)

_NOT_THE_SAME = (
    "{name} has another token of the cluster than the node that asks it: give both the same one (token_file in "
    "[cluster], or KRAKEN_ENGINE_CLUSTER_TOKEN), and restart the one that is changed."
)

_BUSY, _TOO_LARGE, _NO_ENTRY = 503, 413, 401
_NO_SUCH_QUESTION = (403, 404, 405, 421)


class Unreached(Exception):
    """Nobody serves there; the service has not got the question."""


class Unanswered(Exception):
    """The service may have got the question, and no readable answer came."""


class Link:
    """The way to a service, for any thread and for forked children.

    Each question has a connection to itself; idle ones are kept for the next ones.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._idle: deque[_Connection] = deque()

    def ask(self, question: str, asked: Mapping[str, Any], patience: float) -> Any:
        """The answer to a question; raises what the engine raised.

        Raises `Unreached` or `Unanswered` when there is none within about `patience` seconds, and `ConfigError` for an
        argument that cannot be sent.
        """
        connection, reply = self._asked(question, asked, patience)
        try:
            raw = reply.read(ANSWER_AT_MOST + 1)
            told = _answer(reply.status, raw, self.place)
        except EngineError:
            self._keep(connection, reply)
            raise
        except (OSError, http.client.HTTPException, codec.Unreadable) as error:
            connection.close()
            raise Unanswered(str(error)) from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection, reply)
        if isinstance(told, EngineError):
            raise told
        return told

    def follow(self, question: str, asked: Mapping[str, Any], within: float = CONNECT_WITHIN) -> AnswerLines:
        """An answer in many lines, which ends when it is closed or the service ends.

        Waits at most `within` seconds, and not for the answer. Raises `Unreached`.
        """
        return AnswerLines(self._sent(question, codec.write(dict(asked)), _Connection(self.place, within)))

    def close(self) -> None:
        """Close the idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _asked(self, question: str, asked: Mapping[str, Any], patience: float) -> tuple[_Connection, Any]:
        connection = self._sent(question, codec.write(dict(asked)), self._connection())
        try:
            connection.patience(patience)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unanswered(str(error)) from None
        except BaseException:
            connection.close()
            raise

    @staticmethod
    def _sent(question: str, body: bytes, connection: _Connection) -> _Connection:
        """The connection, with the question sent. Raises `Unreached`: the service has not got all of it."""
        try:
            connection.send_question(question, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreached(str(error)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _connection(self) -> _Connection:
        with contextlib.suppress(IndexError):
            while True:
                kept = self._idle.pop()
                if kept.is_usable():
                    return kept
                kept.close()
        return _Connection(self.place, CONNECT_WITHIN)

    def _keep(self, connection: _Connection, reply: http.client.HTTPResponse) -> None:
        if reply.will_close or not reply.isclosed() or len(self._idle) >= KEPT:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)


class AnswerLines:
    """The lines of an answer, as they come. Iterate in one thread; any thread may close it."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._socket: socket.socket = connection.sock
        self._pid = os.getpid()
        self._reply: http.client.HTTPResponse | None = None

    def open(self, patience: float) -> None:
        """Wait until the answer begins. Raises `Unanswered`."""
        try:
            self._connection.patience(patience)
            self._reply = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(str(error)) from None

    def __iter__(self) -> Iterator[Any]:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError), contextlib.closing(self._connection):
            self._socket.settimeout(None)
            reply = self._reply or self._connection.getresponse()
            while line := reply.readline(LINE_AT_MOST):
                yield codec.read(line)

    def close(self) -> None:
        """End the iteration, also in another thread. In a forked child, which only has a copy, nothing ends."""
        if self._pid == os.getpid():
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    """HTTP to a place."""

    def __init__(self, place: Place, within: float) -> None:
        super().__init__("localhost", timeout=within)
        self._place, self._within = place, within
        self._pid = os.getpid()
        self.idle_since = 0.0

    def connect(self) -> None:
        """Connect. Raises `OSError`, or `StoreError` when another user serves."""
        self.sock = self._place.connected(self._within)

    def send_question(self, question: str, body: bytes) -> None:
        """Send a whole question. When it raises, the service has not got all of it."""
        if self.sock is not None:
            self.sock.settimeout(self._within)
        headers = {"Host": self._place.host, VERSION: __version__, **self._place.headers}
        self.request("POST", f"{PATH}{question}", body, headers)

    def patience(self, seconds: float) -> None:
        """How long an answer may take."""
        self.sock.settimeout(max(0.001, seconds))

    def is_usable(self) -> bool:
        """Whether a question can be sent on a connection that was idle: not one that is closed, or another process's.

        A question that is lost on a connection which the service has just closed would be unknown without need.
        """
        if self._pid != os.getpid() or self.sock is None or time.monotonic() - self.idle_since > IDLE_AT_MOST:
            return False
        watched = select.poll()
        watched.register(self.sock, select.POLLIN)
        return not watched.poll(0)


def _answer(status: int, raw: bytes, place: Place) -> Any:
    """The result, or the error that the engine raised. Raises what says that the service did not take the question."""
    if len(raw) > ANSWER_AT_MOST:
        raise codec.Unreadable("the answer is too long")
    if status == _TOO_LARGE:
        raise ConfigError("What is asked is longer than the service takes: give it less at a time.")
    if status == _BUSY and place.is_direct:  # else a proxy may say so of a question that it has passed on
        raise MailboxFull("The service has too many connections: try again in a moment.", retry_after=1.0)
    if status == _NO_ENTRY:
        raise CallNotSent(_NOT_THE_SAME.format(name=place.name))
    if status in _NO_SUCH_QUESTION:
        raise CallNotSent(f"{place.name} does not take this question: restart it with this version.")
    told = codec.read(raw)
    if not isinstance(told, dict) or not told.keys() & {"result", "error"}:
        raise codec.Unreadable("the answer has no result")
    return told["error"] if "error" in told else told["result"]
