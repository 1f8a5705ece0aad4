"""The known fields of Kraken's replies, and which of them a decision needs (promise G14).

Every field is one of three: *needed* (a row without it is unusable; other rows are not affected), *bounded* (a safe
bound, stated beside it, replaces a missing value), or nice to have (nothing depends on it). `compare` reports what is
new, missing or odd; it decides nothing, and never raises. Fields as in Kraken's REST reference and in replies
published since June 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from engine.kraken.drift import MISSING, NEW, ODD, Note
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """The rows of one endpoint's result.

    nice, needed: names of fields. bounded: a field, and what the engine does while it is missing.
    readable: of a field, whether a value can be understood.
    under: the field of the result that holds the rows; `None`: the result itself does. many: whether they are keyed.
    """

    nice: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    bounded: Mapping[str, str] = field(default_factory=dict)
    readable: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    under: str | None = None
    many: bool = False

    @property
    def known(self) -> frozenset[str]:
        """Every field that is known."""
        return self.nice | self.needed | frozenset(self.bounded)

    def compare(self, result: Any, note: Note) -> None:
        """Report the new, missing and odd fields of a result."""
        held = result.get(self.under) if self.under is not None and isinstance(result, Mapping) else result
        if not isinstance(held, Mapping):
            note(self.under or "result", ODD)
            return
        known, told = self.known, self.needed | self.bounded.keys()
        for row in held.values() if self.many else (held,):
            if isinstance(row, Mapping):
                self._compare_row(row, known, told, note)
            else:
                note("row", ODD)

    def _compare_row(self, row: Mapping[str, Any], known: frozenset[str], told: Iterable[str], note: Note) -> None:
        for name in row.keys() - known:
            note(name, NEW)
        for name in told:
            if row.get(name) in _NOTHING:
                note(name, MISSING)
        for name, is_readable in self.readable.items():
            if row.get(name) not in _NOTHING and not is_readable(row[name]):
                note(name, ODD)


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def compare(endpoint: str, result: Any, note: Note) -> None:
    """Report the new, missing and odd fields of an endpoint's result; an endpoint without a shape is ignored."""
    shape = SHAPES.get(endpoint)
    if shape is not None:
        shape.compare(result, note)


def is_amount(value: object) -> bool:
    """Whether a value is an exact amount, as text or as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return False
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False


def one_of(words: str) -> Callable[[object], bool]:
    """Whether a value is one of these words."""
    known = frozenset(words.split())
    return lambda value: isinstance(value, str) and value in known


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The state of an order is read from these rows. The row's name identifies it; `cl_ord_id` does only where it is looked
# up by that. A row that lacks a needed field proves that the order exists, but not how much of it was filled.
_ORDER = Shape(
    needed=_names("status vol_exec cost fee"),
    bounded={"descr": "The receipt has no description."},
    nice=_names(
        "refid userref cl_ord_id opentm starttm expiretm closetm vol price stopprice limitprice misc oflags reason "
        "time_in_force trades trigger margin sender_sub_id ratecount link aclass post_status"
    ),
    readable={
        "status": one_of("pending open closed canceled expired"),
        "vol_exec": is_amount, "cost": is_amount, "fee": is_amount,
        "descr": lambda value: isinstance(value, Mapping),
    },
    many=True,
)  # fmt: skip

# A trade only identifies its order.
_TRADE = Shape(
    needed=_names("ordertxid"),
    nice=_names(
        "postxid pair time type ordertype tradeordertype price cost fee vol margin leverage misc trade_id maker aclass "
        "ledgers posstatus cprice ccost cfee cvol cmargin net trades cl_ord_id"
    ),
    many=True,
)


def _under(name: str, shape: Shape) -> Shape:
    return Shape(shape.nice, shape.needed, shape.bounded, shape.readable, name, many=True)


def _plain(needed: str = "", nice: str = "", **bounded: str) -> Shape:
    return Shape(_names(nice), _names(needed), bounded)


_KEY_INFO = (
    "nonce iban apiKeyName api_key_name apiKey api_key nonceWindow nonce_window validUntil valid_until queryFrom "
    "query_from queryTo query_to createdTime created_time modifiedTime modified_time ipAllowlist ip_allowlist lastUsed "
    "last_used"
)

SHAPES: Mapping[str, Shape] = MappingProxyType({
    # Time sets the nonces straight where this machine's clock is wrong; SystemStatus only tells earlier what an
    # order's answer would.
    "Time": _plain("unixtime", "rfc1123"),
    "SystemStatus": Shape(
        _names("timestamp msg"), _names("status"),
        readable={"status": one_of("online maintenance cancel_only post_only")},
    ),
    # What a balance row is called; a row without it keeps Kraken's own name.
    "Assets": Shape(
        _names("aclass decimals display_decimals collateral_value status margin_rate"), _names("altname"), many=True
    ),
    # No order is placed with a key whose permissions or nonce window are not told: an order could be doubled.
    "GetApiKeyInfo": _plain("permissions", _KEY_INFO),
    "OpenOrders": _under("open", _ORDER),
    "ClosedOrders": _under("closed", _ORDER),
    "QueryOrders": _ORDER,
    "TradesHistory": _under("trades", _TRADE),
    "QueryTrades": _TRADE,
    # Only a txid proves that there is an order; without one it is looked up. `validate` is answered without it.
    "AddOrder": _plain("", "txid cl_ord_id userref order_userref", descr="The receipt has no description."),
    "AmendOrder": _plain("", "amend_id"),
    # A cancel counts when the order is seen to be gone; the count only says it earlier.
    "CancelOrder": _plain("", "count pending"),
    "CancelAll": _plain("", "count pending"),
    "CancelAllOrdersAfter": _plain("", "currentTime triggerTime"),
})  # fmt: skip
