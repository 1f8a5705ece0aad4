"""Lanes for tests, whose leases end when the test says so."""

from __future__ import annotations

from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from tests.cluster.postgresql import eventually


def claimed(leases: Leases, owner: str = "a", lane: str = "one") -> Lease:
    """A lane that nobody has, claimed."""
    lease = leases.claim(lane, owner, f"http://{owner}:8710", ["MASTER"])
    assert lease is not None
    return lease


def taken_over(leases: Leases, owner: str, lane: str = "one") -> Lease:
    """A lane claimed from whoever has it; its lease ends again when a running engine renews it in between."""

    def claim() -> Lease | None:
        expire(leases, lane)
        return leases.claim(lane, owner, f"http://{owner}:8710", ["MASTER"])

    lease = eventually(claim)
    assert lease is not None
    return lease


def expire(leases: Leases, lane: str = "one") -> None:
    """Let the lease be over, as it is when its owner has not renewed it in time."""
    leases.database.run(
        "UPDATE kraken_engine.lane SET lease_until = clock_timestamp() - interval '1 ms' WHERE id = %s", [lane]
    )


class Clock:
    """A monotonic clock, and a wall clock in nanoseconds, that the test turns."""

    def __init__(self) -> None:
        self.value = 1_000_000_000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.value

    def wall_ns(self) -> int:
        """The same in nanoseconds."""
        return int(self.value * 1_000_000) * 1000
