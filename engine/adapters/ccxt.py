"""ccxt's `kraken` on an engine: ``kraken({}, engine=engine)`` in the place of ``ccxt.kraken({"apiKey": ...})``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro

from engine.adapters.kraken_api import Answer, KrakenApi
from engine.app.verbs import Verbs
from engine.errors import CallUnknown

_SECRETS = ("apiKey", "secret", "password", "uid", "privateKey", "walletAddress", "token", "twofa")
_NEEDS_NOTHING = dict.fromkeys(ccxt.Exchange.requiredCredentials, False)
_OK = 200


class OutcomeUnknown(ccxt.ExchangeError):
    """A call that may have been done; `receipt` is that of an order, else `None`.

    It is no `NetworkError`, so no loop that sends again on those catches it. Sent again all the same, an order of the
    same parameters ends at the same placement.
    """

    def __init__(self, message: str, receipt: Any = None) -> None:
        super().__init__(message)
        self.receipt = receipt


class _OnEngine:
    """What each client does in the place of HTTP requests. It keeps no key, no secret and no nonce.

    Answers pass through ccxt's own reading of errors, so that each of Kraken's has ccxt's class.
    """

    id: str
    timeout: int
    enableRateLimit: bool
    parse_json: Callable[[str], Any]
    handle_errors: Callable[..., Any]
    last_http_response: Any
    last_json_response: Any

    def __init__(self, config: Mapping[str, Any] | None = None, *, engine: Verbs, account: str = "MASTER") -> None:
        kept = {name: value for name, value in (config or {}).items() if name not in _SECRETS}
        super().__init__({**kept, "requiredCredentials": _NEEDS_NOTHING})  # type: ignore[call-arg]
        self._api = KrakenApi(engine, account)

    def sign(self, path: str, api: Any = "public", method: str = "GET", params: Any = None, *_: Any) -> Any:
        """Raises `ccxt.NotSupported`: the engine signs."""
        raise ccxt.NotSupported(f"{self.id}: calls are signed by the engine.")

    def _read(self, path: str, answer: Answer) -> Any:
        text = answer.text()
        told = self.parse_json(text)
        self.last_http_response, self.last_json_response = text, told
        self.handle_errors(_OK, "OK", path, "POST", {}, text, told, {}, None)
        return told

    def _unknown(self, error: CallUnknown) -> OutcomeUnknown:
        return OutcomeUnknown(f"{self.id} {error}", getattr(error, "receipt", None))

    def _asks_private(self, api: Any) -> bool:
        name = api[0] if isinstance(api, list | tuple) else api
        if name not in ("private", "public"):
            raise ccxt.NotSupported(f"{self.id}: the engine makes private and public calls, and no {name!r} ones.")
        return bool(name == "private")


class kraken(_OnEngine, ccxt.kraken):
    """`ccxt.kraken` on an `Engine` or a `RemoteEngine`.

    `config` is ccxt's; keys in it are dropped. An order waits for its end as long as ccxt's `timeout`. Private calls
    are not throttled by ccxt, since the engine counts them.
    """

    def fetch2(
        self, path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        """One call. Raises ccxt's errors, and `OutcomeUnknown`."""
        try:
            if self._asks_private(api):
                return self._read(path, self._api.private(path, params or {}, self.timeout / 1000))
            if self.enableRateLimit:
                self.throttle(self.calculate_rate_limiter_cost(api, method, path, params or {}, config or {}))
            return self._read(path, self._api.public(path, params or {}, self.timeout / 1000))
        except CallUnknown as error:
            raise self._unknown(error) from None


class _AsyncOnEngine(_OnEngine):
    throttle: Callable[[Any], Any]
    calculate_rate_limiter_cost: Callable[..., Any]

    async def fetch2(
        self, path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        """One call; the loop is never blocked. Raises ccxt's errors, and `OutcomeUnknown`."""
        try:
            if self._asks_private(api):
                return self._read(path, await self._api.private_async(path, params or {}, self.timeout / 1000))
            if self.enableRateLimit:
                await self.throttle(self.calculate_rate_limiter_cost(api, method, path, params or {}, config or {}))
            return self._read(path, await self._api.public_async(path, params or {}, self.timeout / 1000))
        except CallUnknown as error:
            raise self._unknown(error) from None


class async_kraken(_AsyncOnEngine, ccxt.async_support.kraken):
    """`ccxt.async_support.kraken` on an `Engine` or a `RemoteEngine`, for any event loop."""


class pro_kraken(_AsyncOnEngine, ccxt.pro.kraken):
    """`ccxt.pro.kraken` on an engine. Public streams are ccxt's own; private ones, and orders by them, are refused."""

    async def authenticate(self, params: Any = None) -> Any:
        """Raises `ccxt.NotSupported`: a token would let orders past the lane."""
        raise ccxt.NotSupported(f"{self.id}: private streams do not pass through the engine; use the calls instead.")


def install(engine: Verbs, account: str = "MASTER") -> Callable[[], None]:
    """Have every ``ccxt.kraken(...)`` of this process, also asynchronous, be one on this engine and account.

    For hosts that construct ccxt themselves. Call it before the host looks the class up. Returns what undoes it.
    """
    places = ((ccxt, kraken), (ccxt.async_support, async_kraken), (ccxt.pro, pro_kraken))
    before = [module.kraken for module, _ in places]
    for module, adapted in places:
        module.kraken = _bound(adapted, engine, account)

    def undo() -> None:
        for (module, _), original in zip(places, before, strict=True):
            module.kraken = original

    return undo


def _bound(adapted: Any, engine: Verbs, account: str) -> Any:
    """A class that is constructed as ccxt's is."""

    def construct(self: Any, config: Mapping[str, Any] | None = None) -> None:
        adapted.__init__(self, config, engine=engine, account=account)

    return type("kraken", (adapted,), {"__init__": construct})
