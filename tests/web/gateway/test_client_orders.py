"""Orders of real clients through the gateway, with what each of them puts into an order by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import krakenex
import pytest
from kraken.spot import Trade, User

from engine.simulator import Simulator
from tests.served import Served, served
from tests.web.gateway.asking import key_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # krakenex and ccxt leave their sessions to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
UUID = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


@pytest.fixture
def service(sim: Simulator, tmp_path: Path) -> Iterator[Served]:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as running:
        yield running


def placed(sim: Simulator) -> list[dict[str, Any]]:
    return [dict(each.params) for each in sim.placements("MASTER")]


def test_ccxt_and_freqtrades_habits(sim: Simulator, service: Served) -> None:
    key = key_of(service, "MASTER", "ccxt", "--trading")
    client: Any = ccxt.kraken({"apiKey": key[0], "secret": key[1], "enableRateLimit": False})
    client.urls["api"] = dict.fromkeys(client.urls["api"], service.url)
    market, agree = "BTC/USD", {"trading_agreement": "agree"}
    mine = {"clientOrderId": UUID, "postOnly": True, **agree}
    named = client.create_order(market, "limit", "buy", 0.001, 30000, mine)
    stop = client.create_order(market, "market", "sell", 0.001, None, {"stopLossPrice": 29000, **agree})
    limit = client.create_order(market, "limit", "sell", 0.001, 28900, {"stopLossPrice": 29000, "reduceOnly": False})
    trail = client.create_order(market, "market", "sell", 0.001, None, {"trailingPercent": "5"})
    marked = client.create_order(market, "limit", "buy", 9e-05 + 0.001, 30000, {"userref": 77, "timeInForce": "GTC"})
    close = {"close": {"ordertype": "limit", "price": 65000}}
    closing = client.create_order(market, "limit", "buy", 0.001, 30000, close)
    both = client.create_orders([
        {"symbol": market, "type": "limit", "side": "buy", "amount": 0.001, "price": 30000 + each} for each in range(2)
    ])  # fmt: skip
    ids = [each["id"] for each in (named, stop, limit, trail, marked, closing, *both)]
    assert [each.txid for each in sim.placements("MASTER")] == ids
    shown = {order["id"]: order for order in client.fetch_open_orders(market)}
    assert set(shown) == set(ids)
    assert (shown[named["id"]]["clientOrderId"], shown[marked["id"]]["info"]["userref"]) == (UUID, 77)
    assert shown[stop["id"]]["clientOrderId"] is None
    edited = client.edit_order(named["id"], market, "limit", "buy", 0.002, 30001)
    assert edited["id"]
    client.cancel_order("", market, {"clientOrderId": UUID})
    client.cancel_order("77", market)
    client.cancel_orders(ids[2:4], market)
    assert set(ids) - {order["id"] for order in client.fetch_open_orders(market)} == {ids[0], ids[2], ids[3], ids[4]}
    with pytest.raises(ccxt.ExchangeError, match="arguments:hedged"):
        client.create_order(market, "limit", "buy", 0.001, 30000, {"hedged": True})


def test_python_kraken_sdk_and_krakenex(sim: Simulator, service: Served) -> None:
    key = key_of(service, "MASTER", "sdk", "--trading")
    trade, user = Trade(key=key[0], secret=key[1], url=service.url), User(key=key[0], secret=key[1], url=service.url)
    order: dict[str, Any] = {"ordertype": "limit", "side": "buy", "pair": "XBTUSD", "volume": 0.002, "price": 30000}
    first = trade.create_order(**order, cl_ord_id="sdk-1", expiretm="+600")["txid"][0]
    second = trade.create_order(**order, userref=5, close_ordertype="limit", close_price=65000)["txid"][0]
    batch = trade.create_order_batch(orders=[
        {"ordertype": "limit", "type": "buy", "volume": 0.001, "price": 30000, "userref": 5},
        {"ordertype": "limit", "type": "buy", "volume": "0.001", "price": "30000", "timeinforce": "GTC"},
    ], pair="XBTUSD")  # fmt: skip
    assert trade.create_order(**order, validate=True).get("txid") is None
    rows = user.get_open_orders()["open"]
    assert (rows[first]["cl_ord_id"], rows[second]["userref"]) == ("sdk-1", 5)
    assert len(user.get_open_orders(userref=5)["open"]) == 2
    assert trade.amend_order(cl_ord_id="sdk-1", limit_price=30001)["amend_id"]
    assert trade.cancel_order(txid=5) == {"count": 2}
    kx = krakenex.API(*key_of(service, "MASTER", "kx", "--trading"))  # its nonces count milliseconds
    kx.uri = service.url
    told = kx.query_private("AddOrder", {
        "pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": 30000, "volume": 9e-04, "validate": False,
        "reduce_only": False, "leverage": "none", "starttm": 0, "expiretm": 0,
    })  # fmt: skip
    assert told["error"] == []
    assert kx.query_private("CancelOrder", {"txid": first})["result"] == {"count": 1}
    left = {order["txid"] for order in sim.orders("MASTER") if order["status"] == "open"}
    assert left == {batch["orders"][1]["txid"], *told["result"]["txid"]}
