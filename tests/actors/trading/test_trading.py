"""Passes through the gates by a real engine: nothing is sent in doubt, and the host's code is isolated (G10, G13)."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import (
    FIVE_GATES,
    Allow,
    Candidate,
    ConfigError,
    Deny,
    Engine,
    GateDenied,
    GateReport,
    GateState,
    Order,
    PassFinished,
    RunPass,
    TradePlan,
    TradeView,
)
from engine.errors import EngineStopped, UnknownName
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events
from tests.stopwatch import PATIENCE, SOON, Stopwatch

HUNG = 0.3  # seconds after which the host's code counts as hung, where it is meant to hang


def buy(candidate: Candidate, view: TradeView) -> Order:
    return Order(candidate.pair, "buy", "limit", "0.001", "60000")


def plan(**changes: Any) -> TradePlan:
    known: dict[str, Any] = {"strategy": buy, "max_data_age": PATIENCE, "patience": PATIENCE} | changes
    return TradePlan(**known)


def states(report: GateReport) -> list[str]:
    return [each.state.value for each in report.results]


def said(report: GateReport) -> str:
    return " ".join(report.reasons)


def orders(sim: Simulator) -> list[Any]:
    return [call for call in sim.calls if call.endpoint == "AddOrder"]


def test_a_pass_goes_from_the_balance_to_an_order_that_is_only_checked(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    report = engine.gates("MASTER", plan(pairs=("ETHUSD", "XBTUSD"), scanner=lambda _: ["XBTUSD"]))
    assert states(report) == ["passed"] * 5
    assert report.require() is report
    assert (report.candidate, report.order) == (Candidate("XBTUSD"), Order("XBTUSD", "buy", "limit", "0.001", "60000"))
    assert report.receipt is not None
    assert not report.receipt.live
    assert sim.placements("MASTER") == []
    assert len(orders(sim)) == 1
    assert events.wait_for(lambda event: isinstance(event, PassFinished)).report == report
    assert engine.status().passes["MASTER"] == report
    assert engine.status().to_dict()["passes"]["MASTER"]["passed"] is True


def test_without_a_plan_the_smallest_order_is_asked_about(sim: Simulator, engine: Engine) -> None:
    report = engine.gates("MASTER", dry=False)
    assert report.passed
    assert report.order is not None
    assert (report.order.pair, report.order.volume) == ("XBTUSD", Decimal("0.00005"))
    assert sim.placements("MASTER") == []


def test_the_view_is_built_after_the_balance_and_its_parts_are_fetched_in_parallel(
    sim: Simulator, tmp_path: Path
) -> None:
    calm = replace(QUICK, refresh_every=3600.0)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=calm) as engine:
        engine.gates("MASTER")  # the pairs are known now
        before = len(sim.calls)
        hung = [sim.fault(Fault.hang(endpoint=name)) for name in ("SystemStatus", "OHLC", "Ticker")]
        with ThreadPoolExecutor(1) as pool:
            wanted = plan(data={"candles": ("OHLC", {"pair": "XBTUSD", "interval": 1})}, max_balance_age=1e-6)
            asked = pool.submit(engine.gates, "MASTER", wanted)
            for name in ("SystemStatus", "OHLC", "Ticker"):
                sim.wait_for_calls(1 + (name != "OHLC"), endpoint=name, ended=False)
            sim.clear_faults()
            assert all(each.used for each in hung)
            report = asked.result(PATIENCE)
        assert next(call.endpoint for call in sim.calls[before:]) == "BalanceEx"
        assert report.passed, said(report)


def test_an_outage_denies_with_every_reason_and_its_end_lets_pass(sim: Simulator, engine: Engine) -> None:
    assert engine.gates("MASTER").passed
    with sim.outage():
        report = engine.gates("MASTER", plan(max_balance_age=1e-6), timeout=2.0)
        assert "could not be fetched anew" in said(report) or "is stale" in said(report)
        assert "Kraken's status is not known" in said(report)
        assert states(report)[-1] == "not reached"
        with pytest.raises(GateDenied, match="Health check"):
            report.require()
    assert orders(sim) == orders(sim)[:1], "nothing was sent but the order of the first pass"
    report = engine.gates("MASTER", plan(max_balance_age=1e-6))
    assert report.passed, said(report)


def test_a_kraken_that_is_not_online_denies(sim: Simulator, engine: Engine) -> None:
    for status in ("maintenance", "cancel_only", "post_only"):
        sim.set_status(status)
        report = engine.gates("MASTER", plan())
        assert states(report) == ["passed", "denied", "passed", "passed", "not reached"]
        assert f"its status is '{status}'" in said(report)
    assert orders(sim) == []


def test_nothing_is_asked_of_the_strategy_when_a_gate_before_it_denied(sim: Simulator, engine: Engine) -> None:
    asked: list[Candidate] = []
    sim.set_status("maintenance")
    engine.gates("MASTER", plan(strategy=lambda candidate, _: asked.append(candidate)))
    assert asked == []


def test_what_kraken_refuses_is_the_result_of_the_last_gate(sim: Simulator, engine: Engine) -> None:
    sim.fault(Fault.error("EOrder:Insufficient funds", endpoint="AddOrder"))
    report = engine.gates("MASTER", plan())
    assert states(report) == ["passed"] * 4 + ["denied"]
    assert report.error is not None
    assert report.to_dict()["error"]["type"] == "InsufficientFunds"


def test_a_key_without_the_permission_denies_before_the_order_from_then_on(sim: Simulator, engine: Engine) -> None:
    sim.set_permissions("MASTER", {"query-funds"})
    first = engine.gates("MASTER", plan())
    assert states(first)[-1] == "denied"
    assert sim.placements("MASTER") == []


def test_candidates_are_tried_in_the_scanners_order_until_one_gives_an_order(sim: Simulator, engine: Engine) -> None:
    asked = []

    def second_only(candidate: Candidate, view: TradeView) -> Order | None:
        asked.append(candidate.pair)
        assert view.market(candidate.pair).ticker is not None
        return Order(candidate.pair, "buy", "market", "0.01") if len(asked) == 2 else None

    wanted = plan(pairs=("XBTUSD", "ETHUSD", "DOTUSD"), scanner=lambda _: ("DOTUSD", "ETHUSD", "XBTUSD"),
                  strategy=second_only)  # fmt: skip
    report = engine.gates("MASTER", wanted)
    assert report.passed, said(report)
    assert asked == ["DOTUSD", "ETHUSD"]
    assert report.candidate == Candidate("ETHUSD")


def test_pairs_that_are_not_there_are_reported_and_the_others_go_on(sim: Simulator, engine: Engine) -> None:
    report = engine.gates("MASTER", plan(pairs=("NOPE", "XBTUSD")))
    assert report.passed
    report = engine.gates("MASTER", plan(pairs=("NOPE",)))
    assert "no pair 'NOPE'" in said(report)
    assert states(report) == ["passed", "passed", "denied", "denied", "not reached"]


def test_data_that_the_plan_wants_and_kraken_does_not_give_deny(sim: Simulator, engine: Engine) -> None:
    for wrong in (("OHLC", {"pair": "NOPE"}), ("Nothing", {}), ("Balance", {}), ("OHLC", {"pair": object()})):
        report = engine.gates("MASTER", plan(data={"mine": wrong}))
        assert "The data 'mine' did not come" in said(report), said(report)
        assert states(report)[-2:] == ["denied", "not reached"]


# --- live


@pytest.fixture
def live(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    """A live engine."""
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "live", settings=QUICK, live=True) as running:
        yield running


def test_a_live_engine_places_one_order_for_a_pass_and_none_for_a_dry_one(sim: Simulator, live: Engine) -> None:
    dry = live.gates("MASTER", plan())
    assert dry.passed
    assert not dry.live
    assert live.gates("MASTER", dry=False).passed, "without a plan it stays a question"
    assert sim.orders("MASTER") == []
    report = live.gates("MASTER", plan(), dry=False)
    assert report.passed
    assert report.receipt is not None
    assert report.receipt.live
    assert [each["txid"] for each in sim.orders("MASTER")] == list(report.receipt.txids)
    sim.set_status("maintenance")
    assert not live.gates("MASTER", plan(), dry=False).passed
    assert len(sim.orders("MASTER")) == 1


def test_what_trades_by_a_timer_places_orders_where_the_engine_is_live(sim: Simulator, live: Engine) -> None:
    first = threading.Event()

    def once(candidate: Candidate, view: TradeView) -> Order | None:
        return None if first.is_set() else buy(candidate, view)

    def on_event(event: Any) -> None:
        if isinstance(event, PassFinished) and event.report.receipt:
            first.set()

    live.subscribe(on_event)
    live.start_trading("MASTER", plan(strategy=once, interval=1.0))
    assert first.wait(PATIENCE)
    live.stop_trading("MASTER")
    assert len(sim.orders("MASTER")) == 1


def test_an_order_that_may_have_been_placed_is_unknown_and_stops_the_next_pass(sim: Simulator, live: Engine) -> None:
    live.gates("MASTER", plan())
    sim.set_listing_lag(3600.0)  # nobody finds it
    sim.fault(Fault.http(504, executed=True, endpoint="AddOrder", times=1))
    report = live.gates("MASTER", plan(), dry=False, timeout=1.0)
    assert states(report) == ["passed"] * 4 + ["unknown"]
    assert "may be on the exchange" in report.outcome
    assert report.receipt is not None
    assert report.to_dict()["error"]["type"] == "OrderUnknown"
    after = live.gates("MASTER", plan(), dry=False)
    assert states(after)[1] == "denied"
    assert "What became of an earlier order is not known yet: it may take 60.48 USD" in said(after)
    assert len(sim.orders("MASTER")) == 1


# --- the host's code

class Unspeakable(Exception):
    """Even its text fails."""

    def __str__(self) -> str:
        raise RuntimeError


class Unprintable:
    """What cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError


