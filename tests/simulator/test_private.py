"""The private side of the simulator is Kraken's of November 2026: what it refuses, and what it really does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.simulator import Simulator
from engine.simulator.private_endpoints import ENDPOINTS
from tests.simulator.clients import NOW, UUID, Client, Clock

LIMIT = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
NOTHING = "EOrder:No amendable parameters specified"
UNREADABLE = "EGeneral:Invalid arguments"


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A bitcoin costs 68000 to 68010 dollars; MASTER has 100000, and five bitcoins."""
    with Simulator(wall=clock, monotonic=clock) as simulator:
        simulator.set_balance("MASTER", {"ZUSD": "100000.0000", "XXBT": "5.0000000000"})
        simulator.set_price("XBTUSD", "68000", "68010")
        yield simulator


@pytest.fixture
def kraken(sim: Simulator) -> Iterator[Client]:
    with contextlib.closing(Client(sim)) as made:
        yield made


def place(kraken: Client, **changes: Any) -> str:
    (txid,) = kraken.result("AddOrder", **{**LIMIT, **changes})["txid"]
    return str(txid)


def at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def only_with(**rules: Any) -> tuple[Simulator, Client]:
    sim = Simulator(**rules).start()
    return sim, Client(sim)


# What an order may ask for


@pytest.mark.parametrize(
    "changes",
    [
        {"ordertype": "trailing-stop", "price": "5%"}, {"ordertype": "trailing-stop", "price": "-5%"},
        {"ordertype": "trailing-stop", "price": "#5%"}, {"ordertype": "trailing-stop", "price": "500"},
        {"ordertype": "trailing-stop-limit", "price": "+5%", "price2": "100"},
        {"ordertype": "trailing-stop-limit", "price": "+5%", "price2": "#100"}, {"price": "5%"},
        {"ordertype": "market", "oflags": "viqc", "volume": "1"}, {"ordertype": "market", "timeinforce": "FOK"},
        {"ordertype": "stop-loss", "timeinforce": "FOK"}, {"oflags": "fcib,fciq"},
        {"oflags": "post", "timeinforce": "IOC"}, {"trigger": "last"}, {"ordertype": "stop-loss", "trigger": "mark"},
        {"stptype": "none"}, {"reduce_only": "true"},
        {"displayvol": "0.001"}, {"ordertype": "iceberg"}, {"ordertype": "iceberg", "displayvol": "0.0001"},
        {"volume": "1e-2"}, {"volume": "0.0_1"}, {"volume": "\u0661"}, {"userref": "2147483648"},
        {"userref": "-2147483649"}, {"userref": "1", "cl_ord_id": "a"}, {"cl_ord_id": "with space"},
        {"cl_ord_id": "a!"}, {"cl_ord_id": "x" * 19}, {"cl_ord_id": UUID[:-1] + "g"}, {"asset_class": "currency"},
        {"deadline": at(NOW + 60.1)}, {"deadline": "2026-10-01"},
        {"deadline": at(NOW + 5).removesuffix("+00:00")}, {"expiretm": "+4"}, {"expiretm": f"{NOW + 32 * 86400:.0f}"},
        {"timeinforce": "GTD"}, {"starttm": "+1.5"}, {"close[ordertype]": "market"}, {"close[price]": "70000"},
        {"close[ordertype]": "limit"}, {"close[ordertype]": "limit", "close[price]": "70000.123"},
        {"close[ordertype]": "trailing-stop", "close[price]": "5%"},
        {"close[ordertype]": "limit", "close[price]": "70000", "cl_ord_id": UUID},
    ],
    ids=lambda changes: "&".join(f"{name}={value}" for name, value in changes.items())[:50],
)  # fmt: skip
def test_what_an_order_may_not_ask_for(sim: Simulator, kraken: Client, changes: dict[str, str]) -> None:
    for more in ({}, {"validate": "true"}):
        error = kraken.error("AddOrder", **{**LIMIT, **changes}, **more)
        assert error.startswith((UNREADABLE, "EOrder:Invalid price", "EOrder:Reduce only"))
    assert not sim.orders("MASTER")


