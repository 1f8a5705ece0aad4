"""What becomes of orders on the simulator in less usual cases: gaps, triggers, late effects, edits, pages, rubbish."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.simulator import Fault, Simulator
from engine.simulator.private_endpoints import ENDPOINTS
from tests.simulator.clients import NOW, Client, Clock, Kraken
from tests.stopwatch import PATIENCE

USUAL: dict[str, Any] = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A bitcoin costs 60000 to 60010 dollars; MASTER has 10000, and a bitcoin."""
    with Simulator(wall=clock, monotonic=clock) as simulator:
        simulator.set_balance("MASTER", {"ZUSD": "10000.0000", "XXBT": "1.0000000000"})
        simulator.set_price("XBTUSD", "60000", "60010")
        yield simulator


@pytest.fixture
def kraken(sim: Simulator) -> Iterator[Kraken]:
    with contextlib.closing(Kraken(sim)) as made:
        yield made


def place(kraken: Kraken, **changes: Any) -> str:
    (txid,) = kraken.call("AddOrder", **{**USUAL, **changes})["txid"]
    return str(txid)


def only(sim: Simulator) -> dict[str, Any]:
    (order,) = sim.orders("MASTER")
    return order


def last_trade(kraken: Kraken) -> dict[str, Any]:
    return next(iter(kraken.call("TradesHistory")["trades"].values()))


def at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


# Who takes and who makes


def test_an_order_that_is_triggered_takes_the_price_that_is_there(sim: Simulator, kraken: Kraken) -> None:
    place(kraken, ordertype="stop-loss-limit", price="61000", price2="65000")
    sim.set_price("XBTUSD", "61990", "62000")
    assert only(sim)["status"] == "closed"
    trade = last_trade(kraken)
    assert (trade["price"], trade["maker"]) == ("62000.00000", False)


def test_an_order_that_is_triggered_may_rest(sim: Simulator, kraken: Kraken) -> None:
    place(kraken, ordertype="stop-loss-limit", price="61000", price2="61500")
    sim.set_price("XBTUSD", "61990", "62000")
    assert (only(sim)["status"], only(sim)["misc"]) == ("open", "touched")
    sim.set_price("XBTUSD", "60990", "61000")
    trade = last_trade(kraken)
    assert (trade["price"], trade["maker"]) == ("61500.00000", True)


def test_a_gap_fills_a_resting_order_at_its_own_price(sim: Simulator, kraken: Kraken) -> None:
    place(kraken, price="59000")
    sim.set_price("XBTUSD", "50000", "50010")
    trade = last_trade(kraken)
    assert (trade["price"], trade["maker"]) == ("59000.00000", True)


def test_a_stop_order_that_a_price_gap_makes_unaffordable_is_canceled(sim: Simulator, kraken: Kraken) -> None:
    """What is not there cannot be spent: no balance is ever negative."""
    place(kraken, ordertype="stop-loss", price="61000", volume="0.16")
    sim.set_price("XBTUSD", "69990", "70000")
    order = only(sim)
    assert (order["status"], order["reason"], order["vol_exec"]) == ("canceled", "Insufficient funds", "0.00000000")
    assert kraken.call("Balance")["ZUSD"] == "10000.0000"


def test_what_a_waiting_market_order_holds_does_not_follow_the_price(sim: Simulator, kraken: Kraken) -> None:
    place(kraken, ordertype="market", price="", volume="0.16", starttm="+60")
    held = kraken.call("BalanceEx")["ZUSD"]["hold_trade"]
    sim.set_price("XBTUSD", "69990", "70000")
    assert kraken.call("BalanceEx")["ZUSD"]["hold_trade"] == held


