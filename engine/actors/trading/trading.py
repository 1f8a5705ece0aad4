"""The `TradingActor`: takes one account through its gates, by a timer or when it is asked (promise G10)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from engine.actors.events import PassFinished
from engine.actors.runtime.actor import EngineActor, Telling
from engine.actors.runtime.isolation import GivenUp
from engine.actors.trading.context import GateContext
from engine.actors.trading.gate_runner import GateRunner
from engine.errors import EngineStopped
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.values import Clock, Settings
from engine.values.dataclass import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPass:
    """Asks a `TradingActor` for one pass now; the answer is its `GateReport`.

    Raises `EngineStopped` when the actor stops meanwhile; nothing was sent then.
    """

    plan: TradePlan | None = None
    """Another plan for this pass; `None`: the actor's."""
    live: bool = False
    """Whether an order that passes is placed, by an engine that is live; otherwise Kraken only checks it."""
    seconds: float | None = None
    """How long each wait for Kraken may take; `None`: `Settings.call_timeout`."""


@dataclass(frozen=True, slots=True)
class _Due:
    """The scheduler's message: a pass is due."""


class TradingActor(EngineActor):
    """Runs the passes of one account's plan: one at a time, and the next one `interval` seconds after the last.

    Guarantees:
        - nothing is sent before every gate has allowed; whatever errs, hangs or is in doubt denies;
        - the host's code (scanner, strategy, gates) runs in a thread of its own and cannot end or hold up this one;
        - every pass is published as `PassFinished`, with its report;
        - a stop gives the pass under way up at once, unless its order is being sent.

    Its own passes place orders where the engine is live. Ask it `RunPass()`; that one is dry unless it says otherwise.
    """

    def __init__(
        self,
        account: str,
        plan: TradePlan,
        engine: GateContext,
        *,
        live: bool,
        settings: Settings,
        clock: Clock,
        after: Callable[[float, Callable[[], None]], None],
        publish: Callable[[Any], None],
    ) -> None:
        super().__init__()
        self._account, self._plan, self._live = account, plan, live
        self._after, self._publish = after, publish
        self._runner = GateRunner(
            account, engine, settings=settings, clock=clock, is_given_up=lambda: self.actor_inbox.is_stopping
        )

    def on_start(self) -> None:
        """Begin with a pass at once, where the plan has an interval."""
        if self._plan.interval is not None:
            self.actor_ref.tell(_Due())

    def on_receive(self, message: Any) -> Any:
        """Run a pass. Runs in the actor's thread, which waits for Kraken; nobody else does."""
        match message:
            case RunPass():
                return self._run(message.plan or self._plan, message.live and self._live, message.seconds)
            case _Due():
                return self._run_by_timer()
            case _:
                return super().on_receive(message)

    def _run_by_timer(self) -> None:
        try:
            self._run(self._plan, self._live, None)
        except EngineStopped:
            return
        except Exception:
            logger.exception("A pass of account %s failed.", self._account)
        if self._plan.interval is not None:
            self._after(self._plan.interval, Telling(self.actor_ref, _Due()))

    def _run(self, plan: TradePlan, live: bool, seconds: float | None) -> GateReport:
        try:
            report = self._runner.run(plan, live=live, seconds=seconds)
        except GivenUp:
            raise EngineStopped("The pass was given up; nothing was sent.", account=self._account) from None
        self._publish(PassFinished(self._account, report))
        return report
