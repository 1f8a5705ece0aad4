"""Public calls sent exactly as given; a result beside an error is kept."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import CallRefused
from engine.kraken.endpoints import public_endpoint
from engine.kraken.fact_readings import PublicAnswer
from engine.kraken.replies import read_reply
from engine.kraken.signing import encode_form
from engine.kraken.strict_json import read_strictly
from engine.transport import Transport
from engine.values import Clock, Settings

PATIENCE = 10.0  # seconds for one call


class PublicClient:
    """Sends public calls exactly as given; returns the result and the errors beside it. Raises `CallError`."""

    def __init__(self, url: str, settings: Settings, clock: Clock) -> None:
        self._transport, self._clock = Transport(url, settings, clock=clock), clock

    def ask(self, name: str, params: Mapping[str, str] | None = None, *, post: bool = False) -> PublicAnswer:
        """One call."""
        endpoint, deadline = public_endpoint(name), self._clock.monotonic() + PATIENCE
        if post:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._transport.post(endpoint.path, encode_form(params or {}), headers, deadline=deadline)
        else:
            answer = self._transport.get(endpoint.path, encode_form(params or {}).decode(), deadline=deadline)
        try:
            return PublicAnswer((), read_reply(answer.status, answer.body, endpoint).result)
        except CallRefused:
            return _refused(answer.body)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def _refused(body: bytes) -> PublicAnswer:
    """A refusal's errors, and its result where it has one."""
    try:
        told = read_strictly(body)
    except (ValueError, ArithmeticError, RecursionError):  # refused before Kraken's API, without an envelope
        return PublicAnswer(("not a reply of Kraken's",))
    errors = told.get("error") if isinstance(told, Mapping) else None
    listed = errors if isinstance(errors, list) else [errors]
    return PublicAnswer(tuple(map(str, listed)), told.get("result") if isinstance(told, Mapping) else None)
