"""Clients of the simulator that share no code with it, and its clocks turned by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode

import krakenex

from engine.simulator import Simulator

NOW = 1_790_000_000.0
UUID = "0123456789abcdef0123456789abcdef"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def query(api: krakenex.API, endpoint: str, params: dict[str, str] | None = None) -> Any:
    """A private call in a millisecond of its own: krakenex counts no finer."""
    now = time.time_ns() // 10**6
    while time.time_ns() // 10**6 == now:
        pass
    reply = api.query_private(endpoint, params)
    assert reply["error"] == []
    return reply["result"]


class Clock:
    """A clock that tests turn."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Client:
    """A minimal client over one kept connection; every part of a call can be forged."""

    def __init__(self, sim: Simulator, name: str = "MASTER", **forged: str) -> None:
        known = next(account for account in sim.accounts if account.name == name)
        self.account = known._replace(**forged)
        self.connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
        self.nonce = 1000

    def sign(self, path: str, nonce: str, body: bytes) -> str:
        message = path.encode() + hashlib.sha256(nonce.encode() + body).digest()
        key = base64.b64decode(self.account.secret)
        return base64.b64encode(hmac.new(key, message, hashlib.sha512).digest()).decode()

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        heads = {name.replace("_", "-"): text for name, text in headers.items()}
        self.connection.request(method, path, body, heads)
        return self.read()

    def read(self) -> Any:
        reply = self.connection.getresponse()
        assert reply.status == 200
        assert reply.headers["Content-Type"] == JSON
        return json.loads(reply.read())

    def call(
        self, endpoint: str, *, nonce: object = None, as_json: bool = False, **params: object
    ) -> Any:
        if nonce is None:
            self.nonce += 1
            nonce = self.nonce
        fields = {"nonce": nonce, **params}
        body = (json.dumps(fields) if as_json else urlencode(fields)).encode()
        path = f"/0/private/{endpoint}"
        kind = JSON if as_json else FORM
        sign = self.sign(path, str(nonce), body)
        return self.send(
            "POST", path, body, API_Key=self.account.key, API_Sign=sign, Content_Type=kind
        )

    def error(self, endpoint: str, **call: Any) -> str:
        reply = self.call(endpoint, **call)
        assert reply.keys() == {"error"}
        (error,) = reply["error"]
        return str(error)

    def result(self, endpoint: str, **call: Any) -> Any:
        reply = self.call(endpoint, **call)
        assert reply["error"] == []
        return reply["result"]

    def close(self) -> None:
        self.connection.close()


class Kraken:
    """krakenex, unmodified, with a nonce that only rises."""

    def __init__(self, sim: Simulator, name: str = "MASTER") -> None:
        account = next(each for each in sim.accounts if each.name == name)
        self._api = krakenex.API(account.key, account.secret)
        self._api.uri = sim.url
        self._nonce = sim.nonce(name)
        self._api._nonce = self._next

    def _next(self) -> int:
        self._nonce += 1
        return self._nonce

    def ask(self, endpoint: str, **params: Any) -> Any:
        return self._api.query_private(endpoint, params, timeout=10)

    def call(self, endpoint: str, **params: Any) -> Any:
        reply = self.ask(endpoint, **params)
        assert not reply["error"], reply
        return reply["result"]

    def error(self, endpoint: str, **params: Any) -> str:
        (error,) = self.ask(endpoint, **params)["error"]
        return str(error)

    def public(self, endpoint: str, **params: Any) -> Any:
        reply = self._api.query_public(endpoint, params, timeout=10)
        assert not reply["error"], reply
        return reply["result"]

    def buy(self, price: str = "60000", volume: str = "0.1", **more: Any) -> str:
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": price, "volume": volume}
        (txid,) = self.call("AddOrder", **{**order, **more})["txid"]
        return str(txid)

    def close(self) -> None:
        self._api.close()
