"""Placing through the whole engine on the simulator: at most one order per placement (promise G9)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import (
    CallNotSent,
    Engine,
    EngineWarning,
    Order,
    OrderChanged,
    OrderReceipt,
    OrderState,
    OrderUnknown,
    PairUnsettled,
    Settings,
)
from engine.errors import (
    CallError,
    CallRefused,
    IdInUse,
    InsufficientFunds,
    MarketUnavailable,
    OrderRejected,
    PermissionDenied,
    UnknownName,
)
from engine.simulator import Fault, Simulator
from tests.conftest import Events
from tests.stopwatch import PATIENCE

RESTS = Order("XBTUSD", "buy", "limit", "0.01", "30000")
FILLS = Order("XBTUSD", "buy", "market", "0.01")
QUICK = Settings(
    refresh_every=60.0, call_timeout=PATIENCE, local_limits=False, order_deadline=50.0, settle_margin=0.3,
    follow_every=0.2,
)  # fmt: skip
SHORT = replace(QUICK, order_deadline=1.5)
"""For a truth that is only known when nothing can happen any more; Kraken's time may be a second behind."""


def running(
    sim: Simulator, directory: Path, settings: Settings = QUICK, accounts: Sequence[Any] = (), *, live: bool = True
) -> Engine:
    mine = accounts or sim.accounts
    return Engine(mine, url=sim.url, state_dir=directory / "state", settings=settings, live=live)