NONSENSE = (lambda *_: 7, lambda *_: "XBTUSD", lambda *_: [None], lambda *_: {"pair": "XBTUSD"})
RAISING = (ValueError("odd"), KeyError("x"), SystemExit(3), KeyboardInterrupt(), RecursionError(), Unspeakable())


WHO = ("scanner", "strategy", "gate")


def test_what_the_hosts_code_raises_denies_and_ends_nobody(engine: Engine) -> None:
    for who, error in itertools.product(WHO, RAISING):
        def broken(*_: Any, error: BaseException = error) -> Any:
            raise error

        report = engine.gates("MASTER", with_code(who, broken))
        assert not report.passed
        assert f"failed: {type(error).__name__}" in said(report)
    assert engine.gates("MASTER", plan()).passed, "the next one is not touched by it"


def test_nonsense_of_the_hosts_code_denies(sim: Simulator, engine: Engine) -> None:
    for who, code in itertools.product(WHO, NONSENSE):
        report = engine.gates("MASTER", with_code(who, code))
        assert not report.passed
        assert "has to return" in said(report) or "The scanner picked" in said(report), said(report)
    assert orders(sim) == []


def test_unprintable_text_is_harmless(engine: Engine) -> None:
    unprintable: Any = Unprintable()
    report = engine.gates("MASTER", with_code("gate", lambda _: Allow(unprintable)))
    assert "failed: RuntimeError" in said(report)
    report = engine.gates("MASTER", with_code("scanner", lambda _: [Candidate("XBTUSD", unprintable)]))
    assert states(report)[3:] == ["denied", "not reached"]


