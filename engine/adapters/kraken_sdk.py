"""python-kraken-sdk's clients on an engine: ``Trade(engine=engine)`` in the place of ``Trade(key=..., secret=...)``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import kraken.spot
from kraken.base_api import ErrorHandler
from kraken.exceptions import KrakenServiceUnavailableError

from engine.adapters.kraken_api import Answer, KrakenApi
from engine.app.verbs import Verbs
from engine.errors import ConfigError
from engine.kraken.refusal_words import BUSY

DEFAULT_SECONDS = 10
"""The SDK's own default: a client's class attribute `TIMEOUT` stands in for it."""


class _OnEngine:
    """What each client does in the place of HTTP requests. It has no session, no key and no host.

    Kraken's errors are raised as the SDK's exceptions. A call that may have been done raises `CallUnknown` (an order:
    `OrderUnknown`, with its receipt), never `KrakenServiceUnavailableError`; an order of the same parameters afterwards
    ends at the same placement.
    """

    URL = ""
    TIMEOUT: int = DEFAULT_SECONDS

    def __init__(self, *, engine: Verbs, account: str = "MASTER") -> None:
        self._key = self._secret = ""
        self._use_custom_exceptions = True
        self._err_handler = ErrorHandler()
        self._api = KrakenApi(engine, account)

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        timeout: int = DEFAULT_SECONDS,
        *,
        auth: bool = True,
        do_json: bool = False,
        return_raw: bool = False,
        query_str: str | None = None,
        extra_params: str | dict[str, Any] | None = None,
    ) -> Any:
        """One call, by the path of its endpoint. Raises the SDK's exceptions and `CallUnknown`."""
        name, asked = _asked(uri, params, query_str, extra_params, return_raw=return_raw)
        seconds = self._seconds(timeout)
        answer = (self._api.private if auth else self._api.public)(name, asked, seconds)
        return self._read(answer)

    def _seconds(self, timeout: float) -> float:
        return float(self.TIMEOUT if timeout == DEFAULT_SECONDS else timeout)

    def _read(self, answer: Answer) -> Any:
        if BUSY in answer.errors:  # which the SDK does not know: it would hand the error out as a result
            raise KrakenServiceUnavailableError(json.loads(answer.text()))
        return self._err_handler.check(json.loads(answer.text()))


class SpotClient(_OnEngine, kraken.spot.SpotClient):
    """`kraken.spot.SpotClient` on an engine: `request` makes any call."""


class User(_OnEngine, kraken.spot.User):
    """`kraken.spot.User` on an engine."""


class Market(_OnEngine, kraken.spot.Market):
    """`kraken.spot.Market` on an engine; its calls are public and do not pass through the lane."""


class Trade(_OnEngine, kraken.spot.Trade):
    """`kraken.spot.Trade` on an engine: its orders are placements."""

    def __init__(self, *, engine: Verbs, account: str = "MASTER") -> None:
        super().__init__(engine=engine, account=account)
        self._Trade__market = Market(engine=engine, account=account)  # what `truncate` asks about pairs


class Earn(_OnEngine, kraken.spot.Earn):
    """`kraken.spot.Earn` on an engine."""


class Funding(_OnEngine, kraken.spot.Funding):
    """`kraken.spot.Funding` on an engine; withdrawals need the engine's setting `allow_withdrawals`."""


class SpotAsyncClient(_OnEngine, kraken.spot.SpotAsyncClient):
    """`kraken.spot.SpotAsyncClient` on an engine; the loop is never blocked."""

    async def request(  # type: ignore[override] # the SDK overrides a function with a coroutine, too
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        timeout: int = DEFAULT_SECONDS,
        *,
        auth: bool = True,
        do_json: bool = False,
        return_raw: bool = False,
        query_str: str | None = None,
        extra_params: str | dict[str, Any] | None = None,
    ) -> Any:
        """One call, by the path of its endpoint. Raises the SDK's exceptions and `CallUnknown`."""
        name, asked = _asked(uri, params, query_str, extra_params, return_raw=return_raw)
        seconds = self._seconds(timeout)
        answer = await (self._api.private_async if auth else self._api.public_async)(name, asked, seconds)
        return self._read(answer)

    async def close(self) -> None:
        """Nothing to close."""

    async def async_close(self) -> None:
        """Nothing to close."""


def _asked(
    uri: str, params: Mapping[str, Any] | None, query: str | None, extra: str | Mapping[str, Any] | None,
    *, return_raw: bool,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """The name of the endpoint and all parameters. Raises `ConfigError`."""
    parts = uri.split("/", 3)
    if len(parts) != 4 or parts[:2] != ["", "0"] or parts[2] not in ("private", "public"):
        raise ConfigError(f"{uri[:80]!r} is not the path of a spot endpoint of Kraken's, such as /0/private/Balance.")
    if return_raw:
        raise ConfigError(f"{parts[3][:64]} answers with a file, which the engine does not carry: ask Kraken for it.")
    more = json.loads(extra) if isinstance(extra, str) else extra or {}
    return parts[3], {**(params or {}), **more, **dict(parse_qsl(query or ""))}