@pytest.mark.parametrize(
    "changes",
    [
        {"deadline": at(NOW + 2)}, {"deadline": at(NOW + 60)}, {"expiretm": "+5"}, {"expiretm": f"{NOW + 86400:.0f}"},
        {"timeinforce": "FOK"}, {"cl_ord_id": "arb-20240509-00010"}, {"cl_ord_id": UUID}, {"userref": "-2147483648"},
        {"reduce_only": "false", "stptype": "cancel-newest", "validate": "False", "starttm": "0"},
        {"ordertype": "iceberg", "displayvol": "0.001"}, {"ordertype": "trailing-stop-limit", "type": "sell",
         "price": "+5%", "price2": "-100"}, {"ordertype": "market", "oflags": "viqc", "volume": "10"},
    ],
    ids=lambda changes: "&".join(f"{name}={value}" for name, value in changes.items())[:50],
)  # fmt: skip
def test_what_an_order_may_ask_for(kraken: Client, changes: dict[str, str]) -> None:
    assert place(kraken, **changes)


@pytest.mark.parametrize("told", ["True", "1", "0", "", "yes", "TRUE", "null"])
def test_a_boolean_is_true_or_false_and_nothing_else(sim: Simulator, kraken: Client, told: str) -> None:
    assert kraken.error("AddOrder", **LIMIT, validate=told) == UNREADABLE
    assert kraken.error("TradeVolume", pair="XBTUSD", fee_schedule=told) == UNREADABLE
    assert not sim.orders("MASTER")


def test_a_boolean_of_json_is_one(sim: Simulator, kraken: Client) -> None:
    assert "txid" not in kraken.result("AddOrder", as_json=True, **LIMIT, validate=True)
    assert kraken.result("AddOrder", as_json=True, **LIMIT, validate=False)["txid"]


def test_other_spellings_may_be_taken() -> None:
    sim, kraken = only_with(loose_booleans=True)
    with sim:
        assert "txid" not in kraken.result("AddOrder", **LIMIT, validate="True")
        kraken.close()


def test_what_is_refused_counts_as_well(clock: Clock) -> None:
    """The trading counter counts an order when it arrives."""
    sim, kraken = only_with(wall=clock, monotonic=clock, tier="starter")
    with sim:
        for _ in range(60):
            assert kraken.error("AddOrder", **{**LIMIT, "price": "much"}) == "EGeneral:Invalid arguments:price"
        assert kraken.error("AddOrder", **LIMIT) == "EOrder:Rate limit exceeded"
        kraken.close()


# What an order's row tells


def test_an_order_is_told_as_kraken_understood_it(kraken: Client) -> None:
    txid = place(kraken, price="60000", oflags="post", cl_ord_id="mine-1")
    row = kraken.result("OpenOrders")["open"][txid]
    assert (row["time_in_force"], row["oflags"], row["cl_ord_id"]) == ("gtc", "post,fciq", "mine-1")
    assert (row["descr"]["price"], row["descr"]["order"]) == ("60000.0", "buy 0.01000000 XBTUSD @ limit 60000.0")
    assert [type(row[name]) for name in ("starttm", "expiretm")] == [int, int]
    assert (row["userref"], row["refid"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ordertype": "market", "price": ""}, "market"), ({"price": "-1000"}, "limit 67010.0"),
        ({"ordertype": "stop-loss-limit", "price": "70000", "price2": "+2%"}, "stop loss 70000.0 -> limit 69370.2"),
        ({"ordertype": "trailing-stop", "price": "+1%"}, "trailing stop +1.0000%"),
        ({"ordertype": "trailing-stop", "price": "+50"}, "trailing stop +50.0"),
    ],
)  # fmt: skip
def test_orders_in_krakens_words(sim: Simulator, kraken: Client, changes: dict[str, str], words: str) -> None:
    assert kraken.result("AddOrder", **{**LIMIT, **changes})["descr"]["order"].endswith(f" XBTUSD @ {words}")


def test_a_deadline_may_have_to_be_two_seconds_away(clock: Clock) -> None:
    sim, kraken = only_with(wall=clock, monotonic=clock, soonest_deadline=2.0)
    with sim:
        assert kraken.error("AddOrder", **LIMIT, deadline=at(NOW + 1.9)) == f"{UNREADABLE}:deadline"
        assert kraken.error("AddOrder", **LIMIT, deadline=at(NOW - 1)) == "EService:Deadline elapsed"
        txid = place(kraken, deadline=at(NOW + 2))
        assert kraken.error("AmendOrder", txid=txid, order_qty="1", deadline=at(NOW + 1)) == f"{UNREADABLE}:deadline"
        kraken.close()


