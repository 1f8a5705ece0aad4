"""What the command line tells of an engine's orders, of one in its own process or of a `RemoteEngine`, JSON-ready.

Each function raises what the methods of `Engine` that it uses raise.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.actors.events import OrderChanged
from engine.app.verbs import Verbs
from engine.errors import CallError, CallUnknown, NotLive, OrderRejected, UnknownName
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.order import OrderReceipt

Document = dict[str, Any]

LOOK_AGAIN = 1.0  # seconds between two looks at something that no event announces
READ_WITHIN = 3.0  # seconds for what is good to know of an order that is canceled
_TXID = re.compile(r"O[A-Z0-9]{3,}-[A-Z0-9]{3,}-[A-Z0-9]{3,}")
_OPEN = ("pending", "open")  # Kraken's words for an order that is not over

_NOT_LIVE = "The running service is not live, so that nothing can be placed: start it with --live."
_NOT_LOOKED = "Kraken could not be asked, so this is what was known before: {error}"
_NOT_READ = "Kraken has canceled it; what was filled of it could not be read: {error}"
_STILL_OPEN = "Kraken has not confirmed that order {txid} is over: the same cancel may be sent again."


def accounts(engine: Verbs) -> list[str]:
    """The names of the accounts."""
    return [each.account for each in engine.status().accounts]


def open_orders(engine: Verbs, *, account: str, timeout: float | None = None) -> list[Document]:
    """Every open order of the account at Kraken, whoever placed it, and every placement whose outcome is unknown."""
    return [
        {**each.to_dict(), "state": "open" if each.receipt is None else each.receipt.state.value}
        for each in engine.open_orders(account, timeout, all=True)
    ]


def unsettled(engine: Verbs, *, account: str, timeout: float | None = None) -> list[Document]:
    """The placements of the account whose outcome is unknown."""
    if not engine.reserved(account):  # what may still take money is reserved for, and this asks nobody
        return []
    return [_from_receipt(each) for each in engine.open_orders(account, timeout) if not each.state.is_settled]


def order(
    engine: Verbs, *, account: str, name: str, timeout: float, until_over: bool = False
) -> Document:
    """One order, by our id or Kraken's txid, after a look at Kraken.

    An unknown outcome is waited for, at most `timeout` seconds; with `until_over` the end of the order is. Where Kraken
    cannot be asked about an open order, `note` says so.
    """
    deadline = time.monotonic() + timeout
    try:
        receipt = engine.order(account, name)
    except UnknownName:
        if not _TXID.fullmatch(name):
            raise
        return _at_kraken(engine, account, name, timeout)

    def is_known() -> bool:
        now = engine.order(account, receipt.cl_ord_id)
        return now.is_final if until_over else now.state.is_settled

    _wait(engine, is_known, deadline)
    note = None
    now = engine.order(account, receipt.cl_ord_id)
    if now.state.is_settled and not now.is_final:
        try:
            engine.open_orders(account)
        except CallError as error:
            note = _NOT_LOOKED.format(error=error)
    return {**_from_receipt(engine.order(account, receipt.cl_ord_id)), "note": note}


def cancel(engine: Verbs, *, account: str, name: str, timeout: float) -> Document:
    """Cancel an order by our id or by Kraken's txid, whoever has placed it; the order as it is afterwards."""
    try:
        return _from_receipt(engine.cancel(account, name, timeout))
    except UnknownName:
        if not _TXID.fullmatch(name):
            raise
    return _cancel_other(engine, account, name, timeout)


def cancel_all(engine: Verbs, *, account: str, timeout: float | None = None) -> Document:
    """Cancel every open order of the account: how many, as Kraken counts them."""
    return {"account": account, "count": engine.cancel_all(account, timeout)}


def resume(engine: Verbs, *, account: str, timeout: float | None = None) -> Document:
    """Let the calls of a key go again at once, and try it: the balance that was fetched with it."""
    engine.resume(account)
    return engine.balance(account, 0.0, timeout).to_dict()


def pause_trading(engine: Verbs, *, account: str, timeout: float | None = None) -> Document:
    """Let no order of an account go out: since when."""
    engine.pause_trading(account, timeout)
    return _paused(engine, account)


def resume_trading(engine: Verbs, *, account: str, timeout: float | None = None) -> Document:
    """Let the orders of an account go out again."""
    engine.resume_trading(account, timeout)
    return _paused(engine, account)


def _paused(engine: Verbs, account: str) -> Document:
    since = engine.status().paused.get(account)
    return {"account": account, "paused_since": None if since is None else since.isoformat(timespec="seconds")}