def test_an_order_that_begins_later_takes(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    place(kraken, price="62000", starttm="+60")
    clock.now += 61
    trade = last_trade(kraken)
    assert (trade["price"], trade["maker"], trade["time"]) == ("60010.00000", False, NOW + 60)


def test_fees_can_be_paid_in_the_base_asset(sim: Simulator, kraken: Kraken) -> None:
    place(kraken, price="60010", oflags="fcib")
    place(kraken, price="70000", type="sell", oflags="fcib")
    rows = kraken.call("BalanceEx")
    assert Decimal(rows["ZUSD"]["balance"]) == 10000 - Decimal("600.1")
    assert Decimal(rows["XXBT"]["balance"]) == 1 + Decimal("0.01") - Decimal("0.00008")
    assert Decimal(rows["XXBT"]["hold_trade"]) == Decimal("0.01008")
    assert last_trade(kraken)["fee"] == "0.0000800000"
    fees = {row["asset"]: row["fee"] for row in kraken.call("Ledgers")["ledger"].values()}
    assert fees == {"XXBT": "0.0000800000", "ZUSD": "0.0000"}


# Amend and edit


def test_an_amended_price_that_crosses_takes(sim: Simulator, kraken: Kraken) -> None:
    txid = place(kraken, price="50000")
    kraken.call("AmendOrder", txid=txid, limit_price="70000")
    trade = last_trade(kraken)
    assert (trade["ordertxid"], trade["price"], trade["maker"]) == (txid, "60010.00000", False)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"limit_price": "61000"}, "EOrder:Post only order"),
        ({"limit_price": "50000.123"}, "EOrder:Invalid price"),
        ({"limit_price": "much"}, "EGeneral:Invalid arguments:limit_price"),
        ({"trigger_price": "50000"}, "EGeneral:Invalid arguments:trigger_price"),
        ({"order_qty": "0"}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": "0.123456789"}, "EGeneral:Invalid arguments:order_qty"),
        ({"order_qty": "1"}, "EOrder:Insufficient funds"),
        ({"deadline": at(NOW - 1)}, "EService:Deadline elapsed"),
    ],
)
def test_an_amend_that_is_refused_changes_nothing(
    sim: Simulator, kraken: Kraken, change: dict[str, str], error: str
) -> None:
    txid = place(kraken, price="50000", oflags="post")
    before = only(sim)
    assert kraken.error("AmendOrder", txid=txid, **change).startswith(error)
    assert only(sim) == before


def test_an_amend_below_what_was_filled_cancels_the_rest(sim: Simulator, kraken: Kraken) -> None:
    txid = place(kraken, price="50000", volume="0.1")
    sim.fill("MASTER", txid, "0.06")
    kraken.call("AmendOrder", txid=txid, order_qty="0.05")
    assert (only(sim)["status"], only(sim)["vol_exec"]) == ("canceled", "0.06000000")
    assert Decimal(kraken.call("BalanceEx")["ZUSD"]["hold_trade"]) == 0


def test_an_amend_moves_a_trigger(sim: Simulator, kraken: Kraken) -> None:
    txid = place(kraken, ordertype="stop-loss", type="sell", price="50000")
    kraken.call("AmendOrder", txid=txid, trigger_price="59000")
    assert only(sim)["descr"]["order"] == "sell 0.01000000 XBTUSD @ stop loss 59000.0"
    sim.set_price("XBTUSD", "58990", "59000")
    assert only(sim)["status"] == "closed"


def test_a_refused_edit_leaves_the_old_order(sim: Simulator, kraken: Kraken) -> None:
    txid = place(kraken, price="50000", volume="0.1")
    assert kraken.error("EditOrder", txid=txid, pair="XBTUSD", volume="1") == "EOrder:Insufficient funds"
    assert kraken.call("EditOrder", txid=txid, pair="XBTUSD", volume="0.15", validate="true")["status"] == "ok"
    assert (only(sim)["txid"], only(sim)["status"]) == (txid, "open")
    assert kraken.call("EditOrder", txid=txid, pair="XBTUSD", volume="0.15")["txid"] != txid, "its hold is free for it"


# By the clock


