"""What a gate is, and what it says: `Allow`, or `Deny` with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.errors import ConfigError
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Allow:
    """A gate lets the pass go on. `seen`: what it saw, for people."""

    seen: str = ""


@dataclass(frozen=True, slots=True, init=False)
class Deny:
    """A gate stops the pass. `reasons`: all of them, one sentence each; none at all is no `Deny`."""

    reasons: tuple[str, ...]

    def __init__(self, *reasons: str) -> None:
        if not reasons or not all(isinstance(reason, str) and reason.strip() for reason in reasons):
            raise ValueError("a Deny says why, in a sentence for each reason")
        object.__setattr__(self, "reasons", reasons)


Verdict = Allow | Deny


@dataclass(frozen=True, slots=True)
class Gate:
    """A named check of a `TradeView`. `needs_order`: it looks at the strategy's order, which is asked for before it."""

    name: str
    check: Callable[[Any], Verdict]
    needs_order: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not callable(self.check):
            raise ConfigError("A gate is a name and a function: Gate('Small orders', small_orders).")

    def __call__(self, view: Any) -> Verdict:
        return self.check(view)

    @classmethod
    def of(cls, value: Any) -> Gate:
        """A gate as it is, or one made of a function: named like it, with its attribute `needs_order` if it has one."""
        if isinstance(value, Gate):
            return value
        name = getattr(value, "__name__", type(value).__name__)
        return cls(name.strip("_<>").replace("_", " ") or "gate", value, bool(getattr(value, "needs_order", False)))


def verdict_of(troubles: Iterator[str], seen: Callable[[], str]) -> Verdict:
    """`Deny` with all the troubles, or `Allow` with what was seen."""
    reasons = tuple(troubles)
    return Deny(*reasons) if reasons else Allow(seen())
