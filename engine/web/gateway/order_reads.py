"""The reads that tell of orders, with the names that the client gave them, and by these names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from engine.actors.lane.messages import CallDone
from engine.errors import WrongParameter
from engine.kraken.param_values import NOTHING, client_id, userref
from engine.rules.order.placement import Placement
from engine.web.gateway.names import CLIENT_ID, USERREF, OrderNames, fits
from engine.web.gateway.reads import SETTLE, Asked, FairReads

PAGE = 50  # rows of ClosedOrders, and orders that one QueryOrders takes
SLACK = 3600.0  # seconds: this machine's clock and Kraken's differ
NAMED = frozenset({"OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory", "QueryTrades"})

Wanted = Mapping[str, str | int]


class Client(NamedTuple):
    """Who asks: for which account, by which gateway key, and until when (monotonic)."""

    account: str
    key: str
    deadline: float


class OrderReads:
    """Answers the endpoints in `NAMED`. Lives in the thread of the event loop."""

    def __init__(self, reads: FairReads, names: OrderNames) -> None:
        self._reads, self._names = reads, names

    async def answer(self, client: Client, name: str, params: Mapping[str, Any]) -> CallDone:
        """The answer of that endpoint. Raises a `CallError`."""
        match name:
            case "OpenOrders":
                return await self._open(client, params)
            case "ClosedOrders":
                return await self._closed(client, params)
            case "QueryOrders":
                wanted, rest = _split(params)
                done = await self._read(client, name, rest, wanted)
                return await self._changed(client, done, None, wanted)
            case _:
                done = await self._read(client, name, params, {})
                inside = "trades" if name == "TradesHistory" else None
                return await self._changed(client, done, inside, {}, order_of="ordertxid")

    async def _open(self, client: Client, params: Mapping[str, Any]) -> CallDone:
        """All of them are in one answer: those of a name are picked from it, which an edit cannot hide."""
        wanted, rest = _split(params)
        done = await self._read(client, "OpenOrders", rest, wanted)
        return await self._changed(client, done, "open", wanted)

    async def _closed(self, client: Client, params: Mapping[str, Any]) -> CallDone:
        """A page. By a name: the client's own orders, as the journal has them, and then those that Kraken knows by it.

        So every order is on one of the pages; the order of time holds in each of the two parts.
        """
        wanted, rest = _split(params)
        if not wanted:
            return await self._changed(client, await self._read(client, "ClosedOrders", rest, {}), "closed", {})
        param, value = next(iter(wanted.items()))
        ours = await self._names.all(client.account, client.key, param, value)
        if not ours:
            return await self._changed(client, await self._read(client, "ClosedOrders", params, wanted), "closed", {})
        rows, count, warnings = await self._own_page(client, rest, ours, wanted)
        ofs = _whole(rest, "ofs")
        if param == USERREF:
            there = await self._read(client, "ClosedOrders", {**params, "ofs": max(0, ofs - count)}, wanted)
            told = await self._changed(client, there, "closed", {})
            warnings += told.warnings
            many = told.result.get("count", 0) if isinstance(told.result, Mapping) else 0
            found = told.result.get("closed", {}) if isinstance(told.result, Mapping) else {}
            rows |= dict(list(found.items())[: PAGE - len(rows)])
            count += many if isinstance(many, int) else 0
        result: dict[str, Any] = {"closed": rows}
        if str(rest.get("without_count", "")).lower() not in ("true", "1"):
            result["count"] = count
        return CallDone(_NO_CALL, result, warnings)

    async def _own_page(
        self, client: Client, params: Mapping[str, Any], ours: Sequence[Placement], wanted: Wanted
    ) -> tuple[dict[str, Any], int, tuple[str, ...]]:
        """The page of the client's own closed orders, and how many there are in all."""
        span = _Span.of(params)
        ended = sorted((row for row in ours if row.state.is_over), key=_ended, reverse=True)
        over = [txid for row in ended if span.may_have(row) for txid in (*row.txids, *row.former)]
        still = [txid for row in ours if not row.state.is_over for txid in (*row.txids, *row.former)]
        first = still + (over if span.is_bounded else over[: _whole(params, "ofs") + PAGE])
        rows, warnings = await self._query(client, params, first)
        closed = {txid: row for txid, row in rows.items() if row.get("closetm") and span.has(row)}
        newest = dict(sorted(closed.items(), key=lambda each: _number(each[1].get("closetm")), reverse=True))
        left_out = 0 if span.is_bounded else len(over) - sum(txid in rows for txid in over)
        ofs = _whole(params, "ofs")
        return dict(list(newest.items())[ofs : ofs + PAGE]), len(closed) + left_out, warnings

    async def _query(
        self, client: Client, params: Mapping[str, Any], txids: Sequence[str]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Orders by txid, with the client's names."""
        passed = {name: params[name] for name in ("trades", "consolidate_taker") if name in params}
        found: dict[str, Any] = {}
        warnings: tuple[str, ...] = ()
        for at in range(0, len(txids), PAGE):
            asked = {**passed, "txid": ",".join(txids[at : at + PAGE])}
            done = await self._read(client, "QueryOrders", asked, {})
            warnings += done.warnings
            found |= {txid: row for txid, row in _rows(done.result).items() if isinstance(row, Mapping)}
        return await self._names.named(client.account, client.key, found), warnings

    async def _read(self, client: Client, name: str, params: Mapping[str, Any], wanted: Wanted) -> CallDone:
        asked = Asked(client.account, name, params, SETTLE if wanted else None)
        return await self._reads.read(client.key, asked, client.deadline)

    async def _changed(
        self, client: Client, done: CallDone, inside: str | None, wanted: Wanted, order_of: str | None = None
    ) -> CallDone:
        """The answer with the client's names, and only with the orders that are asked for."""
        result = done.result
        rows = result if inside is None else result.get(inside) if isinstance(result, Mapping) else None
        if not isinstance(rows, Mapping):
            return done
        named = await self._names.named(client.account, client.key, rows, order_of)
        kept = {name: row for name, row in named.items() if fits(row, wanted)}
        return CallDone(done.call, kept if inside is None else {**result, inside: kept}, done.warnings)


_NO_CALL: Any = None  # an answer that is put together from several calls


class _Span(NamedTuple):
    """The time to which closed orders are limited, by which of their times, in Unix seconds."""

    start: float | None
    end: float | None
    by: str

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> _Span:
        """Raises `WrongParameter` for a txid in the place of a time, which says nothing about a client's own orders."""
        ends = []
        for name in ("start", "end"):
            told = str(params.get(name) or "")
            try:
                ends.append(float(told) if told else None)
            except ValueError:
                sentence = f"The gateway takes {name} in Unix seconds when closed orders are asked for by a name."
                raise WrongParameter(sentence, name=name) from None
        return cls(ends[0], ends[1], str(params.get("closetime") or "both"))

    @property
    def is_bounded(self) -> bool:
        return self.start is not None or self.end is not None

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is in it: Kraken's start is exclusive, its end inclusive."""
        names = {"open": ("opentm",), "close": ("closetm",)}.get(self.by, ("opentm", "closetm"))
        return any(self._holds(_number(row.get(name))) for name in names)

    def may_have(self, row: Placement) -> bool:
        """Whether the order may be in it, by what the journal tells of its times."""
        begun, ended = min(row.times.values(), default=0.0), _ended(row)
        if self.start is not None and ended < self.start - SLACK:
            return False
        return self.end is None or begun <= self.end + SLACK

    def _holds(self, moment: float) -> bool:
        return (self.start is None or moment > self.start) and (self.end is None or moment <= self.end)


def _split(params: Mapping[str, Any]) -> tuple[dict[str, str | int], dict[str, Any]]:
    """The names that are asked for, and the other parameters. Raises `WrongParameter`."""
    wanted: dict[str, str | int] = {}
    for name, reader in ((CLIENT_ID, client_id), (USERREF, userref)):
        value = params.get(name)
        if value is None or value == "":
            continue
        try:
            read = reader(value)
        except ValueError as error:
            raise WrongParameter(f"The parameter {name} is {str(value)[:40]!r}: {error}.", name=name) from None
        if read is not NOTHING:
            wanted[name] = read
    return wanted, {name: value for name, value in params.items() if name not in (CLIENT_ID, USERREF)}


def _whole(params: Mapping[str, Any], name: str) -> int:
    told = str(params.get(name) or 0)
    if not told.isascii() or not told.isdigit():
        raise WrongParameter(f"The parameter {name} is {told[:40]!r}: it is a whole number.", name=name)
    return int(told)


def _rows(result: Any) -> Mapping[str, Any]:
    return result if isinstance(result, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float | Decimal) else 0.0


def _ended(row: Placement) -> float:
    return max(row.times.values(), default=0.0)
