"""The encoding of values between the processes of one user: JSON in which a list begins with the kind of its value.

::

    null, true, 12, 0.5, "text", {"a": 1}                  themselves
    ["list", 1, 2]  ["tuple", 1, 2]                        lists and tuples
    ["map", {"a": 1}]                                      a read-only mapping
    ["Decimal", "0.10"]  ["datetime", "…"]  ["Path", "…"]  ["float", "inf"]
    ["Order", {…}]  ["OrderState", "placed"]               a dataclass by its fields, an enum by its value
    ["error", "NotLive", "The sentence.", {…}]             an error of `engine.errors`, with its attributes

Only the kinds that the engine's answers and events are made of are written and read: no code, no secret, nothing of the
other side's choosing. Amounts keep every digit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from engine import errors
from engine.actors import events
from engine.app.status import EngineStatus
from engine.errors import ConfigError, EngineError
from engine.rules.balance.history import BalanceMark, BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.plan import Candidate, TradePlan, every_pair, no_order
from engine.rules.gates.report import GateReport
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.placement import Placement
from engine.values import SYSTEM_CLOCK


def _kinds(*roots: Any) -> set[type[Any]]:
    """The engine's dataclasses and enums that values of these types are made of."""
    found: set[type[Any]] = set()
    left = list(roots)
    while left:
        hint = left.pop()
        left.extend(get_args(hint))
        if not isinstance(hint, type) or hint in found or not hint.__module__.startswith("engine."):
            continue
        if is_dataclass(hint):
            found.add(hint)
            left.extend(each for name, each in get_type_hints(hint).items() if not name.startswith("_"))
        elif issubclass(hint, Enum):
            found.add(hint)
    return found


_EVENTS = (each for each in vars(events).values() if is_dataclass(each) and each.__module__ == events.__name__)
_ROOTS = (EngineStatus, GateReport, OpenOrder, BalanceMark, BalancePoint, Placement)
_KINDS = sorted(_kinds(*_ROOTS, *_EVENTS), key=lambda kind: kind.__name__)
_DATA: tuple[type[Any], ...] = (TradePlan, *(each for each in _KINDS if is_dataclass(each)))
_ENUMS: tuple[type[Enum], ...] = tuple(each for each in _KINDS if issubclass(each, Enum))
_ERRORS = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, EngineError)
}

_OWN_CODE = (
    "A plan with a scanner, a strategy or gates of yours is code, and runs where the engine runs: let the account "
    "trade by it there ('kraken-engine serve --trade', or start_trading), or give a plan with an order."
)


class UnreadableValue(ValueError):
    """What was read is not a value of this encoding."""


def write(value: Any) -> bytes:
    """The encoding of a value. Raises `ConfigError` for what it does not have."""
    return json.dumps(encoded(value), allow_nan=False, separators=(",", ":")).encode()


def read(raw: bytes) -> Any:
    """The value that was written. Raises `UnreadableValue`, or the `ConfigError` of an order that is none."""
    try:
        return decoded(json.loads(raw, parse_constant=_not_json))
    except EngineError:
        raise
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise UnreadableValue(f"This is not a message of the engine's: {type(error).__name__}.") from None


def _not_json(word: str) -> Any:
    raise ValueError(f"{word} is not a number of JSON's")