@pytest.fixture
def live(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with running(sim, tmp_path) as engine:
        yield engine


@pytest.fixture
def seen(live: Engine) -> Events:
    events = Events()
    live.subscribe(events)
    return events


def wait_for(seen: Events, *states: OrderState) -> OrderReceipt:
    receipt = seen.wait_for(lambda event: isinstance(event, OrderChanged) and event.receipt.state in states).receipt
    assert isinstance(receipt, OrderReceipt)
    return receipt


def sent(sim: Simulator) -> int:
    return sum(call.endpoint == "AddOrder" for call in sim.calls)


def test_an_order_goes_out_once_with_a_name_and_a_deadline_of_ours(sim: Simulator, live: Engine) -> None:
    receipt = live.place("MASTER", RESTS)
    (placed,) = sim.placements("MASTER")
    assert placed.params["cl_ord_id"] == receipt.cl_ord_id
    assert len(receipt.cl_ord_id) == 32
    assert placed.params["deadline"].endswith("Z")
    assert receipt.txids == (placed.txid,)
    assert (receipt.state, receipt.live, receipt.id) == (OrderState.PLACED, True, receipt.cl_ord_id)
    assert receipt.description


def test_g9_the_same_id_again_is_the_same_receipt_also_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine:
        first = engine.place("MASTER", RESTS, id="signal-42")
        assert engine.place("MASTER", RESTS, id="signal-42") == first
        with pytest.raises(IdInUse):
            engine.place("MASTER", replace_volume(RESTS), id="signal-42")
        assert engine.place("ALICE", RESTS, id="signal-42") != first
    with running(sim, tmp_path) as engine:
        assert engine.place("MASTER", RESTS, id="signal-42").txids == first.txids
        assert engine.order("MASTER", "signal-42").txids == first.txids
        assert engine.place("MASTER", RESTS).txids != first.txids
    assert len(sim.placements("MASTER")) == 2


def replace_volume(order: Order) -> Order:
    return Order.from_dict({**order.to_dict(), "volume": "0.02"})


def test_g9_many_threads_with_one_id_place_one_order(sim: Simulator, live: Engine) -> None:
    with sim_delay(sim):
        receipts: list[OrderReceipt] = []
        place = lambda: receipts.append(live.place("MASTER", FILLS, id="x"))  # noqa: E731
        threads = [threading.Thread(target=place) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({receipt.txids for receipt in receipts}) == 1
    assert len(receipts) == 5
    assert len(sim.placements("MASTER")) == 1


def sim_delay(sim: Simulator) -> Any:
    return sim.outage(Fault.delay(0.2, executed=True, endpoint="AddOrder"))


LOST = {
    "502 after executing": Fault.http(502, executed=True, endpoint="AddOrder", times=1),
    "504": Fault.http(504, executed=True, endpoint="AddOrder", times=1),
    "reset": Fault.reset(executed=True, endpoint="AddOrder", times=1),
    "closed": Fault.close(executed=True, endpoint="AddOrder", times=1),
    "empty body": Fault.empty(executed=True, endpoint="AddOrder", times=1),
    **{
        code: Fault.error(code, executed=True, endpoint="AddOrder", times=1)
        for code in (
            "EService:Unavailable", "EService:Busy", "EService:Timeout", "EService:Internal error",
            "EGeneral:Internal error", "EService: Throttled: 1", "EService:Deadline elapsed",
            "EGeneral:Invalid arguments:cl_ord_id not unique", "EOrder:Something that nobody has seen",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "order"), [(fault, FILLS) for fault in LOST] + [("reset", RESTS), ("EService:Unavailable", RESTS)]
)
def test_g9_a_lost_reply_is_looked_up_and_never_sent_again(
    sim: Simulator, live: Engine, fault: str, order: Order
) -> None:
    sim.fault(LOST[fault])
    receipt = live.place("MASTER", order)
    (placed,) = sim.placements("MASTER")
    assert receipt.txids == (placed.txid,)
    assert receipt.state is (OrderState.PLACED if order is RESTS else OrderState.CLOSED)
    assert sent(sim) == 1


def test_g9_an_order_that_never_arrived_is_absent_only_after_deadline_and_margin(
    sim: Simulator, tmp_path: Path
) -> None:
    with running(sim, tmp_path) as engine:
        sim.fault(Fault.http(502, endpoint="AddOrder", times=1))
        with pytest.raises(OrderUnknown) as unknown:
            engine.place("MASTER", RESTS, id="x", timeout=1.2)
        assert unknown.value.receipt.state is OrderState.UNKNOWN
        assert any(call.endpoint == "ClosedOrders" for call in sim.calls), "it was looked for"
        assert engine.order("MASTER", "x").state is OrderState.UNKNOWN
        assert engine.reserved("MASTER")["USD"] > 300
        with pytest.raises(PairUnsettled):
            engine.place("MASTER", FILLS, id="other")
        assert engine.place("MASTER", Order("ETHUSD", "buy", "limit", "1", "1000")).state is OrderState.PLACED
        assert engine.place("ALICE", RESTS).state is OrderState.PLACED
    with running(sim, tmp_path, SHORT) as engine:  # the time begins anew, and it is a short one now
        with pytest.raises(PairUnsettled):
            engine.place("MASTER", FILLS, id="other")
        with pytest.raises(CallNotSent, match="no such order"):
            engine.place("MASTER", RESTS, id="x")
        assert engine.order("MASTER", "x").state is OrderState.NOT_PLACED
        assert engine.reserved("MASTER") == {}
        assert engine.place("MASTER", FILLS, id="other").txids
    assert any(call.endpoint == "TradesHistory" for call in sim.calls)
    assert len(sim.placements("MASTER")) == 2


def test_g9_a_late_execution_is_found(sim: Simulator, live: Engine) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(0.8))
    assert live.place("MASTER", FILLS).state is OrderState.CLOSED
    assert (len(sim.placements("MASTER")), sent(sim)) == (1, 1)


def test_g9_a_listing_that_lags_is_no_absence(sim: Simulator, live: Engine) -> None:
    sim.set_listing_lag(1.0)
    sim.fault(Fault.http(502, executed=True, endpoint="AddOrder", times=1))
    assert live.place("MASTER", RESTS).state is OrderState.PLACED
    assert sent(sim) == 1


def test_g9_a_failed_look_is_no_absence(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1))
    sim.fault(Fault.error("EService:Unavailable", endpoint="ClosedOrders"))
    with running(sim, tmp_path, SHORT) as engine:
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", RESTS, id="x", timeout=3.0)
        sim.clear_faults()
        with pytest.raises(CallNotSent):
            engine.place("MASTER", RESTS, id="x", timeout=PATIENCE)
    assert sent(sim) == 1


def test_a_caller_that_gave_up_learns_the_end_by_an_event(sim: Simulator, live: Engine, seen: Events) -> None:
    sim.fault(Fault.http(502, endpoint="AddOrder", times=1).with_effect_after(1.0))
    with pytest.raises(OrderUnknown):
        live.place("MASTER", RESTS, id="x", timeout=0.3)
    assert wait_for(seen, OrderState.PLACED).id == "x"
    assert live.order("MASTER", "x").state is OrderState.PLACED


REFUSALS = {
    "EOrder:Insufficient funds": InsufficientFunds,
    "EOrder:Orders limit exceeded": OrderRejected,
    "EService:Market in cancel_only mode": MarketUnavailable,
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_ends_it_and_ends_the_same_id_again_the_same_way(sim: Simulator, live: Engine, code: str) -> None:
    sim.fault(Fault.error(code, endpoint="AddOrder", times=1))
    for _ in range(2):
        with pytest.raises(REFUSALS[code]) as refused:
            live.place("MASTER", RESTS, id="x")
        assert refused.value.kraken_code == code
    assert live.order("MASTER", "x").state is OrderState.REFUSED
    assert sent(sim) == 1
    assert live.place("MASTER", RESTS, id="y").txids


def test_an_id_whose_order_was_not_sent_may_be_used_for_another_try(sim: Simulator, live: Engine) -> None:
    live.place("MASTER", RESTS)
    with sim.outage(), pytest.raises(CallNotSent):
        live.place("MASTER", RESTS, id="x")
    assert live.order("MASTER", "x").state is OrderState.NOT_PLACED
    assert live.place("MASTER", RESTS, id="x").state is OrderState.PLACED
    assert len(sim.placements("MASTER")) == 2


def test_what_the_pair_does_not_take_is_refused_before_anything_is_sent(sim: Simulator, live: Engine) -> None:
    for order in (Order("XBTUSD", "buy", "limit", "0.00001", "30000"), Order("NOPE", "buy", "market", "1")):
        with pytest.raises(OrderRejected):
            live.place("MASTER", order, id="x")
    with pytest.raises(UnknownName):
        live.order("MASTER", "x")
    assert sent(sim) == 0


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda sim: sim.set_permissions("MASTER", {"query-funds", "modify-trades", "query-open-trades"}), "closed"),
        (lambda sim: sim.set_permissions("MASTER", {"query-funds", "modify-trades", "query-closed-trades"}), "open"),
        (lambda sim: sim.set_history("MASTER", since=1_700_000_000), "history"),
        (None, "window"),
    ],
)
@pytest.mark.parametrize("snake_case", [False, True])
def test_no_order_is_placed_where_the_truth_could_not_be_known(
    tmp_path: Path, spoil: Any, why: str, snake_case: bool
) -> None:
    with Simulator(snake_case=snake_case, nonce_window=0 if spoil else 10) as sim, running(sim, tmp_path) as engine:
        if spoil:
            spoil(sim)
        with pytest.raises(PermissionDenied, match=why):
            engine.place("MASTER", RESTS)
        assert sent(sim) == 0


