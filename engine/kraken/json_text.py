"""JSON as Kraken wrote it, from a reply that was read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def written(value: Any) -> str:
    """The text of a value; fractional numbers keep their digits."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{written(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)
