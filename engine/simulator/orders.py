"""The orders of one account. There is no book yet: a placement is recorded, and may rest."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from engine.simulator.market import Pair, find_pair
from engine.simulator.refusal import Refused

Params = Mapping[str, Any]

_TYPES_WITH_PRICE = frozenset({
    "limit", "iceberg", "stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit",
    "trailing-stop", "trailing-stop-limit",
})  # fmt: skip
_TYPES = _TYPES_WITH_PRICE | {"market", "settle-position"}
_TWO_PRICES = frozenset({"stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
_TIMES_IN_FORCE = frozenset({"GTC", "GTD", "IOC", "FOK"})
_PRICE = re.compile(r"[+#-]?\d+(\.(\d+))?%?")
_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}"
)
_LONGEST_DEADLINE = 61.0  # a minute, and what a clock may be wrong


class Placement(NamedTuple):
    """An order that was placed: whose, under which txid, and exactly what was asked for."""

    account: str
    txid: str
    params: dict[str, Any]


class Resting(NamedTuple):
    """An order that can be cancelled."""

    txid: str
    cl_ord_id: str | None = None
    userref: str | None = None

    def names(self) -> tuple[str | None, ...]:
        """Everything `CancelOrder` may call it."""
        return (self.txid, self.userref)


class Orders:
    """Places and cancels. The exchange holds its lock around every method."""

    def __init__(self, account: str, wall: Callable[[], float]) -> None:
        self._account = account
        self._wall = wall
        self._resting: dict[str, Resting] = {}
        self.placements: list[Placement] = []

    def put_in(self, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Let an order rest that nobody placed with a call."""
        self._resting[txid] = Resting(txid, cl_ord_id)

    def place(self, params: Params) -> dict[str, Any]:
        """`AddOrder`: check it, and unless it only validates, put it in."""
        for check in _CHECKS:
            check(params)
        self._check_identity(params)
        self._check_deadline(params)
        result: dict[str, Any] = {"descr": {"order": _describe(params)}}
        # Sent as form text, even `validate=false` has been seen to validate only.
        if params.get("validate") in (None, False):
            result["txid"] = [self._put_in_new(params)]
        return result

    def cancel(self, params: Params) -> dict[str, Any]:
        """`CancelOrder`, by txid, by userref (all that carry it) or by cl_ord_id."""
        name, client_id = _text(params, "txid"), _text(params, "cl_ord_id")
        if not name and not client_id:
            raise Refused("EGeneral:Invalid arguments")
        found = [
            order.txid
            for order in self._resting.values()
            if (name and name in order.names()) or (client_id and client_id == order.cl_ord_id)
        ]
        if not found:
            raise Refused("EOrder:Unknown order")
        for txid in found:
            del self._resting[txid]
        return {"count": len(found)}

    def cancel_all(self) -> dict[str, Any]:
        """`CancelAll`."""
        count = len(self._resting)
        self._resting.clear()
        return {"count": count}

    def _put_in_new(self, params: Params) -> str:
        txid = _new_txid()
        self.placements.append(Placement(self._account, txid, dict(params)))
        rests = _text(params, "timeinforce", "GTC") in ("GTC", "GTD")
        if rests and _text(params, "ordertype") in _TYPES_WITH_PRICE:
            client_id, userref = _text(params, "cl_ord_id"), _text(params, "userref")
            self._resting[txid] = Resting(txid, client_id or None, userref or None)
        return txid

    def _check_identity(self, params: Params) -> None:
        client_id = _text(params, "cl_ord_id")
        if not client_id:
            return
        _require(not _text(params, "userref"), "EGeneral:Invalid arguments")
        _require(_CLIENT_ID.fullmatch(client_id), "EGeneral:Invalid arguments:cl_ord_id")
        _require(
            all(order.cl_ord_id != client_id for order in self._resting.values()),
            "EGeneral:Invalid arguments:cl_ord_id not unique",
        )

    def _check_deadline(self, params: Params) -> None:
        text = _text(params, "deadline")
        if not text:
            return
        try:
            deadline = datetime.fromisoformat(text)
        except ValueError:
            raise Refused("EGeneral:Invalid arguments:deadline") from None
        left = deadline.replace(tzinfo=deadline.tzinfo or UTC).timestamp() - self._wall()
        _require(left <= _LONGEST_DEADLINE, "EGeneral:Invalid arguments:deadline")
        _require(left > 0, "EService:Deadline elapsed")


def _check_pair(params: Params) -> None:
    _require(find_pair(_text(params, "pair")), "EQuery:Unknown asset pair")


def _check_kind(params: Params) -> None:
    _require(_text(params, "ordertype") in _TYPES, "EGeneral:Invalid arguments:ordertype")
    _require(_text(params, "type") in ("buy", "sell"), "EGeneral:Invalid arguments:type")
    known = _text(params, "timeinforce", "GTC") in _TIMES_IN_FORCE
    _require(known, "EGeneral:Invalid arguments:timeinforce")


def _check_volume(params: Params) -> None:
    volume = _amount(_text(params, "volume"))
    if volume is None or volume <= 0:
        raise Refused("EGeneral:Invalid arguments:volume")
    enough = volume >= Decimal(_pair(params).ordermin)
    _require(enough, "EGeneral:Invalid arguments:volume minimum not met")


def _check_prices(params: Params) -> None:
    kind = _text(params, "ordertype")
    needed = ("price", "price2") if kind in _TWO_PRICES else ("price",)
    for name in needed if kind in _TYPES_WITH_PRICE else ():
        _check_price(_text(params, name), name, _pair(params))


def _check_price(text: str, name: str, pair: Pair) -> None:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    if len(match[2] or "") > pair.pair_decimals and not text.endswith("%"):
        allowed = f"can only be specified up to {pair.pair_decimals} decimals."
        raise Refused(f"EOrder:Invalid price:{pair.id} price {allowed}")


_CHECKS: tuple[Callable[[Params], None], ...] = (
    _check_pair,
    _check_kind,
    _check_volume,
    _check_prices,
)


def _require(held: object, otherwise: str) -> None:
    if not held:
        raise Refused(otherwise)


def _text(params: Params, name: str, default: str = "") -> str:
    value = params.get(name, default)
    return value if isinstance(value, str) else ""


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _pair(params: Params) -> Pair:
    pair = find_pair(_text(params, "pair"))
    assert pair is not None  # checked first
    return pair


def _describe(params: Params) -> str:
    volume = _amount(_text(params, "volume"))
    words = [_text(params, name) for name in ("ordertype", "price", "price2")]
    how = " ".join(word for word in words if word)
    return f"{_text(params, 'type')} {volume:.8f} {_pair(params).altname} @ {how}"


def _new_txid() -> str:
    letters = string.ascii_uppercase + string.digits
    text = "O" + "".join(secrets.choice(letters) for _ in range(16))
    return f"{text[:6]}-{text[6:11]}-{text[11:]}"