def test_an_id_that_is_not_there_may_be_left_out() -> None:
    sim, kraken = only_with(null_id=False)
    with sim:
        txid = place(kraken)
        assert "cl_ord_id" not in kraken.result("OpenOrders")["open"][txid]
        kraken.close()


# Conditional close and trailing stop


def test_a_conditional_close_is_placed_against_each_fill(sim: Simulator, kraken: Client) -> None:
    close = {"close[ordertype]": "stop-loss-limit", "close[price]": "55000", "close[price2]": "54000"}
    told = kraken.result("AddOrder", **LIMIT, **close)
    assert told["descr"]["close"] == "close position @ stop loss 55000.0 -> limit 54000.0"
    (txid,) = told["txid"]
    sim.fill("MASTER", txid, "0.004")
    sim.set_price("XBTUSD", "59000", "59010")
    placed = [order for order in sim.orders("MASTER") if order["refid"] == txid]
    assert [(each["vol"], each["descr"]["type"], each["status"]) for each in placed] == [
        ("0.00400000", "sell", "open"), ("0.00600000", "sell", "open"),
    ]  # fmt: skip
    sim.set_price("XBTUSD", "54500", "54510")
    assert [order["status"] for order in sim.orders("MASTER")] == ["closed"] * 3
    assert Decimal(kraken.result("Balance")["XXBT"]) == 5


def test_a_conditional_close_in_json_and_of_a_batch(sim: Simulator, kraken: Client) -> None:
    close = {"ordertype": "limit", "price": "+10%"}
    order = {**LIMIT, "ordertype": "market", "close": close}
    told = kraken.result("AddOrderBatch", as_json=True, pair="XBTUSD", orders=[order, LIMIT])["orders"]
    assert told[0]["close"] == "close position @ limit +10.0000%"
    assert [order["descr"]["price"] for order in sim.orders("MASTER") if order["refid"]] == ["74811.0"]


def test_an_order_with_a_conditional_close_is_neither_amended_nor_edited(kraken: Client) -> None:
    txid = place(kraken, **{"close[ordertype]": "limit", "close[price]": "70000"})
    assert kraken.error("AmendOrder", txid=txid, order_qty="0.02") == "EOrder:Order not editable"
    assert kraken.error("EditOrder", txid=txid, pair="XBTUSD", volume="0.02") == "EOrder:Order not editable"


def test_a_trailing_stop_follows_the_price_and_never_goes_back(sim: Simulator, kraken: Client) -> None:
    txid = place(kraken, type="sell", ordertype="trailing-stop", price="+1000")
    for price, stop in ((68010, "67010.00000"), (70010, "69010.00000"), (69500, "69010.00000")):
        sim.set_price("XBTUSD", f"{price - 10}", f"{price}")
        assert kraken.result("OpenOrders")["open"][txid]["stopprice"] == stop
    sim.set_price("XBTUSD", "68990", "69000")
    assert sim.orders("MASTER")[0]["status"] == "closed"


def test_a_trailing_limit_is_told_from_its_trigger(sim: Simulator, kraken: Client) -> None:
    place(kraken, ordertype="trailing-stop-limit", price="+2%", price2="-500")
    sim.set_price("XBTUSD", "69500", "69510")  # the trigger was at 69370.2, and its limit is 500 below
    (order,) = sim.orders("MASTER")
    assert (order["status"], order["misc"]) == ("open", "touched")
    sim.set_price("XBTUSD", "68800", "68870.2")
    assert sim.orders("MASTER")[0]["price"] == "68870.20000"


# Amend and edit


@pytest.mark.parametrize(
    "change",
    [{}, {"limit_price": "60000"}, {"limit_price": "60000.04"}, {"limit_price": "59999.95"}, {"order_qty": "0.010"},
     {"order_qty": "0.01", "limit_price": "60000.0"}, {"post_only": "true"}, {"pair": "XBTUSD"}],
)  # fmt: skip
def test_an_amend_that_changes_nothing_is_refused(sim: Simulator, kraken: Client, change: dict[str, str]) -> None:
    txid = place(kraken)
    before = sim.orders("MASTER")
    assert kraken.error("AmendOrder", txid=txid, **change) == NOTHING
    assert sim.orders("MASTER") == before


