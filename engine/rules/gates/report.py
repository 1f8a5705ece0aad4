"""What a pass through the gates came to: gate by gate, as a value, as JSON, and as a table that reads like the flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Any

from engine.errors import CallError, GateDenied
from engine.rules.gates.fees import Fee
from engine.rules.gates.gate import Allow, Deny, Gate
from engine.rules.gates.gates import describe
from engine.rules.gates.plan import Candidate
from engine.rules.gates.view import TradeView
from engine.rules.order.order import Order, OrderReceipt
from engine.values.dataclass import dataclass


class GateState(Enum):
    """What became of a gate in a pass."""

    PASSED = "passed"
    DENIED = "denied"
    NOT_REACHED = "not reached"
    """It looks at the strategy's order, and the strategy was not asked because a gate before it denied."""
    UNKNOWN = "unknown"
    """The order may be on the exchange: the receipt names it."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate of a pass: `reasons` why it denied, or what it saw (`seen`)."""

    gate: str
    state: GateState
    reasons: tuple[str, ...] = ()
    seen: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"gate": self.gate, "state": self.state.value, "reasons": list(self.reasons), "seen": self.seen}


def judge(gate: Gate, view: TradeView) -> GateResult:
    """Ask one gate. What it raises, and what it returns that is not a verdict, denies; no exception leaves it."""
    try:
        return result_of(gate, gate.check(view))
    except Exception as error:  # noqa: BLE001 - a gate that errs denies, whatever it is
        return denied(gate, f"The gate failed: {type(error).__name__}: {error}.")


def result_of(gate: Gate, verdict: object) -> GateResult:
    """What a gate's verdict says."""
    if type(verdict) is Allow:
        return GateResult(gate.name, GateState.PASSED, seen=str(verdict.seen))
    if type(verdict) is Deny:
        return denied(gate, *verdict.reasons)
    return denied(gate, f"The gate returned {type(verdict).__name__}: it has to return Allow or Deny.")


def denied(gate: Gate, *reasons: str) -> GateResult:
    """A gate that does not let the pass go on."""
    return GateResult(gate.name, GateState.DENIED, reasons)


@dataclass(frozen=True, slots=True)
class GateReport:
    """One pass of one account.

    live: whether an order that passes is placed; otherwise Kraken only checks it (`validate`).
    results: the gates in their order. candidate, order: what the scanner and the strategy chose, where it came so far.
    receipt: of the order that was sent, or checked. error: how sending it failed. seconds: what the pass took.
    fees: what a purchase was counted with, by the pair's name in the plan. problems: why a pair, or its price, is not
        known; a pass goes on with the others.
    """

    account: str
    as_of: datetime
    live: bool
    results: tuple[GateResult, ...]
    candidate: Candidate | None = None
    order: Order | None = None
    receipt: OrderReceipt | None = None
    error: CallError | None = None
    seconds: float = 0.0
    fees: Mapping[str, Fee] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every gate let it pass, and there was one."""
        return bool(self.results) and all(each.state is GateState.PASSED for each in self.results)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason why it was stopped, with the gate's name."""
        stopped = tuple(f"{each.gate}: {reason}" for each in self.results for reason in each.reasons)
        return stopped or (() if self.results else ("There are no gates, so nothing passes.",))

    def require(self) -> GateReport:
        """The report itself; raises `GateDenied` with every reason when the pass was stopped."""
        if self.passed:
            return self
        raise GateDenied(f"{self.account}: " + " ".join(self.reasons))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts."""
        return {
            "account": self.account,
            "as_of": self.as_of.isoformat(),
            "live": self.live,
            "passed": self.passed,
            "gates": [each.to_dict() for each in self.results],
            "reasons": list(self.reasons),
            "candidate": self.candidate and {"pair": self.candidate.pair, "note": str(self.candidate.note)},
            "order": self.order and self.order.to_dict(),
            "receipt": self.receipt and self.receipt.to_dict(),
            "outcome": self.outcome,
            "error": self.error and {
                "type": type(self.error).__name__, "message": str(self.error), "kraken_code": self.error.kraken_code,
            },
            "seconds": round(self.seconds, 3),
            "fees": {name: fee.to_dict() for name, fee in self.fees.items()},
            "problems": dict(self.problems),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        word = "live" if self.live else "dry run"
        yield f"{self.account}, {self.as_of:%Y-%m-%d %H:%M:%S} UTC, {word}, {self.seconds:.2f} s"
        width = max((len(each.gate) for each in self.results), default=0)
        for number, each in enumerate(self.results):
            first, *others = each.reasons or (each.seen,)
            yield f"{'→' if number else ' '} {each.gate:{width}}  {each.state.value:11}  {first}".rstrip()
            yield from (f"  {'':{width}}  {'':11}  {other}" for other in others)
        if self.passed:  # otherwise they are among the reasons
            yield from (f"Without {name}: {problem}" for name, problem in self.problems.items())
        yield self.outcome

    @property
    def outcome(self) -> str:
        """What the pass came to, as one sentence."""
        if any(each.state is GateState.UNKNOWN for each in self.results):
            return "The order may be on the exchange: look it up, do not send it again."
        if not self.passed:
            count = len(self.reasons)
            return f"Stopped, for {count} reason{'s' if count > 1 else ''}. Nothing was placed."
        if self.receipt is None or self.order is None:
            return "Every gate passed; signal execution is not among them, so nothing was sent."
        return f"{'Placed' if self.receipt.live else 'Checked by Kraken, not placed'}: {describe(self.order)}."
