"""A balance with its age, and with the availability of its account (promises G6, G7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

from engine.rules.balance.availability import Availability, Standing
from engine.values import SYSTEM_CLOCK, AssetBalance, Clock, Value
from engine.values.dataclass import dataclass

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BalanceState(Enum):
    """How far a balance can be trusted."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


def never() -> float:
    """The time of an event that has not happened."""
    return float("-inf")


def unconfirmed(_: float) -> None:
    """The confirmation of a balance without push: there is none."""


_LIVE = ("_clock", "_as_of_monotonic", "_invalidated_at", "_confirmed")


@dataclass(frozen=True, slots=True)
class BalanceSnapshot(Value):
    """The last known balance of one account, and how far it can be trusted. Immutable; reading it waits for nothing.

    `cash` and `available_cash` sum the assets of `Settings.cash`, Auto-Earn rows included; `cash_assets` has their
    plain names. `cash` is `None` exactly when there never was a good reply, `available_cash` also when holds are not
    known. `as_of` (aware UTC) is taken before the request goes out, so the age is never understated. `error_count`
    counts the failures in a row.

    With push, the age counts from the last frame of Kraken's stream, while that is LIVE and has told no change since
    `as_of`.
    """

    account: str
    as_of: datetime | None = None
    cash: Decimal | None = None
    available_cash: Decimal | None = None
    cash_assets: tuple[str, ...] = field(default=(), kw_only=True)
    assets: Mapping[str, AssetBalance] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    is_available: bool = False
    standing: Standing = Standing.UNKNOWN
    """The account's availability in more detail than `is_available`."""
    error_count: int = 0
    last_error: str | None = None
    next_attempt: datetime | None = None
    restored: bool = False
    """Read from disk after a restart and not refreshed since: STALE, however young."""
    max_age: float = field(default=15.0, repr=False)
    _as_of_monotonic: float | None = field(default=None, repr=False, compare=False)
    _clock: Clock = field(default=SYSTEM_CLOCK, repr=False, compare=False)
    _invalidated_at: Callable[[], float] = field(default=never, repr=False, compare=False)
    _confirmed: Callable[[float], float | None] = field(default=unconfirmed, repr=False, compare=False)
    """Seconds since Kraken's stream has confirmed a balance requested at that monotonic time; `None`: it does not."""
    _confirmed_at: datetime | None = field(default=None, repr=False, compare=False)
    """In another process: when the stream had last confirmed it in the first."""
    _fixed_age: float | None = field(default=None, repr=False, compare=False)

    @property
    def age(self) -> float | None:
        """Seconds since `as_of`, computed when read; `None` when the balance is UNKNOWN.

        A wall clock that steps back cannot make a value younger: the age by the monotonic clock counts when it is
        larger. For a value of an earlier run that clock counts from the moment when it was read from disk.
        """
        return self._age()

    def _age(self, *, confirmed: bool = True) -> float | None:
        if self.as_of is None or self._fixed_age is not None:
            return self._fixed_age
        return self._age_at(self._clock.wall_ns() / 1e9, 0.0, confirmed=confirmed)

    @property
    def invalidated(self) -> bool:
        """Whether an order, a cancel or a fill has changed it since it was requested: STALE, however young."""
        return self._as_of_monotonic is not None and self._as_of_monotonic <= self._invalidated_at()

    @property
    def requested_at(self) -> float | None:
        """When it was requested, by the monotonic clock of the process that has it."""
        return self._as_of_monotonic

    def _parts(self) -> dict[str, Any]:
        """Without the links into this process: elsewhere nothing marks the balance when it changes."""
        kept = {name: part for name, part in Value._parts(self).items() if name not in _LIVE}
        return kept | {"restored": self.restored or self.invalidated, "_confirmed_at": self._last_confirmed()}

    def _last_confirmed(self) -> datetime | None:
        since = None if self._as_of_monotonic is None else self._confirmed(self._as_of_monotonic)
        return self._confirmed_at if since is None else moment(self._clock.wall_ns() - round(since * 1e9))

    @property
    def state(self) -> BalanceState:
        """FRESH, STALE or UNKNOWN, computed when read."""
        age = self.age
        if age is None:
            return BalanceState.UNKNOWN
        is_old = self.restored or self.invalidated or age > self.max_age
        return BalanceState.STALE if is_old else BalanceState.FRESH

    def answers(self, max_age: float | None) -> bool:
        """Whether it answers a caller who wants a balance of at most `max_age` seconds; `None`: who takes any."""
        if max_age is None:
            return True
        age = self._age(confirmed=max_age > 0)  # 0 asks for what is requested from now on
        return age is not None and age <= max_age and not (self.restored or self.invalidated)

    def with_availability(self, availability: Availability, last_error: str | None, **parts: Any) -> BalanceSnapshot:
        """The same balance with another availability of its account."""
        return replace(
            self, is_available=availability.is_available, standing=availability.standing,
            error_count=availability.errors, last_error=last_error, **parts,
        )  # fmt: skip

    def forgotten(self) -> BalanceSnapshot:
        """UNKNOWN: nothing is known of the account any more."""
        return BalanceSnapshot(
            self.account, max_age=self.max_age, cash_assets=self.cash_assets, _clock=self._clock,
            _invalidated_at=self._invalidated_at, _confirmed=self._confirmed,
        )  # fmt: skip

    def at(self, now: datetime) -> BalanceSnapshot:
        """The same balance as seen at `now` (aware): its state and age are fixed."""
        if self.as_of is None:
            return self
        wall = (now - _EPOCH).total_seconds()
        age = self._age_at(wall, wall - self._clock.wall_ns() / 1e9)
        invalidated_at = self._invalidated_at()
        return replace(self, _fixed_age=age, _invalidated_at=lambda: invalidated_at)

    def _age_at(self, wall: float, later: float, *, confirmed: bool = True) -> float:
        """The age at wall-clock time `wall`, `later` seconds from now: the larger of the two clocks' ages."""
        assert self.as_of is not None
        if confirmed and self._as_of_monotonic is not None and not self.restored:
            since = self._confirmed(self._as_of_monotonic)
            if since is not None:
                return max(0.0, since + later)
        by_wall = wall - ((self._confirmed_at or self.as_of) - _EPOCH).total_seconds()
        if self._as_of_monotonic is None:
            return max(0.0, by_wall)
        return max(0.0, by_wall, self._clock.monotonic() - self._as_of_monotonic + later)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; amounts are strings."""
        age = self.age
        return {
            "account": self.account,
            "state": self.state.value,
            "cash": _text(self.cash),
            "available_cash": _text(self.available_cash),
            "cash_assets": list(self.cash_assets),
            "is_available": self.is_available,
            "error_count": self.error_count,
            "last_error": self.last_error,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "age_seconds": None if age is None else round(age, 3),
            "assets": {
                name: {"total": _text(each.total), "available": _text(each.available), "held": _text(each.held)}
                for name, each in sorted(self.assets.items())
            },
        }


def seconds_later(moment: datetime, seconds: float) -> datetime:
    """`moment` plus a span."""
    return moment + timedelta(seconds=seconds)


def moment(wall_ns: int) -> datetime:
    """A wall-clock reading as aware UTC time."""
    return _EPOCH + timedelta(microseconds=wall_ns // 1000)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
