"""kraken-engine: what gets a trading bot through to Kraken.

`Engine` is the plain facade, `KrakenBroker` the drop-in for bots; the actors and their messages are for embedding in a
larger pykka system. Errors are in `engine.errors`, a Kraken to try it on in `engine.simulator`.

A name is loaded when it is first asked for, so that whoever only wants the errors or the simulator waits for no more.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import TYPE_CHECKING, Any

from engine.version import __version__ as __version__

if TYPE_CHECKING:
    from engine.actors.balance.balance import BalanceActor
    from engine.actors.events import (
        AvailabilityChanged,
        BalanceChanged,
        CallFinished,
        EngineWarning,
        KeyChanged,
        OrderChanged,
        OrderFilled,
        PassFinished,
    )
    from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall, ReadBalance
    from engine.actors.lane.private import KrakenPrivateActor
    from engine.actors.trading.trading import RunPass, TradingActor
    from engine.app import Engine
    from engine.app.status import EngineStatus
    from engine.broker import AccountType, KrakenBroker
    from engine.errors import (
        BalanceUnknown,
        CallError,
        CallNotSent,
        CallRefused,
        CallUnknown,
        ConfigError,
        EngineError,
        GateDenied,
        NotLive,
        OrderRejected,
        OrderUnknown,
        Outcome,
        PairUnsettled,
        StoreDamaged,
        StoreError,
        StoreInUse,
    )
    from engine.kraken.drift import Drift
    from engine.rules.balance.availability import Standing
    from engine.rules.balance.history import BalancePoint
    from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
    from engine.rules.gates.gate import Allow, Deny, Gate
    from engine.rules.gates.gates import FIVE_GATES
    from engine.rules.gates.plan import Candidate, TradePlan
    from engine.rules.gates.report import GateReport, GateResult, GateState
    from engine.rules.gates.view import TradeView
    from engine.rules.order.open_order import OpenOrder
    from engine.rules.order.order import Order, OrderReceipt
    from engine.rules.order.states import OrderState
    from engine.values import Account, AssetBalance, Secret, Settings

__all__ = [
    "FIVE_GATES",
    "Account",
    "AccountType",
    "Allow",
    "AssetBalance",
    "AvailabilityChanged",
    "BalanceActor",
    "BalanceChanged",
    "BalancePoint",
    "BalanceSnapshot",
    "BalanceState",
    "BalanceUnknown",
    "CallDone",
    "CallError",
    "CallFailed",
    "CallFinished",
    "CallNotSent",
    "CallRefused",
    "CallUnknown",
    "Candidate",
    "ConfigError",
    "Deny",
    "Drift",
    "Engine",
    "EngineError",
    "EngineStatus",
    "EngineWarning",
    "Gate",
    "GateDenied",
    "GateReport",
    "GateResult",
    "GateState",
    "KeyChanged",
    "KrakenBroker",
    "KrakenPrivateActor",
    "NotLive",
    "OpenOrder",
    "Order",
    "OrderChanged",
    "OrderFilled",
    "OrderReceipt",
    "OrderRejected",
    "OrderState",
    "OrderUnknown",
    "Outcome",
    "PairUnsettled",
    "PassFinished",
    "PrivateCall",
    "ReadBalance",
    "RunPass",
    "Secret",
    "Settings",
    "Standing",
    "StoreDamaged",
    "StoreError",
    "StoreInUse",
    "TradePlan",
    "TradeView",
    "TradingActor",
]

_ROOMS = {
    "engine.actors.balance.balance": ("BalanceActor",),
    "engine.actors.events": (
        "AvailabilityChanged",
        "BalanceChanged",
        "CallFinished",
        "EngineWarning",
        "KeyChanged",
        "OrderChanged",
        "OrderFilled",
        "PassFinished",
    ),
    "engine.actors.lane.messages": ("CallDone", "CallFailed", "PrivateCall", "ReadBalance"),
    "engine.actors.lane.private": ("KrakenPrivateActor",),
    "engine.actors.trading.trading": ("RunPass", "TradingActor"),
    "engine.app": ("Engine",),
    "engine.broker": ("AccountType", "KrakenBroker"),
    "engine.errors": (
        "BalanceUnknown",
        "CallError",
        "CallNotSent",
        "CallRefused",
        "CallUnknown",
        "ConfigError",
        "EngineError",
        "GateDenied",
        "NotLive",
        "OrderRejected",
        "OrderUnknown",
        "Outcome",
        "PairUnsettled",
        "StoreDamaged",
        "StoreError",
        "StoreInUse",
    ),
    "engine.kraken.drift": ("Drift",),
    "engine.rules.balance.availability": ("Standing",),
    "engine.rules.balance.snapshot": ("BalanceSnapshot", "BalanceState"),
    "engine.rules.gates.report": ("GateReport", "GateResult", "GateState"),
    "engine.rules.gates.gates": ("FIVE_GATES",),
    "engine.rules.balance.history": ("BalancePoint",),
    "engine.rules.order.states": ("OrderState",),
    "engine.rules.order.open_order": ("OpenOrder",),
    "engine.rules.order.order": ("Order", "OrderReceipt"),
    "engine.rules.gates.plan": ("Candidate", "TradePlan"),
    "engine.rules.gates.gate": ("Allow", "Deny", "Gate"),
    "engine.rules.gates.view": ("TradeView",),
    "engine.app.status": ("EngineStatus",),
    "engine.values": ("Account", "AssetBalance", "Secret", "Settings"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

"""The one source: setup.cfg reads it from here."""

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        found = globals()[name] = getattr(importlib.import_module(_ROOM_OF[name]), name)
        return found
    if not name.startswith("_"):  # `engine.errors`, which `import engine` alone has not loaded
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
