"""What the `OrderActor` is asked and told. Every message is frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.errors import CallError
from engine.kraken.stream import Execution
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement
from engine.rules.order.replacement import Replacement
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Asks for an order to be placed; answered with its `Placement` when it is settled or the time is over.

    An id that is placed already, or under way, gets the placement that is there; so does a client's name for the same
    order while that is not over. Raises `IdInUse`, `PairUnsettled`, or how the attempt failed.
    """

    plan: Placement
    timeout: float


@dataclass(frozen=True, slots=True)
class Answered:
    """Tells that the lane has answered a placement, as the journal knows; `error` is how the attempt ended."""

    cl_ord_id: str
    error: CallError | None


@dataclass(frozen=True, slots=True)
class PlaceBatch:
    """Asks for orders to be placed by one call; answered with how each of them ended, as `PlaceOrder` is.

    Raises `IdInUse`, `PairUnsettled` or `CallNotSent` when none of them is sent.
    """

    plans: tuple[Placement, ...]
    timeout: float


@dataclass(frozen=True, slots=True)
class FindOrder:
    """Asks for a `Placement` by id, `cl_ord_id` or txid; the answer is `None` when there is none."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class FindOrders:
    """Asks for the placements of orders at Kraken, by txid.

    names: each txid with the `cl_ord_id` that Kraken has for it, if any.
    """

    account: str
    names: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ClientOrders:
    """Asks for the placements to which a client has given this `cl_ord_id` or `userref`; the newest first.

    client: the gateway's key; `None` for orders that were placed in the process. is_open: only those not over.
    """

    account: str
    client: str | None
    param: str
    value: str | int
    is_open: bool


@dataclass(frozen=True, slots=True)
class UnsettledFunds:
    """Asks what placements of unknown outcome or amounts may use: amounts by Kraken's asset name."""

    account: str


@dataclass(frozen=True, slots=True)
class CancelPlacement:
    """Asks for a placement to be canceled; answered with its `Placement` when it is final, or over at the timeout.

    The request is durable, and repeated until the order is over. Raises `OrderUnknown` when the order may still be open
    at the timeout, and Kraken's refusal when it cannot be canceled.
    """

    cl_ord_id: str
    timeout: float


@dataclass(frozen=True, slots=True)
class CancelAllComes:
    """Asks for every placement of an account that is not over to be canceled, as `CancelAll` goes out; answered with
    their `cl_ord_id`s. They are canceled once `CancelAllCame` arrives."""

    account: str


@dataclass(frozen=True, slots=True)
class CancelAllCame:
    """Asks what became of placements after a `CancelAll`, and to cancel those that are still open.

    Answered with those that may still be open, as soon as there are none or the time is over.
    """

    account: str
    cl_ord_ids: tuple[str, ...]
    count: int | None
    """How many orders Kraken says it has canceled; `None` without an answer."""
    timeout: float


@dataclass(frozen=True, slots=True)
class AllCanceled:
    """Tells that somebody's `CancelAll` was done: an order that arrives late must be canceled as well."""

    account: str
    at: float
    """When it was answered, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class EditComes:
    """Asks to write down that an EditOrder goes out now, as its answer may be lost; answered when that is durable.

    Raises `CallNotSent` when it cannot be written.
    """

    account: str
    txid: str


@dataclass(frozen=True, slots=True)
class EditFailed:
    """Tells that the edit of the last `EditComes` with this txid was not done."""

    account: str
    txid: str


@dataclass(frozen=True, slots=True)
class OrderReplaced:
    """Tells that the edit of an `EditComes` was done: it has given the order a new name."""

    account: str
    replacement: Replacement


@dataclass(frozen=True, slots=True)
class OrderAmended:
    """Asks to record what an order is since it was amended; answered with its `Placement`."""

    cl_ord_id: str
    sent: Order


@dataclass(frozen=True, slots=True)
class OrdersCanceled:
    """Tells that a call has canceled orders of the account, as it named them: by txid, ``cl_ord_id`` or ``userref``."""

    account: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrdersTouched:
    """Tells that an order of the account was changed by a call, or may have been: they are looked at soon."""

    account: str


@dataclass(frozen=True, slots=True)
class LookNow:
    """Asks for the account's placements that are not over, after a look at Kraken; raises when that fails."""

    account: str


@dataclass(frozen=True, slots=True)
class WhoseOrders:
    """Asks which of an account's orders at Kraken are ours: placements by txid, and our other open ones.

    names: each txid with the `cl_ord_id` that Kraken has for it, if any.
    """

    account: str
    names: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class StreamTold:
    """Tells what Kraken's stream has said of an account's orders."""

    account: str
    rows: tuple[Execution, ...]
    is_snapshot: bool


@dataclass(frozen=True, slots=True)
class StreamLive:
    """Tells that an account's stream is believed from now on: its orders are looked at once."""

    account: str


@dataclass(frozen=True, slots=True)
class OpenByStream:
    """Asks which of the orders that Kraken's stream calls open are missing in a list, and which in it are over.

    Answered with executions by txid, and txids. txids: those of the list.
    """

    account: str
    txids: frozenset[str]


@dataclass(frozen=True, slots=True)
class AccountsWithOrders:
    """Asks which accounts have open or unknown placements: `answer` is called in the actor's thread."""

    answer: Callable[[frozenset[str]], None]


@dataclass(frozen=True, slots=True)
class KeyReplaced:
    """Tells that an account has another API key."""

    account: str


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """Asks for an account's dead man's switch to be armed with so many seconds, or disarmed with 0."""

    account: str
    seconds: int


@dataclass(frozen=True, slots=True)
class PauseTrading:
    """Asks for an account's trading to be paused; answered when that is durable. Raises `StoreError`."""

    account: str


@dataclass(frozen=True, slots=True)
class ResumeTrading:
    """Asks for an account's trading to go on; answered when that is durable. Raises `StoreError`."""

    account: str


class DisarmAll:
    """Asks for every switch to be disarmed: the engine stops."""
