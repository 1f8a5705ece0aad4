"""What a node of a cluster is doing, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One lane of the cluster, as this node sees it."""

    id: str
    epoch: int
    """How often it has changed hands; 0 for a lane that nobody has had yet."""
    owner: str | None
    """The node that has its lease; `None` while nobody has."""
    url: str | None
    """Where the owner's gateway is."""
    seconds_left: float
    """Until when the owner has it, unless it is renewed."""
    state: str
    """Where it stands at this node: elsewhere, fencing, serving, draining or lost."""
    accounts: tuple[str, ...]
    served: tuple[str, ...]
    """Those of the accounts that this node serves now: Kraken has accepted a read with their key."""
    wanted: str | None
    """The node where somebody wants it."""
    failure: str | None
    """Why this node could not serve it when it tried last."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "id": self.id, "epoch": self.epoch, "owner": self.owner, "url": self.url,
            "seconds_left": round(self.seconds_left, 3), "state": self.state, "accounts": list(self.accounts),
            "served": list(self.served), "wanted": self.wanted, "failure": self.failure,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Takeover:
    """A lane that this node has claimed."""

    lane: str
    epoch: int
    before: str | None
    """The node that let its lease run out; `None` when the lane was given back, or nobody had it."""
    at: datetime
    """By this machine's clock, in UTC."""
    seconds: float | None = None
    """From the claim until Kraken accepted the first call; `None` until then."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "lane": self.lane, "epoch": self.epoch, "before": self.before, "at": self.at.isoformat(),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node is doing, at one moment."""

    name: str
    url: str | None
    running: bool
    live: bool
    lanes: tuple[LaneStatus, ...]
    """Every lane of the cluster, by its id."""
    nodes: Mapping[str, float]
    """Every node that was seen lately, and how many seconds ago it said that it is there."""
    draining: tuple[str, ...]
    """The nodes that hand over their lanes and take none."""
    takeovers: tuple[Takeover, ...]
    """The newest claims of this node, oldest first."""
    claims: Mapping[str, int]
    """How often this node has claimed each lane since it started."""
    seen: float | None
    """Seconds since PostgreSQL has answered; `None` before it has."""
    trouble: str | None
    """Why it does not answer now; `None` when it does."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name, "url": self.url, "running": self.running, "live": self.live,
            "lanes": [each.to_dict() for each in self.lanes],
            "nodes": {name: round(seconds, 3) for name, seconds in self.nodes.items()},
            "draining": list(self.draining), "takeovers": [each.to_dict() for each in self.takeovers],
            "claims": dict(self.claims),
            "seen": None if self.seen is None else round(self.seen, 3), "trouble": self.trouble,
        }  # fmt: skip