def test_an_amend_that_changes_nothing_may_be_taken() -> None:
    sim, kraken = only_with(empty_amends=True)
    with sim:
        assert kraken.result("AmendOrder", txid=place(kraken))["amend_id"]
        kraken.close()


def test_what_an_amend_may_not_name(sim: Simulator, kraken: Client) -> None:
    txid = place(kraken, userref=7)
    assert kraken.error("AmendOrder", txid="7", order_qty="0.02") == "EOrder:Invalid order"
    assert kraken.error("AmendOrder", txid=txid, pair="ETHUSD", order_qty="0.02") == f"{UNREADABLE}:pair"
    assert kraken.error("AmendOrder", txid=txid, display_qty="0.001") == f"{UNREADABLE}:display_qty"
    assert kraken.error("AmendOrder", txid=txid, cl_ord_id="a", order_qty="0.02") == UNREADABLE
    assert kraken.error("EditOrder", txid=txid, volume="0.02") == "EQuery:Unknown asset pair"
    assert kraken.error("EditOrder", txid=txid, pair="ETHUSD", volume="0.02") == "EOrder:Invalid order"


def test_the_amendments_of_an_order_are_told(kraken: Client, clock: Clock) -> None:
    txid = place(kraken)
    clock.now += 10
    amended = kraken.result("AmendOrder", txid=txid, limit_price="61000")["amend_id"]
    told = kraken.result("OrderAmends", order_id=txid)
    assert [row["amend_type"] for row in told["amends"]] == ["original", "user"]
    assert (told["count"], told["amends"][1]["amend_id"]) == (2, amended)
    assert [Decimal(row["limit_price"]) for row in told["amends"]] == [60000, 61000]
    assert [row["timestamp"] for row in told["amends"]] == [int(NOW * 1000), int((NOW + 10) * 1000)]
    assert kraken.error("OrderAmends", order_id="garbage") == "EOrder:Invalid order"


# Cancel


@pytest.mark.parametrize("gone", ["EOrder:Unknown order", "EOrder:Invalid order"])
def test_ended_and_unknown_orders_get_different_errors(gone: str) -> None:
    sim, kraken = only_with(gone_error=gone)
    with sim:
        txid = place(kraken, cl_ord_id=UUID)
        kraken.result("CancelOrder", txid=txid)
        for name in ({"txid": txid}, {"cl_ord_id": UUID}):
            assert kraken.error("CancelOrder", **name) == gone
            assert kraken.error("AmendOrder", **name, order_qty="1") == gone
        for never in ({"txid": "OAAAAA-BBBBB-CCCCCC"}, {"txid": "garbage"}, {"txid": "77"}, {"cl_ord_id": "never"}):
            assert kraken.error("CancelOrder", **never) == "EOrder:Invalid order"
        assert kraken.error("CancelOrder") == UNREADABLE
        kraken.close()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("86400", "EGeneral:Invalid timeout argument:above max"),
     ("100000", "EGeneral:Invalid timeout argument:above max"), ("-1", f"{UNREADABLE}:timeout"),
     ("1.5", f"{UNREADABLE}:timeout"), ("", f"{UNREADABLE}:timeout")],
)  # fmt: skip
def test_the_switch_is_set_to_less_than_a_day(kraken: Client, timeout: str, error: str) -> None:
    assert kraken.error("CancelAllOrdersAfter", timeout=timeout) == error
    assert kraken.result("CancelAllOrdersAfter", timeout="86399")["triggerTime"]


def test_a_switch_that_is_off_may_tell_no_time() -> None:
    sim, kraken = only_with(tells_disarmed=False)
    with sim:
        assert kraken.result("CancelAllOrdersAfter", timeout="0").keys() == {"currentTime"}
        kraken.close()


# Fees