def test_what_falls_due_happens_in_order(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    """Somebody looks an hour later: one order had expired when the switch fired, the other had not."""
    first = place(kraken, price="50000", timeinforce="GTD", expiretm="+60")
    second = place(kraken, price="50000", timeinforce="GTD", expiretm="+600")
    kraken.call("CancelAllOrdersAfter", timeout="120")
    clock.now += 3600
    rows = kraken.call("ClosedOrders")["closed"]
    assert (rows[first]["status"], rows[first]["closetm"]) == ("expired", NOW + 60)
    assert (rows[second]["status"], rows[second]["closetm"]) == ("canceled", NOW + 120)


@pytest.mark.parametrize("changes", [{"timeinforce": "GTD"}, {"expiretm": "+1"}, {"expiretm": f"{NOW - 5}"},
                                     {"expiretm": "+9999999"}, {"expiretm": "soon"}])  # fmt: skip
def test_an_invalid_expiry_is_refused(kraken: Kraken, changes: dict[str, str]) -> None:
    assert kraken.error("AddOrder", **USUAL, **changes) == "EGeneral:Invalid arguments:expiretm"


@pytest.mark.parametrize(("deadline", "placed"), [(NOW + 40, 1), (NOW + 20, 0)])
def test_a_late_effect_happens_at_its_moment_however_late_somebody_looks(
    sim: Simulator, kraken: Kraken, clock: Clock, deadline: float, placed: int
) -> None:
    """G9: an order behind a 502 that gets in before its deadline is there, also when nobody looks until long after."""
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(30))
    with pytest.raises(requests.HTTPError):
        kraken.ask("AddOrder", **USUAL, deadline=at(deadline))
    assert not sim.orders("MASTER")
    clock.now += 3600
    assert [order["opentm"] for order in sim.orders("MASTER")] == [NOW + 30] * placed
    assert len(sim.placements("MASTER")) == placed


def test_a_late_effect_meets_the_price_of_its_moment(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(30))
    with pytest.raises(requests.HTTPError):
        kraken.ask("AddOrder", **{**USUAL, "ordertype": "market", "price": ""})
    clock.now += 40
    sim.set_price("XBTUSD", "69990", "70000")
    assert last_trade(kraken)["price"] == "60010.00000"


@pytest.mark.parametrize("kind", ["reset", "close", "empty", "hang"])
def test_other_ways_to_answer_before_the_effect(sim: Simulator, clock: Clock, kind: str) -> None:
    """The nonce is spent at once, as that of a call which waits behind the checks."""
    struck = sim.fault(getattr(Fault, kind)(endpoint="AddOrder").with_effect_after(30))
    client = Client(sim)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(client.call, "AddOrder", **USUAL)
        sim.wait_for_calls(1, endpoint="AddOrder", ended=kind != "hang")
        over = time.monotonic() + PATIENCE
        while not sim.nonce("MASTER"):  # the call has arrived, and is about to be judged
            assert time.monotonic() < over
        assert not sim.orders("MASTER")
        clock.now += 31
        assert only(sim)["opentm"] == NOW + 30
        sim.drop_connections()
        struck.remove()
        with pytest.raises((http.client.HTTPException, ConnectionError, json.JSONDecodeError, AssertionError)):
            placing.result(10)
    client.close()


@pytest.mark.parametrize("error", ["EService:Unavailable", "EService:Busy", "EService:Deadline elapsed",
                                   "EGeneral:Internal error"])  # fmt: skip
@pytest.mark.parametrize("executed", [False, True])
def test_errors_that_say_nothing_of_the_effect(sim: Simulator, kraken: Kraken, error: str, executed: bool) -> None:
    sim.fault(Fault.error(error, endpoint="AddOrder", executed=executed, times=1))
    assert kraken.error("AddOrder", **USUAL) == error
    assert len(sim.orders("MASTER")) == len(kraken.call("OpenOrders")["open"]) == executed


def test_an_order_that_had_expired_is_not_filled_by_a_later_price(
    sim: Simulator, kraken: Kraken, clock: Clock
) -> None:
    place(kraken, price="50000", timeinforce="GTD", expiretm="+60")
    clock.now += 61
    sim.set_price("XBTUSD", "49990", "50000")
    assert only(sim)["status"] == "expired"


# Limits, and what is told in more than one way


