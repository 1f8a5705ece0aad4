"""Strict JSON: what two parsers could read differently, or what takes too long to parse, is rejected.

The whole document is rejected, since a reply that is broken in one place may be broken everywhere. What its values mean
is decided by the readers of each endpoint: there an odd value invalidates its row at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn

_DEEPEST = 32  # Kraken's deepest reply has 7 levels; what reads the result may recurse
_MOST = 300_000  # values; reading more takes longer than the second that a call has beyond its deadline
_LONGEST = 400  # digits of a number
_SPACE = " \t\n\r"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_strictly(body: bytes) -> Any:
    """The JSON value in `body`, floats as exact `Decimal`.

    Raises `ValueError`, `ArithmeticError` or `RecursionError` for bytes that are not UTF-8, duplicate names, NaN
    and Infinity, oversized numbers, deep nesting, and texts that cannot be encoded as UTF-8.
    """
    opened = body.count(b"[") + body.count(b"{")
    if body.count(b",") + opened > _MOST:
        raise ValueError("more than can be read in time")
    text = body.decode("utf-8").strip(_SPACE)
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    if opened > _DEEPEST:
        _check_depth(value)
    if "\\u" in text and _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False, default=str).encode()
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name comes twice")
    return value


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    # Without its trap, an exponent too large for Decimal gives NaN; one that is not may take gigabytes to print.
    if len(text) > _LONGEST or not value.is_finite() or abs(value.adjusted()) > _LONGEST:
        raise ValueError("an oversized number")
    return value


def _int(text: str) -> int:
    if len(text) > _LONGEST:
        raise ValueError("an oversized number")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _children(node: object) -> Iterator[object]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return (child for child in inner if isinstance(child, dict | list))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_int, parse_constant=_constant
)  # json.loads would make one for each reply
