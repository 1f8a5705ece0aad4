"""Drift: what in Kraken's replies is new, missing or odd, compared with what this engine knows (promise G14).

A reader reports what it passes over to a `Note`; it names fields, and never repeats a value of the reply (promise G11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from engine.values.dataclass import dataclass

Note = Callable[[str, str], None]
"""``note(field, what)``: one observation about one reply; `what` is `NEW`, `MISSING` or `ODD`."""

NEW, MISSING, ODD = "new", "missing", "odd"
OTHERS = "(others)"
"""The endpoint and field under which further kinds are counted together."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One kind of change in Kraken's replies."""

    endpoint: str
    field: str
    """The field's name as Kraken has it, or ``row`` for a whole row that cannot be read."""
    what: str
    """``new``, ``missing`` or ``odd``."""
    count: int
    """How often it was seen since the engine was made."""
    since: datetime
    """When it was first seen; aware, UTC."""

    @property
    def sentence(self) -> str:
        """The change in words."""
        if self.endpoint == OTHERS:
            return f"Kraken's replies have more that is {self.what} than is told apart."
        if (self.endpoint, self.field, self.what) in _AS_USUAL:
            return _AS_USUAL[self.endpoint, self.field, self.what]
        sentence = _NEW_ERROR if self.what == NEW and _ERROR.fullmatch(self.field) else _SENTENCES[self.what]
        return sentence.format(endpoint=self.endpoint, field=self.field)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "endpoint": self.endpoint,
            "field": self.field,
            "what": self.what,
            "count": self.count,
            "since": self.since.isoformat(),
        }


_SENTENCES = {
    NEW: "Kraken's {endpoint} replies have a field that this engine does not know: {field}.",
    MISSING: "Kraken's {endpoint} replies no longer tell {field}.",
    ODD: "Kraken's {endpoint} replies have a {field} that cannot be read.",
}

# What Kraken does today, by its changelog (https://docs.kraken.com/api/docs/change-log) and by recorded replies.
_AS_USUAL = {
    ("AssetPairs", "fees", MISSING): "Kraken's AssetPairs replies tell no fees, to anyone, since September 2026: there "
    "is nothing to do. The engine counts with the fee that TradeVolume tells for the account, else with the setting "
    "fee_bound.",
    ("AssetPairs", "status", MISSING): "Kraken's AssetPairs replies leave out the status of some pairs: there is "
    "nothing to do. The engine trades them until Kraken says otherwise.",
}
_NEW_ERROR = "Kraken refuses {endpoint} with an error that this engine does not know ({field})."
_ERROR = re.compile(r"error(\.E[A-Za-z]+)?")  # as `replies` notes it: the text itself is in the error of the call


def unnoted(field: str, what: str) -> None:
    """The `Note` of a reader whose caller keeps no record."""


def field_name(name: object) -> str:
    """A name from a reply as it may be repeated: a short identifier; anything else may be a value, and is masked."""
    return name if isinstance(name, str) and _FIELD.fullmatch(name) else "(unnamed)"


_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,39}")
