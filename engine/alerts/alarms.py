"""When an alert is told, and when it is told again. Pure: time is an argument, in seconds.

A subject's state::

             began                      lasted `after`
    QUIET ------------> PENDING ------------------------> TOLD --+ every `repeat_after`: told again
      ^                    |                               | ^---+
      |       ended        |             ended             |
      +--------------------+                               |
      +----------------------------------------------------+ the end is told, too

Something that has no end is told at once, and the same not again within `repeat_after`. What is told in one moment of
one kind is one message, whatever the number of accounts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from engine.alerts.kinds import AlertSubject, Began, Ended, Happened, Kind, News
from engine.alerts.settings import AlertSettings

HOUR = 3600.0
KEPT = 2_000
"""Subjects that are known at a time; beyond that the oldest that only happened are forgotten."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message."""

    kind: str
    title: str
    text: str


@dataclass(slots=True)
class _Condition:
    text: str
    since: float
    told: float | None = None


class Alarms:
    """What is wrong now, and what of it was told. One thread at a time."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._conditions: dict[AlertSubject, _Condition] = {}
        self._ended: list[tuple[AlertSubject, _Condition]] = []
        self._happened: dict[AlertSubject, _Condition] = {}
        self._told: deque[float] = deque()
        self._held_back = 0

    def take(self, news: News, now: float) -> None:
        """Take in what an event says; `due` has what is to be told of it."""
        match news:
            case Began(subject, text):
                self._conditions.setdefault(subject, _Condition(text, now)).text = text
            case Ended(subject):
                condition = self._conditions.pop(subject, None)
                if condition is not None and condition.told is not None:
                    self._ended.append((subject, condition))
            case Happened(subject, text):
                self._happened.setdefault(subject, _Condition(text, now)).text = text
                self._happened[subject].since = now
                self._forget()

    def due(self, now: float) -> list[Alert]:
        """The messages to send now."""
        ended = [(subject, each.text) for subject, each in self._ended]
        self._ended.clear()
        alerts = [*self._merged(ended, "over"), *self._merged(self._lasting(now)), *self._merged(self._new(now))]
        return self._bounded(alerts, now)

    def _lasting(self, now: float) -> list[tuple[AlertSubject, str]]:
        """The conditions to tell now. An outage makes accounts unavailable one by one: one message names them all."""
        ripe = [subject for subject, each in self._conditions.items() if self._is_ripe(subject, each, now)]
        together = {subject.kind for subject in ripe} & _TOGETHER
        new = [subject for subject, each in self._conditions.items() if each.told is None and subject.kind in together]
        found = []
        for subject in dict.fromkeys([*ripe, *new]):
            self._conditions[subject].told = now
            found.append((subject, self._conditions[subject].text))
        return found

    def _is_ripe(self, subject: AlertSubject, condition: _Condition, now: float) -> bool:
        if condition.told is not None:
            return now - condition.told >= self._settings.repeat_after
        return now - condition.since >= self._settings.patience(subject.kind)

    def _new(self, now: float) -> list[tuple[AlertSubject, str]]:
        found = []
        for subject, each in self._happened.items():
            if each.told is None or (each.since > each.told and now - each.told >= self._settings.repeat_after):
                each.told = now
                found.append((subject, each.text))
        return found

    def _merged(self, told: Iterable[tuple[AlertSubject, str]], end: str = "") -> list[Alert]:
        """One alert for each kind and text; it names the accounts."""
        groups: dict[tuple[Kind, str], set[str]] = {}
        for subject, text in told:
            names = groups.setdefault((subject.kind, text), set())
            if subject.account:
                names.add(subject.account)
        return [_alert(kind, text, sorted(names), end) for (kind, text), names in groups.items()]

    def _bounded(self, alerts: list[Alert], now: float) -> list[Alert]:
        while self._told and now - self._told[0] >= HOUR:
            self._told.popleft()
        room = self._settings.at_most_per_hour - len(self._told)
        if self._held_back and room > 0:
            text = f"{self._held_back} alerts were more than an hour may have: look at the dashboard."
            alerts = [Alert("held-back", "kraken-engine: messages were held back", text), *alerts]
            self._held_back = 0
        sent, rest = alerts[: max(0, room)], alerts[max(0, room):]
        self._held_back += len(rest)
        self._told.extend([now] * len(sent))
        return sent

    def _forget(self) -> None:
        while len(self._happened) > KEPT:
            del self._happened[next(iter(self._happened))]


_TOGETHER = frozenset({Kind.UNAVAILABLE, Kind.SILENCE})
_TITLES = {
    Kind.UNAVAILABLE: "not available",
    Kind.SILENCE: "Kraken is silent",
    Kind.UNKNOWN_ORDER: "an order is unknown",
    Kind.NONCE: "a nonce was refused",
    Kind.KEY: "a key is refused",
    Kind.DRIFT: "Kraken has changed",
    Kind.DISK: "trouble with the disk",
}


def _alert(kind: Kind, text: str, accounts: list[str], end: str) -> Alert:
    about = f" ({', '.join(accounts)})" if accounts else ""
    return Alert(kind.value, f"kraken-engine: {'over: ' if end else ''}{_TITLES[kind]}{about}", text)
