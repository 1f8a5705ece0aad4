"""Kraken's WebSocket v2: what is asked, and what each frame says.

Strict where a decision needs it: a numbered frame of a channel that was subscribed has a whole number as ``sequence``
and a type that is known; text that is not JSON, or a binary frame, is doubt (`Doubt`). Tolerant where none does: a
channel that nobody knows, a field that is missing or odd, is passed over and noted. Amounts are JSON numbers, without
the zeros at their end, so what they say is compared and never shown as the account's money.
Sources: Kraken's WebSocket v2 reference, pages "balances", "executions", "heartbeat", "ping" and "status".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from engine.kraken.drift import MISSING, NEW, ODD, Note, unnoted
from engine.kraken.pair_names import plain_code
from engine.kraken.strict_json import read_strictly
from engine.values.dataclass import dataclass

BALANCES, EXECUTIONS = "balances", "executions"
CHANNELS = (BALANCES, EXECUTIONS)
TOKEN = "GetWebSocketsToken"  # noqa: S105 - the endpoint that gives one
_REQUESTS: Mapping[int | None, str] = dict(enumerate(CHANNELS, 1))
_OTHERS = frozenset({"heartbeat", "status", "ticker", "instrument", "book", "trade", "ohlc", "level3"})
_STEP = Decimal("1e-8")  # REST tells no finer volume; a finer one here must not count as more than REST tells later


class Doubt(Exception):
    """A frame after which it is not known what was missed."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping. No sign of life of what stands behind the socket."""


@dataclass(frozen=True, slots=True)
class Alive:
    """A heartbeat, a status, or a channel that was not subscribed."""


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """The answer to a subscription."""

    channel: str | None
    """Which channel; `None`: the answer does not say, and is to no request of ours."""
    error: str | None
    """Kraken's text; `None` when it was acknowledged."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A frame of one of our channels."""

    channel: str
    is_snapshot: bool
    sequence: int
    rows: Sequence[Mapping[str, Any]] = field(repr=False)


Frame = Pong | Alive | ChannelAnswer | Numbered


def subscription(channel: str, token: str) -> str:
    """The text that subscribes one of `CHANNELS`. It holds the token, a secret."""
    params: dict[str, Any] = {"channel": channel, "token": token, "snapshot": True}
    if channel == EXECUTIONS:  # said explicitly: Kraken's pages disagree on what is the default
        params |= {"snap_orders": True, "snap_trades": False, "order_status": True}
    return json.dumps({"method": "subscribe", "params": params, "req_id": CHANNELS.index(channel) + 1})


def read_body(message: str | bytes) -> Mapping[str, Any]:
    """The JSON object that a message is. Raises `Doubt`."""
    if isinstance(message, bytes):
        raise Doubt("a binary frame")
    try:
        body = read_strictly(message.encode())
    except (ValueError, ArithmeticError, RecursionError):
        raise Doubt("a frame that is not JSON") from None
    if not isinstance(body, Mapping):
        raise Doubt("a frame that is not an object")
    return body


def read_frame(message: str | bytes, note: Note = unnoted) -> Frame:
    """What a message is. Raises `Doubt`."""
    body = read_body(message)
    if "method" in body or "success" in body:
        return _answer(body)
    channel = body.get("channel")
    if channel in CHANNELS:
        return _numbered(str(channel), body)
    return passed_over(channel, body, note)


def passed_over(channel: Any, body: Mapping[str, Any], note: Note) -> Alive:
    """A frame of a channel that was not subscribed; noted when nobody knows the channel."""
    if not isinstance(channel, str):
        note("channel", ODD if "channel" in body else MISSING)
    elif channel not in _OTHERS:
        note(channel, NEW)
    return Alive()


