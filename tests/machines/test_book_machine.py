"""The simulator's book: orders rest, cross, fill, expire and are canceled, and the wallet follows exactly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from engine.simulator import Fault, Simulator
from tests.simulator.clients import NOW, UUID, Client, Clock, Kraken


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    with Simulator(wall=clock, monotonic=clock) as simulator:
        simulator.set_balance("MASTER", {"ZUSD": "10000.0000", "USD.F": "5000.0000", "XXBT": "1.0000000000"})
        simulator.set_price("XBTUSD", "68000.0", "68010.0")
        yield simulator


@pytest.fixture
def kraken(sim: Simulator) -> Iterator[Kraken]:
    client = Kraken(sim)
    yield client
    client.close()


def statuses(sim: Simulator) -> list[str]:
    return [order["status"] for order in sim.orders("MASTER")]


def test_a_limit_order_rests_and_holds(sim: Simulator, kraken: Kraken) -> None:
    txid = kraken.buy("60000", "0.1", userref=7)
    order = kraken.call("OpenOrders")["open"][txid]
    assert (order["status"], order["vol"], order["vol_exec"]) == ("open", "0.10000000", "0.00000000")
    assert order["userref"] == 7
    assert order["descr"]["order"] == "buy 0.10000000 XBTUSD @ limit 60000.0"
    rows = kraken.call("BalanceEx")
    assert rows["ZUSD"]["balance"] == "10000.0000"
    assert Decimal(rows["ZUSD"]["hold_trade"]) == Decimal("6048")  # 6000 and 0.8 % for the fee
    assert kraken.call("CancelOrder", txid=txid) == {"count": 1}
    assert Decimal(kraken.call("BalanceEx")["ZUSD"]["hold_trade"]) == 0
    assert kraken.error("CancelOrder", txid=txid) == "EOrder:Unknown order"
    closed = kraken.call("ClosedOrders")
    assert closed["count"] == 1
    assert closed["closed"][txid]["reason"] == "User requested"


def test_a_hold_may_be_told_on_the_earn_row(clock: Clock) -> None:
    with Simulator(wall=clock, monotonic=clock, hold_on_earn=True) as sim:
        sim.set_balance("MASTER", {"ZUSD": "0.0000", "USD.F": "9000.0000"})
        client = Kraken(sim)
        client.buy("60000", "0.1")
        rows = client.call("BalanceEx")
        assert Decimal(rows["ZUSD"]["hold_trade"]) == 0
        assert Decimal(rows["USD.F"]["hold_trade"]) == Decimal("6048")
        client.close()


def test_a_market_order_fills_at_the_touch_and_pays_from_both_rows(sim: Simulator, kraken: Kraken) -> None:
    (txid,) = kraken.call("AddOrder", pair="XBTUSD", type="buy", ordertype="market", volume="0.2")["txid"]
    order = kraken.call("QueryOrders", txid=txid, trades=True)[txid]
    assert (order["status"], order["vol_exec"], order["price"]) == ("closed", "0.20000000", "68010.00000")
    cost, fee = Decimal("13602"), Decimal("108.816")
    assert (Decimal(order["cost"]), Decimal(order["fee"])) == (cost, fee)
    rows = kraken.call("Balance")
    assert Decimal(rows["ZUSD"]) == 0
    assert Decimal(rows["USD.F"]) == Decimal("15000") - cost - fee
    assert Decimal(rows["XXBT"]) == Decimal("1.2")
    (trade,) = kraken.call("TradesHistory")["trades"].values()
    assert (trade["ordertxid"], trade["pair"], trade["maker"]) == (txid, "XXBTZUSD", False)
    assert list(kraken.call("QueryTrades", txid=order["trades"][0])) == order["trades"]
    entries = kraken.call("Ledgers")["ledger"]
    assert sorted(entry["asset"] for entry in entries.values()) == ["XXBT", "ZUSD"]
    assert kraken.call("QueryLedgers", id=next(iter(entries)))


def test_a_resting_order_is_filled_when_the_price_reaches_it(sim: Simulator, kraken: Kraken) -> None:
    txid = kraken.buy("67000", "0.1")
    sim.set_price("XBTUSD", "67100", "67110")
    assert kraken.call("OpenOrders")["open"]
    sim.set_price("XBTUSD", "66000", "66010")
    order = kraken.call("ClosedOrders")["closed"][txid]
    assert (order["status"], order["price"]) == ("closed", "67000.00000")
    assert kraken.public("Ticker", pair="XBTUSD")["XXBTZUSD"]["b"][0] == "66000.00000"


def test_another_trader_may_take_a_part(sim: Simulator, kraken: Kraken) -> None:
    txid = kraken.buy("60000", "0.1")
    sim.fill("MASTER", txid, "0.04")
    order = kraken.call("OpenOrders", trades=True)["open"][txid]
    assert (order["status"], order["vol_exec"], len(order["trades"])) == ("open", "0.04000000", 1)
    kraken.call("CancelOrder", txid=txid)
    order = kraken.call("ClosedOrders")["closed"][txid]
    assert (order["status"], order["vol_exec"]) == ("canceled", "0.04000000")
    with pytest.raises(LookupError):
        sim.fill("MASTER", txid, "0.01")


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"oflags": "post", "price": "69000"}, "canceled", "Post only order"),
        ({"oflags": "post"}, "open", None),
        ({"timeinforce": "IOC"}, "canceled", "Immediate or cancel"),
        ({"timeinforce": "IOC", "price": "69000"}, "closed", None),
        ({"timeinforce": "FOK"}, "canceled", "Fill or kill"),
        ({"timeinforce": "GTD", "expiretm": "+60"}, "open", None),
        ({"starttm": "+60"}, "pending", None),
    ],
)
def test_how_an_order_begins(
    sim: Simulator, kraken: Kraken, more: dict[str, str], status: str, reason: str | None
) -> None:
    kraken.buy(**{"price": "60000", **more})
    (order,) = sim.orders("MASTER")
    assert (order["status"], order.get("reason")) == (status, reason)


def test_orders_begin_and_expire_by_the_clock(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    kraken.buy(timeinforce="GTD", expiretm="+60")
    kraken.buy(price="69000", starttm="+30")
    clock.now += 31
    assert statuses(sim) == ["open", "closed"]
    clock.now += 30
    assert statuses(sim) == ["expired", "closed"]


@pytest.mark.parametrize(
    ("kind", "side", "price", "moves_to", "done"),
    [
        ("stop-loss", "sell", "65000", "64990", True),
        ("stop-loss", "sell", "65000", "65500", False),
        ("stop-loss", "buy", "70000", "70010", True),
        ("take-profit", "sell", "70000", "70010", True),
        ("take-profit", "buy", "65000", "64990", True),
        ("take-profit", "buy", "65000", "66000", False),
    ],
)
def test_triggers(sim: Simulator, kraken: Kraken, kind: str, side: str, price: str, moves_to: str, done: bool) -> None:
    kraken.call("AddOrder", pair="XBTUSD", type=side, ordertype=kind, price=price, volume="0.1")
    assert statuses(sim) == ["open"]
    sim.set_price("XBTUSD", str(Decimal(moves_to) - 10), moves_to)
    assert statuses(sim) == ["closed" if done else "open"]


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"volume": "0.00001"}, "EGeneral:Invalid arguments:volume minimum not met"),
        ({"price": "60000.123"}, "EOrder:Invalid price:XXBTZUSD price can only be specified up to 1 decimals."),
        ({"volume": "1"}, "EOrder:Insufficient funds"),
        ({"type": "sell", "volume": "1.1", "price": "90000"}, "EOrder:Insufficient funds"),
        ({"pair": "XBTMOON"}, "EQuery:Unknown asset pair"),
        ({"oflags": "moon"}, "EGeneral:Invalid arguments:oflags"),
        ({"price": "1", "volume": "0.0001"}, "EOrder:Cost minimum not met"),
        ({"cl_ord_id": "x" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": UUID, "userref": "1"}, "EGeneral:Invalid arguments"),
    ],
)
def test_what_is_refused(kraken: Kraken, sim: Simulator, order: dict[str, str], error: str) -> None:
    usual = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.1"}
    assert kraken.error("AddOrder", **{**usual, **order}) == error
    assert not sim.orders("MASTER")


def test_held_funds_are_not_there_twice(kraken: Kraken) -> None:
    kraken.buy("60000", "0.2")
    assert kraken.error(
        "AddOrder", pair="XBTUSD", type="buy", ordertype="limit", price="60000", volume="0.1"
    ) == "EOrder:Insufficient funds"  # fmt: skip


def test_a_client_id_is_unique_among_open_orders_only(sim: Simulator, kraken: Kraken) -> None:
    """Two closed orders may bear one id, which is why it does not make a placement safe."""
    kraken.buy("60000", cl_ord_id=UUID)
    again = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
    hyphens = f"{UUID[:8]}-{UUID[8:12]}-{UUID[12:16]}-{UUID[16:20]}-{UUID[20:]}"
    assert kraken.error("AddOrder", **again, cl_ord_id=hyphens) == "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert list(kraken.call("OpenOrders", cl_ord_id=UUID)["open"])
    assert kraken.call("CancelOrder", cl_ord_id=UUID) == {"count": 1}
    for _ in range(2):
        kraken.call("AddOrder", pair="XBTUSD", type="buy", ordertype="market", volume="0.01", cl_ord_id=UUID)
    assert kraken.call("ClosedOrders", cl_ord_id=UUID)["count"] == 3
    assert kraken.call("OpenOrders", cl_ord_id=UUID) == {"open": {}}


def test_a_deadline_is_kept_by_the_exchanges_clock(sim: Simulator, kraken: Kraken) -> None:
    def at(seconds: float) -> str:
        return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()

    usual = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
    assert kraken.error("AddOrder", **usual, deadline=at(-1)) == "EService:Deadline elapsed"
    assert kraken.error("AddOrder", **usual, deadline=at(90)) == "EGeneral:Invalid arguments:deadline"
    assert kraken.call("AddOrder", **usual, deadline=at(10))["txid"]
    assert len(sim.orders("MASTER")) == 1


def test_an_effect_that_comes_late_is_bound_by_its_deadline(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    """What a 502 hides: the call takes effect half a minute later, unless its deadline has passed by then."""
    usual = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
    deadline = datetime.fromtimestamp(NOW + 10, UTC).isoformat()
    for more in ({}, {"deadline": deadline}):
        sim.fault(Fault.error("EService:Unavailable", endpoint="AddOrder", times=1).with_effect_after(30))
        assert kraken.error("AddOrder", **usual, **more) == "EService:Unavailable"
    assert not sim.orders("MASTER")
    clock.now += 31
    assert statuses(sim) == ["open"]
    assert len(sim.placements("MASTER")) == 1


def test_lists_lag(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    sim.set_listing_lag(20)
    resting = kraken.buy()
    kraken.call("AddOrder", pair="XBTUSD", type="buy", ordertype="market", volume="0.01")
    for endpoint, key in (("OpenOrders", "open"), ("ClosedOrders", "closed"), ("TradesHistory", "trades")):
        assert not kraken.call(endpoint)[key]
    assert kraken.call("QueryOrders", txid=resting) == {}
    clock.now += 21
    assert len(kraken.call("OpenOrders")["open"]) == len(kraken.call("ClosedOrders")["closed"]) == 1


def test_closed_orders_come_in_pages(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    txids = []
    for _ in range(120):
        clock.now += 1
        txids.append(kraken.buy("60000", "0.0001"))
        kraken.call("CancelOrder", txid=txids[-1])
    found: list[str] = []
    while page := kraken.call("ClosedOrders", ofs=str(len(found))):
        assert page["count"] == 120
        if not page["closed"]:
            break
        assert len(page["closed"]) <= 50
        found += page["closed"]
    assert found == txids[::-1]
    since = kraken.call("ClosedOrders", start=str(NOW + 110))
    assert list(since["closed"]) == txids[:109:-1]
    assert "count" not in kraken.call("ClosedOrders", without_count="true")


def test_the_switch_that_nobody_feeds_fires(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    kraken.buy()
    told = kraken.call("CancelAllOrdersAfter", timeout="60")
    assert told["triggerTime"] > told["currentTime"]
    clock.now += 59
    kraken.call("CancelAllOrdersAfter", timeout="60")
    clock.now += 59
    assert statuses(sim) == ["open"]
    assert kraken.call("CancelAllOrdersAfter", timeout="0")["triggerTime"] == "0"
    clock.now += 100
    assert statuses(sim) == ["open"]
    kraken.call("CancelAllOrdersAfter", timeout="60")
    clock.now += 61
    assert statuses(sim) == ["canceled"]


def test_amend_keeps_the_order_and_edit_makes_another(sim: Simulator, kraken: Kraken) -> None:
    txid = kraken.buy("60000", "0.1", cl_ord_id=UUID)
    assert kraken.call("AmendOrder", cl_ord_id=UUID, order_qty="0.05", limit_price="61000")["amend_id"]
    order = kraken.call("OpenOrders")["open"][txid]
    assert (order["vol"], order["misc"]) == ("0.05000000", "amended")
    assert kraken.error("AmendOrder", txid=txid, order_qty="9") == "EOrder:Insufficient funds"
    edited = kraken.call("EditOrder", txid=txid, pair="XBTUSD", volume="0.02", price="59000")
    assert edited["originaltxid"] == txid
    assert list(kraken.call("OpenOrders")["open"]) == [edited["txid"]]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("maintenance", "EService:Unavailable"),
        ("cancel_only", "EService:Market in cancel_only mode"),
        ("post_only", "EService:Market in post_only mode"),
    ],
)
def test_the_exchanges_mode_counts(sim: Simulator, kraken: Kraken, status: str, error: str) -> None:
    txid = kraken.buy()
    sim.set_status(status)
    usual = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
    assert kraken.error("AddOrder", **usual) == error
    if status == "post_only":
        assert kraken.call("AddOrder", **usual, oflags="post")["txid"]
    if status == "maintenance":
        assert kraken.error("CancelOrder", txid=txid) == kraken.error("CancelAll") == error
    else:
        assert kraken.call("CancelOrder", txid=txid) == {"count": 1}


def test_a_tier_counts_orders_and_their_age(clock: Clock) -> None:
    with Simulator(wall=clock, monotonic=clock, tier="starter") as sim:
        sim.set_balance("MASTER", {"ZUSD": "1000000"})
        client = Kraken(sim)
        txids = [client.buy("60000", "0.0001") for _ in range(20)]
        for txid in txids[:5]:
            client.call("CancelOrder", txid=txid)  # younger than five seconds: eight points each
        assert client.error("CancelOrder", txid=txids[5]) == "EOrder:Rate limit exceeded"
        clock.now += 400
        assert client.call("CancelAll") == {"count": 15}
        for _ in range(14):  # CancelAll was one
            client.call("Balance")
        assert client.error("Balance") == "EAPI:Rate limit exceeded"
        client.close()


LIMIT = {"type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}


def test_the_book_refuses_single_orders_of_a_batch(sim: Simulator) -> None:
    orders = [{**LIMIT, "cl_ord_id": UUID}, {**LIMIT, "volume": "1"}, {**LIMIT, "cl_ord_id": UUID}]
    client = Client(sim)
    placed, dear, twice = client.result("AddOrderBatch", as_json=True, pair="XBTUSD", orders=orders)["orders"]
    assert dear == {"error": "EOrder:Insufficient funds"}
    assert twice == {"error": "EGeneral:Invalid arguments:cl_ord_id not unique"}
    assert client.result("CancelOrderBatch", as_json=True, orders=[placed["txid"]]) == {"count": 1}
    client.close()


def test_a_check_that_fails_refuses_the_whole_batch(sim: Simulator) -> None:
    client = Client(sim)
    for bad in ({"volume": "0.00001"}, {"price": "60000.123"}, {"ordertype": "market", "timeinforce": "FOK"}):
        for orders in ([LIMIT, {**LIMIT, **bad}], [{**LIMIT, **bad}, LIMIT]):
            told = client.call("AddOrderBatch", as_json=True, pair="XBTUSD", orders=orders)
            assert told["error"]
            assert told["result"] is None
    assert not sim.orders("MASTER")
    client.close()


def test_a_batch_may_be_judged_by_row() -> None:
    with Simulator(batch_by_row=True) as sim:
        client = Client(sim)
        orders = [{**LIMIT, "volume": "0.00001"}, LIMIT]
        refused, placed = client.result("AddOrderBatch", as_json=True, pair="XBTUSD", orders=orders)["orders"]
        assert refused == {"error": "EGeneral:Invalid arguments:volume minimum not met"}
        assert placed["txid"]
        client.close()


def test_public_prices_follow(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    clock.now += 120
    sim.set_price("XBTUSD", "70000", "70010")
    candles = kraken.public("OHLC", pair="XBTUSD", interval=1)
    assert len(candles["XXBTZUSD"]) <= 720
    assert candles["XXBTZUSD"][-1][4] == "70010.0"
    assert candles["XXBTZUSD"][-2][4] == "68010.0"
    book = kraken.public("Depth", pair="BTC/USD", count=3)["BTC/USD"]
    assert [level[0] for level in book["asks"]] == ["70010.00000", "70010.10000", "70010.20000"]
    assert book["bids"][0][0] == "70000.00000"
    assert kraken.public("Spread", pair="XBTUSD")["XXBTZUSD"][-1][1:] == ["70000.00000", "70010.00000"]
    assert kraken.public("Trades", pair="XBTUSD")["XXBTZUSD"]


def test_what_a_key_tells_of_itself(clock: Clock) -> None:
    with Simulator(wall=clock, monotonic=clock, snake_case=True, nonce_window=5, echo_id=True) as sim:
        sim.set_history("MASTER", since=1_700_000_000)
        client = Kraken(sim)
        info = client.call("GetApiKeyInfo")
        assert (info["nonce_window"], info["query_from"], info["query_to"]) == ("5", "1700000000", "0")
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
        assert client.call("AddOrder", **order, cl_ord_id=UUID)["cl_ord_id"] == UUID
        assert client.call("GetWebSocketsToken")["expires"] == 900
        client.close()
