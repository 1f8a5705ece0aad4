"""krakenex's `API` on an engine: its envelope, its calls, and its loop "on an error, send again"."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import krakenex
import pytest

from engine import CallUnknown, Engine, Order, OrderUnknown
from engine.adapters.krakenex import API, seconds_of
from engine.simulator import Fault, Simulator
from tests.adapters.conftest import SOON, blind, lose_replies, until_raises
from tests.stopwatch import PATIENCE

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.002"}


@pytest.fixture
def api(live: Engine) -> API:
    return API(live)


def txids(sim: Simulator) -> list[str]:
    return [each.txid for each in sim.placements("MASTER")]


def add(api: API, *, timeout: float = PATIENCE, **more: Any) -> Any:
    return api.query_private("AddOrder", ORDER | more, timeout=timeout)


def test_a_krakenex_script_runs_as_it_is(api: API, sim: Simulator) -> None:
    api.load_key("kraken.key")  # a line that such scripts have
    assert isinstance(api, krakenex.API)
    assert api.query_public("Time")["result"]["unixtime"]
    assert api.query_public("Ticker", {"pair": "XBTUSD"})["error"] == []
    assert api.query_private("Balance")["result"]["ZUSD"] == "900000.0000"
    assert api.query_private("TradeBalance", {"asset": "ZUSD"})["result"]["eb"]
    for endpoint in ("OpenOrders", "ClosedOrders", "TradesHistory", "Ledgers"):
        told = api.query_private(endpoint, {"trades": "true"} if endpoint == "OpenOrders" else None)
        assert (told["error"], bool(told["result"])) == ([], True)
    placed = add(api)
    assert placed["result"] == {"descr": {"order": "buy 0.00200000 XBTUSD @ limit 20000.0"}, "txid": txids(sim)}
    assert api.query_private("CancelOrder", {"txid": placed["result"]["txid"][0]})["result"] == {"count": 1}
    api.close()


def test_numbers_are_read_as_the_bot_wants_them(api: API) -> None:
    row = add(api)["result"]["txid"][0]
    assert isinstance(api.query_private("OpenOrders")["result"]["open"][row]["opentm"], float)
    api.json_options(parse_float=Decimal)
    assert isinstance(api.query_private("OpenOrders")["result"]["open"][row]["opentm"], Decimal)


def test_it_holds_no_secret_and_no_host(api: API, sim: Simulator) -> None:
    shown = repr(vars(api))
    assert sim.accounts[0].secret not in shown
    assert sim.accounts[0].key not in shown
    assert sim.url not in shown


@pytest.mark.parametrize("named", [{}, {"cl_ord_id": "bot-1"}, {"userref": 42}])
def test_a_lost_reply_is_looked_up_and_the_bot_learns_its_txid(
    api: API, sim: Simulator, named: dict[str, Any]
) -> None:
    lose_replies(sim)
    told = add(api, **named)
    assert (told["error"], told["result"]["txid"]) == ([], txids(sim))
    row = api.query_private("OpenOrders")["result"]["open"][told["result"]["txid"][0]]
    assert {"cl_ord_id": row["cl_ord_id"], "userref": row["userref"]} == {"cl_ord_id": None, "userref": None} | named


@pytest.mark.parametrize("named", [{}, {"cl_ord_id": "bot-1"}, {"userref": 42}])
def test_every_retry_of_an_unknown_order_ends_at_it(api: API, sim: Simulator, named: dict[str, Any]) -> None:
    lose_replies(sim)
    with blind(sim):
        for _ in range(2):
            unknown = until_raises(OrderUnknown, lambda seconds: add(api, **named, timeout=seconds))
            assert not isinstance(unknown, OSError), "no loop for network errors catches it"
    (txid,) = txids(sim)
    assert add(api, **named)["result"]["txid"] == [txid]
    assert len(txids(sim)) == 1


def test_a_host_that_makes_a_new_client_before_it_tries_again_has_one_order(live: Engine, sim: Simulator) -> None:
    lose_replies(sim)
    with blind(sim):
        until_raises(OrderUnknown, lambda seconds: add(API(live), timeout=seconds))
    assert add(API(live))["result"]["txid"] == txids(sim)
    assert len(txids(sim)) == 1


def test_the_next_order_of_the_same_parameters_is_another_one(api: API, sim: Simulator) -> None:
    first, second = add(api), add(api)
    assert txids(sim) == [*first["result"]["txid"], *second["result"]["txid"]]


def test_a_client_id_names_an_open_order_and_may_be_used_again_when_it_is_over(api: API, sim: Simulator) -> None:
    first = add(api, cl_ord_id="grid-1")
    assert add(api, cl_ord_id="grid-1") == first, "sent again while it is open, it is the same order"
    assert add(api, cl_ord_id="grid-1", price="19000")["error"] == ["EGeneral:Invalid arguments:cl_ord_id not unique"]
    assert api.query_private("CancelOrder", {"cl_ord_id": "grid-1"})["result"] == {"count": 1}
    second = add(api, cl_ord_id="grid-1")
    assert txids(sim) == [*first["result"]["txid"], *second["result"]["txid"]]
    assert api.query_private("OpenOrders", {"cl_ord_id": "grid-1"})["result"]["open"].keys() == {txids(sim)[1]}


def test_a_cancel_ends_the_order_and_says_when_there_is_none(api: API, sim: Simulator) -> None:
    placed = add(api)["result"]["txid"][0]
    lose_replies(sim, "CancelOrder")
    assert api.query_private("CancelOrder", {"txid": placed}, timeout=PATIENCE)["error"] == []
    for gone in ({"txid": placed}, {"txid": "OAAAAA-BBBBB-CCCCCC"}, {"cl_ord_id": "nobody"}):
        assert api.query_private("CancelOrder", gone)["error"] == ["EOrder:Unknown order"]


def test_a_userref_marks_any_number_of_orders(api: API, sim: Simulator) -> None:
    first, second = (add(api, userref=7)["result"]["txid"][0] for _ in range(2))
    other = add(api, userref=8)["result"]["txid"][0]
    assert api.query_private("OpenOrders", {"userref": 7})["result"]["open"].keys() == {first, second}
    assert api.query_private("QueryOrders", {"txid": f"{first},{other}", "userref": 8})["result"].keys() == {other}
    assert api.query_private("CancelOrder", {"txid": 7})["result"] == {"count": 2}
    assert api.query_private("CancelOrder", {"txid": 7})["error"] == ["EOrder:Unknown order"]
    assert api.query_private("ClosedOrders", {"userref": "7"})["result"]["closed"].keys() == {first, second}


def test_a_lost_reply_to_an_edit_is_looked_up_and_the_bot_learns_the_new_txid(api: API, sim: Simulator) -> None:
    first = add(api, cl_ord_id="grid-1")["result"]["txid"][0]
    lose_replies(sim, "EditOrder")
    told = api.query_private("EditOrder", {"txid": first, "pair": "XBTUSD", "price": "20001"}, timeout=PATIENCE)
    assert told["result"]["originaltxid"] == first
    row = api.query_private("OpenOrders")["result"]["open"][told["result"]["txid"]]
    assert row["descr"]["price"] == "20001.0"
    sim.fault(Fault.close(endpoint="EditOrder", times=1))  # this one Kraken never did
    with pytest.raises(CallUnknown):
        api.query_private("EditOrder", {"txid": told["result"]["txid"], "pair": "XBTUSD", "price": "20002"})


def test_an_order_with_a_conditional_close_has_its_names_as_well(api: API, sim: Simulator) -> None:
    close: dict[str, Any] = {"close[ordertype]": "stop-loss", "close[price]": "15000", "userref": 7}
    lose_replies(sim)
    placed = add(api, **close)["result"]["txid"][0]
    row = api.query_private("OpenOrders")["result"]["open"][placed]
    assert (row.get("cl_ord_id"), row["userref"]) == (None, 7)
    assert api.query_private("OpenOrders", {"userref": 7})["result"]["open"].keys() == {placed}


def test_only_the_name_that_an_order_has_now_cancels_it(api: API, live: Engine, sim: Simulator) -> None:
    live.place("MASTER", Order("XBTUSD", "buy", "limit", "0.002", "20000"), id="7")
    first = add(api)["result"]["txid"][0]
    edited = api.query_private("EditOrder", {"txid": first, "pair": "XBTUSD", "price": "20001"})
    second = edited["result"]["txid"]
    for gone in (first, "7"):
        assert api.query_private("CancelOrder", {"txid": gone})["error"] == ["EOrder:Unknown order"]
    assert api.query_private("CancelOrder", {"txid": second})["result"] == {"count": 1}


def test_without_live_an_order_is_only_checked(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "dry") as engine:
        told = add(API(engine), volume="0.001", cl_ord_id="dry")
    assert (told["error"], "txid" in told["result"], txids(sim)) == ([], False, [])


def test_cancel_all_and_a_batch_of_cancels(api: API, sim: Simulator) -> None:
    placed = [add(api, price=price)["result"]["txid"][0] for price in ("20000", "20001", "20002")]
    assert api.query_private("CancelOrderBatch", {"orders": placed[:2]})["result"] == {"count": 2}
    assert api.query_private("CancelAll")["result"] == {"count": 1}


def test_orders_of_a_batch_are_placements(api: API, sim: Simulator) -> None:
    rows = [{name: value for name, value in ORDER.items() if name != "pair"} for _ in range(2)]
    rows[1] = rows[1] | {"cl_ord_id": "second"}
    lose_replies(sim)
    told = api.query_private("AddOrderBatch", {"pair": "XBTUSD", "orders": rows}, timeout=PATIENCE)
    assert [each["txid"] for each in told["result"]["orders"]] == txids(sim)
    assert len(live_names(api)) == 2
    assert set(live_names(api)) == {None, "second"}


def test_a_batch_of_unknown_outcome_is_sent_again_without_a_third_order(api: API, sim: Simulator) -> None:
    row = {name: value for name, value in ORDER.items() if name != "pair"}
    batch = {"pair": "XBTUSD", "orders": [row, row]}
    sim.fault(Fault.warning("WOrder:First", endpoint="AddOrder", times=1))
    lose_replies(sim)  # of the second
    with blind(sim):
        until_raises(OrderUnknown, lambda seconds: api.query_private("AddOrderBatch", batch, timeout=seconds))
    told = api.query_private("AddOrderBatch", batch, timeout=PATIENCE)
    assert [each["txid"] for each in told["result"]["orders"]] == txids(sim)
    assert len(txids(sim)) == 2


def test_a_refused_order_of_a_batch_is_told_in_its_row(api: API, sim: Simulator) -> None:
    row = {name: value for name, value in ORDER.items() if name != "pair"}
    dear = row | {"volume": "9000", "price": "60000"}
    told = api.query_private("AddOrderBatch", {"pair": "XBTUSD", "orders": [dear, row]}, timeout=PATIENCE)
    assert told["result"]["orders"][0] == {"error": "EOrder:Insufficient funds"}
    assert told["result"]["orders"][1]["txid"] == txids(sim)[0]
    for wrong in ({"orders": [row]}, {"orders": "none"}, {"orders": [row] * 16}):
        told = api.query_private("AddOrderBatch", {"pair": "XBTUSD", **wrong})
        assert told["error"][0].startswith("EGeneral:Invalid arguments")
    assert len(txids(sim)) == 1


def test_a_dry_run_places_nothing_and_may_be_sent_again(api: API, sim: Simulator) -> None:
    assert add(api, validate="true")["result"]["descr"]
    lose_replies(sim)
    assert add(api, validate=True)["error"] == ["EService:Unavailable"]
    assert txids(sim) == []


def test_refusals_are_in_kraken_s_words_and_ours_have_a_sentence(api: API, sim: Simulator) -> None:
    assert add(api, volume="9000", price="60000")["error"] == ["EOrder:Insufficient funds"]
    assert api.query_private("NoSuchCall")["error"] == ["EGeneral:Unknown method"]
    assert api.query_public("NoSuchCall")["error"] == ["EGeneral:Unknown method"]
    assert "did you mean" in api.query_private("Ballance")["engine"]
    told = add(api, cl_ord_id="this name is no client id")
    assert told["error"] == ["EGeneral:Invalid arguments:cl_ord_id"]
    assert txids(sim) == []


def test_a_read_of_unknown_outcome_may_be_sent_again_and_a_change_not(api: API, sim: Simulator) -> None:
    placed = add(api)["result"]["txid"][0]
    sim.fault(Fault.http(502, endpoint="Balance"))
    assert api.query_private("Balance", timeout=SOON)["error"][0].startswith("EService:")
    lose_replies(sim, "AmendOrder")
    with pytest.raises(CallUnknown):
        api.query_private("AmendOrder", {"txid": placed, "limit_price": "20001"}, timeout=PATIENCE)


def test_timeouts_are_read_as_requests_takes_them() -> None:
    assert [seconds_of(each) for each in (None, 5, 2.5, (1, 2.0), (None, 3), (None, None))] == [
        None, 5.0, 2.5, 3.0, 3.0, None,
    ]  # fmt: skip


def live_names(api: API) -> list[str | None]:
    """The client's names of the open orders."""
    return [row["cl_ord_id"] for row in api.query_private("OpenOrders")["result"]["open"].values()]
