"""`Engine`'s methods for the gates: one pass, trading by a plan, and what a pass sees of the engine."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pykka

from engine.actors.events import PassFinished
from engine.actors.runtime.isolation import GivenUp
from engine.actors.system import trading_of
from engine.actors.trading.context import Unsettled
from engine.actors.trading.gate_runner import GateRunner
from engine.actors.trading.trading import RunPass, TradingActor
from engine.app.order_changes import OrderChangeMethods
from engine.app.state import AppState
from engine.errors import ConfigError, EngineStopped
from engine.kraken.assets import AssetTable
from engine.kraken.cash_names import plain_names
from engine.kraken.drift import Note
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.capital import plain
from engine.rules.gates.fees import Fee, has_room
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.gates.smallest_order import smallest_order
from engine.rules.gates.view import KeyFacts
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.stream.price_subscription import PushedPrice
from engine.values import Pair

PLACE_TIMEOUT = 30.0  # seconds, as `Engine.place` has it


class GateMethods(OrderChangeMethods):
    """The gates of an `Engine` and the accounts that trade by a plan. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        super().__init__(state)
        self._trading_lock = threading.Lock()
        self._runners: dict[str, GateRunner] = {}
        self._trading: set[str] = set()

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """Take an account through its gates once: from the balance to an order that Kraken would accept.

        The steps: fetch the balance when it is older than the plan allows; ask Kraken in parallel for its status, the
        plan's pairs, their prices and the plan's data, and every ten minutes for the account's fees; let the scanner
        pick; ask every gate; ask the strategy unless a gate before the signal has denied; and, when every gate has
        allowed, send the order once, with ``validate``, so that Kraken checks it and places nothing. It is placed only
        with `dry=False` **and** on a live engine. When a gate denies, nothing is sent.

        `plan`: `None` means the plan that the account trades by (`start_trading`). Without one it is the smallest order
        for bitcoin that Kraken accepts, which is only checked and never placed, even with `dry=False`. The account's
        own passes and this one run one after the other. Each wait for Kraken takes at most `timeout` seconds (`None`:
        `Settings.call_timeout`, and 30 for a placement), each piece of your code at most `TradePlan.patience`.

        Never raises for the network: the report has every reason, and `report.require()` raises `GateDenied`. Raises
        `UnknownName`, `ConfigError`, or `EngineStopped` when the engine is not running or stops meanwhile.
        """
        state = self._state
        state.check_account(account)
        if plan is not None and not isinstance(plan, TradePlan):
            raise ConfigError("A plan is a TradePlan.")
        has_plan = plan is not None or account in self._trading  # without one it is only a question
        live = self._live and not dry and has_plan
        state.seconds(timeout)  # raises for an invalid one
        if not state.is_running:
            raise EngineStopped(state.why_stopped, account=account)
        if account in self._trading:
            return self._ask_trader(account, RunPass(plan, live, timeout))
        try:
            report = self._runner(account).run(plan or self._default_plan(), live=live, seconds=timeout)
        except GivenUp:
            raise EngineStopped("The engine stopped; nothing was sent.", account=account) from None
        state.system.publish(PassFinished(account, report))
        return report

    def start_trading(self, account: str, plan: TradePlan) -> None:
        """Let an account trade by a plan, from now until `stop_trading` or the engine's stop.

        A `TradingActor` takes it through the gates every `plan.interval` seconds, starting now; without an interval
        only when `gates` is called. An order that passes is placed on a live engine, and only checked by Kraken on
        another. Every pass arrives as a `PassFinished` event, and the last one is in `status()`. Raises `UnknownName`,
        `EngineStopped`, or `ConfigError` when the account trades already.
        """
        state = self._state
        state.check_account(account)
        if not isinstance(plan, TradePlan):
            raise ConfigError("A plan is a TradePlan.")
        with self._trading_lock:
            if account in self._trading:
                raise ConfigError(f"Account {account} trades already: stop it first.")
            state.system.start_trading(account, lambda after: TradingActor.start(
                account, plan, PassContext(self), live=self._live, settings=state.settings, clock=state.clock,
                after=after, publish=state.system.publish,
            ))  # fmt: skip
            self._trading.add(account)

    def stop_trading(self, account: str, timeout: float = 10.0) -> bool:
        """Stop an account's trading; returns whether its pass under way has ended within `timeout` seconds.

        The pass is given up at once, unless its order is being sent. Open orders stay open. Does nothing for an account
        that does not trade.
        """
        seconds = self._state.seconds(timeout)
        with self._trading_lock:
            if account not in self._trading:
                return True
            self._trading.discard(account)
        system = self._state.running
        return system is None or system.stop_trading(account, seconds)

    def remove_account(self, account: str) -> None:
        """Remove an account while the others go on: its key is released, and its waiting calls end as *not sent*.

        Its nonce marks and its last known balance stay in the store, its orders at Kraken. It stops trading even when
        this raises `UnknownName`, or `DeadlinePassed` as `add_account` does.
        """
        self.stop_trading(account, self._state.settings.call_timeout)
        with self._trading_lock:
            self._runners.pop(account, None)
        super().remove_account(account)

    def _end_trading(self) -> None:
        """The engine has stopped: no account trades any more."""
        with self._trading_lock:
            self._trading.clear()

    def _default_plan(self) -> TradePlan:
        """The plan of those without one: whether the smallest order for bitcoin would be accepted."""
        names = plain_names(self._state.settings.cash, AssetTable.shipped())
        cash = next((name for name in names if name != "XBT"), "USD")
        return TradePlan(pairs=(f"XBT{cash}",), strategy=smallest_order)

    def _ask_trader(self, account: str, message: RunPass) -> GateReport:
        try:
            answer: Any = self._state.ref(trading_of(account)).ask(message)
        except pykka.ActorDeadError:
            raise EngineStopped("The account stopped trading; nothing was sent.", account=account) from None
        report: GateReport = answer
        return report

    def _runner(self, account: str) -> GateRunner:
        state = self._state
        with self._trading_lock:
            if account not in self._runners:
                self._runners[account] = GateRunner(
                    account, PassContext(self), settings=state.settings, clock=state.clock,
                    is_given_up=state.stopped.is_set,
                )  # fmt: skip
            return self._runners[account]