def _answer(body: Mapping[str, Any]) -> Frame:
    if body.get("method") == "pong":
        return Pong()
    result, error = body.get("result"), body.get("error")
    told = result.get("channel") if isinstance(result, Mapping) else None
    channel = _REQUESTS.get(_whole(body.get("req_id"))) or (told if told in CHANNELS else None)
    if body.get("success") is True:
        return ChannelAnswer(channel, None)
    return ChannelAnswer(channel, error if isinstance(error, str) and error else "no reason")


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbered(channel: str, body: Mapping[str, Any]) -> Numbered:
    kind, sequence, rows = body.get("type"), body.get("sequence"), body.get("data")
    if kind not in ("snapshot", "update"):
        raise Doubt(f"a frame of {channel} of an unknown type")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise Doubt(f"a frame of {channel} without a sequence number")
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise Doubt(f"a frame of {channel} without rows")
    return Numbered(channel, kind == "snapshot", sequence, rows)


def totals_of(rows: Sequence[Mapping[str, Any]], note: Note = unnoted) -> Mapping[str, Decimal | None]:
    """The total of each asset that these rows tell of, by plain name; the last row of an asset counts.

    `None`: it was told and cannot be read, so that it is not known any more.
    """
    found: dict[str, Decimal | None] = {}
    for row in rows:
        asset = row.get("asset")
        if not isinstance(asset, str) or not asset:
            note("asset", MISSING if asset is None else ODD)
            continue
        found[plain_code(asset)] = _amount(row, "balance", note)
    return found


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of an order, as far as one row says it. `None`: it does not.

    txid: Kraken's name of the order. cl_ord_id: the name that its owner gave it.
    exec_type, status: Kraken's ``exec_type`` and ``order_status``.
    exec_id: Kraken's name of the trade, where it is one.
    filled, cost: what was traded of the order in all, in the base and the quote asset.
    last: what this trade was of. fee: Kraken's fee for it.
    """

    txid: str
    cl_ord_id: str | None = None
    exec_type: str | None = None
    status: str | None = None
    exec_id: str | None = None
    filled: Decimal | None = None
    cost: Decimal | None = None
    last: Decimal | None = None
    fee: Decimal | None = None
    reason: str | None = None
    symbol: str | None = None
    side: str | None = None
    type: str | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    opened: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether the order is over."""
        return self.state in ("filled", "canceled", "expired")

    @property
    def state(self) -> str | None:
        """``filled``, ``canceled`` or ``expired``; anything else is an order that Kraken has."""
        kind = self.exec_type if self.exec_type in ("filled", "canceled", "expired") else None
        return kind or self.status


def executions_of(rows: Sequence[Mapping[str, Any]], note: Note = unnoted) -> tuple[Execution, ...]:
    """The rows that name an order; a row that names none is noted."""
    found = (_execution(row, note) for row in rows)
    return tuple(each for each in found if each is not None)


def _execution(row: Mapping[str, Any], note: Note) -> Execution | None:
    txid = _text(row, "order_id")
    if txid is None:
        note("order_id", MISSING)
        return None
    return Execution(
        txid, _text(row, "cl_ord_id"), _text(row, "exec_type"), _text(row, "order_status"), _text(row, "exec_id"),
        filled=_floored(row, "cum_qty", note), cost=_amount(row, "cum_cost", note),
        last=_floored(row, "last_qty", note), fee=_fee(row.get("fees")), reason=_text(row, "reason"),
        symbol=_text(row, "symbol"), side=_text(row, "side"),
        type=_text(row, "order_type"), volume=_amount(row, "order_qty", note), price=_amount(row, "limit_price", note),
        opened=_text(row, "timestamp"),
    )  # fmt: skip


def _fee(told: Any) -> Decimal | None:
    """The fee of a trade, where it is told in one asset."""
    rows = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    fees = [number(each.get("qty")) for each in rows]
    return fees[0] if len(fees) == 1 else None


def _floored(row: Mapping[str, Any], name: str, note: Note) -> Decimal | None:
    amount = _amount(row, name, note)
    return None if amount is None else min(amount, amount.quantize(_STEP, rounding=ROUND_DOWN))


def _amount(row: Mapping[str, Any], name: str, note: Note) -> Decimal | None:
    if row.get(name) is None:
        return None
    amount = number(row[name])
    if amount is None:
        note(name, ODD)
    return amount


def number(value: Any) -> Decimal | None:
    """A JSON number, unless it is too large to be an amount; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    amount = Decimal(value)
    return amount if amount.is_finite() and abs(amount) < Decimal("1e18") else None


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value[:100] if isinstance(value, str) and value else None
