"""ccxt's `kraken` on an engine, in a thread and on an event loop, and its loop "on NetworkError, send again"."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from engine import Engine
from engine.adapters import ccxt as adapter
from engine.adapters.ccxt import OutcomeUnknown
from engine.simulator import Fault, Simulator
from tests.adapters.conftest import blind, lose_replies, until_raises
from tests.stopwatch import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*")

SYMBOL = "BTC/USD"
RESTS = (SYMBOL, "limit", "buy", 0.002, 20000)


@pytest.fixture
def exchange(live: Engine) -> Any:
    return adapter.kraken({"timeout": PATIENCE * 1000, "enableRateLimit": False}, engine=live)


@pytest.fixture
def installed(live: Engine) -> Iterator[None]:
    undo = adapter.install(live)
    yield
    undo()


def placed(sim: Simulator) -> list[str]:
    return [each.txid for each in sim.placements("MASTER")]


def test_ccxt_reads_and_trades(exchange: Any, sim: Simulator) -> None:
    assert isinstance(exchange, ccxt.kraken)
    assert {SYMBOL, "ETH/USD"} <= exchange.load_markets().keys()
    ticker = exchange.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert exchange.fetch_order_book(SYMBOL, 5)["bids"]
    assert exchange.fetch_ohlcv(SYMBOL, "1h")
    assert exchange.fetch_trades(SYMBOL)
    assert exchange.fetch_time()
    assert exchange.fetch_status()["status"] == "ok"
    assert exchange.fetch_currencies()["BTC"]["id"] == "XXBT"
    assert exchange.fetch_balance()["USD"]["total"] == 900000.0
    bought = exchange.create_order("ETH/USD", "market", "buy", 0.01)
    assert exchange.fetch_order(bought["id"])["status"] == "closed"
    assert exchange.fetch_my_trades("ETH/USD")[0]["order"] == bought["id"]
    rests = exchange.create_order(*RESTS, {"postOnly": True})
    assert [each["id"] for each in exchange.fetch_open_orders(SYMBOL)] == [rests["id"]]
    exchange.edit_order(rests["id"], SYMBOL, "limit", "buy", 0.002, 20001)
    assert exchange.fetch_order(rests["id"])["price"] == 20001.0
    exchange.cancel_order(rests["id"])
    assert {each["id"] for each in exchange.fetch_closed_orders()} == {bought["id"], rests["id"]}
    assert exchange.fetch_ledger()
    assert exchange.fetch_trading_fee(SYMBOL)["taker"]


def test_it_drops_keys_and_has_no_nonce_and_no_signature(live: Engine, sim: Simulator) -> None:
    exchange = adapter.kraken({"apiKey": "a key", "secret": "a secret"}, engine=live)
    assert exchange.check_required_credentials()
    shown = repr(vars(exchange))
    for secret in ("a key", "a secret", sim.accounts[0].secret, sim.accounts[0].key, sim.url):
        assert secret not in shown
    with pytest.raises(ccxt.NotSupported):
        exchange.sign("Balance", "private")
    with pytest.raises(ccxt.NotSupported):
        exchange.fetch2("anything", "zendesk")


@pytest.mark.parametrize("named", [True, False])
def test_a_lost_reply_is_looked_up_and_the_bot_learns_its_id(exchange: Any, sim: Simulator, named: bool) -> None:
    mine = str(uuid.uuid4())
    lose_replies(sim)
    told = exchange.create_order(*RESTS, {"clientOrderId": mine} if named else {})
    assert [told["id"]] == placed(sim)
    assert exchange.fetch_order(told["id"])["clientOrderId"] == (mine if named else None)


@pytest.mark.parametrize("named", [True, False])
def test_every_retry_of_an_unknown_order_ends_at_it(exchange: Any, sim: Simulator, named: bool) -> None:
    params = {"clientOrderId": "bot-1"} if named else {}
    exchange.load_markets()

    def send(seconds: float) -> Any:
        exchange.timeout = seconds * 1000
        return exchange.create_order(*RESTS, params)

    lose_replies(sim)
    with blind(sim):
        for _ in range(2):
            unknown = until_raises(OutcomeUnknown, send)
            assert not isinstance(unknown, ccxt.NetworkError | ccxt.InvalidOrder), "it is not known that there is none"
            assert unknown.receipt.account == "MASTER"
    assert [send(PATIENCE)["id"]] == placed(sim)
    assert len(placed(sim)) == 1


def test_a_lost_reply_to_an_amend_is_no_network_error_and_one_to_a_cancel_is(exchange: Any, sim: Simulator) -> None:
    rests = exchange.create_order(*RESTS)
    lose_replies(sim, "AmendOrder")
    with pytest.raises(OutcomeUnknown) as unknown:
        exchange.edit_order(rests["id"], SYMBOL, "limit", "buy", 0.002, 20001)
    assert unknown.value.receipt is None
    lose_replies(sim, "CancelOrder")
    exchange.cancel_order(rests["id"])
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(rests["id"])


def test_orders_of_a_batch_are_placements(exchange: Any, sim: Simulator) -> None:
    order = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.002}
    lose_replies(sim)
    told = exchange.create_orders([order | {"price": 20000}, order | {"price": 20001}])
    assert [each["id"] for each in told] == placed(sim)
    exchange.cancel_orders(placed(sim))
    assert exchange.fetch_open_orders() == []
    exchange.create_order(*RESTS)
    exchange.cancel_all_orders()
    assert exchange.fetch_open_orders() == []


REFUSED: list[tuple[type[Exception], Callable[[Any], Any]]] = [
    (ccxt.InsufficientFunds, lambda exchange: exchange.create_order(SYMBOL, "limit", "buy", 9000, 60000)),
    (ccxt.InvalidOrder, lambda exchange: exchange.create_order(SYMBOL, "limit", "buy", 0.00001, 20000)),
    (ccxt.InvalidOrder, lambda exchange: exchange.create_order(SYMBOL, "limit", "buy", 1, 2, {"volume": "much"})),
    (ccxt.BadSymbol, lambda exchange: exchange.create_order("NOT/THERE", "market", "buy", 1)),
    (ccxt.OrderNotFound, lambda exchange: exchange.cancel_order("OAAAAA-BBBBB-CCCCCC")),
]
SAID: list[tuple[type[Exception], str, str]] = [
    (ccxt.ExchangeNotAvailable, "EService:Unavailable", "TradeBalance"),
    (ccxt.DDoSProtection, "EAPI:Rate limit exceeded", "CreditLines"),
    (ccxt.PermissionDenied, "EGeneral:Permission denied", "Ledgers"),
    (ccxt.AuthenticationError, "EAPI:Invalid key", "TradeVolume"),
]


def test_a_refusal_has_ccxt_s_class(exchange: Any, sim: Simulator) -> None:
    for error, call in REFUSED:
        with pytest.raises(error):
            call(exchange)
    assert placed(sim) == []


def test_what_kraken_says_has_ccxt_s_class(exchange: Any, sim: Simulator) -> None:
    def send(seconds: float) -> Any:
        exchange.timeout = seconds * 1000
        return exchange.request(endpoint, "private", "POST")

    for error, code, endpoint in SAID:
        sim.fault(Fault.error(code, endpoint=endpoint))
        until_raises(error, send)


def test_a_host_s_own_ccxt_is_on_the_engine(installed: None, sim: Simulator) -> None:
    host = ccxt.kraken({"apiKey": "", "secret": "", "enableRateLimit": False})
    host.create_order("ETH/USD", "market", "buy", 0.01)
    assert len(placed(sim)) == 1
    assert "token" not in repr(vars(host)).lower() or host.token in (None, "")

    async def others() -> list[float]:
        told = []
        for module in (ccxt.async_support, ccxt.pro):
            client = module.kraken({"enableRateLimit": False})
            told.append((await client.fetch_balance())["ETH"]["total"])
            await client.close()
        return told

    assert asyncio.run(others()) == [0.01, 0.01]


def test_install_can_be_undone(live: Engine) -> None:
    before = (ccxt.kraken, ccxt.async_support.kraken, ccxt.pro.kraken)
    adapter.install(live)()
    assert (ccxt.kraken, ccxt.async_support.kraken, ccxt.pro.kraken) == before


def on_a_loop(live: Engine, main: Callable[[Any], Awaitable[None]], kind: Any = adapter.async_kraken) -> None:
    async def run() -> None:
        client = kind({"timeout": PATIENCE * 1000, "enableRateLimit": False}, engine=live)
        try:
            await main(client)
        finally:
            await client.close()

    asyncio.run(run())


def test_orders_of_several_tasks_whose_replies_are_lost_are_one_each(live: Engine, sim: Simulator) -> None:
    intents = [("ETH/USD", 1000, "mine-1"), (SYMBOL, 20000, None)]

    async def main(client: Any) -> None:
        await client.load_markets()
        lose_replies(sim, times=2)
        told = await asyncio.gather(*(
            client.create_order(pair, "limit", "buy", 0.01, price, {"clientOrderId": mine} if mine else {})
            for pair, price, mine in intents
        ))  # fmt: skip
        own = {each["id"]: each["clientOrderId"] for each in await client.fetch_open_orders()}
        assert [own[each["id"]] for each in told] == ["mine-1", None]

    on_a_loop(live, main)
    assert len(placed(sim)) == 2


def test_a_task_that_gives_up_and_sends_again_places_one_order(live: Engine, sim: Simulator) -> None:
    async def main(client: Any) -> None:
        await client.load_markets()
        hold = sim.fault(Fault.hang(executed=True, endpoint="AddOrder", times=1))
        first = asyncio.create_task(client.create_order(*RESTS))
        async with asyncio.timeout(PATIENCE):
            while not placed(sim):  # the simulator has no event for it
                await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        hold.remove()
        assert [(await client.create_order(*RESTS))["id"]] == placed(sim)

    on_a_loop(live, main)
    assert len(placed(sim)) == 1


def test_private_streams_are_refused(live: Engine, sim: Simulator) -> None:
    async def main(client: Any) -> None:
        await client.load_markets()
        with pytest.raises(ccxt.NotSupported):
            await client.create_order_ws(*RESTS)
        with pytest.raises(ccxt.NotSupported):
            await client.watch_orders()

    on_a_loop(live, main, adapter.pro_kraken)
    assert placed(sim) == []
