"""Collects what Kraken's replies have that is new, missing or odd, and warns of each kind once (promise G14)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from engine.actors.events import EngineWarning
from engine.kraken.drift import OTHERS, Drift, Note, field_name
from engine.rules.balance.snapshot import moment
from engine.values import Clock

KINDS_AT_MOST = 40  # a bound for broken replies; fewer than the warnings kept, so that other warnings stay


class DriftLog:
    """Thread-safe. Holds names of endpoints and fields, and no value of any reply.

    Beyond `KINDS_AT_MOST` kinds, further ones are counted together as `OTHERS`.
    """

    def __init__(self, clock: Clock, publish: Callable[[Any], None]) -> None:
        self._clock, self._publish = clock, publish
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str, str], Drift] = {}

    def note(self, endpoint: str, field: str, what: str) -> None:
        """Count one observation; the first of its kind is published as an `EngineWarning`. Never raises."""
        kind = (endpoint, field_name(field), what)
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= KINDS_AT_MOST:
                kind = (OTHERS, OTHERS, what)
            known = self._kinds.get(kind)
            drift = replace(known, count=known.count + 1) if known else Drift(*kind, 1, moment(self._clock.wall_ns()))
            self._kinds[kind] = drift
        if known is None:
            self._publish(EngineWarning("kraken-changed", drift.sentence))

    def noter(self, endpoint: str) -> Note:
        """A `Note` for the replies of one endpoint."""
        return partial(self.note, endpoint)

    def read(self) -> tuple[Drift, ...]:
        """What was seen so far, the oldest kind first."""
        with self._lock:
            return tuple(self._kinds.values())
