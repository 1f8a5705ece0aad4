"""kraken-engine: everything private between trading bots and the Kraken exchange, for any number of accounts.

`Engine` is the plain facade and `KrakenBroker` a drop-in for bots; the actors and their messages are for embedding in a
larger pykka system. Errors are in `engine.errors`, a Kraken to practise on is in `engine.simulator`. Names are loaded
on first use, so that importing only the errors or the simulator is quick.

Map
===
Rooms are named by subject; a row imports only from the rows above it, and nothing imports in a circle::

    errors  values                    the error tree; values that every room may use
    kraken/                           facts about Kraken: endpoints, signing, replies, names of assets and markets; pure
    rules/  lane balance order gates  what the engine decides: nonces, retries, availability, order states; pure
    store/  transport/  ownership     files, the connection to Kraken, who owns a state directory
    config                            environment variables and the configuration file
    actors/ runtime                   actors, mailboxes, timers and supervision; knows nothing of Kraken
            lane                      the one owner of the nonces, which makes every private call
            balance  order  trading   one balance for each account, the journal of orders, passes through the gates
            events  system            what subscribers are told, and how; the actors put together
    app/  broker                      `Engine` by subject, `RemoteEngine` for other processes, and `KrakenBroker`
    cli/  web/  doctor/  demo/        commands, dashboard and gateway, diagnosis, demonstration
    adapters/                         the engine behind the interfaces of krakenex, ccxt and python-kraken-sdk
    simulator/                        a strict Kraken on this machine, which imports nothing of the rest

A private call: ``app/calls`` → ``actors/lane/priority_mailbox`` → ``private`` → ``attempt`` → ``transport/session``.
From another process: ``app/remote/remote_engine`` → ``link`` → the Unix socket → ``web/remote`` → `Engine`.
An order: ``app/orders`` → ``actors/order/order`` → ``journal`` → the lane as a call → ``submission``.

Glossary
========
Calls
    A *private call* is signed with an account's API key. The *lane* makes them, one at a time, by *class of service*:
    cancel, order, settle (looking up an order), read. A *nonce* is the number that must rise with each call of a key;
    its *mark* is the durable upper bound of the nonces used so far. Each call ends with one *outcome*: done, *refused*
    (Kraken said no), *not sent* (nothing reached Kraken) or *unknown* (it may have been done).
Limits
    Kraken keeps a *call counter* for each key and a *trading counter* for each market; both fall with time, and their
    size depends on the account's *tier*. The *circuit breaker* of a key holds back calls that Kraken would refuse; now
    and then a *probe* goes out to see whether it is over. A *lockout* is Kraken's, for a key or an address.
Balances
    A *snapshot* is an immutable balance; *as of* is when it was asked for, from which its *age* counts. It is *fresh*,
    *stale* (older than `Settings.max_age`) or *unknown*. *Cash* is the total of the assets that count as
    cash; the *available* part is not held by open orders. *Availability* is whether the account may be used: its
    *standing* says why. *Silence* is a time without any good reply.
Orders
    A *placement* is an order that this engine was asked to place, named by its `id` (an idempotency key); the *journal*
    keeps it on disk, and a *receipt* tells its state. To *reconcile* is to find out from Kraken what became of an order
    whose outcome is unknown, never by sending it again. The *dead man's switch* lets Kraken cancel all orders of an
    account when the engine is not heard of.
Gates
    A *gate* allows or denies a trade, with reasons; doubt denies. A *pass* takes one account through all its gates, by
    a *plan*.
Actors
    An actor has a *mailbox*; to *tell* is to send a message, to *ask* is to wait for its answer as well. A *ref* is
    pykka's handle of an actor. The *supervisor* starts a successor for an actor that died.
Other
    The *state directory* holds all files of one engine. *Drift* is what is new, missing or odd in Kraken's replies. The
    *gateway* lets other programs on this machine use the engine. A *fault* is what the simulator is told to do wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import TYPE_CHECKING, Any

from engine.version import __version__ as __version__

if TYPE_CHECKING:
    from engine.actors.balance.balance import BalanceActor
    from engine.actors.balance.messages import ReadBalance
    from engine.actors.events import (
        AvailabilityChanged,
        BalanceChanged,
        CallFinished,
        EngineWarning,
        KeyChanged,
        OperatorActed,
        OrderChanged,
        OrderFilled,
        PassFinished,
    )
    from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
    from engine.actors.lane.private import KrakenPrivateActor
    from engine.actors.trading.trading import RunPass, TradingActor
    from engine.app import Engine
    from engine.app.remote.remote_engine import RemoteEngine
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
        LaneElsewhere,
        NotLive,
        OrderRejected,
        OrderUnknown,
        Outcome,
        PairUnsettled,
        StoreDamaged,
        StoreError,
        StoreInUse,
        TradingPaused,
    )
    from engine.kraken.drift import Drift
    from engine.rules.balance.availability import Standing
    from engine.rules.balance.history import BalanceMark, BalancePoint
    from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
    from engine.rules.gates.gate import Allow, Deny, Gate
    from engine.rules.gates.gates import FIVE_GATES
    from engine.rules.gates.plan import Candidate, TradePlan
    from engine.rules.gates.report import GateReport, GateResult, GateState
    from engine.rules.gates.view import TradeView
    from engine.rules.order.close import ConditionalClose
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
    "BalanceMark",
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
    "ConditionalClose",
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
    "LaneElsewhere",
    "NotLive",
    "OpenOrder",
    "OperatorActed",
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
    "RemoteEngine",
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
    "TradingPaused",
]

_ROOMS = {
    "engine.actors.balance.balance": ("BalanceActor",),
    "engine.actors.events": (
        "AvailabilityChanged",
        "BalanceChanged",
        "CallFinished",
        "EngineWarning",
        "KeyChanged",
        "OperatorActed",
        "OrderChanged",
        "OrderFilled",
        "PassFinished",
    ),
    "engine.actors.balance.messages": ("ReadBalance",),
    "engine.actors.lane.messages": ("CallDone", "CallFailed", "PrivateCall"),
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
        "LaneElsewhere",
        "NotLive",
        "OrderRejected",
        "OrderUnknown",
        "Outcome",
        "PairUnsettled",
        "StoreDamaged",
        "StoreError",
        "StoreInUse",
        "TradingPaused",
    ),
    "engine.kraken.drift": ("Drift",),
    "engine.rules.balance.availability": ("Standing",),
    "engine.rules.balance.snapshot": ("BalanceSnapshot", "BalanceState"),
    "engine.rules.gates.report": ("GateReport", "GateResult", "GateState"),
    "engine.rules.gates.gates": ("FIVE_GATES",),
    "engine.rules.balance.history": ("BalanceMark", "BalancePoint"),
    "engine.rules.order.states": ("OrderState",),
    "engine.rules.order.close": ("ConditionalClose",),
    "engine.rules.order.open_order": ("OpenOrder",),
    "engine.rules.order.order": ("Order", "OrderReceipt"),
    "engine.rules.gates.plan": ("Candidate", "TradePlan"),
    "engine.rules.gates.gate": ("Allow", "Deny", "Gate"),
    "engine.rules.gates.view": ("TradeView",),
    "engine.app.remote.remote_engine": ("RemoteEngine",),
    "engine.app.status": ("EngineStatus",),
    "engine.values": ("Account", "AssetBalance", "Secret", "Settings"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

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
