"""How tests ask the gateway: as any client of Kraken's does."""

from __future__ import annotations

import itertools
import json
import time
import urllib.parse
from typing import Any

from engine.kraken.signing import sign
from engine.values import Secret
from tests.served import Served, ServiceReply


def key_of(service: Served, account: str = "MASTER", label: str = "default", *options: str) -> tuple[str, str]:
    done = service.command("gateway-key", account, "--label", label, "--json", *options)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["key"], told["secret"]


def signed(
    service: Served, key: tuple[str, str], endpoint: str, nonce: int, params: dict[str, str] | None = None
) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers of one call, signed as Kraken's guide says."""
    path = f"/0/private/{endpoint}"
    body = urllib.parse.urlencode({"nonce": nonce, **(params or {})}).encode()
    headers = {"API_Key": key[0], "API_Sign": sign(path, body, nonce, Secret(key[1])),
               "Content_Type": "application/x-www-form-urlencoded"}  # fmt: skip
    return path, body, headers


def send(service: Served, call: tuple[str, bytes, dict[str, str]], **more: str) -> ServiceReply:
    path, body, headers = call
    return service.ask(path, method="POST", body=body, **{**headers, **more})


class Asker:
    """One client of the gateway, with a key of its own."""

    def __init__(self, service: Served, label: str, account: str = "MASTER", *options: str) -> None:
        self.service = service
        self.key = key_of(service, account, label, *(options or ("--trading",)))
        self._nonces = itertools.count(time.time_ns(), 1000)

    def call(self, endpoint: str, **params: Any) -> ServiceReply:
        """A call with these parameters, as a form."""
        return send(self.service, signed(self.service, self.key, endpoint, next(self._nonces), params))

    def json(self, endpoint: str, **params: Any) -> ServiceReply:
        """A call with these parameters, in JSON."""
        path, nonce = f"/0/private/{endpoint}", next(self._nonces)
        body = json.dumps({"nonce": str(nonce), **params}).encode()
        headers = {"API_Key": self.key[0], "API_Sign": sign(path, body, nonce, Secret(self.key[1])),
                   "Content_Type": "application/json"}  # fmt: skip
        return send(self.service, (path, body, headers))

    def result(self, endpoint: str, **params: Any) -> Any:
        """The result of a call that has no error."""
        told = self.call(endpoint, **params).json
        assert told["error"] == [], told
        return told["result"]
