"""How often hung calls were cut, and what follows for the next one (promise G4).

A read that was cut is sent again by its caller; it is the same *kind* of call then: an account and an endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType

from engine.rules.lane.priority import patience
from engine.values.dataclass import dataclass

Kind = tuple[str, str]

MINUTE = 60.0
KINDS_AT_MOST = 1000  # whose cuts are counted: callers choose the names


@dataclass(frozen=True, slots=True)
class CutHistory:
    """The cuts of one lane. total: since the start. recent: when the last ones were. by_kind: since that kind of call
    last ended by itself."""

    total: int = 0
    recent: tuple[float, ...] = ()
    by_kind: Mapping[Kind, int] = field(default_factory=lambda: MappingProxyType({}))

    def patience(
        self, under_way: int, waiting: int | None, kind: Kind, now: float, *, read: float, write: float
    ) -> float | None:
        """Seconds that the call under way may take while a call of class `waiting` waits: see `patience`."""
        this_minute = sum(at >= now - MINUTE for at in self.recent)
        return patience(under_way, waiting, self.by_kind.get(kind, 0), this_minute, read, write)

    def after_cut(self, kind: Kind, now: float) -> CutHistory:
        """A call of that kind is cut now."""
        counts = {each: count for each, count in self.by_kind.items() if each != kind}
        if len(counts) >= KINDS_AT_MOST:
            del counts[next(iter(counts))]  # the kind that was not cut for the longest time
        counts[kind] = self.by_kind.get(kind, 0) + 1
        recent = (*(at for at in self.recent if at >= now - MINUTE), now)
        return CutHistory(self.total + 1, recent, MappingProxyType(counts))

    def after_end(self, kind: Kind) -> CutHistory:
        """A call of that kind has ended by itself."""
        if kind not in self.by_kind:
            return self
        return replace(
            self, by_kind=MappingProxyType({each: count for each, count in self.by_kind.items() if each != kind})
        )