def test_fees_are_those_of_the_first_tier_and_are_charged(sim: Simulator, kraken: Client) -> None:
    told = kraken.result("TradeVolume", pair="XBTUSD,ETHUSD", fee_schedule="true")
    assert {name: row["fee"] for name, row in told["fees"].items()} == {"XXBTZUSD": "0.8000", "XETHZUSD": "0.8000"}
    assert told["fees_maker"]["XXBTZUSD"]["fee"] == "0.4000"
    active = [tier for row in told["schedules"] for tier in row["tiers"] if tier.get("active")]
    assert active == [{"maker_fee": "0.4000", "taker_fee": "0.8000", "active": True}] * 2
    assert kraken.result("TradeVolume").keys() == {"currency", "volume"}
    assert "schedules" not in kraken.result("TradeVolume", pair="XBTUSD")
    listed = kraken.result("TradeVolume", as_json=True, pair=[{"asset": "XBTUSD", "aclass": "forex"}])
    assert list(listed["fees"]) == ["XXBTZUSD"]
    assert kraken.error("TradeVolume", pair="XBTUSD,NOPE") == "EQuery:Unknown asset pair"
    place(kraken, ordertype="market", price="", volume="0.1")
    (order,) = sim.orders("MASTER")
    assert Decimal(order["fee"]) == Decimal(order["cost"]) * Decimal("0.008")


def test_other_fees_are_told_and_charged() -> None:
    sim, kraken = only_with(fees=("0.2500", "0.4000"))
    with sim:
        assert kraken.result("TradeVolume", pair="XBTUSD")["fees"]["XXBTZUSD"]["fee"] == "0.4000"
        sim.set_price("XBTUSD", "999", "1000")
        place(kraken, ordertype="market", price="", volume="0.1")
        assert Decimal(sim.orders("MASTER")[0]["fee"]) == Decimal("0.4")
        kraken.close()


# The ledger


def test_trades_and_ledger_name_each_other(kraken: Client) -> None:
    place(kraken, ordertype="market", price="", volume="0.01")
    assert "ledgers" not in next(iter(kraken.result("TradesHistory")["trades"].values()))
    ((id, trade),) = kraken.result("TradesHistory", ledgers="true")["trades"].items()
    entries = kraken.result("Ledgers")["ledger"]
    assert set(trade["ledgers"]) == entries.keys()
    assert {entry["refid"] for entry in entries.values()} == {id}
    dollars = next(entry for entry in entries.values() if entry["asset"] == "ZUSD")
    assert (dollars["amount"], dollars["fee"], dollars["balance"]) == ("-680.1000", "5.4408", "99314.4592")


# Funding and Earn


@pytest.fixture
def trusted(sim: Simulator, kraken: Client) -> Client:
    """With a key that may do everything."""
    sim.set_permissions("MASTER", {"query-funds", "add-funds", "withdraw-funds", "earn-funds", "query-ledger"})
    return kraken


def test_a_withdrawal_leaves_the_balance_and_comes_back_when_it_is_canceled(trusted: Client) -> None:
    asked = {"asset": "XBT", "key": "my-address", "amount": "0.5"}
    assert trusted.result("WithdrawInfo", **asked)["amount"] == "0.4998000000"
    refid = trusted.result("Withdraw", **asked)["refid"]
    assert trusted.result("Balance")["XXBT"] == "4.5000000000"
    (entry,) = trusted.result("Ledgers", type="withdrawal")["ledger"].values()
    assert (entry["refid"], entry["amount"], entry["fee"]) == (refid, "-0.4998000000", "0.0002000000")
    assert [row["status"] for row in trusted.result("WithdrawStatus", asset="XBT")] == ["Pending"]
    assert trusted.result("WithdrawCancel", asset="XBT", refid=refid) is True
    assert trusted.result("Balance")["XXBT"] == "5.0000000000"
    assert trusted.error("WithdrawCancel", asset="XBT", refid=refid) == "EFunding:Unknown reference id"


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"amount": "6"}, "EFunding:Insufficient funds"), ({"amount": "0"}, "EFunding:Invalid amount"),
     ({"amount": "0.00001"}, "EFunding:Invalid amount"), ({"key": "theirs"}, "EFunding:Unknown withdraw key"),
     ({"asset": "NOPE"}, "EFunding:Unknown asset"), ({"asset": "KFEE"}, "EFunding:No funding method")],
)  # fmt: skip
def test_a_withdrawal_that_is_refused(trusted: Client, changes: dict[str, str], error: str) -> None:
    assert trusted.error("Withdraw", **{"asset": "XBT", "key": "my-address", "amount": "0.5", **changes}) == error
    assert trusted.result("Balance")["XXBT"] == "5.0000000000"