def test_a_dry_run_places_nothing_and_does_not_use_up_the_id(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path, live=False) as engine:
        receipt = engine.place("MASTER", RESTS, id="x")
        assert (receipt.live, receipt.state, receipt.txids) == (False, OrderState.NOT_PLACED, ())
        assert receipt.description == "buy 0.01000000 XBTUSD @ limit 30000.0"
        with pytest.raises(UnknownName):
            engine.order("MASTER", "x")
    assert sim.placements("MASTER") == []
    with running(sim, tmp_path) as engine:
        assert engine.place("MASTER", RESTS, id="x").live


def test_a_cancel_is_done_when_kraken_says_so(sim: Simulator, live: Engine, seen: Events) -> None:
    receipt = live.place("MASTER", RESTS, id="x")
    sim.fill("MASTER", receipt.txids[0], "0.004")
    over = live.cancel("MASTER", receipt)
    assert (over.state, over.filled) == (OrderState.CANCELED, Decimal("0.004"))
    assert live.cancel("MASTER", "x") == over
    assert wait_for(seen, OrderState.CANCELED).filled == Decimal("0.004")


def test_a_cancel_that_comes_too_late_tells_what_became_of_the_order(sim: Simulator, live: Engine) -> None:
    receipt = live.place("MASTER", FILLS)
    over = live.cancel("MASTER", receipt)
    assert over.state is OrderState.CLOSED
    assert over.filled == Decimal("0.01")
    with pytest.raises(UnknownName):
        live.cancel("MASTER", "never placed")


def test_a_fill_becomes_an_event_and_makes_the_balance_old(sim: Simulator, live: Engine, seen: Events) -> None:
    receipt = live.place("MASTER", RESTS)
    live.balance("MASTER", max_age=0.0)
    sim.fill("MASTER", receipt.txids[0], "0.01")
    assert wait_for(seen, OrderState.CLOSED).cost > 0
    assert live.open_orders("MASTER") == ()


