"""What one check found, for a person and for a program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """The result of a check. Only BAD keeps an engine from working."""

    OK = "ok"
    NOTE = "note"
    """Kraken has changed and the engine handles it: nothing has to be done."""
    WARN = "warn"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    `check` is a fixed word. `account` is the name of the account, or `None` when it is about all of them. `found` is in
    whole sentences; so is `advice`, what to do about it, which is there for WARN and BAD.
    """

    check: str
    account: str | None
    level: Level
    found: str
    advice: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """JSON-ready."""
        return {
            "check": self.check,
            "account": self.account,
            "level": self.level.value,
            "found": self.found,
            "advice": self.advice,
        }


def ok(check: str, found: str, account: str | None = None) -> Finding:
    """All is well."""
    return Finding(check, account, Level.OK, found)


def note(check: str, found: str, account: str | None = None) -> Finding:
    """For information; nothing has to be done."""
    return Finding(check, account, Level.NOTE, found)


def warn(check: str, found: str, advice: str, account: str | None = None) -> Finding:
    """It works, and should be looked at."""
    return Finding(check, account, Level.WARN, found, advice)


def bad(check: str, found: str, advice: str, account: str | None = None) -> Finding:
    """It does not work, or not safely."""
    return Finding(check, account, Level.BAD, found, advice)


def skipped(check: str, why: str, account: str | None = None) -> Finding:
    """It could not be looked at."""
    return Finding(check, account, Level.SKIPPED, f"Not checked: {why}.")
