"""The engine's own names for orders at Kraken, which can be told from the names that others give.

A client of the gateway names its orders itself, and several clients may use one name. So Kraken gets a name of the
engine's, and the client's is kept in the journal. The last digits of an own name follow from the others: where the
journal has forgotten an order, its name is still known to be none that a client gave.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from engine.values.dataclass import dataclass

RANDOM_BYTES = 12
_OWN = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def own_name(random: bytes) -> str:
    """A `cl_ord_id` of the engine's, of `RANDOM_BYTES` random bytes: 32 hexadecimal digits."""
    return random.hex() + _check(random.hex())


def is_own(name: object) -> bool:
    """Whether a name is one of an engine's; of 4 billion names that are not, one looks as if it were."""
    bare = same(name) if isinstance(name, str) else ""
    return _OWN.fullmatch(bare) is not None and bare[2 * RANDOM_BYTES :] == _check(bare[: 2 * RANDOM_BYTES])


def same(name: str) -> str:
    """What two names have in common that Kraken takes for one: a UUID is the same with and without hyphens."""
    return name.replace("-", "").lower() if _UUID.fullmatch(name) else name


@dataclass(frozen=True, slots=True)
class KrakenName:
    """By which parameter, and under which value, Kraken's lists tell an order: `cl_ord_id`, or `userref` in its place.

    Kraken takes no `cl_ord_id` together with a conditional close (its own client, 2026). Such an order bears a number
    that follows from the engine's name; the orders that Kraken places against its fills name it as their `refid`.
    """

    param: str
    value: str | int

    @classmethod
    def of(cls, cl_ord_id: str, *, has_close: bool) -> KrakenName:
        """The name of an order at Kraken."""
        return cls("userref", int(cl_ord_id[:7], 16) + 1) if has_close else cls("cl_ord_id", cl_ord_id)

    def filter(self) -> dict[str, str | int]:
        """The parameter that names the order, when it is placed and in Kraken's lists."""
        return {self.param: self.value}

    def to_cancel(self) -> dict[str, str]:
        """The parameter of CancelOrder, which takes a `userref` in the place of a txid."""
        return {"cl_ord_id" if self.param == "cl_ord_id" else "txid": str(self.value)}

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is of the order."""
        told = row.get(self.param)
        if self.param == "userref":
            return told == self.value and not row.get("refid")
        return isinstance(told, str) and same(told) == self.value

    def is_of_another(self, row: Mapping[str, Any]) -> bool:
        """Whether a row bears the name of another order."""
        return not self.is_of(row) and bool(row.get("cl_ord_id") or (row.get("userref") and self.param == "userref"))


def _check(digits: str) -> str:
    return hashlib.sha256(f"kraken-engine {digits}".encode()).hexdigest()[: 32 - 2 * RANDOM_BYTES]
