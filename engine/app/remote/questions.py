"""How a service is asked: within a caller's time, and again where that can do no harm."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.app.remote.link import CONNECT_WITHIN, Lines, Link, Unanswered, Unreached
from engine.app.state import seconds_of
from engine.errors import CallUnknown, EngineError, EngineStopped, StoreInUse
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import is_dry_run
from engine.kraken.unlisted import endpoint_of
from engine.ownership import owner_pid
from engine.rules.lane.retry import cancels_by_name

GRACE = 3.0  # seconds beyond a caller's timeout: the engine's own two for its disk, and one for the way
QUICK = 10.0  # seconds for what the engine answers from memory
PAUSE = 0.1  # seconds before a question is asked again

_START = "start 'kraken-engine serve', or call serve() on the engine of your program"
_NOBODY = f"No service runs on the state directory {{directory}}: {_START}."
_NOT_SERVED = (
    "The state directory {directory} is in use by process {pid}, which does not serve it: call serve() on its engine, "
    "or start 'kraken-engine serve' in its place."
)
_GONE = f"The service on the state directory {{directory}} has stopped, and nothing was sent: {_START}."
_NO_ANSWER = "The service on the state directory {directory} gave no answer; nothing was changed."
_CLOSED = "This RemoteEngine was closed."


class Questions:
    """Questions to the service on a state directory, and their answers. Thread-safe.

    Raises `EngineStopped` when nobody serves, and `StoreInUse` when an engine has the directory and does not serve it;
    nothing was sent then.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._link = Link(directory)
        self._is_closed = False
        self._call_timeout: float | None = None
        self._call_timeout = self.hello()["call_timeout"]

    def hello(self) -> dict[str, Any]:
        """What the service says of itself: ``pid``, ``live`` and ``call_timeout``."""
        told: dict[str, Any] = self.at_once("hello")
        return told

    def at_once(self, question: str, **asked: Any) -> Any:
        """What the engine answers without asking Kraken, so that no timeout goes with it."""
        return self.ask(question, QUICK, again=True, is_timed=False, **asked)

    def ask(
        self, question: str, timeout: float | None, lost: CallUnknown | None = None, *, again: bool,
        is_timed: bool = True, patience: float = 0.0, **asked: Any,
    ) -> Any:  # fmt: skip
        """The answer; raises what the engine raised.

        lost: raised when there is no answer, and the service may have got the question. again: whether it may then be
        asked again while the time lasts. is_timed: whether the time that is left goes with the question. patience:
        seconds that the answer may take beyond the timeout.
        """
        deadline = time.monotonic() + self.seconds(timeout)
        is_sent = False
        while True:
            left = deadline - time.monotonic()
            times = {"timeout": left if is_sent else timeout} if is_timed else {}
            try:
                return self._open().ask(question, asked | times, max(0.0, left) + patience + GRACE)
            except Unanswered:
                is_sent = True
            except Unreached:
                if not is_sent:
                    raise self._stopped() from None
            if not again or left <= PAUSE:
                raise lost or CallUnknown(_NO_ANSWER.format(directory=self.directory))
            time.sleep(PAUSE)

    def follow(self, question: str, within: float = CONNECT_WITHIN, **asked: Any) -> Lines:
        """An answer in many lines; waits for the connection alone, `within` seconds at most."""
        try:
            return self._open().follow(question, asked, within)
        except Unreached:
            raise self._stopped() from None

    def seconds(self, timeout: float | None) -> float:
        """A caller's timeout, the engine's `Settings.call_timeout` for `None`. Raises `ConfigError`."""
        return seconds_of(timeout, QUICK if self._call_timeout is None else self._call_timeout)

    def close(self) -> None:
        """End the connections. Whatever is asked after that raises `EngineStopped`."""
        self._is_closed = True
        self._link.close()

    def _open(self) -> Link:
        if self._is_closed:
            raise EngineStopped(_CLOSED)
        return self._link

    def _stopped(self) -> EngineError:
        """Why nobody answers."""
        pid = owner_pid(self.directory)
        if pid is not None:
            told = _NOT_SERVED.format(directory=self.directory, pid=pid or "that cannot be named")
            return StoreInUse(told, pid or None)
        return EngineStopped((_NOBODY if self._call_timeout is None else _GONE).format(directory=self.directory))


def may_repeat(endpoint: str, params: Mapping[str, Any] | None, endpoint_class: str | None) -> bool:
    """Whether a call may be made twice: it changes nothing, or cancels what it names."""
    given = params if isinstance(params, Mapping) else {}
    try:
        found = endpoint_of(endpoint, given, endpoint_class)
        is_dry = is_dry_run(found, settled(found, given))
    except EngineError:
        return True  # the engine will refuse it
    return not found.writes or is_dry or cancels_by_name(endpoint, given)
