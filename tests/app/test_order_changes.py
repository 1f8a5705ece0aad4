"""Canceling, amending and listing orders through the whole engine on the simulator (promises G5 and G9)."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import (
    Account,
    Engine,
    EngineWarning,
    Order,
    OrderChanged,
    OrderFilled,
    OrderReceipt,
    OrderState,
    OrderUnknown,
)
from engine.errors import CallNotSent, ConfigError, OrderRejected, PermissionDenied, UnknownName
from engine.simulator import Fault, Simulator
from tests.app.test_place import QUICK, RESTS, live, running, seen
from tests.conftest import Events
from tests.stopwatch import PATIENCE

__all__ = ["live", "seen"]  # fixtures


def wait_for(seen: Events, *states: OrderState, final: bool = True) -> OrderReceipt:
    def fits(event: Any) -> bool:
        is_one = isinstance(event, OrderChanged) and event.receipt.state in states
        return is_one and (event.receipt.is_final or not final)

    receipt = seen.wait_for(fits).receipt
    assert isinstance(receipt, OrderReceipt)
    return receipt


def warned(seen: Events, code: str) -> str:
    event = seen.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == code)
    return str(event.message)


def open_at(sim: Simulator) -> list[str]:
    return [order["txid"] for order in sim.orders("MASTER") if order["status"] == "open"]


def test_a_cancel_whose_row_cannot_be_read_is_not_final_and_reserves_on(
    sim: Simulator, live: Engine, seen: Events
) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    faults = [sim.fault(Fault.http(502, endpoint=each)) for each in ("QueryOrders", "ClosedOrders", "OpenOrders")]
    sim.fill("MASTER", placed.txids[0], "0.004")
    said = live.cancel("MASTER", placed, timeout=1.0)
    assert (said.state, said.is_final) == (OrderState.CANCELED, False)
    assert live.reserved("MASTER")["USD"] > 300
    assert not wait_for(seen, OrderState.CANCELED, final=False).is_final
    for fault in faults:
        fault.remove()
    assert wait_for(seen, OrderState.CANCELED).filled == Decimal("0.004")
    fill = seen.wait_for(lambda event: isinstance(event, OrderFilled))
    assert (fill.volume, fill.receipt.filled, fill.cost) == (Decimal("0.004"), Decimal("0.004"), Decimal(120))
    assert live.reserved("MASTER") == {}


def early(reply: Any) -> Any:
    """Rows that say canceled, of orders that were filled."""
    told = json.loads(reply.body)
    for row in told["result"].values():
        row.update(status="canceled", vol_exec="0.00000000", cost="0.00000", fee="0.00000")
    return reply._replace(body=json.dumps(told).encode()).plan()


def test_a_row_that_says_canceled_by_nobody_here_is_no_verdict_yet(
    sim: Simulator, live: Engine, seen: Events
) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    sim.fault(Fault(name="early", endpoint="QueryOrders", executed=True, shape=early, times=1))
    sim.fill("MASTER", placed.txids[0], "0.01")
    assert wait_for(seen, OrderState.CLOSED).filled == Decimal("0.01")
    told = [event.receipt.state for event in seen.seen if isinstance(event, OrderChanged)]
    assert OrderState.CANCELED not in told


def test_rows_say_canceled_and_a_moment_later_filled(sim: Simulator, live: Engine, seen: Events) -> None:
    """Each look is misled until the verdict."""
    placed = live.place("MASTER", RESTS, id="x")
    misled = sim.fault(Fault(name="early", endpoint="QueryOrders", executed=True, shape=early))
    sim.fill("MASTER", placed.txids[0], "0.01")
    assert wait_for(seen, OrderState.CANCELED).filled == 0
    misled.remove()
    assert wait_for(seen, OrderState.CLOSED).filled == Decimal("0.01")
    assert "canceled with 0" in warned(seen, "order-corrected")
    assert live.order("MASTER", "x").is_final


CANCEL_FAULTS = [
    Fault.http(502, endpoint="CancelOrder", times=2),
    Fault.reset(endpoint="CancelOrder", times=1, executed=True),
    Fault.error("EService:Busy", endpoint="CancelOrder", times=2),
    Fault.error("EOrder:Cancel pending", endpoint="CancelOrder", times=1),
    Fault.error("EOrder:Unknown order", endpoint="CancelOrder", times=1),
    Fault.error("EOrder:Invalid order", endpoint="CancelOrder", times=1),
    Fault.error("EAPI:Invalid nonce", endpoint="CancelOrder", times=2),
    Fault.body(b'{"error":[],"result":{"count":0}}', endpoint="CancelOrder", times=1),
    Fault.body(b'{"error":[],"result":{"count":1,"pending":true}}', endpoint="CancelOrder", times=1),
]


@pytest.mark.parametrize("fault", CANCEL_FAULTS, ids=lambda fault: fault.kraken_error or fault.name)
def test_g5_a_cancel_is_sent_again_until_the_order_is_over(sim: Simulator, live: Engine, fault: Fault) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    sim.fault(fault)
    over = live.cancel("MASTER", "x")
    assert (over.state, over.is_final) == (OrderState.CANCELED, True)
    assert open_at(sim) == []
    assert live.cancel("MASTER", placed) == over


def test_g5_a_cancel_by_call_is_made_again_as_well(sim: Simulator, live: Engine) -> None:
    placed = live.place("MASTER", RESTS)
    sim.fault(Fault.http(502, endpoint="CancelOrder", times=1))
    assert live.call("MASTER", "CancelOrder", {"txid": placed.txids[0]}) == {"count": 1}


def test_a_cancel_that_the_key_may_not_make_is_refused_at_once(sim: Simulator, live: Engine) -> None:
    live.place("MASTER", RESTS, id="x")
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="CancelOrder", times=1))
    with pytest.raises(PermissionDenied):
        live.cancel("MASTER", "x", timeout=5.0)


def test_a_cancel_outlives_its_caller_and_a_restart(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine:
        engine.place("MASTER", RESTS, id="x")
        sim.fault(Fault.http(502, endpoint="CancelOrder"))
        with pytest.raises(OrderUnknown, match="may be open"):
            engine.cancel("MASTER", "x", timeout=0.7)
    assert open_at(sim)
    sim.clear_faults()
    seen = Events()
    engine = running(sim, tmp_path)
    engine.subscribe(seen)
    with engine:
        wait_for(seen, OrderState.CANCELED)
    assert open_at(sim) == []


@pytest.mark.parametrize("how", ["cancel", "cancel_all", "call"])
def test_an_order_that_comes_late_is_canceled_when_it_does(
    sim: Simulator, live: Engine, seen: Events, how: str
) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(1.5))
    with pytest.raises(OrderUnknown):
        live.place("MASTER", RESTS, id="late", timeout=0.2)
    if how == "cancel":
        with pytest.raises(OrderUnknown):
            live.cancel("MASTER", "late", timeout=0.2)
    elif how == "cancel_all":
        with pytest.raises(OrderUnknown, match="'late'") as unknown:
            live.cancel_all("MASTER", timeout=0.5)
        assert unknown.value.receipt.id == "late"
    else:
        live.call("MASTER", "CancelAll")
    assert wait_for(seen, OrderState.CANCELED).id == "late"
    assert open_at(sim) == []


def test_cancel_all_waits_for_what_is_unknown_within_its_time(sim: Simulator, live: Engine) -> None:
    live.place("MASTER", Order("ETHUSD", "buy", "limit", "0.1", "1000"), id="rests")
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(1.0))
    with pytest.raises(OrderUnknown):
        live.place("MASTER", RESTS, id="late", timeout=0.2)
    assert live.cancel_all("MASTER") == 1
    assert live.order("MASTER", "late").state is OrderState.CANCELED
    assert open_at(sim) == []


def test_when_cancel_all_fails_each_order_is_canceled_by_its_name(sim: Simulator, live: Engine, seen: Events) -> None:
    live.place("MASTER", RESTS, id="x")
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="CancelAll"))
    with pytest.raises(PermissionDenied):
        live.cancel_all("MASTER")
    assert wait_for(seen, OrderState.CANCELED).id == "x"
    assert open_at(sim) == []


def test_g9_another_key_of_the_same_account_sees_the_order(sim: Simulator, live: Engine, seen: Events) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(1.0))
    with pytest.raises(OrderUnknown):
        live.place("MASTER", RESTS, id="x", timeout=0.2)
    new = sim.replace_key("MASTER")
    live.replace_key("MASTER", new.key, new.secret)
    assert wait_for(seen, OrderState.PLACED, final=False).id == "x"


def test_g9_a_key_of_another_account_concludes_nothing_and_says_whose_key_is_needed(tmp_path: Path) -> None:
    with Simulator(("MASTER", "OTHER")) as sim:
        mine, other = sim.accounts
        key_id = Account(*mine).key_id
        settings = replace(QUICK, order_deadline=1.5)
        with running(sim, tmp_path, settings, [mine]) as engine:
            rests = engine.place("MASTER", Order("ETHUSD", "buy", "limit", "0.1", "1000"), id="rests")
            sim.fault(Fault.http(502, endpoint="AddOrder", times=1, executed=True))
            sim.fault(Fault.http(502, endpoint="OpenOrders"))
            with pytest.raises(OrderUnknown):
                engine.place("MASTER", RESTS, id="x", timeout=0.2)
        sim.clear_faults()
        seen = Events()
        engine = running(sim, tmp_path, settings, [Account("MASTER", other.key, other.secret)])
        engine.subscribe(seen)
        with engine:
            assert key_id[:8] in warned(seen, "order-other-key")
            for name in ("x", "rests"):
                with pytest.raises(OrderUnknown, match=key_id[:8]):
                    engine.cancel("MASTER", name)
            assert engine.order("MASTER", "x").state is OrderState.UNKNOWN
            assert engine.order("MASTER", "rests").state is OrderState.PLACED
            assert engine.reserved("MASTER")
            asked = {call.endpoint for call in sim.calls if call.account == "OTHER"}
            assert not asked & {"OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory", "CancelOrder"}
            engine.replace_key("MASTER", mine.key, mine.secret)
            wait_for(seen, OrderState.CANCELED)
        assert not set(rests.txids) & set(open_at(sim)), "the cancels were kept"


def test_two_placements_with_one_order_are_told(sim: Simulator, live: Engine, seen: Events) -> None:
    first = live.place("MASTER", RESTS, id="first")
    body = json.dumps({"error": [], "result": {"txid": list(first.txids), "descr": {}}}).encode()
    sim.fault(Fault.body(body, endpoint="AddOrder", times=1, executed=True))
    live.place("MASTER", RESTS, id="second")
    told = warned(seen, "order-shared")
    assert all(word in told for word in ("'first'", "'second'", first.txids[0]))


def test_an_amend_keeps_the_order_and_the_receipt_shows_what_is_open(sim: Simulator, live: Engine) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    amended = live.amend("MASTER", placed, "30100.07", "0.02")
    assert amended.txids == placed.txids
    assert amended.sent is not None
    assert (amended.sent.price, amended.sent.volume) == (Decimal("30100.0"), Decimal("0.02"))
    assert amended.order == RESTS
    (row,) = sim.orders("MASTER")
    assert (row["descr"]["price"], row["vol"]) == ("30100.0", "0.02000000")
    assert live.amend("MASTER", "x", price="30100.01") == amended, "a change of less than a tick is not sent"
    assert sum(call.endpoint == "AmendOrder" for call in sim.calls) == 1
    assert live.order("MASTER", "x").sent == amended.sent


def test_a_trigger_and_its_limit_are_amended_each(sim: Simulator, live: Engine) -> None:
    order = Order("XBTUSD", "sell", "stop-loss-limit", "0.01", "40000", "39000")
    live.place("MASTER", order, id="x")
    amended = live.amend("MASTER", "x", price="41000", price2="39500")
    (row,) = sim.orders("MASTER")
    assert (row["descr"]["price"], row["descr"]["price2"]) == ("41000.0", "39500.0")
    assert amended.sent is not None
    assert (amended.sent.price, amended.sent.price2) == (Decimal(41000), Decimal(39500))


@pytest.mark.parametrize("executed", [True, False])
def test_an_amend_whose_answer_is_lost_is_looked_up_and_not_sent_again(
    sim: Simulator, live: Engine, executed: bool
) -> None:
    live.place("MASTER", RESTS, id="x")
    sim.fault(Fault.http(502, endpoint="AmendOrder", times=1, executed=executed))
    if executed:
        sent = live.amend("MASTER", "x", price="30100").sent
    else:
        with pytest.raises(OrderUnknown) as unknown:
            live.amend("MASTER", "x", price="30100")
        sent = unknown.value.receipt.sent
    assert sent is not None
    assert sent.price == Decimal(30100 if executed else 30000)
    assert sum(call.endpoint == "AmendOrder" for call in sim.calls) == 1


def test_what_cannot_be_amended_is_refused_and_nothing_is_sent(sim: Simulator, live: Engine) -> None:
    live.place("MASTER", RESTS, id="x")
    with pytest.raises(ConfigError):
        live.amend("MASTER", "x")
    with pytest.raises(ConfigError, match="float"):
        live.amend("MASTER", "x", price=0.1)  # type: ignore[arg-type]
    with pytest.raises(OrderRejected, match="below"):
        live.amend("MASTER", "x", volume="0.00001")
    with pytest.raises(UnknownName):
        live.amend("MASTER", "never", price="1")
    live.cancel("MASTER", "x")
    with pytest.raises(OrderRejected, match="canceled"):
        live.amend("MASTER", "x", price="30100")
    assert not any(call.endpoint == "AmendOrder" for call in sim.calls)


@pytest.mark.parametrize("lost", [True, False])
def test_an_edit_by_call_keeps_the_placement_and_a_cancel_reaches_its_successor(
    sim: Simulator, live: Engine, seen: Events, lost: bool
) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    sim.fill("MASTER", placed.txids[0], "0.004")
    if lost:
        sim.fault(Fault.http(502, endpoint="EditOrder", times=1, executed=True))
    edit = live.submit("MASTER", "EditOrder", {"txid": placed.txids[0], "pair": "XBTUSD", "price": "31000"})
    assert (edit.exception(PATIENCE) is not None) == lost
    (new,) = open_at(sim)
    seen.wait_for(lambda event: isinstance(event, OrderChanged) and event.receipt.txids == (new,))
    assert [each.txids for each in live.open_orders("MASTER")] == [(new,)]
    sim.fill("MASTER", new, "0.001")
    over = live.cancel("MASTER", placed)
    assert (over.txids, over.state, over.filled) == ((new,), OrderState.CANCELED, Decimal("0.005"))
    assert live.order("MASTER", placed.txids[0]) == live.order("MASTER", "x")
    assert open_at(sim) == []


def test_an_edit_whose_answer_was_lost_is_known_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    """No list can be read before the engine ends, and the cancel comes before one can be read by the next."""
    with running(sim, tmp_path) as engine:
        placed = engine.place("MASTER", RESTS, id="x")
        for each in ("OpenOrders", "QueryOrders", "ClosedOrders"):
            sim.fault(Fault.http(502, endpoint=each))
        sim.fault(Fault.http(502, endpoint="EditOrder", times=1, executed=True))
        edited = {"txid": placed.txids[0], "pair": "XBTUSD", "price": "31000"}
        assert engine.submit("MASTER", "EditOrder", edited).exception(PATIENCE) is not None
    (new,) = open_at(sim)
    with running(sim, tmp_path) as engine:
        with pytest.raises(OrderUnknown):
            engine.cancel("MASTER", placed, timeout=0.2)
        sim.clear_faults()
        over = engine.cancel("MASTER", placed)
        assert (over.txids, over.state) == ((new,), OrderState.CANCELED)
    assert open_at(sim) == []


def test_an_edit_that_cannot_be_written_down_is_not_sent(sim: Simulator, live: Engine, tmp_path: Path) -> None:
    placed = live.place("MASTER", RESTS, id="x")
    (tmp_path / "state").rename(tmp_path / "moved")
    edit = live.submit("MASTER", "EditOrder", {"txid": placed.txids[0], "pair": "XBTUSD", "price": "31000"})
    assert isinstance(edit.exception(PATIENCE), CallNotSent)
    assert not any(call.endpoint == "EditOrder" for call in sim.calls)
    assert open_at(sim) == [*placed.txids]


def test_the_orders_of_others_are_listed_and_marked(sim: Simulator, live: Engine) -> None:
    ours = live.place("MASTER", RESTS, id="x")
    sim.add_open_order("MASTER", "OHAND1-AAAAA-BBBBBB")
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1))
    with pytest.raises(OrderUnknown):
        live.place("MASTER", Order("ETHUSD", "buy", "limit", "0.1", "1000"), id="unknown", timeout=0.2)
    by_txid = {each.txid: each for each in live.open_orders("MASTER", all=True)}
    assert set(by_txid) == {*ours.txids, "OHAND1-AAAAA-BBBBBB", None}
    mine, hand, unknown = by_txid[ours.txids[0]], by_txid["OHAND1-AAAAA-BBBBBB"], by_txid[None]
    assert (mine.is_ours, mine.id, mine.receipt) == (True, "x", live.order("MASTER", "x"))
    assert (hand.is_ours, hand.id, hand.receipt, hand.pair, hand.side) == (False, None, None, "XBTUSD", "buy")
    assert (hand.volume, hand.price, hand.filled) == (Decimal("0.0001"), Decimal(1), Decimal(0))
    assert (unknown.is_ours, unknown.id) == (True, "unknown")
    assert [json.loads(json.dumps(each.to_dict()))["is_ours"] for each in by_txid.values()].count(False) == 1


def test_what_is_queued_is_what_was_given(sim: Simulator, live: Engine) -> None:
    order = {"type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"}
    batch: dict[str, Any] = {"pair": "XBTUSD", "orders": [order, dict(order)]}
    with sim.outage(Fault.delay(0.3, endpoint="TradeBalance")):
        waits = live.submit("MASTER", "TradeBalance")
        sent = live.submit("MASTER", "AddOrderBatch", batch)
        order["volume"] = "7"
        batch["orders"].append(order)
        batch["pair"] = "ETHUSD"
        waits.result(PATIENCE)
        sent.result(PATIENCE)
    assert [placed.params["volume"] for placed in sim.placements("MASTER")] == ["0.01", "0.01"]