def with_code(who: str, code: Callable[..., Any], **changes: Any) -> TradePlan:
    """A plan in which that code is the scanner, the strategy or a gate before the last."""
    if who == "gate":
        return plan(gates=(*FIVE_GATES[:4], code, FIVE_GATES[4]), **changes)
    return plan(**{who: code}, **changes)


@contextmanager
def hanging() -> Iterator[tuple[Callable[..., Any], threading.Event]]:
    """Code that hangs until the end of the block, and when it has begun."""
    begun, released = threading.Event(), threading.Event()

    def code(*_: Any) -> None:
        begun.set()
        released.wait(PATIENCE * 4)

    try:
        yield code, begun
    finally:
        released.set()


@pytest.mark.parametrize("who", WHO)
def test_code_that_hangs_denies_and_does_not_stack_up_threads(sim: Simulator, engine: Engine, who: str) -> None:
    with hanging() as (code, _):
        hung = with_code(who, code, patience=HUNG)
        first = engine.gates("MASTER", hung)
        assert "has not returned within 0.3 s" in said(first)
        threads = threading.active_count()
        for _ in range(5):
            again = engine.gates("MASTER", plan())
            assert "is still hanging from an earlier pass" in said(again)
        assert threading.active_count() <= threads + 8, "but for those of the calls"
        assert len([each for each in threading.enumerate() if "plan of MASTER" in each.name]) == 1
        assert engine.gates("ALICE", plan()).passed, "another account is not held up by it"
        assert [call.account for call in orders(sim)] == ["ALICE"]
    done = threading.Event()
    while not done.wait(0.05):
        if engine.gates("MASTER", plan()).passed:
            done.set()