def test_open_orders_are_those_that_are_not_over(sim: Simulator, live: Engine) -> None:
    receipt = live.place("MASTER", RESTS)
    assert [each.id for each in live.open_orders("MASTER")] == [receipt.id]
    assert live.cancel_all("MASTER") == 1
    assert live.open_orders("MASTER") == ()
    assert live.order("MASTER", receipt.txids[0]).state is OrderState.CANCELED


def test_a_damaged_journal_stops_live_orders_until_a_person_has_looked(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine:
        engine.place("MASTER", RESTS, id="x")
    journal = tmp_path / "state" / "orders.sqlite"
    journal.write_bytes(b"\0" * 5000)
    seen = Events()
    for _ in range(2):
        engine = running(sim, tmp_path)
        engine.subscribe(seen)
        with engine:
            seen.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == "journal-damaged")
            with pytest.raises(CallNotSent, match="Look up your open"):
                engine.place("MASTER", RESTS, id="y")
            seen.forget()
    (aside,) = journal.parent.glob("orders.sqlite.damaged-*")
    aside.rename(tmp_path / "kept")
    with running(sim, tmp_path) as engine:
        assert engine.place("MASTER", RESTS, id="y").state is OrderState.PLACED


def test_an_order_without_kraken_s_time_is_not_sent(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.error("EService:Unavailable", endpoint="Time"))
    sim.fault(Fault.http(503))
    with running(sim, tmp_path) as engine, pytest.raises((CallNotSent, CallRefused)):
        engine.place("MASTER", RESTS, timeout=2.0)
    assert sent(sim) == 0


def test_a_refused_nonce_is_signed_again_with_the_same_name_and_deadline(sim: Simulator, live: Engine) -> None:
    sim.fault(Fault.error("EAPI:Invalid nonce", endpoint="AddOrder", times=1))
    assert live.place("MASTER", RESTS).state is OrderState.PLACED
    first, second = (call for call in sim.calls if call.endpoint == "AddOrder")
    for name in ("cl_ord_id", "deadline"):
        assert first.params[name] == second.params[name]
    assert first.nonce is not None
    assert second.nonce is not None
    assert first.nonce < second.nonce


def test_a_placement_that_waits_in_the_lane_is_ended_by_its_cancel_and_its_id_is_used_up(
    sim: Simulator, live: Engine, seen: Events
) -> None:
    live.place("MASTER", RESTS)  # so that nothing has to be asked any more
    sim.fault(Fault.delay(1.0, executed=True, endpoint="AddOrder", times=1))
    failures: list[CallError] = []

    def place() -> None:
        try:
            live.place("MASTER", RESTS, id="x")
        except CallError as error:
            failures.append(error)

    first = threading.Thread(target=lambda: live.place("ALICE", FILLS))
    first.start()
    sim.wait_for_calls(2, endpoint="AddOrder", ended=False)
    second = threading.Thread(target=place)
    second.start()
    seen.wait_for(lambda event: isinstance(event, OrderChanged) and event.receipt.id == "x")
    assert live.cancel("MASTER", "x").state is OrderState.NOT_PLACED
    first.join()
    second.join()
    assert type(failures[0]) is CallNotSent
    with pytest.raises(CallNotSent):
        live.place("MASTER", RESTS, id="x")
    assert len(sim.placements("MASTER")) == 1


def test_a_placement_whose_time_is_over_in_the_lane_was_not_sent(sim: Simulator, live: Engine) -> None:
    live.place("MASTER", RESTS)
    sim.fault(Fault.delay(1.5, executed=True, endpoint="AddOrder", times=1))
    first = threading.Thread(target=lambda: live.place("ALICE", FILLS))
    first.start()
    sim.wait_for_calls(2, endpoint="AddOrder", ended=False)
    with pytest.raises(CallNotSent):
        live.place("MASTER", RESTS, id="x", timeout=0.3)
    first.join()
    assert len(sim.placements("MASTER")) == 1


def test_a_stop_answers_whoever_waits_for_a_placement(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang(executed=True, endpoint="AddOrder", times=1))
    failures: list[CallError] = []
    engine = running(sim, tmp_path).start()

    def place() -> None:
        try:
            engine.place("MASTER", FILLS, id="x")
        except CallError as error:
            failures.append(error)

    thread = threading.Thread(target=place)
    thread.start()
    sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
    engine.stop(2.0)
    thread.join()
    assert isinstance(failures[0], OrderUnknown)
    with running(sim, tmp_path) as engine:
        assert engine.place("MASTER", FILLS, id="x").state is OrderState.CLOSED
    assert len(sim.placements("MASTER")) == 1