def encoded(value: Any) -> Any:
    """The value as JSON has it. Raises `ConfigError`."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    for base in kind.__mro__:  # what is of a caller's own class, such as an `OrderedDict`, is sent as what it is
        if base in _WRITERS:
            return _WRITERS[base](value)
    if isinstance(value, Mapping):
        return _mapping(value)
    raise ConfigError(f"A {kind.__name__} cannot be sent to another process.")


def decoded(document: Any) -> Any:
    """The value of what `encoded` gave. Raises `TypeError`, `ValueError` or `KeyError` for anything else."""
    if isinstance(document, dict):
        return {name: decoded(each) for name, each in document.items()}
    if isinstance(document, list):
        kind, *parts = document
        return _READERS[kind](*parts)
    return document


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if not all(type(name) is str for name in value):
        raise ConfigError("A mapping is sent to another process only if its names are texts.")
    return {name: encoded(each) for name, each in value.items()}


def _error(error: EngineError) -> list[Any]:
    kind = type(error).__name__
    if _ERRORS.get(kind) is not type(error):
        kind = next(each.__name__ for each in type(error).__mro__ if _ERRORS.get(each.__name__) is each)
    told = {name: part for name, part in vars(error).items() if not name.startswith("_")}
    return ["error", kind, str(error), _mapping(told)]


def _read_error(kind: str, sentence: str, told: Any) -> EngineError:
    found = _ERRORS[kind]
    error = found.__new__(found, sentence)  # each class has a constructor of its own, and all keep it like this
    vars(error).update(decoded(told))
    return error


def _float(value: float) -> Any:
    return value if math.isfinite(value) else ["float", repr(value)]


def _parts(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _parts_of_snapshot(value: BalanceSnapshot) -> dict[str, Any]:
    """As in a pickle, with the age: the clocks of two processes need not begin at the same moment."""
    return {**value._parts(), "age": value.age}


def _snapshot(age: float | None = None, **parts: Any) -> BalanceSnapshot:
    """Its age goes on from here by the monotonic clock, and since `as_of` by the wall clock: the larger one counts."""
    began = None if age is None else SYSTEM_CLOCK.monotonic() - age
    return BalanceSnapshot(**parts, _as_of_monotonic=began)


def _parts_of_plan(value: TradePlan) -> dict[str, Any]:
    """Raises `ConfigError` for a plan with functions in it."""
    parts = _parts(value)
    scanner, strategy, gates = parts.pop("scanner"), parts.pop("strategy"), parts.pop("gates")
    has_code = scanner is not every_pair or (value.order is None and strategy is not no_order) or gates
    if has_code:
        raise ConfigError(_OWN_CODE)
    return {**parts, "gates": gates}


def _parts_of_candidate(value: Candidate) -> dict[str, Any]:
    """Without what its scanner keeps with it for its strategy, which is of any type."""
    return {"pair": value.pair, "note": str(value.note)}


_PARTS: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    BalanceSnapshot: _parts_of_snapshot, TradePlan: _parts_of_plan, Candidate: _parts_of_candidate,
}  # fmt: skip


def _enum(value: Enum) -> list[Any]:
    return [type(value).__name__, value.value]


def _writer(kind: type[Any]) -> Callable[[Any], Any]:
    parts = _PARTS.get(kind, _parts)
    return lambda value: [kind.__name__, _mapping(parts(value))]


def _reader(kind: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda parts: kind(**decoded(parts))


_WRITERS: dict[type[Any], Callable[[Any], Any]] = {
    str: "".join,
    int: int,
    float: _float,
    dict: _mapping,
    MappingProxyType: lambda value: ["map", _mapping(value)],
    list: lambda value: ["list", *map(encoded, value)],
    tuple: lambda value: ["tuple", *map(encoded, value)],
    Decimal: lambda value: ["Decimal", str(value)],
    datetime: lambda value: ["datetime", value.isoformat()],
    Path: lambda value: ["Path", str(value)],
    EngineError: _error,
    **{each: _writer(each) for each in _DATA},
    **dict.fromkeys(_ENUMS, _enum),
}
_READERS: dict[str, Callable[..., Any]] = {
    "float": float,
    "map": lambda parts: MappingProxyType(decoded(parts)),
    "list": lambda *parts: [decoded(each) for each in parts],
    "tuple": lambda *parts: tuple(decoded(each) for each in parts),
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "Path": Path,
    "error": _read_error,
    **{each.__name__: _reader(each) for each in _DATA},
    **{each.__name__: each for each in _ENUMS},
    "BalanceSnapshot": _reader(_snapshot),
}
