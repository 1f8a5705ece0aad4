"""What subscribers are told of. Every event is frozen; every field is said here once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.errors import CallError, Outcome
from engine.kraken.balances import summed
from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.report import GateReport
from engine.rules.order.order import OrderReceipt
from engine.values import Value
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class BalanceChanged(Value):
    """Event: a good reply brought other amounts than the last one."""

    account: str
    snapshot: BalanceSnapshot
    changes: Mapping[str, Decimal]
    """By how much each asset's total changed since the account's last event, under its plain name.

    An engine's first event of an account goes out from what the store knew. Over another key it goes on from the last.
    """

    def after(self, earlier: BalanceChanged) -> BalanceChanged:
        """This event and an earlier one of the account as one: the newest snapshot, and the sum of the changes."""
        return replace(self, changes=summed(earlier.changes, self.changes))


@dataclass(frozen=True, slots=True)
class AvailabilityChanged:
    """Event: an account became available or unavailable, or is unavailable for another reason.

    Each one's `before` is the `after` of the account's last one in this run. Between ``available`` and ``degraded``,
    and between ``unavailable`` and ``recovering``, nothing is told; `BalanceSnapshot.standing` shows them.
    """

    account: str
    is_available: bool
    reason: str | None
    """Why not, for a person; `None` when it is available."""
    before: Standing = Standing.UNKNOWN
    """From which standing."""
    after: Standing = Standing.UNKNOWN
    """To which."""


@dataclass(frozen=True, slots=True)
class CallFinished:
    """Event: a private call ended."""

    account: str
    endpoint: str
    outcome: Outcome
    error: CallError | None
    waited: float
    """Seconds in the mailbox."""
    seconds: float
    """Seconds under way."""
    call_class: str = "read"
    """Its class of service: ``cancel``, ``order``, ``settle`` or ``read``."""


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """Event: Kraken began or ceased to take an account's key."""

    account: str
    state: str
    """``open``, ``nonce-refused-once``, ``nonces-refused``, ``key-refused``, ``call-refused``,
    ``product-refused`` or ``locked-out``."""
    sentence: str
    """The likely cause and the remedy, for a person."""


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """Event: something happened to a placement; the last one of a placement says how it ended."""

    account: str
    receipt: OrderReceipt
    """What is known of it now."""


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """Event: more of a placement was traded than was known before. Its `OrderChanged` comes after it."""

    account: str
    receipt: OrderReceipt
    """What is known of it now, this fill included."""
    volume: Decimal
    """How much more, in the base asset."""
    cost: Decimal
    """For how much, in the quote asset."""
    fee: Decimal
    """Kraken's fee for it."""
    exec_id: str | None = None
    """Kraken's name of the trade, where its stream told of exactly that one (push)."""


@dataclass(frozen=True, slots=True)
class PassFinished:
    """Event: an account went through its gates, or was stopped by them."""

    account: str
    report: GateReport


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """Event: a person has acted on an account through the dashboard, or has tried to."""

    account: str
    action: str
    """What was asked for, such as ``cancel`` or ``pause trading``."""
    who: str
    """The name that the person gave, and the address it came from."""
    is_done: bool
    """Whether it was done; `False` also when that is not known."""
    sentence: str
    """What came of it, for a person."""


@dataclass(frozen=True, slots=True)
class EngineWarning:
    """Event: something a person should know. `code` is fixed, `message` is a sentence."""

    code: str
    message: str


def warn_by(publish: Callable[[Any], None]) -> Callable[[str, str], None]:
    """What takes a code and a sentence, and publishes them as an `EngineWarning`."""
    return lambda code, sentence: publish(EngineWarning(code, sentence))
