"""A call through the gateway takes no status of the engine, which tells of every account."""

from __future__ import annotations

import asyncio
import itertools
import time
import urllib.parse
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import Engine
from engine.app.status import EngineStatus
from engine.kraken.signing import sign
from engine.simulator import Simulator
from engine.values import Secret
from engine.web.gateway.credentials import Credential, Credentials
from engine.web.gateway.gateway import Gateway
from tests.conftest import QUICK

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.001"}


class Counting(Engine):
    """Counts how often its status is taken."""

    taken = 0

    def status(self) -> EngineStatus:
        self.taken += 1
        return super().status()


class Client:
    """Asks the gateway itself, without a server before it."""

    def __init__(self, gateway: Gateway, issued: tuple[Credential, Secret]) -> None:
        self._gateway, self._key, self._secret = gateway, issued[0].name, issued[1]
        self._nonces = itertools.count(time.time_ns())

    async def call(self, name: str, **params: str) -> Response:
        path, nonce = f"/0/private/{name}", next(self._nonces)
        body = urllib.parse.urlencode({"nonce": nonce, **params}).encode()
        headers = {"api-key": self._key, "api-sign": sign(path, body, nonce, self._secret),
                   "content-type": "application/x-www-form-urlencoded"}  # fmt: skip
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path,
                                 "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
        sent = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            return next(sent, None) or await asyncio.Event().wait()

        return await self._gateway.private(Request(scope, receive), name)


def test_no_call_and_no_order_takes_the_status_of_the_engine(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})

    async def test(engine: Engine) -> None:
        assert isinstance(engine, Counting)
        credentials = Credentials(tmp_path)
        gateway = Gateway(engine, credentials, settings=QUICK, show=lambda who, text: None)
        client = Client(gateway, credentials.issue("MASTER", "bot", may_trade=True))
        before = engine.taken
        for name, params in (("AddOrder", ORDER), ("Balance", {}), ("OpenOrders", {}), ("CancelAll", {})):
            answer = await client.call(name, **params)
            assert bytes(answer.body).startswith(b'{"error":[],"result":'), (name, answer.body)
        assert engine.taken == before
        await gateway.close()

    with Counting(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK, live=True) as engine:
        asyncio.run(test(engine))
    assert len(sim.placements("MASTER")) == 1
