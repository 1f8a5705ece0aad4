"""The calls that python-kraken-sdk's own tests make, with a key that may read and not trade, as theirs may."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import kraken.exceptions as sdk
import pytest
from kraken.spot import Earn, Funding, Market, SpotClient, Trade, User

from engine.simulator import Simulator

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated Kraken endpoint:DeprecationWarning")

TXID, OTHER, LEDGER = "OXBBSK-EUGDR-TDNIEQ", "OE3B4A-NSIEQ-5L6HW3", "LNYQGU-SUR5U-UXTOWM"
SINCE, UNTIL = "1668431675.4778206", "1668455555.4778206"
TRADES = ["ordertxid", "time", "ordertype", "price", "cost", "fee", "vol", "margin", "misc", "ledgers"]
ENTRIES = ["refid", "time", "type", "aclass", "asset", "amount", "fee", "balance"]


class Clients:
    """Each client of the SDK, typed as what it takes at run time."""

    def __init__(self, sim: Simulator) -> None:
        master = sim.accounts[0]
        self.user, self.trade, self.market, self.funding, self.earn = (
            self._client(kind, master.key, master.secret, sim.url) for kind in (User, Trade, Market, Funding, Earn)
        )
        self.stranger = SpotClient(key="fake", secret="fake", url=sim.url)

    @staticmethod
    def _client(kind: Any, key: str, secret: str, url: str) -> Any:
        return kind(key=key, secret=secret, url=url)


@pytest.fixture
def clients(sim: Simulator) -> Clients:
    sim.set_permissions("MASTER", [
        "query-funds", "query-open-trades", "query-closed-trades", "query-ledger", "export-data", "add-funds",
        "earn-funds",
    ])  # fmt: skip
    return Clients(sim)


def a_report(user: Any, report: str, fields: list[str]) -> Any:
    """Requested, listed, downloaded and deleted; times are in seconds and in milliseconds."""
    asked = user.request_export_report(
        report=report, description="d", fields=fields, format_="CSV", starttm="1662100592",
        endtm=int(1000 * time.time()),
    )
    assert [each["id"] for each in user.get_export_report_status(report=report)] == [asked["id"]]
    assert b"".join(user.retrieve_export(id_=asked["id"]).iter_content(512)).startswith(b"PK")
    return user.delete_export_report(id_=asked["id"], type_="delete")


READS: dict[str, Callable[[Clients], Any]] = {
    "trade balance": lambda c: c.user.get_trade_balance(asset="EUR"),
    "open orders": lambda c: c.user.get_open_orders(trades=True),
    "open orders by userref": lambda c: c.user.get_open_orders(trades=False, userref="1234567"),
    "closed orders by userref": lambda c: c.user.get_closed_orders(trades=True, userref="1234"),
    "closed orders": lambda c: c.user.get_closed_orders(trades=True, start=SINCE, end=UNTIL, ofs=1, closetime="open"),
    "trades": lambda c: c.user.get_trades_history(type_="closed position", start="1677717104", ofs="1"),
    "ledgers": lambda c: c.user.get_ledgers_info(asset=["EUR", "USD"], start=SINCE, end=UNTIL, ofs=2),
    "deposits": lambda c: c.user.get_ledgers_info(type_="deposit"),
    "volume": lambda c: c.user.get_trade_volume(pair="DOT/EUR"),
    "trades as a file": lambda c: a_report(c.user, "trades", TRADES),
    "ledgers as a file": lambda c: a_report(c.user, "ledgers", ENTRIES),
    "assets": lambda c: c.market.get_assets(assets=["XBT,USD"]),
    "pairs": lambda c: c.market.get_asset_pairs(pair=["DOTEUR", "XBTUSD"], info="fees"),
    "shares": lambda c: c.market.get_asset_pairs(aclass_base="tokenized_asset"),
    "tickers": lambda c: c.market.get_ticker(pair=["DOTUSD", "XBTUSD"]),
    "candles": lambda c: c.market.get_ohlc(pair="XBTUSD", interval=240, since="1616663618"),
    "book": lambda c: c.market.get_order_book(pair="XBTUSD", count=2),
    "trades of all": lambda c: c.market.get_recent_trades(pair="XBTUSD", since="1616663618"),
    "spreads": lambda c: c.market.get_recent_spreads(pair="XBTUSD", since="1616663618"),
    "status": lambda c: c.market.get_system_status(),
    "ways to deposit": lambda c: c.funding.get_deposit_methods(asset="XBT"),
    "addresses": lambda c: c.funding.get_deposit_address(asset="XBT", method="Bitcoin", new=False),
    "recent deposits": lambda c: c.funding.get_recent_deposits_status(asset="XLM", start=1688992722, cursor=True),
    "strategies": lambda c: c.earn.list_earn_strategies(asset="DOT"),
    "allocations": lambda c: c.earn.list_earn_allocations(),
}
NOTHING_THERE: dict[str, Callable[[Clients], Any]] = {
    "trades by id": lambda c: c.user.get_trades_info(txid=[TXID, OTHER]),
    "orders by id": lambda c: c.user.get_orders_info(txid=TXID, consolidate_taker=True, trades=True),
    "entries by id": lambda c: c.user.get_ledgers(id_=[LEDGER], trades=True),
    "positions": lambda c: c.user.get_open_positions(txid=TXID, docalcs=True),
}
DENIED: dict[str, Callable[[Clients], Any]] = {
    "order": lambda c: c.trade.create_order(
        ordertype="stop-loss", side="sell", volume="1000", trigger="last", pair="XBTUSD", price="100", leverage="2",
        reduce_only=True, userref="12345", close_ordertype="limit", close_price="123", validate=True,
    ),
    "batch": lambda c: c.trade.create_order_batch(
        orders=[{"ordertype": "limit", "price": 140, "type": "buy", "userref": 1, "volume": 1000},
                {"ordertype": "limit", "price": 150, "type": "sell", "userref": 1, "volume": 123}],
        pair="BTC/USD", validate=True,
    ),
    "edit": lambda c: c.trade.edit_order(txid=TXID, userref="1", volume=1.25, pair="XBTUSD", price=2, validate=True),
    "cancel": lambda c: c.trade.cancel_order(txid=TXID),
    "cancel of several": lambda c: c.trade.cancel_order_batch(orders=[TXID, OTHER]),
    "account": lambda c: c.user.create_subaccount(email="abc@example.com", username="tom"),
}  # fmt: skip


def test_reads_are_answered(clients: Clients) -> None:
    for name, read in READS.items():
        told = read(clients)
        assert isinstance(told, dict | list), name
        assert not (isinstance(told, dict) and told.get("error")), name
    assert [name for name, read in NOTHING_THERE.items() if read(clients)] == []


def test_what_the_key_may_not_do_is_denied_by_name(clients: Clients) -> None:
    for call in DENIED.values():
        with pytest.raises(sdk.KrakenPermissionDeniedError):
            call(clients)
    with pytest.raises(sdk.KrakenInvalidAPIKeyError):
        clients.stranger.request("POST", "/0/private/AddOrder")
