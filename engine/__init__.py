"""kraken-engine: what gets a trading bot through to Kraken.

`Engine` is the plain facade, `KrakenBroker` the drop-in for bots; the actors and their messages are for embedding in a
larger pykka system. Errors are in `engine.errors`, a Kraken to try it on in `engine.simulator`.
"""

import logging

from engine.actors.balance import BalanceActor
from engine.actors.events import (
    AvailabilityChanged,
    BalanceChanged,
    CallFinished,
    EngineWarning,
    KeyChanged,
    OrderChanged,
    PassFinished,
)
from engine.actors.messages import CallDone, CallFailed, PrivateCall, ReadBalance
from engine.actors.private import KrakenPrivateActor
from engine.actors.trading import RunPass, TradingActor
from engine.app import Engine
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
from engine.rules.availability import Standing
from engine.rules.balances import BalanceSnapshot, BalanceState
from engine.rules.gate_report import GateReport, GateResult, GateState
from engine.rules.gates import FIVE_GATES
from engine.rules.history import BalancePoint
from engine.rules.order_states import OrderState
from engine.rules.orders import Order, OrderReceipt
from engine.rules.plan import TradePlan
from engine.rules.verdicts import Allow, Deny, Gate
from engine.rules.view import Candidate, TradeView
from engine.status import EngineStatus
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
    "Order",
    "OrderChanged",
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

logging.getLogger(__name__).addHandler(logging.NullHandler())