class PassContext:
    """What a pass sees of the engine: the `GateContext` of every pass. Thread-safe."""

    def __init__(self, engine: OrderChangeMethods) -> None:
        self._engine, self._state = engine, engine._state

    def refreshed(self, account: str, max_age: float, seconds: float) -> BalanceSnapshot:
        """The balance, fetched anew when it is older."""
        return self._engine.balance(account, max_age, seconds)

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        """A public call."""
        return self._engine.public(endpoint, params, seconds)

    def pushed(self, pairs: Collection[Pair], max_age: float) -> Mapping[str, PushedPrice]:
        """The prices that push tells now."""
        return self._state.system.push.prices(pairs, max_age)

    def noter(self, endpoint: str) -> Note:
        """Collects what is new or odd in the replies of an endpoint."""
        return self._state.drift.noter(endpoint)

    def pair(self, name: str, seconds: float) -> Pair:
        """The facts of a pair."""
        return self._engine._pairs.get(name, seconds)

    def refresh_fees(self, account: str, pairs: Collection[Pair], seconds: float) -> None:
        """Ask what the account pays on these pairs, where that is due."""
        key = self.lane(account)[0]
        if not self._state.settings.local_limits or (key is not None and has_room(key.level, key.limit)):
            self._engine._fees.refresh(account, pairs, seconds)

    def fee(self, account: str, pair: Pair) -> Fee:
        """What a purchase on a pair is counted with."""
        return self._engine._fees.fee(account, pair)

    def known(self, account: str) -> BalanceSnapshot:
        """The last known balance."""
        return self._state.judged(self._state.board.get(account) or self._state.blank(account))

    def plain_name(self, asset: str) -> str:
        """The plain name of an asset."""
        return self._state.system.plain_name(asset)

    def lane(self, account: str) -> tuple[KeyFacts | None, float | None]:
        """The state of the account's key, and by how much this machine's clock is ahead of Kraken's."""
        system, said = self._state.running, self._state.keys.get(account)
        lane = system.report(account) if system else None
        key = lane.keys.get(account) if lane else None
        if lane is None or key is None or said is None:
            return None, lane.skew if lane else None
        facts = KeyFacts(
            said.state, said.sentence, key.denied, key.level, key.limit, key.trades, key.trades_limit,
            key.denied_markets,
        )  # fmt: skip
        return facts, lane.skew

    def unsettled(self, account: str) -> Unsettled:
        """The account's orders whose outcome is unknown."""
        reserved = self._engine.reserved(account)
        return Unsettled(tuple(_unsettled(asset, amount) for asset, amount in reserved.items()), reserved)

    def send(self, account: str, order: Order, seconds: float | None, *, live: bool) -> OrderReceipt:
        """Place the order, or let Kraken check it."""
        if live:
            return self._engine.place(account, order, timeout=PLACE_TIMEOUT if seconds is None else seconds)
        return self._engine._check_order(account, order, self._state.seconds(seconds))


def _unsettled(asset: str, amount: Decimal) -> str:
    return f"What became of an earlier order is not known yet: it may take {plain(amount)} {asset}, and is looked up."
