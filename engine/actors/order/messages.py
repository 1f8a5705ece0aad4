"""What the `OrderActor` is asked and told. Every message is frozen."""

from __future__ import annotations

from dataclasses import dataclass

from engine.rules.order.placement import Placement


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Asks for an order to be placed; answered with its `Placement` when it is settled or the time is over.

    An id that is placed already, or under way, gets the placement that is there. Raises `IdInUse`, `PairUnsettled`, or
    how the attempt failed.
    """

    plan: Placement
    timeout: float


@dataclass(frozen=True, slots=True)
class FindOrder:
    """Asks for a `Placement` by id, `cl_ord_id` or txid; the answer is `None` when there is none."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class UnsettledFunds:
    """Asks for what the placements with an unknown outcome may take: amounts by Kraken's asset name."""

    account: str


@dataclass(frozen=True, slots=True)
class CancelComes:
    """Tells that a cancel of a placement goes out: if that was not sent, its id is used up."""

    cl_ord_id: str


@dataclass(frozen=True, slots=True)
class CancelSaid:
    """Asks what became of a placement after a cancel; answered when it is over, or the time is."""

    cl_ord_id: str
    done: bool
    """Kraken said that it is canceled."""
    timeout: float


@dataclass(frozen=True, slots=True)
class LookNow:
    """Asks for the account's placements that are not over, after a look at Kraken; raises when that fails."""

    account: str


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """Asks for an account's dead man's switch to be armed with so many seconds, or disarmed with 0."""

    account: str
    seconds: int


class DisarmAll:
    """Asks for every switch to be disarmed: the engine stops."""
