"""The adapters on an engine of another process, by `Engine.connect`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine, OrderUnknown
from engine.adapters.ccxt import async_kraken
from engine.adapters.krakenex import API
from engine.app.remote.remote_engine import RemoteEngine
from engine.simulator import Simulator
from tests.adapters.conftest import blind, lose_replies, until_raises
from tests.stopwatch import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*")

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.002"}


@pytest.fixture
def client(live: Engine, tmp_path: Path) -> Iterator[RemoteEngine]:
    with live.serve(port=0), Engine.connect(tmp_path / "state") as remote:
        yield remote


def test_a_retry_around_a_lost_reply_leaves_one_order(client: RemoteEngine, sim: Simulator) -> None:
    api = API(client)
    lose_replies(sim)
    with blind(sim):
        until_raises(OrderUnknown, lambda seconds: api.query_private("AddOrder", ORDER, timeout=seconds))
    told = api.query_private("AddOrder", ORDER, timeout=PATIENCE)
    assert told["result"]["txid"] == [each.txid for each in sim.placements("MASTER")]
    assert len(told["result"]["txid"]) == 1
    assert api.query_private("NoSuchCall")["error"] == ["EGeneral:Unknown method"]


def test_an_event_loop_trades_by_it(client: RemoteEngine, sim: Simulator) -> None:
    async def main() -> None:
        exchange = async_kraken({"timeout": PATIENCE * 1000, "enableRateLimit": False}, engine=client)
        placed = await exchange.create_order("BTC/USD", "limit", "buy", 0.002, 20000, {"clientOrderId": "mine"})
        assert [each["clientOrderId"] for each in await exchange.fetch_open_orders()] == ["mine"]
        await exchange.cancel_order(placed["id"])
        await exchange.close()

    asyncio.run(main())
    assert len(sim.placements("MASTER")) == 1
