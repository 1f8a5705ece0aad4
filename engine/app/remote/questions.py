"""How a service is asked: within a caller's time, and again where that can do no harm."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engine.app.remote.link import AnswerLines, Link, Unanswered, Unreached
from engine.app.remote.place import CONNECT_WITHIN, Place
from engine.app.state import seconds_of
from engine.errors import CallUnknown, EngineError, EngineStopped
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import is_dry_run
from engine.kraken.unlisted import endpoint_of
from engine.rules.lane.retry import cancels_by_name

GRACE = 3.0  # seconds beyond a caller's timeout: the engine's own two for its disk, and one for the way
QUICK = 10.0  # seconds for what the engine answers from memory
PAUSE = 0.1  # seconds before a question is asked again

_NO_ANSWER = "{name} gave no answer; nothing was changed."
_CLOSED = "This RemoteEngine was closed."


class Questions:
    """Questions to a service, and their answers. Thread-safe.

    `call_timeout` is the engine's there (`None`: it is asked). Raises what the place says when nobody serves there;
    nothing was sent then.
    """

    def __init__(self, place: Place, call_timeout: float | None = None) -> None:
        self.place = place
        self._link = Link(place)
        self._is_closed = False
        self._call_timeout = call_timeout
        if call_timeout is None:
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
        asked again while the time lasts, at a place that repeats. is_timed: whether the time that is left goes with the
        question. patience: seconds that the answer may take beyond the timeout.
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
                    raise self._absent() from None
            if not (again and self.place.repeats) or left <= PAUSE:
                raise lost or CallUnknown(_NO_ANSWER.format(name=self.place.name))
            time.sleep(PAUSE)

    def follow(self, question: str, within: float = CONNECT_WITHIN, **asked: Any) -> AnswerLines:
        """An answer in many lines; waits for the connection alone, `within` seconds at most."""
        try:
            return self._open().follow(question, asked, within)
        except Unreached:
            raise self._absent() from None

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

    def _absent(self) -> EngineError:
        """Why nobody answers."""
        return self.place.absent(was_there=self._call_timeout is not None)


def may_repeat(endpoint: str, params: Mapping[str, Any] | None, endpoint_class: str | None) -> bool:
    """Whether a call may be made twice: it changes nothing, or cancels what it names."""
    given = params if isinstance(params, Mapping) else {}
    try:
        found = endpoint_of(endpoint, given, endpoint_class)
        is_dry = is_dry_run(found, settled(found, given))
    except EngineError:
        return True  # the engine will refuse it
    return not found.writes or is_dry or cancels_by_name(endpoint, given)
