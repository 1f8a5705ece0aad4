"""Push of one engine: what Kraken's stream tells goes to the actors, and what it needs comes through the lane."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pykka

from engine.actors.balance.messages import Compare
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning, warn_by
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.messages import AccountsWithOrders, StreamLive, StreamTold
from engine.errors import CallError, CallUnknown, EngineStopped
from engine.kraken.price_stream import symbol_of
from engine.kraken.stream import TOKEN, Execution
from engine.rules.stream.price_subscription import PushedPrice
from engine.rules.stream.subscription import StreamState
from engine.stream.ears import Ears
from engine.stream.price_board import PriceBoard, PricesReport
from engine.stream.pulse import Pulse, PushReport
from engine.values import Clock, Pair, Secret, Settings

STREAM = "WebSocket"  # the endpoint under which drift of the stream is counted
ORDERS_KNOWN_WITHIN = 1.0  # seconds that a start waits to learn which accounts have orders
_NOT_INSTALLED = (
    "Push is off: {library} is not installed (pip install 'kraken-engine[push]' from the clone). Everything else works "
    "as without push."
)

Tell = Callable[[str, Any], None]
"""Tells the actor of that name; raises `KeyError` or `pykka.ActorDeadError` when there is none."""


class _TokenReply:
    """Gets the lane's answer. Runs in the lane's thread."""

    def __init__(self, answer: Callable[[Secret | CallError], None]) -> None:
        self._answer = answer

    def tell(self, message: CallDone | CallFailed) -> None:
        """Hand the token on; it goes nowhere else."""
        if isinstance(message, CallFailed):
            self._answer(message.error)
            return
        token = message.result.get("token") if isinstance(message.result, dict) else None
        if isinstance(token, str) and token:
            self._answer(Secret(token))
        else:
            self._answer(CallUnknown("Kraken's answer holds no token.", endpoint=TOKEN))


class PushLink:
    """Thread-safe. Without `Settings.push`, or without the extra that it needs, there is no stream and no pulse.

    tell: reaches an actor by name; `lane` and `orders` are such names, `balance_of` gives that of an account's
    `BalanceActor`. invalidate: marks an account's balance as changed, at once.
    """

    def __init__(
        self, settings: Settings, clock: Clock, drift: DriftLog, *, tell: Tell, lane: str, orders: str,
        balance_of: Callable[[str], str], invalidate: Callable[[str], None], publish: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._drift = settings, clock, drift
        self._tell, self._lane, self._orders, self._balance_of = tell, lane, orders, balance_of
        self._invalidate, self._publish = invalidate, publish
        self._pulses: dict[str, Pulse] = {}
        self._prices = PriceBoard(clock)
        self._with_orders: frozenset[str] = frozenset()
        self._push: Any = None
        self._is_off = not settings.push

    def pulse(self, account: str) -> Pulse | None:
        """The account's pulse; `None` without push."""
        if self._is_off:
            return None
        return self._pulses.setdefault(account, Pulse(account, self._clock))

    def prepare(self) -> None:
        """Look whether there can be push; before the balances start. Raises `ConfigError` for a URL or a CA file."""
        if self._is_off:
            return
        try:
            connection = importlib.import_module("engine.stream.connection")
            push = importlib.import_module("engine.stream.push")
        except ImportError as error:
            self._is_off = True
            library = str(error.name).partition(".")[0]
            self._publish(EngineWarning("push-not-installed", _NOT_INSTALLED.format(library=library)))
            return
        ears = Ears(
            self._ask_token, self._invalidate, self._live, self._executions, self._first,
            warn_by(self._publish), self._drift.noter(STREAM),
        )  # fmt: skip
        endpoints = connection.StreamEndpoints.of(self._settings)
        self._push = push.Push(endpoints, self._settings, ears, self._sure_pulse, self._prices)

    def start(self, accounts: Iterable[str]) -> None:
        """Begin the streams of these accounts."""
        if self._push is None:
            return
        known = threading.Event()
        self._ask_who_has_orders(known.set)
        known.wait(ORDERS_KNOWN_WITHIN)
        self._push.start(accounts)

    def keep(self, account: str) -> None:
        """Begin an account's stream, or begin it anew: its key is another one."""
        if self._push is not None:
            self._push.keep(account)

    def resume(self, account: str) -> None:
        """Begin an account's stream anew if Kraken has refused it to the key."""
        pulse = self._pulses.get(account)
        if pulse is not None and pulse.report.state is StreamState.ENDED:
            self.keep(account)

    def drop(self, account: str) -> None:
        """End an account's stream."""
        if self._push is not None:
            self._push.drop(account)
            self._pulses.pop(account, None)

    def stop(self, timeout: float) -> bool:
        """End all of them; whether that was done in time. A later `prepare` begins anew."""
        push, self._push = self._push, None
        return push is None or bool(push.stop(timeout))

    @property
    def is_dead(self) -> bool:
        """Whether its thread should run and does not."""
        push = self._push
        return push is not None and not push.is_alive

    def is_live(self, account: str) -> bool:
        """Whether the account's stream is believed now."""
        pulse = self._pulses.get(account)
        return pulse is not None and pulse.is_live

    def reports(self) -> tuple[PushReport, ...]:
        """The state of each account's stream."""
        return tuple(pulse.report for pulse in tuple(self._pulses.values()))

    def prices(self, pairs: Iterable[Pair], max_age: float) -> dict[str, PushedPrice]:
        """The prices of these pairs that the public stream tells now, at most so old (seconds), by the pair's id.

        What is not in it has to be asked for by REST; the stream is asked for it from now on.
        """
        if self._push is None:
            return {}
        ids = {symbol: pair.id for pair in pairs if (symbol := symbol_of(pair)) is not None}
        return {ids[symbol]: price for symbol, price in self._prices.ask(ids, max_age).items()}

    def prices_report(self) -> PricesReport | None:
        """The state of the public stream; `None` without push."""
        return None if self._is_off else self._prices.report

    # In the push thread

    def _sure_pulse(self, account: str) -> Pulse:
        return self._pulses.setdefault(account, Pulse(account, self._clock))

    def _ask_token(self, account: str, answer: Callable[[Secret | CallError], None]) -> None:
        call = PrivateCall(account, TOKEN, reply_to=_TokenReply(answer), listens=True)
        try:
            self._tell(self._lane, call)
        except (KeyError, pykka.ActorDeadError):
            answer(EngineStopped("The lane is not running."))

    def _live(self, account: str) -> None:
        self._tell_if_there(self._balance_of(account), Compare())
        self._tell_if_there(self._orders, StreamLive(account))

    def _executions(self, account: str, rows: tuple[Execution, ...], is_snapshot: bool) -> None:
        self._tell_if_there(self._orders, StreamTold(account, rows, is_snapshot))

    def _first(self) -> frozenset[str]:
        """The accounts with orders, as they were told last; they are asked for again."""
        self._ask_who_has_orders(lambda: None)
        return self._with_orders

    def _ask_who_has_orders(self, told: Callable[[], object]) -> None:
        self._tell_if_there(self._orders, AccountsWithOrders(partial(self._take_with_orders, told)))

    def _take_with_orders(self, told: Callable[[], object], accounts: frozenset[str]) -> None:
        self._with_orders = accounts
        told()

    def _tell_if_there(self, name: str, message: Any) -> None:
        try:
            self._tell(name, message)
        except (KeyError, pykka.ActorDeadError):
            return