def test_an_allocation_cannot_be_spent(trusted: Client) -> None:
    strategy = {"strategy_id": "ESXBTAA-Q62XD-WIOIL8"}
    assert trusted.result("Earn/Allocate", **strategy, amount="2") is True
    assert trusted.result("Balance")["XXBT"] == "3.0000000000"
    assert trusted.error("Earn/Allocate", **strategy, amount="4").startswith("EEarnings:Insufficient funds")
    assert trusted.error("Earn/Deallocate", **strategy, amount="3").startswith("EEarnings:Above max")
    assert trusted.error("Earn/Allocate", strategy_id="x", amount="1") == f"{UNREADABLE}:Invalid strategy ID"
    assert trusted.result("Earn/Deallocate", **strategy, amount="2") is True
    assert trusted.result("Earn/Allocations")["items"] == []
    assert trusted.result("Balance")["XXBT"] == "5.0000000000"


def test_money_goes_from_one_account_to_another(sim: Simulator, trusted: Client) -> None:
    alice = Client(sim, "ALICE")
    ours, theirs = (client.result("GetApiKeyInfo")["iban"] for client in (trusted, alice))
    asked = {"asset": "XBT", "amount": "1", "from": ours, "to": theirs}
    assert trusted.result("AccountTransfer", **asked)["status"] == "complete"
    assert trusted.result("Balance")["XXBT"] == "4.0000000000"
    assert Decimal(alice.result("Balance")["XXBT"]) == 1
    assert trusted.error("AccountTransfer", **{**asked, "to": "AA00"}) == f"{UNREADABLE}:to"
    assert trusted.result("WalletTransfer", asset="XBT", amount="1", **_TO_FUTURES)["refid"]
    assert trusted.result("Balance")["XXBT"] == "3.0000000000"
    assert trusted.result("CreateSubaccount", username="carol", email="carol@example.com") is True
    assert trusted.error("CreateSubaccount", username="carol", email="c@example.com") == f"{UNREADABLE}:username"
    alice.close()


_TO_FUTURES = {"from": "Spot Wallet", "to": "Futures Wallet"}


def test_exports_are_ordered_and_removed(kraken: Client) -> None:
    id = kraken.result("AddExport", report="trades", description="all of them")["id"]
    assert [row["id"] for row in kraken.result("ExportStatus", report="trades")] == [id]
    assert kraken.result("ExportStatus", report="ledgers") == []
    assert kraken.result("RemoveExport", id=id, type="delete") == {"delete": True}
    assert kraken.error("RemoveExport", id=id, type="delete").startswith("EExport:")


def test_wallets_credit_and_the_book_of_strangers(sim: Simulator, kraken: Client) -> None:
    (wallet,) = kraken.result("ListWalletAccounts")
    assert kraken.result("Balance", account_id=wallet["account_id"])
    assert kraken.error("Balance", account_id="other") == f"{UNREADABLE}:account_id"
    sim.set_balance("MASTER", {"ZUSD": {"balance": "1.0000", "credit": "5.0000", "credit_used": "2.0000"}})
    assert kraken.result("CreditLines")["asset_details"]["ZUSD"]["available_credit"] == "3.0000"
    book = kraken.result("Level3", as_json=True, pair="BTC/USD", depth="10")
    assert (len(book["bids"]), book["asks"][0]["price"]) == (10, "68010.00000")


# Permissions


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_a_key_needs_its_permissions(sim: Simulator, kraken: Client, endpoint: str) -> None:
    sim.set_permissions("MASTER", set())
    needs = ENDPOINTS[endpoint].needs
    error = (kraken.call(endpoint)["error"] or [""])[0]
    assert (error == "EGeneral:Permission denied") == bool(needs)


@pytest.mark.parametrize("endpoint", ["AddOrderBatch", "EditOrder"])
def test_two_calls_need_two_permissions(sim: Simulator, kraken: Client, endpoint: str) -> None:
    for permissions, denied in (({"modify-trades"}, True), ({"close-trades"}, True),
                                ({"modify-trades", "close-trades"}, False)):  # fmt: skip
        sim.set_permissions("MASTER", permissions)
        assert ((kraken.call(endpoint)["error"] or [""])[0] == "EGeneral:Permission denied") is denied