def trade(
    engine: Verbs, *, account: str, plan: TradePlan, timeout: float | None = None, live: bool = False
) -> GateReport:
    """One order through the five gates; placed only with `live`, and where the engine is live too."""
    if live and not engine.live:
        raise NotLive(_NOT_LIVE)
    return engine.gates(account, plan, dry=not live, timeout=timeout)


def _wait(engine: Verbs, is_done: Callable[[], bool], deadline: float) -> None:
    """Wait until something is done with the orders, or the time is over."""
    changed = threading.Event()

    def note(event: Any) -> None:
        if isinstance(event, OrderChanged):
            changed.set()

    engine.subscribe(note)
    try:
        while not is_done() and (left := deadline - time.monotonic()) > 0:
            changed.wait(min(left, LOOK_AGAIN))
            changed.clear()
    finally:
        engine.unsubscribe(note)


def _cancel_other(engine: Verbs, account: str, txid: str, timeout: float) -> Document:
    """Cancel an order that was not placed here. Kraken's word that it is canceled counts, or a row that says so.

    The cancel is sent again while nobody knows whether Kraken has done it: it cannot be done twice.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = max(LOOK_AGAIN, deadline - time.monotonic())
        error: CallError = CallUnknown(_STILL_OPEN.format(txid=txid), account=account, endpoint="CancelOrder")
        try:
            result = engine.call(account, "CancelOrder", {"txid": txid}, left)
            if result.get("count") and not result.get("pending"):
                return _canceled(engine, account, txid)
        except (OrderRejected, CallUnknown) as failure:  # there is no such order, it is over, or nobody knows
            error = failure
        with contextlib.suppress(CallError):  # the cancel's own end says more
            found = _at_kraken(engine, account, txid, left)
            if found["is_over"]:
                return found
        if time.monotonic() + LOOK_AGAIN >= deadline:
            raise error
        time.sleep(LOOK_AGAIN)


def _canceled(engine: Verbs, account: str, txid: str) -> Document:
    """An order that Kraken has just canceled, with what was filled of it where that can be read at once."""
    try:
        found = _at_kraken(engine, account, txid, READ_WITHIN)
    except CallError as error:
        return {**_from_row(account, txid, {"status": "canceled"}), "note": _NOT_READ.format(error=error)}
    return found if found["is_over"] else {**found, "state": "canceled", "is_over": True}


def _at_kraken(engine: Verbs, account: str, txid: str, timeout: float) -> Document:
    """An order that was not placed here. Raises `OrderRejected` when Kraken has none of that name."""
    rows = engine.call(account, "QueryOrders", {"txid": txid}, timeout)
    if not isinstance(rows.get(txid), Mapping):
        sentence = f"Kraken has no order {txid} of account {account}."
        raise OrderRejected(sentence, account=account, endpoint="QueryOrders")
    return _from_row(account, txid, rows[txid])


def _from_receipt(receipt: OrderReceipt) -> Document:
    sent = (receipt.sent or receipt.order).to_dict()
    return {
        "account": receipt.account, "id": receipt.id, "is_ours": True, "state": receipt.state.value,
        "is_settled": receipt.state.is_settled, "is_over": receipt.state.is_over, "is_final": receipt.is_final,
        "txids": list(receipt.txids), "cl_ord_id": receipt.cl_ord_id,
        **{name: sent[name] for name in ("pair", "side", "type", "volume", "price", "price2")},
        "filled": _plain(receipt.filled), "cost": _plain(receipt.cost), "fee": _plain(receipt.fee),
        "average_price": _average(receipt.cost, receipt.filled), "reason": receipt.reason,
    }  # fmt: skip


def _from_row(account: str, txid: str, row: Mapping[str, Any]) -> Document:
    """The same of an order that was not placed here, from Kraken's row; what that does not tell is `None`."""
    described, state = row.get("descr") or {}, str(row.get("status", "open"))
    return {
        "account": account, "id": None, "is_ours": False, "state": state, "is_settled": True,
        "is_over": state not in _OPEN, "is_final": state not in _OPEN,
        "txids": [txid], "cl_ord_id": row.get("cl_ord_id"),
        "pair": described.get("pair"), "side": described.get("type"), "type": described.get("ordertype"),
        "volume": row.get("vol"), "price": _unless_zero(described.get("price")),
        "price2": _unless_zero(described.get("price2")),
        "filled": row.get("vol_exec"), "cost": row.get("cost"), "fee": row.get("fee"),
        "average_price": _unless_zero(row.get("price")), "reason": row.get("reason"),
    }  # fmt: skip


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _unless_zero(text: Any) -> str | None:
    """Kraken writes 0 where an order has no such price."""
    return None if text is None or not str(text).strip("0.") else str(text)


def _average(cost: Decimal, filled: Decimal) -> str | None:
    return None if not filled or not cost else _plain((cost / filled).quantize(Decimal("1e-10")).normalize())
