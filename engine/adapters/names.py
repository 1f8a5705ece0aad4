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
from engine.errors import InvalidArguments, UnknownName
from engine.rules.order.order import OrderReceipt

NAME = "cl_ord_id"
KNOWN_AT_MOST = 10_000

_CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[A-Za-z0-9_-]{1,18}")
_PLACED = re.compile(r"(?P<client>[A-Za-z0-9_-]*)#[0-9a-f]+")


def fresh() -> str:
    """A name for a placement that its host has not named."""
    return f"#{uuid.uuid4().hex}"


class Names:
    """The names of one account's orders. Thread-safe."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._uses: OrderedDict[str, int] = OrderedDict()
        self._client: OrderedDict[str, Any] = OrderedDict()

    def next(self, client_id: str) -> Steps[str]:
        """The name for an order of this client id: that of its open order, or a new one. Raises `InvalidArguments`."""
        if not _CLIENT_ID.fullmatch(client_id):
            told = "A cl_ord_id is a UUID, 32 hexadecimal digits, or up to 18 letters, digits, '-' and '_'."
            raise InvalidArguments(told, endpoint="AddOrder", kraken_code=f"EGeneral:Invalid arguments:{NAME}")
        use, receipt = yield from self._latest(client_id)
        return _numbered(client_id, use + (receipt is not None and receipt.state.is_over))

    def receipt(self, client_id: str) -> Steps[OrderReceipt | None]:
        """The latest order of this client id, if there is one here."""
        _, found = yield from self._latest(client_id)
        return found

    def find(self, name: str) -> Steps[OrderReceipt | None]:
        """The placement with this txid or `cl_ord_id` of Kraken's, if it is one of the engine's."""
        try:
            found: OrderReceipt = yield from ask("order", self._account, name)
        except UnknownName:
            return None
        return found

    def asked(self, params: Mapping[str, Any]) -> Steps[Mapping[str, Any]]:
        """Parameters with the engine's name of an order in the place of the client's."""
        client_id = params.get(NAME)
        if not isinstance(client_id, str):
            return params
        found = yield from self.receipt(client_id)
        return params if found is None else {**params, NAME: found.cl_ord_id}

    def told(self, result: Any) -> Steps[Any]:
        """A result of Kraken's with the client's names of orders, ``None`` where the client gave none."""
        if isinstance(result, list):
            rows = []
            for each in result:
                rows.append((yield from self.told(each)))
            return rows
        if not isinstance(result, dict):
            return result
        changed = {}
        for name, value in result.items():
            if name == NAME and isinstance(value, str):
                changed[name] = yield from self._of_client(value)
            else:
                changed[name] = yield from self.told(value)
        return changed

    def _latest(self, client_id: str) -> Steps[tuple[int, OrderReceipt | None]]:
        """Which use of the client id is the latest, and its placement; the first use when there is none."""
        with self._lock:
            use = self._uses.get(client_id, 1)
        found = yield from self.find(_numbered(client_id, use))
        while found is not None and found.state.is_over:
            later = yield from self.find(_numbered(client_id, use + 1))
            if later is None:
                break
            use, found = use + 1, later
        with self._lock:
            self._uses[client_id] = use
            while len(self._uses) > KNOWN_AT_MOST:  # one that is asked for again is counted through again
                self._uses.popitem(last=False)
        return use, found

    def _of_client(self, cl_ord_id: str) -> Steps[str | None]:
        with self._lock:
            if cl_ord_id in self._client:
                known: str | None = self._client[cl_ord_id]
                return known
        receipt = yield from self.find(cl_ord_id)
        client_id = cl_ord_id if receipt is None else client_id_of(receipt)
        with self._lock:
            self._client[cl_ord_id] = client_id
            while len(self._client) > KNOWN_AT_MOST:
                self._client.popitem(last=False)
        return client_id


def client_id_of(receipt: OrderReceipt) -> str | None:
    """The name that the client gave the order; ``None`` where it gave none."""
    if receipt.id == receipt.cl_ord_id:
        return None
    placed = _PLACED.fullmatch(receipt.id)
    return receipt.id if placed is None else placed["client"] or None


def _numbered(client_id: str, use: int) -> str:
    return f"{client_id}#{use:x}"