def test_a_batch_costs_half_and_its_cancel_may_overflow_the_counter(clock: Clock) -> None:
    with Simulator(wall=clock, monotonic=clock, tier="starter") as sim:
        sim.set_balance("MASTER", {"ZUSD": "1000000"})
        client = Client(sim)
        txids: list[str] = []
        for _ in range(2):
            told = client.result("AddOrderBatch", as_json=True, pair="XBTUSD", orders=[USUAL] * 15)
            txids += [row["txid"] for row in told["orders"]]
        for _ in range(45):  # with the 30 halves: all 60 points
            client.result("AddOrder", **{**USUAL, "ordertype": "market", "price": ""})
        assert client.error("AddOrder", **USUAL) == "EOrder:Rate limit exceeded"
        assert client.error("CancelOrder", txid=txids[0]) == "EOrder:Rate limit exceeded"
        assert client.result("CancelOrderBatch", as_json=True, orders=txids) == {"count": 30}
        client.close()


def test_a_call_counter_can_fall_in_steps(clock: Clock) -> None:
    clock.now = 3000.0
    with Simulator(wall=clock, monotonic=clock, call_limit=(2, 1), decay_every=3) as sim:
        client = Client(sim)
        client.result("Balance")
        client.result("Balance")
        clock.now += 2
        assert client.error("Balance") == "EAPI:Rate limit exceeded"
        clock.now += 1
        client.result("Balance")
        client.close()


def test_behaviours_on_which_sources_disagree() -> None:
    with Simulator(minimum_error="EOrder:Order minimum not met", numbers=True, empty_result=True) as sim:
        client = Client(sim)
        assert client.result("BalanceEx")["ZUSD"] == {"balance": 12500.0, "hold_trade": 500.0}
        refused = client.call("AddOrder", **{**USUAL, "volume": "0.00001"})
        assert refused == {"error": ["EOrder:Order minimum not met"], "result": {}}
        client.close()


# Lists


