"""The order actor between a journal on disk and the simulator's exchange, in one thread and by a clock turned by hand.

No socket, no thread: the lane here takes the calls as the real one does, most urgent first, and each meets the fate
that the test has in store for it.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from engine.actors.backing.journal_file import FILE_NAME, JournalFile
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.messages import (
    EditComes,
    EditFailed,
    OrderReplaced,
    OrdersCanceled,
    OrdersTouched,
    PlaceOrder,
)
from engine.actors.order.order import OrderActor
from engine.errors import CallError, CallNotSent, CallUnknown, CounterFull, OtherKey, StoreError
from engine.kraken.endpoints import CallClass, call_class, private_endpoint
from engine.kraken.key_info import KeyInfo
from engine.kraken.pairs import read_pairs
from engine.kraken.replies import read_reply
from engine.rules.lane.order_queue import names_of
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement
from engine.rules.order.replacement import Replacement
from engine.rules.order.validation import fit, params_of, reserves
from engine.simulator.customers import SimAccount, read_rows
from engine.simulator.exchange import Exchange
from engine.simulator.private_endpoints import ENDPOINTS
from engine.simulator.refusal import Refused
from engine.simulator.rules import Rules
from engine.values import Settings
from tests.manual_clock import ManualClock

NOW = 1_790_000_000.0
LASTS = 0.05  # seconds that a call takes
SETTINGS = Settings(order_deadline=10.0, settle_margin=30.0, follow_every=2.0, call_timeout=10.0)
_FILES = ("", "-wal", "-shm")
LISTS = ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory", "Ledgers", "QueryTrades")
PAIRS = read_pairs({
    name: {
        "altname": altname, "wsname": wsname, "base": base, "quote": "ZUSD", "status": "online", "cost_decimals": 5,
        "pair_decimals": decimals, "lot_decimals": 8, "ordermin": "0.0001", "costmin": "0.5", "tick_size": tick,
    }
    for name, altname, wsname, base, decimals, tick in (
        ("XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", 1, "0.1"), ("XETHZUSD", "ETHUSD", "ETH/USD", "XETH", 2, "0.01"),
    )
})  # fmt: skip

Fate = str
"""``good``; ``lost``: it never arrives; ``late``: it arrives after its answer was lost; ``unheard``: it is done and its
answer is lost; ``busy``; ``full``: our own counter holds it back; ``odd``: a count or a row is wrong."""


class World:
    """What is outside the order actor, and the actor itself."""

    def __init__(self) -> None:
        self.clock = ManualClock(epoch=NOW)
        self.exchange = Exchange(
            [SimAccount.of("MASTER"), SimAccount.of("OTHER")],
            Rules(wall=self.clock.wall, monotonic=self.clock.monotonic),
        )
        for name in ("MASTER", "OTHER"):
            with self.exchange.customer(name) as customer:
                customer.wallet.rows = read_rows({"ZUSD": "9000000.0000", "XXBT": "90.0000000000"})
        self.directory = Path(tempfile.mkdtemp())
        self.key = "MASTER"
        self.fates: list[tuple[Callable[[str], bool], Fate]] = []
        self.room = float("inf")
        self.is_owned = True
        self.events: list[Any] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._calls: list[tuple[int, int, PrivateCall]] = []
        self._copies: list[Path] = []
        self._late: list[tuple[float, str, str, dict[str, Any]]] = []
        self._start()

    # The actor's life

    def _start(self) -> None:
        self.actor = OrderActor(
            partial(JournalFile, self.directory, verify=self._verify), self, settings=SETTINGS, clock=self.clock,
            after=self._after, publish=self.events.append, invalidate=lambda account: None, live=True,
            drift=DriftLog(self.clock, lambda event: None), key_of=lambda account: self.key,
            spare=lambda account, seconds: self.room,
        )  # fmt: skip
        self.actor.on_start()

    def _verify(self) -> None:
        if not self.is_owned:
            raise StoreError("The directory is another engine's.")

    def copy_journal(self) -> Path:
        """The journal's files as they are now, in another directory."""
        copy = Path(tempfile.mkdtemp())
        for each in self.journal_files():
            shutil.copy(each, copy)
        self._copies.append(copy)
        return copy

    def journal_files(self) -> list[Path]:
        return [each for each in self.directory.glob(f"{FILE_NAME}*") if each.name.removeprefix(FILE_NAME) in _FILES]

    def look_after_damage(self) -> None:
        """A person has looked the orders up and moves away what was put aside."""
        for each in self.directory.glob(f"{FILE_NAME}.damaged-*"):
            each.unlink()

    def restart(self, *, crash: bool, meanwhile: Callable[[], object] = lambda: None) -> None:
        """The process ends, orderly or not, and a new one begins; what waited in the lane was never sent."""
        self._timers.clear()
        if crash:
            copy = Path(tempfile.mkdtemp())
            shutil.copytree(self.directory, copy, dirs_exist_ok=True)
            self._calls.clear()
            self.actor.closing()
            shutil.rmtree(self.directory)
            self.directory = copy
        else:
            left, self._calls = self._calls, []
            for *_, call in left:
                _tell(call, CallFailed(call, CallNotSent("The engine stopped before the call's turn came.")))
            self._handle()
            self.actor.closing()
        meanwhile()
        self._start()

    def close(self) -> None:
        self.actor.closing()
        for directory in (self.directory, *self._copies):
            shutil.rmtree(directory)

    def ask(self, message: Any) -> Any:
        """The actor's answer; a `Future` when it comes later."""
        try:
            return self.actor.on_receive(message)
        finally:
            self._handle()

    def _handle(self) -> None:
        inbox = self.actor.actor_inbox
        while inbox.backlog():
            self.actor.on_receive(inbox.get().message)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.clock.now + seconds, next(self._number), action))

    # The lane

    def tell(self, call: PrivateCall) -> None:
        """Take a call in, most urgent first; a cancel ends the placements that it covers."""
        kind = call_class(private_endpoint(call.endpoint), call.params)
        if kind is CallClass.CANCEL:
            orders = [each for each in self._calls if each[0] == CallClass.ORDER]
            names = names_of(call.params)
            covered = [each for each in orders if call.endpoint == "CancelAll" or names & names_of(each[2].params)]
            for each in covered:
                self._calls.remove(each)
                _tell(each[2], CallFailed(each[2], CallNotSent("A cancel that covers this placement came before.")))
        heapq.heappush(self._calls, (int(kind), next(self._number), call))

    def advance(self, seconds: float) -> None:
        """Let time pass: calls are made, timers run, and what was under way arrives, each in its turn."""
        end = self.clock.now + seconds
        while True:
            self._handle()
            due = [self._timers[0][0]] if self._timers else []
            due += [late[0] for late in self._late]
            due += [self.clock.now] if self._calls else []
            at = min(due, default=float("inf"))
            if at > end or self.clock.now > end:
                break
            self.clock.now = max(self.clock.now, at)
            self._arrive()
            while self._timers and self._timers[0][0] <= self.clock.now:
                heapq.heappop(self._timers)[2]()
            self._handle()
            if self._calls:
                self.clock.now += LASTS
                self._serve(heapq.heappop(self._calls)[2])
        self.clock.now = max(self.clock.now, end)

    def settle(self, future: Any, patience: float = 400.0) -> Any:
        """What a future brings, when time passes."""
        end = self.clock.now + patience
        while isinstance(future, Future) and not future.done() and self.clock.now < end:
            self.advance(0.5)
        return future.result(timeout=0) if isinstance(future, Future) else future

    def _serve(self, call: PrivateCall) -> None:
        fate = self._fate(call)
        try:
            if call.key_id not in (None, self.key):
                raise OtherKey("Another key.")
            if fate == "full":
                raise CounterFull("Full.", retry_after=1.5)
            params = {**call.params, **self._deadline(call)}
            if call.endpoint == "EditOrder":
                self.ask(EditComes(call.account, call.params["txid"]))
            result = self._make(call.endpoint, params, fate)
        except CallError as error:
            if call.endpoint == "EditOrder":
                is_unknown = isinstance(error, CallUnknown)
                told = OrdersTouched(call.account) if is_unknown else EditFailed(call.account, call.params["txid"])
                self.actor.actor_ref.tell(told)
            _tell(call, CallFailed(call, error))
            return
        if call.endpoint == "EditOrder" and (edit := Replacement.of(call.params, result)) is not None:
            self.actor.actor_ref.tell(OrderReplaced(call.account, edit))
        elif call.endpoint == "CancelOrder" and result.get("count"):
            self.actor.actor_ref.tell(OrdersCanceled(call.account, tuple(map(str, call.params.values()))))
        elif call.endpoint == "AmendOrder":
            self.actor.actor_ref.tell(OrdersTouched(call.account))
        _tell(call, CallDone(call, result, (), self.key))

    def _deadline(self, call: PrivateCall) -> dict[str, str]:
        if call.deadline_in is None:
            return {}
        deadline = call.reply_to.sending(self.clock.wall() + call.deadline_in)
        return {"deadline": datetime.fromtimestamp(deadline, UTC).isoformat()}

    def _fate(self, call: PrivateCall) -> Fate:
        for at, (fits, fate) in enumerate(self.fates):
            if fits(call.endpoint):
                del self.fates[at]
                return fate
        return "good"

    def _make(self, endpoint: str, params: dict[str, Any], fate: Fate) -> Any:
        """One call at the exchange, and what is heard of it."""
        if fate in ("lost", "busy"):
            raise CallUnknown(f"Kraken is {fate}.")
        if fate == "late":
            self._late.append((self.clock.now + 4.0, self.key, endpoint, params))
            raise CallUnknown("No answer came.")
        answer = self.execute(self.key, endpoint, params)
        if fate == "unheard":
            raise CallUnknown("No answer came.")
        return _spoilt(endpoint, answer) if fate == "odd" else answer

    def execute(self, name: str, endpoint: str, params: Mapping[str, Any]) -> Any:
        """A call at the exchange: its result as the lane reads it. Raises a `CallError`."""
        asked = {key: value if isinstance(value, list | dict) else str(value) for key, value in params.items()}
        try:
            with self.exchange.customer(name) as customer:
                envelope = {"error": [], "result": ENDPOINTS[endpoint].run(customer, asked)}
        except Refused as refusal:
            envelope = {"error": [str(refusal)]}
        return read_reply(200, json.dumps(envelope).encode(), private_endpoint(endpoint)).result

    def _arrive(self) -> None:
        for each in [each for each in self._late if each[0] <= self.clock.now]:
            self._late.remove(each)
            at, name, endpoint, params = each
            with self.exchange.market.moment(NOW + at), contextlib.suppress(CallError):  # nobody hears of a refusal
                self.execute(name, endpoint, params)

    # What people do

    def plan(self, name: str, pair: str, price: str, volume: str) -> Placement:
        """A placement as the engine plans it."""
        order = Order(pair, "buy", "limit", volume, price)
        found = PAIRS[pair]
        fitted = fit(order, found)
        return Placement(
            account="MASTER", id=name, cl_ord_id=f"{next(self._number):032x}", key_id=self.key, order=order,
            fitted=fitted, pair=found.id, params=params_of(fitted, found),
            reserved=reserves(fitted, found, Decimal("0.008")), times={"planned": self.clock.wall()},
            owner=self.owner(),
        )  # fmt: skip

    def owner(self) -> str | None:
        return KeyInfo.of(self.execute(self.key, "GetApiKeyInfo", {})).owner

    def place(self, plan: Placement) -> Any:
        return self.ask(PlaceOrder(plan, 5.0))

    def orders(self) -> dict[str, dict[str, Any]]:
        """What the exchange has of MASTER's orders, by txid."""
        with self.exchange.customer("MASTER") as customer:
            return {order.txid: order.row(trades=True) for order in customer.book.all()}

    def names(self) -> dict[str, str]:
        """The `cl_ord_id` of each order that has one, by txid."""
        return {txid: row["cl_ord_id"] for txid, row in self.orders().items() if row["cl_ord_id"]}

    def live(self) -> list[str]:
        return [txid for txid, row in self.orders().items() if row["status"] == "open"]

    def warnings(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, EngineWarning)]


def _tell(call: PrivateCall, message: CallDone | CallFailed) -> None:
    if call.reply_to is not None:
        call.reply_to.tell(message)


def _spoilt(endpoint: str, result: Any) -> Any:
    """The same with a count that does not fit, or where there is none, with a row that cannot be read."""
    if "count" in result:
        return {**result, "count": result["count"] + 7}
    rows = result.get("open", result)
    if not rows:
        return result
    first = next(iter(rows))
    spoilt = {**rows, first: {**rows[first], "vol_exec": "n/a", "status": "what"}}
    return {**result, "open": spoilt} if "open" in result else spoilt
