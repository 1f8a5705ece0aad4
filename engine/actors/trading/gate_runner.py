"""One pass of one account through its gates: look, judge, ask the host's code, and send what may be sent (G10)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.actors.runtime.isolation import GivenUp, HostFailed, Isolation
from engine.actors.trading.context import GateContext
from engine.actors.trading.view_builder import ViewBuilder
from engine.errors import CallError, CallUnknown, EngineError, OrderUnknown
from engine.rules.balance.snapshot import moment
from engine.rules.gates.gate import Gate
from engine.rules.gates.gates import FIVE_GATES, signal_execution
from engine.rules.gates.market import tradable
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport, GateResult, GateState, denied, judge, result_of
from engine.rules.gates.view import Scan, Signal, TradeView, read_candidates, read_order
from engine.values import Clock, Settings

_OURS = frozenset(gate.check for gate in FIVE_GATES)


class GateRunner:
    """Runs the passes of one account, one at a time; the others wait.

    `is_given_up` is asked during every wait; when it says so, the pass ends with `GivenUp` and nothing was sent.
    """

    def __init__(
        self, account: str, engine: GateContext, *, settings: Settings, clock: Clock,
        is_given_up: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._account, self._engine, self._settings, self._clock = account, engine, settings, clock
        self._is_given_up = is_given_up
        self._view_builder = ViewBuilder(account, engine, clock, counts=settings.local_limits, is_given_up=is_given_up)
        self._host = Isolation(f"plan of {account}")
        self._turn = threading.Lock()

    def run(self, plan: TradePlan, *, live: bool, seconds: float | None = None) -> GateReport:
        """One pass. `live`: an order that passes is placed; otherwise Kraken checks it. Raises `GivenUp` only.

        `seconds`: how long each wait for Kraken may take (`None`: `Settings.call_timeout`, and the time that a
        placement gets by default).
        """
        with self._turn:
            began = self._clock.monotonic()
            view = self._view_builder.look(plan, self._settings.call_timeout if seconds is None else seconds, live=live)
            view = replace(view, scan=self._scan(view))
            view, results = self._through(view)
            signal = view.signal or Signal()
            report = GateReport(
                self._account, moment(self._clock.wall_ns()), live, results, signal.candidate, signal.order,
                fees={name: each.fee for name, each in view.markets.items() if each.fee is not None},
                problems={name: each.problem for name, each in view.markets.items() if each.problem is not None},
            )  # fmt: skip
            if report.passed:
                report = self._send(report, gates_of(plan), seconds)
            return replace(report, seconds=self._clock.monotonic() - began)

    def _through(self, view: TradeView) -> tuple[TradeView, tuple[GateResult, ...]]:
        """Every gate in its order; the strategy is asked before the first one that looks at its order."""
        results: list[GateResult] = []
        for gate in gates_of(view.plan):
            if gate.needs_order and view.signal is None:
                if any(each.state is not GateState.PASSED for each in results):
                    results.append(GateResult(gate.name, GateState.NOT_REACHED))
                    continue
                view = replace(view, signal=self._signal(view))
            view = self._view_builder.again(view)
            results.append(self._judge(gate, view))
        return view, tuple(results)

    def _judge(self, gate: Gate, view: TradeView) -> GateResult:
        if gate.check in _OURS:
            return judge(gate, view)
        try:
            result: GateResult = self._ask(
                f"The gate {gate.name!r}", lambda: result_of(gate, gate.check(view)), view.plan
            )
        except HostFailed as error:
            return denied(gate, str(error))
        return result

    def _scan(self, view: TradeView) -> Scan | None:
        """What the scanner picks; it is not asked where no price is known at all."""
        if not any(each.ticker for each in view.markets.values()):
            return None
        plan = view.plan
        try:
            scan: Scan = self._ask("The scanner", lambda: read_candidates(plan.scanner(view), plan), plan)
        except HostFailed as error:
            return Scan(problem=str(error))
        return scan

    def _signal(self, view: TradeView) -> Signal:
        """The first order that the strategy wants of the candidates that can be traded."""
        def first() -> Signal:
            for each in tradable(view):
                signal = read_order(view.plan.strategy(each, view), each)
                if signal is not None:
                    return signal
            return Signal()

        try:
            signal: Signal = self._ask("The strategy", first, view.plan)
        except HostFailed as error:
            return Signal(problem=str(error))
        return signal

    def _ask(self, what: str, code: Callable[[], Any], plan: TradePlan) -> Any:
        return self._host.run(what, code, plan.patience, self._is_given_up)

    def _send(self, report: GateReport, gates: tuple[Gate, ...], seconds: float | None) -> GateReport:
        """Send the order; how that failed is the result of the last gate that had it in its hands."""
        numbers = [number for number, gate in enumerate(gates) if gate.check is signal_execution]
        if not numbers or report.order is None:
            return report
        if self._is_given_up():
            raise GivenUp
        try:
            receipt = self._engine.send(self._account, report.order, seconds, live=report.live)
        except EngineError as error:
            return _with_failure(report, numbers[-1], error)
        return replace(report, receipt=receipt)


def gates_of(plan: TradePlan) -> tuple[Gate, ...]:
    """The gates of a plan, in their order."""
    return FIVE_GATES if plan.gates is None else tuple(Gate.of(each) for each in plan.gates)


def _with_failure(report: GateReport, number: int, error: EngineError) -> GateReport:
    before = report.results[number]
    state = GateState.UNKNOWN if isinstance(error, CallUnknown) else GateState.DENIED
    result = replace(before, state=state, reasons=(str(error),))
    results = (*report.results[:number], result, *report.results[number + 1 :])
    receipt = error.receipt if isinstance(error, OrderUnknown) else None
    return replace(report, results=results, receipt=receipt, error=error if isinstance(error, CallError) else None)
