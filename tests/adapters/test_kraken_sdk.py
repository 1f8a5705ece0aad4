"""python-kraken-sdk's clients on an engine, and its loop "on an unavailable service, send again"."""

from __future__ import annotations

import asyncio
from typing import Any

import kraken.exceptions as sdk
import kraken.spot
import pytest

from engine import CallUnknown, ConfigError, Engine, OrderUnknown
from engine.adapters.kraken_sdk import Earn, Funding, Market, SpotAsyncClient, SpotClient, Trade, User
from engine.simulator import Simulator
from tests.adapters.conftest import blind, lose_replies, until_raises
from tests.stopwatch import PATIENCE

ASKED: dict[str, Any] = {
    "ordertype": "limit", "side": "buy", "pair": "XBTUSD", "volume": "0.002", "price": 20000,
}  # fmt: skip
SENT = {"ordertype": "limit", "type": "buy", "pair": "XBTUSD", "volume": "0.002", "price": "20000"}


@pytest.fixture
def trade(live: Engine) -> Trade:
    client = Trade(engine=live, account="MASTER")
    client.TIMEOUT = int(PATIENCE)
    return client


@pytest.fixture
def user(live: Engine) -> User:
    return User(engine=live)


def placed(sim: Simulator) -> list[str]:
    return [each.txid for each in sim.placements("MASTER")]


def test_a_market_is_read_past_the_lane(live: Engine, sim: Simulator) -> None:
    with Market(engine=live) as market:
        assert market.get_system_status()["status"] == "online"
        assert market.get_assets(assets=["XBT", "USD"]).keys() == {"XXBT", "ZUSD"}
        assert market.get_asset_pairs(pair="BTCUSD")["XXBTZUSD"]["altname"] == "XBTUSD"
        assert market.get_ticker(pair=["DOTUSD", "XBTUSD"])
        assert market.get_ohlc(pair="XBTUSD", interval=240)
        assert market.get_order_book(pair="XBTUSD", count=2)
        assert market.get_recent_trades(pair="XBTUSD")
        assert market.get_recent_spreads(pair="XBTUSD")
    assert not any(call.private for call in sim.calls if call.endpoint in ("Assets", "Ticker", "Depth"))


def test_a_user_reads_an_account(user: User, sim: Simulator) -> None:
    assert user.get_account_balance()["ZUSD"] == "900000.0000"
    assert user.get_balances()["XXBT"]["balance"] == "9.0000000000"
    assert user.get_balance(currency="XBT")["available_balance"] == 9.0
    assert user.get_trade_balance(asset="USD")["eb"]
    assert user.get_open_orders(trades=True) == {"open": {}}
    assert user.get_closed_orders(trades=True, start=1668431675)["closed"] == {}
    assert user.get_trades_history(type_="all", trades=True)["trades"] == {}
    assert user.get_ledgers_info(asset=["EUR", "USD"])
    assert user.get_trade_volume(pair="DOT/EUR")["fees"]
    assert user.get_open_positions() == []
    with pytest.raises(ConfigError, match="RetrieveExport answers with a file"):
        user.retrieve_export(id_="ABCD")
    assert user.get_orders_info(txid="OXBBSK-EUGDR-TDNIEQ") == {}


def test_earn_funding_and_any_call(live: Engine, sim: Simulator) -> None:
    assert Earn(engine=live).list_earn_strategies(asset="DOT")
    with pytest.warns(DeprecationWarning, match="Funding"):
        assert isinstance(Funding(engine=live).get_deposit_methods(asset="XBT"), list)
    client = SpotClient(engine=live)
    assert client.request("GET", "/0/public/Ticker", query_str="pair=XBTUSD", auth=False)
    assert client.request("POST", "/0/private/Balance", extra_params={})
    for wrong in ("Balance", "/1/private/Balance", "/0/secret/Balance"):
        with pytest.raises(ConfigError, match="is not the path"):
            client.request("POST", wrong)


def test_it_has_no_key_no_host_and_no_session(trade: Trade, sim: Simulator) -> None:
    assert isinstance(trade, kraken.spot.Trade)
    shown = repr(vars(trade)) + trade.URL
    for secret in (sim.accounts[0].secret, sim.accounts[0].key, sim.url, "kraken.com", "requests"):
        assert secret not in shown


