"""Shapes of replies: which fields a reply has, the JSON type of each, and which of them may be absent.

A shape is one of

* a JSON type: ``str``, ``int``, ``float``, ``bool`` or ``None`` (an ``int`` is no ``float``, a ``bool`` is neither);
* `Text`: text that matches a pattern as a whole (`DECIMAL`, `DIGITS`, `ID` are ready made);
* `Words`: one of these texts;
* a list with one shape: an array of any length, each element of that shape;
* a tuple of shapes: an array of exactly these elements;
* a dict: an object of exactly these fields; a name that ends in ``?`` may be absent (``{"status?": str}``);
* `Each`: an object of any fields, each value of one shape, and each name matching a pattern if there is one;
* `Either`: any one of these shapes.

`differences` compares a parsed reply with a shape and gives one sentence for each difference::

    assert differences(result, {"unixtime": int, "rfc1123": str}) == []
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Shape = Any


@dataclass(frozen=True)
class Text:
    """Text that matches the pattern as a whole."""

    pattern: str


@dataclass(frozen=True, init=False)
class Words:
    """One of these texts."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)


@dataclass(frozen=True)
class Each:
    """An object of any fields."""

    value: Shape
    name: str = r".+"


@dataclass(frozen=True, init=False)
class Either:
    """Any one of these shapes."""

    shapes: tuple[Shape, ...]

    def __init__(self, *shapes: Shape) -> None:
        object.__setattr__(self, "shapes", shapes)


DECIMAL = Text(r"-?\d+(\.\d+)?")
DIGITS = Text(r"\d+")
ID = Text(r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}")


def differences(told: object, shape: Shape, at: str = "reply") -> list[str]:
    """One sentence for each difference between a parsed reply and the shape; none when it fits."""
    return list(_differences(told, shape, at))


def _differences(told: object, shape: Shape, at: str) -> Iterator[str]:
    match shape:
        case Either(shapes):
            if all(differences(told, each, at) for each in shapes):
                yield f"{at} fits none of {len(shapes)} shapes: {told!r}"
        case Text(pattern):
            if not (isinstance(told, str) and re.fullmatch(pattern, told)):
                yield f"{at} does not match {pattern}: {told!r}"
        case Words(words):
            if told not in words:
                yield f"{at} is none of {words}: {told!r}"
        case Each(value, name):
            yield from _each(told, value, name, at)
        case dict():
            yield from _object(told, shape, at)
        case list() | tuple():
            yield from _array(told, shape, at)
        case _:
            if type(told) is not (type(None) if shape is None else shape):
                yield f"{at} is {type(told).__name__} instead of {getattr(shape, '__name__', shape)}"


def _each(told: object, value: Shape, name: str, at: str) -> Iterator[str]:
    if not isinstance(told, dict):
        yield f"{at} is {type(told).__name__} instead of an object"
        return
    for key, each in told.items():
        if not re.fullmatch(name, key):
            yield f"{at} has a field {key!r}, which does not match {name}"
        yield from _differences(each, value, f"{at}[{key}]")


def _object(told: object, fields: Mapping[str, Shape], at: str) -> Iterator[str]:
    if not isinstance(told, dict):
        yield f"{at} is {type(told).__name__} instead of an object"
        return
    known = {name.removesuffix("?"): shape for name, shape in fields.items()}
    yield from (f"{at}.{name} is missing" for name in fields if not name.endswith("?") and name not in told)
    yield from (f"{at}.{name} is new" for name in told if name not in known)
    for name, each in told.items():
        if name in known:
            yield from _differences(each, known[name], f"{at}.{name}")


def _array(told: object, shape: list[Shape] | tuple[Shape, ...], at: str) -> Iterator[str]:
    if not isinstance(told, list):
        yield f"{at} is {type(told).__name__} instead of an array"
        return
    if isinstance(shape, tuple) and len(told) != len(shape):
        yield f"{at} has {len(told)} elements instead of {len(shape)}"
        return
    shapes = shape if isinstance(shape, tuple) else shape * len(told)
    for number, (each, expected) in enumerate(zip(told, shapes, strict=True)):
        yield from _differences(each, expected, f"{at}[{number}]")
