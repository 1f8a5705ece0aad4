"""Notices silence: how long each account, and all of them, have had no good reply (promise G7)."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from engine.errors import Outcome
from engine.rules.balance.availability import Standing
from engine.rules.balance.silence import SILENT, Silence, patience
from engine.rules.balance.snapshot import BalanceSnapshot, moment
from engine.values import Clock, Settings
from engine.values.dataclass import dataclass

_Found = tuple[Silence, datetime]  # a silence, and since when


@dataclass(slots=True)
class _Heard:
    """When the last good reply came, or the first one was asked for; silence begins `patience` seconds later."""

    at: float
    wall_ns: int
    patience: float
    is_reply: bool = False

    @property
    def since(self) -> datetime:
        return moment(self.wall_ns)

    def left(self, now: float) -> float:
        """Seconds until it is silence."""
        return self.at + self.patience - now


class _Judged(NamedTuple):
    """A snapshot as it is to be read in a silence: until somebody is heard, or that time by the monotonic clock."""

    snapshot: BalanceSnapshot
    until: float
    judged: BalanceSnapshot


class Listener:
    """Says whether Kraken is silent. It is worked out from the clock when asked, so no timer has to fire for it.

    Shared by the accounts of a lane. Thread-safe.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._lock = threading.Lock()
        self._accounts: dict[str, _Heard] = {}
        self._lane: _Heard | None = None
        self._answered_at = float("-inf")
        self._is_told = False
        self._silent: dict[str, _Judged] = {}  # readers ask repeatedly during a silence
        self.heard_until: dict[str, float] = {}
        """Until when, by the monotonic clock, an account looked at is not silent, whatever comes. Read without a lock;
        whoever finds that time over, or none, asks `judged`. Only what is expected sooner can shorten it, and that
        removes it."""

    def expect(self, account: str, interval: float, spacing: float) -> None:
        """Expect a balance of this account every `interval` seconds, and one of any account every `spacing` seconds."""
        silence = self._settings.silence_to_unavailable
        with self._lock:
            own = self._accounts.setdefault(account, self._now())
            lane = self._lane = self._lane or self._now()
            before, now = (own.patience, lane.patience), (patience(silence, interval), patience(silence, spacing))
            if now != before:
                own.patience, lane.patience = now
                self.heard_until.clear()
                self._silent.clear()

    def heard(self, account: str) -> None:
        """A good reply to a call of the account."""
        with self._lock:
            self._is_told = False
            self._silent.clear()
            for each in (self._accounts.get(account), self._lane):
                if each is not None:
                    each.at, each.wall_ns, each.is_reply = self._clock.monotonic(), self._clock.wall_ns(), True

    def heard_ago(self) -> dict[str, float]:
        """Seconds since the last good reply of each account that had one in this run."""
        with self._lock:
            now = self._clock.monotonic()
            return {name: now - each.at for name, each in self._accounts.items() if each.is_reply}

    def is_refusing(self) -> bool:
        """Whether Kraken has refused a call since the last good reply to any account: it answers, with refusals."""
        with self._lock:
            return self._lane is not None and self._answered_at > self._lane.at

    def ended(self, account: str, outcome: Outcome) -> None:
        """A call of the account ended: it was a good reply, or Kraken refused it, or neither."""
        if outcome is Outcome.DONE:
            self.heard(account)
        elif outcome is Outcome.REFUSED:
            with self._lock:
                self._answered_at = self._clock.monotonic()
                self._silent.clear()

    def forget(self, account: str) -> None:
        """Nothing is expected of the account any more."""
        with self._lock:
            self._accounts.pop(account, None)
            self._silent.clear()
            self.heard_until.pop(account, None)
            self._lane = self._lane if self._accounts else None

    def left(self, account: str) -> float:
        """Seconds until the account is silent; 0 or less when it is."""
        with self._lock:
            now = self._clock.monotonic()
            heard = [each for each in (self._accounts.get(account), self._lane) if each is not None]
            return min((each.left(now) for each in heard), default=self._settings.silence_to_unavailable)

    def first_to_tell(self) -> bool:
        """Whether this silence of the lane was not reported yet; true for the first who asks."""
        with self._lock:
            is_silent = self._lane is not None and self._lane.left(self._clock.monotonic()) <= 0
            is_first, self._is_told = is_silent and not self._is_told, self._is_told or is_silent
            return is_first

    def silent_since(self) -> datetime | None:
        """Since when no account of the lane has had a good reply; `None` without silence."""
        with self._lock:
            lane = self._lane
            return lane.since if lane is not None and lane.left(self._clock.monotonic()) <= 0 else None

    def sentence(self, account: str) -> str | None:
        """A sentence that says since when Kraken is silent to the account; `None` without silence."""
        with self._lock:
            found = self._silence(account)
        return None if found is None else found[0].sentence(found[1])

    def all_judged(self, snapshots: tuple[BalanceSnapshot, ...]) -> tuple[BalanceSnapshot, ...]:
        """Each snapshot as it is to be read now: unchanged without silence, which one check for all accounts shows."""
        with self._lock:
            now = self._clock.monotonic()
            lane = self._lane
            if lane is None or lane.left(now) > 0:
                silent = {name for name, each in self._accounts.items() if each.at + each.patience <= now}
                if not silent:
                    return snapshots
        return tuple(map(self.judged, snapshots))

    def judged(self, snapshot: BalanceSnapshot) -> BalanceSnapshot:
        """The snapshot as it is to be read now: during silence not available, and its `last_error` says so."""
        kept = self._silent.get(snapshot.account)
        if kept is not None and kept.snapshot is snapshot and self._clock.monotonic() < kept.until:
            return kept.judged
        with self._lock:
            found = self._silence(snapshot.account)
            if found is None:
                return snapshot
            judged = self._judge(snapshot, found)
            is_all, lane = found[0] is not Silence.ONE_ACCOUNT, self._lane
            until = math.inf if is_all or lane is None else lane.at + lane.patience  # then it is the silence of all
            self._silent[snapshot.account] = _Judged(snapshot, until, judged)
            return judged

    def _judge(self, snapshot: BalanceSnapshot, found: _Found) -> BalanceSnapshot:
        if snapshot.standing is Standing.BLOCKED:
            return snapshot
        sentence, error = found[0].sentence(found[1]), snapshot.last_error or ""
        if snapshot.is_available:
            return replace(snapshot, is_available=False, standing=Standing.UNAVAILABLE, last_error=sentence)
        if error.startswith(SILENT):
            return replace(snapshot, last_error=sentence)
        if error and found[0] is not Silence.NOT_ANSWERED:
            return snapshot  # Kraken itself has said why
        return replace(snapshot, last_error=f"{sentence} {error}".rstrip())

    def _silence(self, account: str) -> _Found | None:
        """Called with the lock held."""
        now, own, lane = self._clock.monotonic(), self._accounts.get(account), self._lane
        if lane is not None and lane.left(now) <= 0:
            is_answered = self._answered_at > lane.at
            return (Silence.NO_GOOD_REPLY if is_answered else Silence.NOT_ANSWERED), lane.since
        if own is not None and own.left(now) <= 0:
            return Silence.ONE_ACCOUNT, own.since
        if own is not None and lane is not None:
            self.heard_until[account] = min(own.at + own.patience, lane.at + lane.patience)
        return None

    def _now(self) -> _Heard:
        return _Heard(self._clock.monotonic(), self._clock.wall_ns(), self._settings.silence_to_unavailable)
