"""How each client makes one private call. Every one signs, counts its nonces and reads the reply as it always does.

Each is made from ``(url, key, secret)`` and has `call()`, which raises when the call is not done, and `close()`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import itertools
import json
import socket
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

ENDPOINT = "BalanceEx"
PATH = f"/0/private/{ENDPOINT}"
FORM = "application/x-www-form-urlencoded"


class Contestant(Protocol):
    """What the benchmark drives."""

    def call(self) -> Any: ...
    def close(self) -> None: ...


class _Signed:
    """What a bare client needs by itself: nonces that rise within the process, and Kraken's signature."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.key, self.secret = url, key, base64.b64decode(secret)
        self.address = urllib.parse.urlsplit(url)
        self._nonces = itertools.count(time.time_ns())

    def signed(self) -> tuple[dict[str, str], bytes]:
        nonce = next(self._nonces)
        body = b"nonce=%d" % nonce
        digest = hashlib.sha256(b"%d%b" % (nonce, body)).digest()
        signature = base64.b64encode(hmac.digest(self.secret, PATH.encode() + digest, "sha512")).decode()
        return {"API-Key": self.key, "API-Sign": signature, "Content-Type": FORM}, body

    def close(self) -> None:
        pass


class RawSocket(_Signed):
    """The floor: one write, one read, no HTTP parser."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        super().__init__(url, key, secret)
        self._socket = socket.create_connection((self.address.hostname or "", self.address.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self) -> Any:
        headers, body = self.signed()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {PATH} HTTP/1.1\r\nHost: {self.address.netloc}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        reply = self._socket.recv(65536)
        return _result(reply.partition(b"\r\n\r\n")[2])

    def close(self) -> None:
        self._socket.close()


class HttpClient(_Signed):
    """The standard library's http.client with one kept connection."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        super().__init__(url, key, secret)
        self._connection = http.client.HTTPConnection(self.address.netloc)

    def call(self) -> Any:
        headers, body = self.signed()
        self._connection.request("POST", PATH, body, headers)
        return _result(self._connection.getresponse().read())

    def close(self) -> None:
        self._connection.close()


class RequestsSession(_Signed):
    """A stock requests Session."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        import requests

        super().__init__(url, key, secret)
        self._session = requests.Session()

    def call(self) -> Any:
        headers, body = self.signed()
        return _result(self._session.post(self.url + PATH, data=body, headers=headers, timeout=10).content)

    def close(self) -> None:
        self._session.close()


class PreparedRequest(_Signed):
    """One prepared request through one stock adapter of requests, reused."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        import requests
        from requests.adapters import HTTPAdapter

        super().__init__(url, key, secret)
        self._adapter = HTTPAdapter()
        self._prepared = requests.Request("POST", url + PATH, data=b"-").prepare()

    def call(self) -> Any:
        headers, body = self.signed()
        self._prepared.headers.update(headers)
        self._prepared.body = body
        self._prepared.headers["Content-Length"] = str(len(body))
        return _result(self._adapter.send(self._prepared, timeout=10).content)

    def close(self) -> None:
        self._adapter.close()


class Krakenex:
    """krakenex. `locked`: its calls one at a time, as its threads need for their nonces to arrive in order."""

    def __init__(self, url: str, key: str, secret: str, *, locked: bool = False) -> None:
        import krakenex

        self._api = krakenex.API(key, secret)
        self._api.uri = url
        self._last = 0
        self._lock = threading.Lock() if locked else None
        self._api._nonce = self._nonce  # its own counts milliseconds, and two calls fit into one on loopback

    def _nonce(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    def call(self) -> Any:
        if self._lock is None:
            return _good(self._api.query_private(ENDPOINT))
        with self._lock:
            return _good(self._api.query_private(ENDPOINT))

    def close(self) -> None:
        self._api.close()


class PythonKrakenSdk:
    """python-kraken-sdk, the client without asyncio."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        from kraken.spot import SpotClient

        self._client = SpotClient(key=key, secret=secret, url=url)

    def call(self) -> Any:
        return self._client.request("POST", PATH)

    def close(self) -> None:
        pass  # it has no way to be closed


class PythonKrakenSdkAsync:
    """python-kraken-sdk's async client in a loop of its own, driven one call after the other."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        from kraken.spot import SpotAsyncClient

        self._loop = asyncio.new_event_loop()
        self._client: Any = self._loop.run_until_complete(_made(partial(SpotAsyncClient, key, secret, url)))

    def many(self, count: int) -> list[float]:
        """The seconds of each of `count` calls, all inside the loop."""
        return self._loop.run_until_complete(self._many(count))

    async def _many(self, count: int) -> list[float]:
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            await self._client.request("POST", PATH)
            taken.append(time.perf_counter() - began)
        return taken

    def call(self) -> Any:
        return self._loop.run_until_complete(self._client.request("POST", PATH))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.async_close())
        self._loop.close()


class CcxtRaw:
    """ccxt's implicit method, which gives Kraken's reply as it came."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        import ccxt

        self._kraken = ccxt.kraken({"apiKey": key, "secret": secret, "enableRateLimit": False})
        self._kraken.urls["api"]["private"] = url
        self._last = 0
        self._kraken.nonce = self._nonce  # its own counts milliseconds
        if hasattr(self._kraken, "incrementing_nonce"):
            self._kraken.incrementing_nonce = self._nonce

    def _nonce(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    def call(self) -> Any:
        return _good(self._kraken.private_post_balanceex())

    def close(self) -> None:
        self._kraken.session.close()


class ThisEngine:
    """`Engine.call`, with everything: mailbox, limits, durable nonce, signature, strict reply, events.

    Our own counters do not refuse, since no account may make thousands of calls in a second; they count all the same.
    """

    def __init__(self, url: str, key: str, secret: str, **settings: Any) -> None:
        from engine import Engine, Settings

        self._folder = tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-")
        self._engine = Engine(
            [("MASTER", key, secret)], url=url, state_dir=self._folder.name + "/state", balances=(),
            settings=Settings(local_limits=False, **settings),
        )  # fmt: skip
        self._engine.start()

    def call(self) -> Any:
        return self._engine.call("MASTER", ENDPOINT)

    def close(self) -> None:
        self._engine.stop()
        self._folder.cleanup()


CONTESTANTS: dict[str, Callable[[str, str, str], Contestant]] = {
    "raw socket": RawSocket,
    "http.client": HttpClient,
    "requests, prepared": PreparedRequest,
    "requests Session": RequestsSession,
    "krakenex": Krakenex,
    "krakenex, locked": partial(Krakenex, locked=True),
    "python-kraken-sdk": PythonKrakenSdk,
    "python-kraken-sdk, async": PythonKrakenSdkAsync,
    "ccxt, raw": CcxtRaw,
    "this engine": ThisEngine,
    "this engine, switch_interval": partial(ThisEngine, switch_interval=0.0002),
}
NEEDED = {"krakenex": "krakenex", "python-kraken-sdk": "kraken", "ccxt": "ccxt"}


def is_installed(name: str) -> bool:
    """Whether a contestant's package is there: the extra ``[bench]`` brings them all."""
    package = NEEDED.get(name.partition(",")[0])
    return package is None or find_spec(package) is not None


async def _made(make: Callable[[], Any]) -> Any:
    return make()


def _result(body: bytes) -> Any:
    return _good(json.loads(body))


def _good(reply: Any) -> Any:
    if reply["error"]:
        raise RuntimeError(reply["error"][0])
    return reply["result"]