def test_an_order_that_has_just_ended_can_be_in_no_list(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    sim.set_listing_lag(0, closing=10)
    place(kraken, ordertype="market", price="")
    assert not kraken.call("OpenOrders")["open"]
    assert kraken.call("ClosedOrders") == {"closed": {}, "count": 0}
    assert kraken.call("TradesHistory") == {"trades": {}, "count": 0}
    clock.now += 11
    assert kraken.call("ClosedOrders")["count"] == kraken.call("TradesHistory")["count"] == 1


def test_a_key_sees_only_its_part_of_history(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    for _ in range(3):
        place(kraken, ordertype="market", price="")
        clock.now += 100
    sim.set_history("MASTER", since=int(NOW) + 50, until=int(NOW) + 150)
    assert [kraken.call(name)["count"] for name in ("ClosedOrders", "TradesHistory", "Ledgers")] == [1, 1, 2]
    sim.set_history("MASTER")
    assert kraken.call("ClosedOrders")["count"] == 3


def test_lists_begin_and_end_at_a_time_or_at_an_entry(kraken: Kraken, clock: Clock) -> None:
    placed = []
    for _ in range(4):
        placed.append(place(kraken, ordertype="market", price=""))
        clock.now += 10
    assert list(kraken.call("ClosedOrders", start=placed[1])["closed"]) == placed[:1:-1]
    assert list(kraken.call("ClosedOrders", end=placed[1])["closed"]) == placed[1::-1]
    assert kraken.call("ClosedOrders", start=f"{NOW}", end=f"{NOW + 20}")["count"] == 2, "without the start"
    trades = list(kraken.call("TradesHistory")["trades"])
    assert list(kraken.call("TradesHistory", start=trades[2])["trades"]) == trades[:2]
    assert kraken.error("ClosedOrders", start="OAAAAA-BBBBB-CCCCCC") == "EGeneral:Invalid arguments"
    assert kraken.call("Ledgers", type="deposit") == {"ledger": {}, "count": 0}
    assert kraken.call("TradesHistory", type="closed position")["count"] == 0


def test_orders_are_listed_by_when_they_were_opened_or_closed(kraken: Kraken, clock: Clock) -> None:
    txid = place(kraken, price="50000")
    clock.now += 100
    kraken.call("CancelOrder", txid=txid)
    found = {by: kraken.call("ClosedOrders", start=f"{NOW + 50}", closetime=by)["count"] for by in _BY}
    assert found == {"open": 0, "close": 1, "both": 1}


_BY = ("open", "close", "both")


def test_trades_of_strangers_come_from_a_moment_on(sim: Simulator, kraken: Kraken, clock: Clock) -> None:
    for price in (61000, 62000, 63000):
        clock.now += 1
        sim.set_price("XBTUSD", f"{price}", f"{price + 10}")
    told = kraken.public("Trades", pair="XBTUSD", count=2)
    assert [row[0] for row in told["XXBTZUSD"]] == ["62010.00000", "63010.00000"]
    assert kraken.public("Trades", pair="XBTUSD", since=told["last"]) == {"XXBTZUSD": [], "last": told["last"]}
    first = kraken.public("Trades", pair="XBTUSD", since=1, count=1)
    second = kraken.public("Trades", pair="XBTUSD", since=first["last"], count=1)
    assert (first["XXBTZUSD"][0][6], second["XXBTZUSD"][0][6]) == (1, 2)


# What nobody should send


@pytest.mark.parametrize(
    "changes",
    [
        {"volume": "1e999999"}, {"volume": "99999999999999999999"}, {"volume": "0.123456789"}, {"volume": "NaN"},
        {"volume": "-1"}, {"volume": "1" * 5000}, {"price": "9" * 5000}, {"price": "1e5"}, {"price": "-100%"},
        {"price": "0"}, {"ordertype": "stop-loss", "price": "-99999999"}, {"starttm": "-5"}, {"starttm": "never"},
        {"userref": "x"}, {"leverage": "2"}, {"ordertype": "settle-position"}, {"timeinforce": "NOW"},
        {"oflags": "viqc"}, {"deadline": "tomorrow"}, {"cl_ord_id": "ümlaut"},
    ],
    ids=lambda changes: urllib.parse.urlencode(changes)[:40],
)  # fmt: skip
def test_rubbish_is_refused_and_leaves_nothing(sim: Simulator, kraken: Kraken, changes: dict[str, str]) -> None:
    assert kraken.error("AddOrder", **{**USUAL, **changes})[0] == "E"
    assert not sim.orders("MASTER")


@pytest.mark.parametrize("orders", [None, [], ["x", "y"], [{}, {}], {}, [USUAL] * 16, [USUAL]])
def test_a_batch_of_rubbish_is_refused(sim: Simulator, orders: Any) -> None:
    client = Client(sim)
    reply = client.call("AddOrderBatch", as_json=True, orders=orders, pair="XBTUSD")
    client.close()
    assert reply["error"] or all(row["error"] for row in reply["result"]["orders"])
    assert not sim.orders("MASTER")


NAMES = [
    "pair", "type", "ordertype", "volume", "price", "price2", "oflags", "timeinforce", "starttm", "expiretm",
    "deadline", "validate", "userref", "cl_ord_id", "txid", "order_qty", "limit_price", "trigger_price", "post_only",
    "orders", "cl_ord_ids", "timeout", "start", "end", "ofs", "closetime", "trades", "without_count", "asset", "id",
    "leverage",
]  # fmt: skip
WORDS = st.sampled_from([
    "XBTUSD", "buy", "sell", "limit", "market", "stop-loss-limit", "0.01", "60000", "-1", "+5", "#5%", "0", "", "true",
    "post", "viqc", "fcib", "GTD", "NaN", "1e400", "-0", "both", "ZUSD", "OAAAAA-BBBBB-CCCCCC", "2026-01-01T00:00:00Z",
])  # fmt: skip
VALUES = st.recursive(
    WORDS | st.text(max_size=8) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=4,
)


def test_whatever_is_asked_gets_an_answer() -> None:
    """No parameter breaks the exchange: each call is answered with a result or with an error in Kraken's form."""
    with Simulator() as sim:
        client = Client(sim)
        sim.set_balance("MASTER", {"ZUSD": "1000000", "XXBT": "100"})

        @settings(max_examples=120, deadline=None)
        @given(st.sampled_from(sorted(ENDPOINTS)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
        def ask(endpoint: str, params: dict[str, Any]) -> None:
            likely = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "60000"}
            reply = client.call(endpoint, as_json=True, **{**likely, **params})
            assert reply["error"] == [] or reply["error"][0].startswith("E")
            assert (reply.get("result") is not None) != bool(reply["error"])

        ask()
        client.close()
