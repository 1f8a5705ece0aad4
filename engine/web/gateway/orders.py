"""AddOrder of the gateway's clients as placements of the engine's, which go through its order journal (promise G9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import ConfigError
from engine.rules.order.order import Order, OrderReceipt

# What an order says, by Kraken's names and ours. What is not here cannot be journalled, and is refused.
_SAME = {
    "pair": "pair", "type": "side", "ordertype": "type", "volume": "volume", "price": "price", "price2": "price2",
    "oflags": "flags", "timeinforce": "time_in_force", "trigger": "trigger", "displayvol": "display_volume",
}  # fmt: skip
_READ = {"leverage", "reduce_only", "expiretm"}
_MEANS_NOTHING = {"price": "0", "price2": "0", "starttm": "0", "expiretm": "0", "leverage": "none"}
NAME = "cl_ord_id"


def order_of(params: Mapping[str, Any]) -> tuple[Order, str | None]:
    """The order that AddOrder's parameters ask for, and the client's name for it.

    Raises `ConfigError` for an invalid order, and for parameters that an `Order` does not have, such as ``userref``,
    ``deadline`` and a conditional close: dropping one would place another order than was asked for.
    """
    given = {name: value for name, value in params.items() if value != "" and _MEANS_NOTHING.get(name) != value}
    client_name = given.pop(NAME, None)
    unknown = sorted(given.keys() - _SAME.keys() - _READ)
    if unknown:
        raise ConfigError(f"An order through the gateway has no {unknown[0]}.")
    said = {_SAME[name]: value for name, value in given.items() if name in _SAME}
    said |= {"leverage": _leverage(given.get("leverage")), "reduce_only": _switch(given.get("reduce_only", False))}
    if "expiretm" in given:
        said |= {"expires": _seconds(given["expiretm"]), "time_in_force": "GTD"}
    try:
        return Order(**said), None if client_name is None else str(client_name)
    except TypeError:
        raise ConfigError("An order needs pair, type, ordertype and volume.") from None


def result_of(receipt: OrderReceipt) -> dict[str, Any]:
    """A placement as AddOrder's result."""
    return {"descr": {"order": receipt.description or ""}, "txid": list(receipt.txids)}


def _leverage(value: Any) -> int | None:
    if value is None:
        return None
    text = str(value).removesuffix(":1")
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"invalid leverage {text[:20]!r}: give a whole number such as 2, or 2:1.")
    return int(text)


def _seconds(value: Any) -> int:
    text = str(value)
    if not text.startswith("+") or not text[1:].isascii() or not text[1:].isdigit():
        raise ConfigError("An order through the gateway expires after so many seconds: +60.")
    return int(text[1:])


def _switch(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise ConfigError("A switch is true or false.")
    return known[value]