def test_an_order_is_placed_truncated_changed_and_canceled(trade: Trade, user: User, sim: Simulator) -> None:
    told = trade.create_order(**ASKED | {"price": 20000.123}, oflags=["post"], truncate=True)
    assert told["txid"] == placed(sim)
    trade.amend_order(txid=told["txid"][0], limit_price="20001")
    assert user.get_open_orders()["open"][told["txid"][0]]["descr"]["price"] == "20001.0"
    edited = trade.edit_order(txid=told["txid"][0], pair="XBTUSD", price="20002")
    assert trade.cancel_order(txid=edited["txid"]) == {"count": 1}
    with pytest.raises(sdk.KrakenUnknownOrderError):
        trade.cancel_order(txid=edited["txid"])
    trade.cancel_all_orders_after_x(timeout=60)
    trade.cancel_all_orders_after_x(timeout=0)


@pytest.mark.parametrize("named", [{}, {"cl_ord_id": "bot-1"}, {"userref": 42}])
def test_a_lost_reply_is_looked_up_and_the_bot_learns_its_txid(
    trade: Trade, sim: Simulator, named: dict[str, Any]
) -> None:
    lose_replies(sim)
    assert trade.create_order(**ASKED, **named)["txid"] == placed(sim)
    assert len(placed(sim)) == 1


@pytest.mark.parametrize("named", [{}, {"cl_ord_id": "bot-1"}])
def test_every_retry_of_an_unknown_order_ends_at_it(trade: Trade, sim: Simulator, named: dict[str, Any]) -> None:
    def send(seconds: float) -> Any:
        return trade.request("POST", "/0/private/AddOrder", SENT | named, timeout=seconds)  # type: ignore[arg-type]

    lose_replies(sim)
    with blind(sim):
        for _ in range(2):
            unknown = until_raises(OrderUnknown, send)
            assert not isinstance(unknown, OSError | sdk.KrakenServiceUnavailableError)
    assert send(PATIENCE)["txid"] == placed(sim)
    assert len(placed(sim)) == 1


def test_orders_of_a_batch_are_placements(trade: Trade, sim: Simulator) -> None:
    row = {name: value for name, value in SENT.items() if name != "pair"}
    lose_replies(sim)
    told = trade.create_order_batch(orders=[row, row | {"price": "20001"}], pair="XBTUSD")
    assert [each["txid"] for each in told["orders"]] == placed(sim)
    assert trade.cancel_order_batch(orders=[*placed(sim)]) == {"count": 2}


def test_refusals_keep_the_sdk_s_classes(trade: Trade, sim: Simulator) -> None:
    with pytest.raises(sdk.KrakenInsufficientFundsError):
        trade.create_order(**ASKED | {"volume": "9000", "price": 60000})
    with pytest.raises(sdk.KrakenUnknownMethodError):
        trade.request("POST", "/0/private/NoSuchCall")
    with pytest.raises(sdk.KrakenUnknownOrderError):
        trade.cancel_order(txid="OAAAAA-BBBBB-CCCCCC")
    sim.set_permissions("MASTER", ["query-open-trades", "query-closed-trades"])
    with pytest.raises(sdk.KrakenPermissionDeniedError):
        trade.request("POST", "/0/private/AmendOrder", {"txid": "OAAAAA-BBBBB-CCCCCC", "limit_price": "1"})
    assert placed(sim) == []


def test_what_was_not_sent_is_an_unavailable_service(live: Engine) -> None:
    with pytest.raises(sdk.KrakenServiceUnavailableError):
        SpotClient(engine=live).request("POST", "/0/private/Balance", timeout=0)


def test_a_dry_run_places_nothing_and_cancel_all_counts(trade: Trade, sim: Simulator) -> None:
    assert trade.create_order(**ASKED, validate=True)["descr"]
    assert placed(sim) == []
    trade.create_order(**ASKED)
    assert trade.cancel_all_orders() == {"count": 1}


def test_the_asynchronous_client_does_the_same(live: Engine, sim: Simulator) -> None:
    async def main() -> None:
        async with SpotAsyncClient(engine=live) as client:
            assert await client.request("GET", "/0/public/Time", auth=False)
            lose_replies(sim)
            told = await client.request("POST", "/0/private/AddOrder", dict(SENT), timeout=int(PATIENCE))
            assert told["txid"] == placed(sim)
            lose_replies(sim, "AmendOrder")
            amend = {"txid": told["txid"][0], "limit_price": "20001"}
            with pytest.raises(CallUnknown):
                await client.request("POST", "/0/private/AmendOrder", amend, timeout=int(PATIENCE))
            await client.async_close()

    asyncio.run(main())
