"""The service for the gates: what a pass sees of the engine, and the accounts that trade by a plan."""

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
from engine.app.accounts import AccountService
from engine.app.calls import CallService
from engine.app.orders import OrderService
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
from engine.values import Pair

PLACE_TIMEOUT = 30.0  # seconds, as `Engine.place` has it


class GateService:
    """Runs passes for `Engine`, which says what is guaranteed; the `GateContext` of every pass. Thread-safe."""

    def __init__(
        self, state: AppState, calls: CallService, accounts: AccountService, orders: OrderService, *, live: bool
    ) -> None:
        self._state, self._calls, self._accounts, self._orders, self._live = state, calls, accounts, orders, live
        self._lock = threading.Lock()
        self._runners: dict[str, GateRunner] = {}
        self._trading: set[str] = set()

    def run(self, account: str, plan: TradePlan | None, *, dry: bool, timeout: float | None) -> GateReport:
        """`Engine.gates`."""
        state = self._state
        state.check_account(account)
        if plan is not None and not isinstance(plan, TradePlan):
            raise ConfigError("A plan is a TradePlan.")
        has_plan = plan is not None or account in self._trading  # without one it is only a question
        live = self._live and not dry and has_plan
        state.seconds(timeout)  # raises for what is no time
        if not state.is_running:
            raise EngineStopped("The engine is not running.", account=account)
        if account in self._trading:
            return self._ask(account, RunPass(plan, live, timeout))
        try:
            report = self._runner(account).run(plan or self.default_plan(), live=live, seconds=timeout)
        except GivenUp:
            raise EngineStopped("The engine stopped; nothing was sent.", account=account) from None
        state.system.publish(PassFinished(account, report))
        return report

    def start(self, account: str, plan: TradePlan) -> None:
        """`Engine.start_trading`."""
        state = self._state
        state.check_account(account)
        if not isinstance(plan, TradePlan):
            raise ConfigError("A plan is a TradePlan.")
        with self._lock:
            if account in self._trading:
                raise ConfigError(f"Account {account} trades already: stop it first.")
            state.system.start_trading(account, lambda after: TradingActor.start(
                account, plan, self, live=self._live, settings=state.settings, clock=state.clock, after=after,
                publish=state.system.publish,
            ))  # fmt: skip
            self._trading.add(account)

    def stop(self, account: str, timeout: float) -> bool:
        """`Engine.stop_trading`."""
        with self._lock:
            if account not in self._trading:
                return True
            self._trading.discard(account)
        system = self._state.running
        return system is None or system.stop_trading(account, timeout)

    def forget(self, account: str) -> None:
        """The account is not here any more."""
        self.stop(account, self._state.settings.call_timeout)
        with self._lock:
            self._runners.pop(account, None)

    def closed(self) -> None:
        """The engine has stopped, and nobody trades any more."""
        with self._lock:
            self._trading.clear()

    def default_plan(self) -> TradePlan:
        """What is looked at without a plan: whether the smallest order for bitcoin would be taken."""
        names = plain_names(self._state.settings.cash, AssetTable.shipped())
        cash = next((name for name in names if name != "XBT"), "USD")
        return TradePlan(pairs=(f"XBT{cash}",), strategy=smallest_order)

    def _ask(self, account: str, message: RunPass) -> GateReport:
        try:
            answer: Any = self._state.ref(trading_of(account)).ask(message)
        except pykka.ActorDeadError:
            raise EngineStopped("The account stopped trading; nothing was sent.", account=account) from None
        report: GateReport = answer
        return report

    def _runner(self, account: str) -> GateRunner:
        state = self._state
        with self._lock:
            if account not in self._runners:
                self._runners[account] = GateRunner(
                    account, self, settings=state.settings, clock=state.clock, is_given_up=state.stopped.is_set
                )
            return self._runners[account]

    # What a pass sees of the engine

    def refreshed(self, account: str, max_age: float, seconds: float) -> BalanceSnapshot:
        """The balance, fetched anew when it is older."""
        return self._accounts.balance(account, max_age, seconds)

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        """A public call."""
        return self._calls.public(endpoint, params, seconds)

    def noter(self, endpoint: str) -> Note:
        """Takes what is new or odd in the replies of an endpoint."""
        return self._state.drift.noter(endpoint)

    def pair(self, name: str, seconds: float) -> Pair:
        """The facts of a pair."""
        return self._orders.pair(name, seconds)

    def refresh_fees(self, account: str, pairs: Collection[Pair], seconds: float) -> None:
        """Ask what the account pays on these pairs, where that is due."""
        key = self.lane(account)[0]
        if not self._state.settings.local_limits or (key is not None and has_room(key.level, key.limit)):
            self._orders.fees.refresh(account, pairs, seconds)

    def fee(self, account: str, pair: Pair) -> Fee:
        """What a purchase on a pair is counted with."""
        return self._orders.fees.fee(account, pair)

    def known(self, account: str) -> BalanceSnapshot:
        """The last known balance."""
        return self._state.judged(self._state.board.get(account) or self._state.blank(account))

    def plain_name(self, asset: str) -> str:
        """The plain name of an asset."""
        return self._state.system.plain_name(asset)

    def lane(self, account: str) -> tuple[KeyFacts | None, float | None]:
        """How the account's key stands, and by how much this machine's clock is ahead of Kraken's."""
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
        """What is not known of the account's orders."""
        reserved = self._orders.reserved(account)
        return Unsettled(tuple(_unsettled(asset, amount) for asset, amount in reserved.items()), reserved)

    def send(self, account: str, order: Order, seconds: float | None, *, live: bool) -> OrderReceipt:
        """Place the order, or let Kraken check it."""
        if live:
            return self._orders.place(account, order, None, PLACE_TIMEOUT if seconds is None else seconds)
        return self._orders.check(account, order, self._state.seconds(seconds))


def _unsettled(asset: str, amount: Decimal) -> str:
    return f"What became of an earlier order is not known yet: it may take {plain(amount)} {asset}, and is looked up."
