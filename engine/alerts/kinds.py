"""The kinds of alerts, and what of an engine's events belongs to each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from engine.actors.events import AvailabilityChanged, EngineWarning, KeyChanged, OrderChanged
from engine.rules.balance.silence import SILENT
from engine.rules.lane.key_state import KeyState
from engine.rules.order.states import OrderState


class Kind(Enum):
    """What an alert is about."""

    UNAVAILABLE = "unavailable"
    SILENCE = "silence"
    UNKNOWN_ORDER = "unknown-order"
    NONCE = "nonce"
    KEY = "key"
    DRIFT = "drift"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """What is told of once: a condition that comes and goes, or something that happened."""

    kind: Kind
    account: str | None = None
    detail: str = ""
    """What tells two of a kind apart: an order's id, a warning's code."""


@dataclass(frozen=True, slots=True)
class Began:
    """A condition holds from now on; `text` says what it is now."""

    subject: AlertSubject
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A condition holds no longer, if it did."""

    subject: AlertSubject


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened that has no end."""

    subject: AlertSubject
    text: str


News = Began | Ended | Happened

_DISK = frozenset({
    "nonces-restored", "nonces-lost", "nonces-failing", "nonces-copy-failing", "ownership-lost", "journal-damaged",
    "order-not-kept", "balances-lost", "balance-not-kept", "history-lost", "limits-lost", "limits-not-kept",
    "facts-lost", "gateway-keys-lost",
})  # fmt: skip
_NONCE = frozenset({KeyState.NONCE_REFUSED_ONCE.value, KeyState.NONCES_REFUSED.value})
_KEY = frozenset({KeyState.KEY_REFUSED.value, KeyState.LOCKED_OUT.value, KeyState.CALL_REFUSED.value})


def news(event: Any) -> Iterator[News]:
    """What an event of the engine's says about the subjects of alerts."""
    match event:
        case AvailabilityChanged():
            yield from _availability(event)
        case KeyChanged():
            for kind, states in ((Kind.NONCE, _NONCE), (Kind.KEY, _KEY)):
                subject = AlertSubject(kind, event.account)
                yield Began(subject, event.sentence) if event.state in states else Ended(subject)
        case OrderChanged():
            subject = AlertSubject(Kind.UNKNOWN_ORDER, event.account, event.receipt.id)
            text = f"What became of order {event.receipt.id} is not known: it is looked up, do not place it again."
            yield Began(subject, text) if event.receipt.state is OrderState.UNKNOWN else Ended(subject)
        case EngineWarning(code="order-unknown"):  # one that an earlier run has left
            yield Happened(AlertSubject(Kind.UNKNOWN_ORDER, detail=event.message), event.message)
        case EngineWarning(code="kraken-changed"):
            yield Happened(AlertSubject(Kind.DRIFT, detail=event.message), event.message)
        case EngineWarning() if event.code in _DISK:
            yield Happened(AlertSubject(Kind.DISK, detail=event.code), event.message)


def _availability(event: AvailabilityChanged) -> Iterator[News]:
    silence, unavailable = AlertSubject(Kind.SILENCE, event.account), AlertSubject(Kind.UNAVAILABLE, event.account)
    reason = event.reason or "the reason is not known"
    if event.is_available:
        yield from (Ended(silence), Ended(unavailable))
    elif reason.startswith(SILENT):
        yield from (Ended(unavailable), Began(silence, reason))
    else:
        yield from (Ended(silence), Began(unavailable, reason))
