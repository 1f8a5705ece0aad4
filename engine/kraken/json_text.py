"""JSON as Kraken wrote it, from a reply that was read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def written(value: Any) -> str:
    """The text of a value; fractional numbers keep their digits."""
    try:
        return _plain(value)
    except TypeError:  # it has a fractional number: most of Kraken's replies write theirs as texts
        return _exact(value)


_plain = json.JSONEncoder(separators=(",", ":")).encode


def _exact(value: Any) -> str:
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_plain(name)}:{_exact(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_exact, value)) + "]"
        case _:
            return _plain(value)
