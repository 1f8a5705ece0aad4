"""What can be asked of an engine, wherever it runs: what `Engine` and `RemoteEngine` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, Literal, Protocol, overload

from engine.app.status import EngineStatus
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt

Amount = str | int | Decimal | None


class Verbs(Protocol):
    """An engine, in this process or in another one. Each method is that of `Engine`, from any thread."""

    @property
    def live(self) -> bool:
        """`Engine.live`."""
        ...

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.call`."""
        ...

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """`Engine.submit`."""
        ...

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.public`."""
        ...

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """`Engine.balance`."""
        ...

    def is_available(self, account: str) -> bool:
        """`Engine.is_available`."""
        ...

    def error_count(self, account: str) -> int:
        """`Engine.error_count`."""
        ...

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """`Engine.place`."""
        ...

    def cancel(self, account: str, receipt: OrderReceipt | str, timeout: float | None = None) -> OrderReceipt:
        """`Engine.cancel`."""
        ...

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """`Engine.cancel_all`."""
        ...

    def amend(
        self, account: str, receipt: OrderReceipt | str, price: Amount = None, volume: Amount = None,
        *, price2: Amount = None, display_volume: Amount = None, timeout: float | None = None,
    ) -> OrderReceipt:  # fmt: skip
        """`Engine.amend`."""
        ...

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
        ...

    def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        ...

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """`Engine.reserved`."""
        ...

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """`Engine.gates`."""
        ...

    def resume(self, account: str) -> None:
        """`Engine.resume`."""
        ...

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        ...

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        ...

    def status(self) -> EngineStatus:
        """`Engine.status`."""
        ...

    def subscribe(self, subscriber: Callable[[Any], object]) -> None:
        """`Engine.subscribe`, for callables."""
        ...

    def unsubscribe(self, subscriber: Callable[[Any], object]) -> None:
        """`Engine.unsubscribe`, for callables."""
        ...