def test_gates_are_added_removed_and_reordered(sim: Simulator, engine: Engine) -> None:
    seen: list[str] = []

    def small_orders_only(view: TradeView) -> Allow | Deny:
        assert view.signal is not None
        assert view.signal.order is not None
        seen.append("order")
        return Deny("Too large.") if view.signal.order.volume > Decimal("0.0005") else Allow()

    small_orders_only.needs_order = True  # type: ignore[attr-defined]
    report = engine.gates("MASTER", plan(gates=(*FIVE_GATES, small_orders_only)))
    assert states(report) == ["passed"] * 5 + ["denied"]
    assert report.reasons == ("small orders only: Too large.",)
    assert seen == ["order"]
    assert orders(sim) == [], "what comes after the signal still comes before the order"

    late = engine.gates("MASTER", plan(gates=(FIVE_GATES[4], lambda _: Deny("No."), *FIVE_GATES[:4])))
    assert states(late) == ["passed", "denied", "passed", "passed", "passed", "passed"]
    early = engine.gates("MASTER", plan(gates=(lambda _: Deny("No."), FIVE_GATES[4])))
    assert states(early) == ["denied", "not reached"]
    assert orders(sim) == []

    only = engine.gates("MASTER", plan(gates=(FIVE_GATES[4],)))
    assert only.passed
    assert len(orders(sim)) == 1


def test_without_gates_or_without_the_signal_nothing_is_sent(sim: Simulator, engine: Engine) -> None:
    assert not engine.gates("MASTER", plan(gates=())).passed
    report = engine.gates("MASTER", plan(gates=FIVE_GATES[:4]))
    assert report.passed
    assert "nothing was sent" in report.outcome
    assert orders(sim) == []


# --- the actor


def test_an_account_trades_by_its_plan_until_it_is_stopped(sim: Simulator, engine: Engine, events: Events) -> None:
    def third(event: Any) -> bool:
        return isinstance(event, PassFinished) and len(orders(sim)) >= 3

    engine.start_trading("MASTER", plan(interval=0.01))
    assert events.wait_for(third).report.passed
    with pytest.raises(ConfigError, match="trades already"):
        engine.start_trading("MASTER", plan())
    assert engine.gates("MASTER").order == Order("XBTUSD", "buy", "limit", "0.001", "60000"), "by its own plan"
    assert engine.stop_trading("MASTER")
    count = len(orders(sim))
    assert engine.stop_trading("MASTER")
    engine.start_trading("MASTER", plan(strategy=lambda *_: None))
    assert "wants no order" in said(engine.gates("MASTER"))
    assert len(orders(sim)) == count
    assert sim.placements("MASTER") == []


def test_a_pass_that_goes_wrong_does_not_end_the_trading(sim: Simulator, engine: Engine, events: Events) -> None:
    turns: list[int] = []

    def every_other(candidate: Candidate, view: TradeView) -> Order:
        turns.append(1)
        if len(turns) % 2:
            sys.exit(1)
        return buy(candidate, view)

    engine.start_trading("MASTER", plan(interval=0.01, strategy=every_other))
    events.wait_for(lambda event: isinstance(event, PassFinished) and len(turns) > 4 and event.report.passed)
    events.wait_for(lambda event: isinstance(event, PassFinished) and len(turns) > 4 and not event.report.passed)


