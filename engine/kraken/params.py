"""The parameters of the calls that place, change and cancel orders: what is kept, made canonical, and passed over.

Well-known clients put parameters of their own habit into every order: the defaults of everything, agreements that
Kraken wanted once, switches as Python or JavaScript spells them. What says nothing is passed over, what says something
is kept as Kraken takes it, and what is not understood is refused by its name: an order without it would be another one.

The names are those of Kraken's Spot REST reference of November 2026. Only what a parameter says by itself is read here;
whether an order has all it needs is for the order, and whether Kraken takes it for Kraken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import WrongParameter
from engine.kraken.dry_run import NAME as VALIDATE
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import Endpoint
from engine.kraken.param_values import (
    NOTHING,
    Reader,
    amount,
    asset_class,
    client_id,
    deadline,
    flags,
    ignored,
    leverage,
    moment,
    more_than_nothing,
    one_name,
    only,
    price,
    switch,
    text,
    userref,
    word,
)

CLIENT_ID, USERREF, CLOSE, ORDERS = "cl_ord_id", "userref", "close", "orders"
ORDER_TYPES = (
    "market", "limit", "iceberg", "stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit", "trailing-stop",
    "trailing-stop-limit",
)  # fmt: skip
CLOSE_TYPES = tuple(each for each in ORDER_TYPES if each not in ("market", "iceberg"))
CLOSE_PARTS = ("ordertype", "price", "price2")
SELF_TRADES = ("cancel-newest", "cancel-oldest", "cancel-both")

_SAYS_NOTHING: Mapping[str, Reader] = {
    "trading_agreement": only("agree"),
    "broker": ignored,
}
_ROW: Mapping[str, Reader] = {
    "type": word("buy", "sell"),
    "ordertype": word(*ORDER_TYPES),
    "volume": amount,
    "price": price,
    "price2": price,
    "displayvol": amount,
    "trigger": word("last", "index"),
    "leverage": leverage,
    "reduce_only": switch,
    "stptype": word(*SELF_TRADES, default="cancel-newest"),
    "oflags": flags,
    "timeinforce": word("GTC", "IOC", "FOK", "GTD", default="GTC"),
    "starttm": moment,
    "expiretm": moment,
    "close[ordertype]": word(*CLOSE_TYPES),
    "close[price]": price,
    "close[price2]": price,
    USERREF: userref,
    CLIENT_ID: client_id,
    "position": only(),  # XChange names it, always empty
    **_SAYS_NOTHING,
}
_WHOLE_CALL: Mapping[str, Reader] = {
    "pair": text, "deadline": deadline, "asset_class": asset_class, VALIDATE: switch,
}  # fmt: skip

_quantity, _price = more_than_nothing(amount), more_than_nothing(price)

PARAMETERS: Mapping[str, Mapping[str, Reader]] = MappingProxyType({
    "AddOrder": {**_ROW, **_WHOLE_CALL},
    "AddOrderBatch": {**_WHOLE_CALL, **_SAYS_NOTHING},
    "EditOrder": {
        "txid": one_name, "volume": _quantity, "displayvol": amount, "price": price, "price2": price, "oflags": flags,
        USERREF: userref, "cancel_response": switch, **_WHOLE_CALL, **_SAYS_NOTHING,
    },
    "AmendOrder": {
        "txid": one_name, CLIENT_ID: client_id, "order_qty": _quantity, "display_qty": _quantity,
        "limit_price": _price, "trigger_price": _price, "post_only": switch, "pair": text, "deadline": deadline,
        "asset_class": asset_class, **_SAYS_NOTHING,
    },
    "CancelOrder": {"txid": one_name, CLIENT_ID: client_id, USERREF: userref},  # the reference names the first two
})  # fmt: skip
"""By endpoint, the reader of each parameter that it knows."""

_BATCH_ROW: Mapping[str, Reader] = {**_ROW, "asset_class": only("currency")}
_ALIASES = {"stp_type": "stptype"}


def canonical(endpoint: Endpoint, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a call as Kraken takes them, without those that say nothing.

    A conditional close is in three parameters, ``close[ordertype]`` and so on; in an order of a batch it is an object,
    as JSON has it. Raises `WrongParameter` for a parameter that is not known or whose value must not be guessed.
    Calls that neither place, change nor cancel one order are left alone, except that `validate` is settled.
    """
    found = settled(endpoint, params)
    known = PARAMETERS.get(endpoint.name)
    if known is None:
        return found
    read = _read(endpoint.name, known, {name: value for name, value in found.items() if name != ORDERS})
    if endpoint.name == "AddOrderBatch" and ORDERS in found:
        read[ORDERS] = [_row(each, read) for each in _listed(found[ORDERS])]
    return read


def _read(call: str, known: Mapping[str, Reader], params: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in _flat(params).items():
        reader = known.get(name)
        if reader is None:
            raise WrongParameter(f"{call} has no parameter {_shown(name)}: leave it out.", name=str(name)[:64])
        if value is None or (isinstance(value, str) and not value):
            continue
        try:
            read = reader(value)
        except ValueError as error:
            sentence = f"The parameter {name} of {call} is {_shown(value)}: {error}."
            raise WrongParameter(sentence, name=name) from None
        if read is not NOTHING:
            told[name] = read
    return told


def _row(order: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """One order of a batch; the pair is that of the batch."""
    if not isinstance(order, Mapping):
        raise WrongParameter("Each of the orders of AddOrderBatch is an object.", name=ORDERS)
    if "pair" in order and order["pair"] != batch.get("pair"):
        raise WrongParameter("All orders of a batch are on its pair: name no other in one of them.", name="pair")
    told = _read("AddOrderBatch", _BATCH_ROW, {name: value for name, value in order.items() if name != "pair"})
    close = {part: told.pop(f"close[{part}]") for part in CLOSE_PARTS if f"close[{part}]" in told}
    return {**told, CLOSE: close} if close else told


def _listed(orders: Any) -> list[Any]:
    if isinstance(orders, list | tuple):
        return list(orders)
    raise WrongParameter("The orders of AddOrderBatch are a list, in JSON.", name=ORDERS)


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters by Kraken's names; the parts of a conditional close by names of their own."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        parts = _parts(value) if name == CLOSE else {_ALIASES.get(name, name): value}
        for each in parts.keys() & flat.keys():
            raise WrongParameter(f"The parameter {_shown(each)} is given twice: give it once.", name=str(each)[:64])
        flat |= parts
    return flat


def _parts(close: Any) -> dict[str, Any]:
    if close is None or close in ("", "{}"):
        return {}
    if not isinstance(close, Mapping) or not close.keys() <= set(CLOSE_PARTS):
        raise WrongParameter(
            "A conditional close is close[ordertype], close[price] and close[price2], in JSON an object of these.",
            name=CLOSE,
        )
    return {f"close[{part}]": value for part, value in close.items()}


def _shown(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str | int | float) else str(type(value).__name__)
