"""krakenex's `API` on an engine: ``API(engine)`` in the place of ``krakenex.API(key, secret)``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import krakenex

from engine.adapters.kraken_api import Answer, KrakenApi
from engine.app.verbs import Verbs


class API(krakenex.API):
    """What `krakenex.API` does, through an `Engine` or a `RemoteEngine`, which has the keys, the nonces and the host.

    The replies are krakenex's: Kraken's envelope as a dict, whose `error` list tells of refusals; beside an error of
    the engine's own, ``engine`` has a sentence. A call that may have been done raises `CallUnknown` (an order:
    `OrderUnknown`, with its receipt), which no loop for network errors catches; an order of the same parameters
    afterwards ends at the same placement.
    """

    def __init__(self, engine: Verbs, account: str = "MASTER") -> None:
        self.key = self.secret = self.uri = ""
        self.apiversion = "0"
        self.session = self.response = None
        self._json_options: dict[str, Any] = {}
        self._api = KrakenApi(engine, account)

    def query_private(self, method: str, data: Mapping[str, Any] | None = None, timeout: Any = None) -> Any:
        """One private call. Raises `CallUnknown`."""
        return self._read(self._api.private(method, dict(data or {}), seconds_of(timeout)))

    def query_public(self, method: str, data: Mapping[str, Any] | None = None, timeout: Any = None) -> Any:
        """One public call, which does not pass through the lane."""
        return self._read(self._api.public(method, dict(data or {}), seconds_of(timeout)))

    def load_key(self, path: str) -> None:
        """Does nothing: the keys are the engine's, and no file is read."""

    def close(self) -> None:
        """Does nothing: connections are the engine's."""

    def _read(self, answer: Answer) -> Any:
        return json.loads(answer.text(), **self._json_options)


def seconds_of(timeout: Any) -> float | None:
    """A timeout as requests takes it: seconds, two numbers to connect and to read, or none."""
    if isinstance(timeout, tuple):
        parts = [each for each in timeout if each is not None]
        return float(sum(parts)) if parts else None
    return None if timeout is None else float(timeout)