def test_an_actor_that_dies_is_replaced_and_goes_on(sim: Simulator, engine: Engine, events: Events) -> None:
    engine.start_trading("MASTER", plan(interval=0.05))
    events.wait_for(lambda event: isinstance(event, PassFinished))
    ref = engine._state.ref("trading MASTER")
    ref.stop()
    events.wait_for(lambda event: getattr(event, "code", "") == "actor-replaced")
    events.forget()
    events.wait_for(lambda event: isinstance(event, PassFinished))


@pytest.mark.parametrize("where", ["Ticker", "SystemStatus", "BalanceEx", "AddOrder"])
def test_a_stop_in_the_middle_of_a_pass_is_clean(sim: Simulator, tmp_path: Path, where: str) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK)
    with engine, ThreadPoolExecutor(1) as pool:
        assert engine.balance("MASTER", max_age=1, timeout=PATIENCE).is_available
        engine.start_trading("MASTER", plan(max_balance_age=1e-6))
        before = len([call for call in sim.calls if call.endpoint == where])
        sim.fault(Fault.hang(endpoint=where))
        asked = pool.submit(engine.gates, "MASTER")
        sim.wait_for_calls(before + 1, endpoint=where, ended=False)
        with Stopwatch() as watch:
            engine.stop(timeout=0.8)  # a write gets half of it
        assert watch.seconds < SOON
        if where == "AddOrder":  # it was on its way, as a question
            assert not asked.result(PATIENCE).passed
        else:
            with pytest.raises(EngineStopped):
                asked.result(PATIENCE)
        assert sim.placements("MASTER") == []
    with pytest.raises(EngineStopped):
        engine.gates("MASTER")


@pytest.mark.parametrize("who", WHO)
def test_a_stop_while_the_hosts_code_hangs_is_clean(sim: Simulator, tmp_path: Path, who: str) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK)
    with hanging() as (code, begun), engine:
        engine.start_trading("MASTER", with_code(who, code, interval=0.01))
        assert begun.wait(PATIENCE)
        with Stopwatch() as watch:
            assert engine.stop_trading("MASTER", timeout=PATIENCE)
            engine.stop(timeout=PATIENCE)
        assert watch.seconds < SOON
        assert orders(sim) == []


def test_the_hosts_code_may_stop_the_engine(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK).start()
    stopped = threading.Event()

    def last(*_: Any) -> None:
        engine.stop(timeout=PATIENCE)
        stopped.set()

    engine.start_trading("MASTER", plan(strategy=last, interval=0.01))
    assert stopped.wait(PATIENCE)
    assert not engine.status().running


def test_an_account_that_is_removed_trades_no_longer(sim: Simulator, engine: Engine) -> None:
    engine.start_trading("ALICE", plan(interval=0.01))
    engine.remove_account("ALICE")
    with pytest.raises(UnknownName):
        engine.gates("ALICE")
    assert "ALICE" not in engine.status().passes
    assert not [name for name in engine._state.system._actors.names() if "ALICE" in name]


def test_an_invalid_plan_or_account_is_refused(engine: Engine) -> None:
    asks: tuple[Callable[..., object], ...] = (engine.gates, engine.start_trading)
    for ask in asks:
        with pytest.raises(UnknownName):
            ask("NOBODY", plan())
        with pytest.raises(ConfigError, match="TradePlan"):
            ask("MASTER", {"pairs": "XBTUSD"})


def test_the_actor_answers_in_any_pykka_program(engine: Engine) -> None:
    engine.start_trading("MASTER", plan())
    ref: pykka.ActorRef[Any] = engine._state.ref("trading MASTER")
    report: Any = ref.ask(RunPass(), timeout=PATIENCE)
    assert report.passed
    assert ref.ask(RunPass(plan(strategy=lambda *_: None)), timeout=PATIENCE).results[-1].state is GateState.DENIED


def test_passes_of_many_threads_run_one_after_the_other(sim: Simulator, engine: Engine) -> None:
    inside, most = [], []

    def counted(candidate: Candidate, view: TradeView) -> Order:
        inside.append(1)
        most.append(len(inside))
        inside.pop()
        return buy(candidate, view)

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: engine.gates("MASTER", plan(strategy=counted)), range(16)))
    assert all(report.passed for report in reports)
    assert max(most) == 1
    assert len(orders(sim)) == 16
