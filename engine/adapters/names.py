"""The host's own names of its orders, which the engine's take the place of at Kraken, in both directions.

A placement of a host's order is named ``CLIENT-ID#N``: the N-th order of that name, since at Kraken a `cl_ord_id` is
unique among open orders only and may be used again when its order is over. One without a client id is named ``#`` and a
text of its own.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from engine.adapters.asking import Steps, ask
from engine.errors import UnknownName
from engine.kraken.params import CLIENT_ID, USERREF
from engine.rules.order.order import OrderReceipt
from engine.rules.order.own_name import KrakenName, is_own, same

KNOWN_AT_MOST = 10_000

_PLACED = re.compile(r"(?P<client>.*)#[0-9a-f]+")


def fresh() -> str:
    """A name for a placement that its host has not named."""
    return f"#{uuid.uuid4().hex}"


class Names:
    """The names of one account's orders. Thread-safe."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._uses: OrderedDict[str, int] = OrderedDict()
        self._client: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def next(self, client_id: str) -> Steps[str]:
        """The name for an order of this client id: that of its open order, or a new one."""
        use, receipt = yield from self._latest(client_id)
        return _numbered(client_id, use + (receipt is not None and receipt.state.is_over))

    def receipt(self, client_id: str) -> Steps[OrderReceipt | None]:
        """The latest order of this client id, if there is one here."""
        _, found = yield from self._latest(client_id)
        return found

    def at_kraken(self, txid: str) -> Steps[OrderReceipt | None]:
        """The placement that has this txid now: an edit gives it another one, and its old one is over."""
        found = yield from self._find(txid)
        return found if found is not None and txid in found.txids else None

    def _find(self, name: str) -> Steps[OrderReceipt | None]:
        try:
            found: OrderReceipt = yield from ask("order", self._account, name)
        except UnknownName:
            return None
        return found

    def asked(self, params: Mapping[str, Any]) -> Steps[Mapping[str, Any]]:
        """Parameters with the engine's name of an order in the place of the client's."""
        client_id = params.get(CLIENT_ID)
        if not isinstance(client_id, str):
            return params
        found = yield from self.receipt(client_id)
        return params if found is None else {**params, CLIENT_ID: found.cl_ord_id}

    def told(self, result: Any) -> Steps[Any]:
        """A result of Kraken's with the client's names and marks of orders, ``None`` where the client gave none."""
        if isinstance(result, list):
            rows = []
            for each in result:
                rows.append((yield from self.told(each)))
            return rows
        if not isinstance(result, dict):
            return result
        changed = {}
        for name, value in result.items():
            changed[name] = yield from self.told(value)
            if isinstance(value, dict) and value.get(USERREF) and not value.get(CLIENT_ID):
                changed[name] |= yield from self._of_numbered(name, value[USERREF])
        if isinstance(changed.get(CLIENT_ID), str):
            changed |= yield from self._of_client(changed[CLIENT_ID])
        return changed

    def _latest(self, client_id: str) -> Steps[tuple[int, OrderReceipt | None]]:
        """Which use of the client id is the latest, and its placement; the first use when there is none."""
        with self._lock:
            use = self._uses.get(client_id, 1)
        found = yield from self._find(_numbered(client_id, use))
        while found is not None and found.state.is_over:
            later = yield from self._find(_numbered(client_id, use + 1))
            if later is None:
                break
            use, found = use + 1, later
        with self._lock:
            self._uses[client_id] = use
            while len(self._uses) > KNOWN_AT_MOST:  # one that is asked for again is counted through again
                self._uses.popitem(last=False)
        return use, found

    def _of_client(self, cl_ord_id: str) -> Steps[Mapping[str, Any]]:
        """What an order's row has for its client, who may have given it a name or a mark."""
        with self._lock:
            known = self._client.get(cl_ord_id)
        if known is None:
            ours = same(cl_ord_id)
            receipt = yield from self._find(ours)
            if receipt is not None and receipt.cl_ord_id == ours:
                known = _told_of(receipt)
            else:
                known = {CLIENT_ID: None if is_own(cl_ord_id) else cl_ord_id}
            with self._lock:
                self._client[cl_ord_id] = known
                while len(self._client) > KNOWN_AT_MOST:
                    self._client.popitem(last=False)
        return known


    def _of_numbered(self, txid: str, number: Any) -> Steps[Mapping[str, Any]]:
        """The same for an order with a conditional close, which bears a number of the engine's at Kraken."""
        receipt = yield from self._find(txid)
        if receipt is None or receipt.order.close is None:
            return {}
        is_ours = KrakenName.of(receipt.cl_ord_id, has_close=True).value == number
        return _told_of(receipt) if is_ours else {}


def client_id_of(receipt: OrderReceipt) -> str | None:
    """The name that the client gave the order; ``None`` where it gave none."""
    if receipt.id == receipt.cl_ord_id:
        return None
    placed = _PLACED.fullmatch(receipt.id)
    return receipt.id if placed is None else placed["client"] or None


def _told_of(receipt: OrderReceipt) -> Mapping[str, Any]:
    return {CLIENT_ID: client_id_of(receipt), USERREF: receipt.order.userref}


def _numbered(client_id: str, use: int) -> str:
    return f"{client_id}#{use:x}"
