"""`RemoteEngine`: the engine that another process of this user runs, with the methods of `Engine`."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from engine import config
from engine.app.call_threads import AT_ONCE, CallThreads
from engine.app.one_type import one_type
from engine.app.remote.event_stream import EventStream
from engine.app.remote.link import Unanswered
from engine.app.remote.place import Directory
from engine.app.remote.questions import GRACE, QUICK, Questions, may_repeat
from engine.app.remote.remote_future import RemoteFuture
from engine.app.status import EngineStatus
from engine.app.verbs import Amount
from engine.errors import CallUnknown, ConfigError, EngineError, EngineStopped, OrderUnknown, StoreInUse
from engine.rules.balance.snapshot import BalanceSnapshot, never
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.lane.retry import cancels_by_name
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt, check_id
from engine.rules.order.states import OrderState

if TYPE_CHECKING:
    from engine.app.aio import AsyncEngine

_LOST = "The service gave no answer: look up what became of {what}."
_ORDER_LOST = (
    "The service gave no answer, so whether order {id!r} was placed is not known: place it again under the same id, "
    "and it ends as that one did."
)


@one_type
class RemoteEngine:
    """The engine of another process of this user: a `kraken-engine serve`, or one with `engine.serve()`.

    `Engine.connect` makes it. Every method takes, returns and raises what `Engine`'s method of that name does, and the
    engine there does all the work: many processes share one lane, one journal and one balance. Thread-safe; it goes on
    in a forked child and can be pickled for a spawned one. It holds no key.

    Each method raises `EngineStopped` when nobody serves, before anything was sent. When the service ends while an
    answer is due, what changes nothing is asked again within the caller's time, and so are a placement, by its id, and
    a cancel: done twice, they are as if they were done once. Any other write ends as `CallUnknown`, and a placement as
    `OrderUnknown`, when there is no answer until then. A method waits at most its `timeout` and three more seconds.
    """

    def __init__(self, state_dir: str | os.PathLike[str] | None = None) -> None:
        self._directory = config.served_directory(state_dir)
        self._ask_at(Questions(Directory(self._directory)))

    def _ask_at(self, questions: Questions) -> None:
        self._questions = questions
        self._streams: dict[Callable[[Any], object], EventStream] = {}
        self._changed: dict[str, float] = {}  # when this client last changed something of an account
        self._threads_of: tuple[int, CallThreads] | None = None
        self._aio_of: tuple[int, AsyncEngine] | None = None

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.call`."""
        again = may_repeat(endpoint, params, endpoint_class)
        what = f"{endpoint} of account {account}"
        lost = CallUnknown(_LOST.format(what=what), account=account, endpoint=endpoint)
        try:
            return self._questions.ask(
                "call", timeout, lost, again=again, account=account, endpoint=endpoint, params=params,
                endpoint_class=endpoint_class,
            )  # fmt: skip
        finally:
            if not again or cancels_by_name(endpoint, params):
                self._note_change(account)

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """`Engine.submit`. The future's `cancel()` asks the service, and works while the call waits in the lane."""
        seconds, token = self._questions.seconds(timeout), uuid.uuid4().hex
        future = RemoteFuture(partial(self._withdraw, token))
        lost = CallUnknown(_LOST.format(what=endpoint), account=account, endpoint=endpoint)
        try:
            answer = self._questions.follow(
                "submit", token=token, account=account, endpoint=endpoint, params=params, timeout=seconds,
                endpoint_class=endpoint_class,
            )  # fmt: skip
            answer.open(GRACE)
            self._threads.start(partial(future.settle, answer, lost))
        except Unanswered:
            future.set_exception(lost)
        except EngineError as error:
            future.set_exception(error)
        return future

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.public`, made by the engine's process."""
        lost = CallUnknown(_LOST.format(what=endpoint), endpoint=endpoint)
        return self._questions.ask(
            "public", timeout, lost, again=True, endpoint=endpoint, params=params, endpoint_class=endpoint_class
        )

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """`Engine.balance`. The snapshot grows older here as it does there.

        What another process changes does not make a snapshot of this one stale before its age does; what this client
        changes does.
        """
        found: BalanceSnapshot = self._questions.ask("balance", timeout, again=True, account=account, max_age=max_age)
        return replace(found, _invalidated_at=lambda: self._changed.get(account, never()))

    def is_available(self, account: str) -> bool:
        """`Engine.is_available`; `False` as well when nobody serves."""
        try:
            return bool(self._questions.at_once("is_available", account=account))
        except (EngineStopped, StoreInUse):
            return False

    def error_count(self, account: str) -> int:
        """`Engine.error_count`."""
        return int(self._questions.at_once("error_count", account=account))

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """`Engine.place`. Without an `id` one is made up before the order is sent; the receipt has it, and it is kept
        as long as one that was given.

        When the answer is lost the same id is asked for again, until the time is over: there is one order.
        """
        if not isinstance(order, Order):
            raise ConfigError("What is placed is an Order.")
        name = uuid.uuid4().hex if id is None else check_id(id)
        sentence = _ORDER_LOST.format(id=name)
        receipt = OrderReceipt(name, account, order, OrderState.UNKNOWN, reason="The service gave no answer.")
        lost = OrderUnknown(sentence, receipt, account=account, endpoint="AddOrder")
        try:
            placed: OrderReceipt = self._questions.ask(
                "place", timeout, lost, again=True, account=account, order=order, id=name
            )
            return placed
        finally:
            self._note_change(account)

    def cancel(self, account: str, receipt: OrderReceipt | str, timeout: float | None = None) -> OrderReceipt:
        """`Engine.cancel`."""
        known = receipt if isinstance(receipt, OrderReceipt) else None
        lost = OrderUnknown(_LOST.format(what="the cancel"), known, account=account, endpoint="CancelOrder")
        try:
            over: OrderReceipt = self._questions.ask(
                "cancel", timeout, lost, again=True, account=account, receipt=_name_of(receipt)
            )
            return over
        finally:
            self._note_change(account)

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """`Engine.cancel_all`."""
        lost = CallUnknown(_LOST.format(what="the cancels"), account=account, endpoint="CancelAll")
        try:
            return int(self._questions.ask("cancel_all", timeout, lost, again=True, account=account))
        finally:
            self._note_change(account)

    def amend(
        self, account: str, receipt: OrderReceipt | str, price: Amount = None, volume: Amount = None,
        *, price2: Amount = None, display_volume: Amount = None, timeout: float | None = None,
    ) -> OrderReceipt:  # fmt: skip
        """`Engine.amend`."""
        known = receipt if isinstance(receipt, OrderReceipt) else None
        lost = OrderUnknown(_LOST.format(what="the amend"), known, account=account, endpoint="AmendOrder")
        try:
            amended: OrderReceipt = self._questions.ask(
                "amend", timeout, lost, again=False, account=account, receipt=_name_of(receipt), price=price,
                volume=volume, price2=price2, display_volume=display_volume,
            )  # fmt: skip
            return amended
        finally:
            self._note_change(account)

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[False] = False
    ) -> tuple[OrderReceipt, ...]: ...

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[True]
    ) -> tuple[OpenOrder, ...]: ...

    def open_orders(
        self, account: str, timeout: float | None = None, *, all: bool = False
    ) -> tuple[OrderReceipt, ...] | tuple[OpenOrder, ...]:
        """`Engine.open_orders`."""
        found: tuple[Any, ...] = self._questions.ask("open_orders", timeout, again=True, account=account, all=all)
        return found

    def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        receipt: OrderReceipt = self._questions.at_once("order", account=account, id=id)
        return receipt

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """`Engine.reserved`."""
        found: Mapping[str, Decimal] = self._questions.at_once("reserved", account=account)
        return found

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """`Engine.gates`. Raises `ConfigError` for a plan with a scanner, a strategy or gates of yours, which are code.

        A pass that may have placed an order ends as `CallUnknown` when its answer is lost: `open_orders` shows it.
        """
        lost = CallUnknown(_LOST.format(what="the pass"), account=account, endpoint="AddOrder")
        try:
            report: GateReport = self._questions.ask(
                "gates", timeout, lost, again=dry, patience=_pass_time(plan), account=account, plan=plan, dry=dry
            )
            return report
        finally:
            if not dry:
                self._note_change(account)

    def resume(self, account: str) -> None:
        """`Engine.resume`."""
        self._questions.at_once("resume", account=account)

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        self._ask_twice("pause_trading", account, timeout)

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        self._ask_twice("resume_trading", account, timeout)

    def status(self) -> EngineStatus:
        """`Engine.status`."""
        found: EngineStatus = self._questions.at_once("status")
        return found

    @property
    def live(self) -> bool:
        """Whether the engine there may trade."""
        return bool(self._questions.hello()["live"])

    @property
    def aio(self) -> AsyncEngine:
        """The same methods as coroutines, and the events as an asynchronous iterator."""
        known = self._aio_of
        if known is None or known[0] != os.getpid():
            from engine.app.aio import AsyncEngine  # noqa: PLC0415 - only where there is asyncio

            known = self._aio_of = (os.getpid(), AsyncEngine(self, self._stream))
        return known[1]

    def subscribe(self, subscriber: Callable[[Any], object]) -> None:
        """Give every event from now on, in order, to a callable, which is called in a thread of its own.

        It ends with `unsubscribe`, `close`, or the service. While the callable is busy the service keeps the newest
        10,000 events; an `EngineWarning` ``events-dropped`` says how many were lost.
        """
        if not callable(subscriber):
            raise ConfigError("A RemoteEngine gives its events to a callable, such as a function.")
        self.unsubscribe(subscriber)
        lines = self._questions.follow("events")
        with contextlib.suppress(Unanswered):  # then it is over at once
            lines.open(GRACE)
        self._streams[subscriber] = EventStream(lines, subscriber)

    def unsubscribe(self, subscriber: Callable[[Any], object]) -> None:
        """Give no more events to `subscriber`."""
        stream = self._streams.pop(subscriber, None)
        if stream is not None:
            stream.close()

    def service(self, question: str, timeout: float = QUICK, **asked: Any) -> Any:
        """What the service beside the engine answers, such as its gateway keys: for the command line.

        Raises `ConfigError` for a question or arguments that it does not know.
        """
        lost = CallUnknown(_LOST.format(what=question))
        return self._questions.ask(question, timeout, lost, again=False, is_timed=False, **asked)

    def close(self) -> None:
        """End the connections and subscriptions; the engine goes on. A later call raises `EngineStopped`."""
        for subscriber in tuple(self._streams):
            self.unsubscribe(subscriber)
        self._questions.close()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self._directory),)

    def _stream(self, take: Callable[[Any], object]) -> EventStream:
        """A subscription, made without waiting: for an event loop."""
        return EventStream(self._questions.follow("events", within=0.0), take)

    def _ask_twice(self, question: str, account: str, timeout: float | None) -> None:
        """What changes an account here and, done twice, is as if it were done once."""
        lost = CallUnknown(_LOST.format(what=question), account=account)
        self._questions.ask(question, timeout, lost, again=True, account=account)

    def _withdraw(self, token: str) -> bool:
        with contextlib.suppress(EngineError):
            return bool(self._questions.at_once("withdraw", token=token))
        return False

    def _note_change(self, account: str) -> None:
        self._changed[account] = time.monotonic()

    @property
    def _threads(self) -> CallThreads:
        """Those of this process: a forked child has none of its parent's."""
        known = self._threads_of
        if known is None or known[0] != os.getpid():
            known = self._threads_of = (os.getpid(), CallThreads(AT_ONCE, "kraken-engine submit"))
        return known[1]


def _name_of(receipt: OrderReceipt | str) -> str:
    """By which the engine knows the placement; a receipt that was made here has no name of the engine's."""
    return (receipt.cl_ord_id or receipt.id) if isinstance(receipt, OrderReceipt) else receipt


def _pass_time(plan: TradePlan | None) -> float:
    """Seconds that a pass may take in all beyond its timeout, which is that of each of its steps."""
    return 60.0 if plan is None else 60.0 + 3 * plan.patience
