"""Whether Kraken accepts an order exactly as the engine sends it; only asks with ``validate``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.errors import CallRefused, InsufficientFunds
from engine.kraken.endpoints import PRIVATE
from engine.kraken.fact_readings import Reading
from engine.kraken.facts import NotSettled
from engine.kraken.key_info import KeyInfo
from engine.kraken.signing import rfc3339
from engine.rules.gates.smallest_order import far_below
from engine.rules.order.validation import fit, params_of
from engine.values import Pair, Settings

_PASSING = ("EService:", "EAPI:Rate limit", "EGeneral:Too many", "EGeneral:Temporary", "EGeneral:Internal")
_PERMISSION = ("EGeneral:Permission denied", "EAccount:Invalid permissions")


class OrderQuestion:
    """Tries one order with and without the parameters that Kraken's own client omits. `call` makes a private call."""

    def __init__(self, call: Callable[[str, Mapping[str, Any] | None], Any], settings: Settings) -> None:
        self._call, self._settings = call, settings
        self._may_trade: bool | None = None
        self.was_refused: str | None = None
        """Kraken's error if it refused every form of the order; empty if it accepted one; `None` before."""

    def ask(self, pair: Pair, bid: Decimal, kraken_time: Callable[[], int]) -> Reading:
        """Try it as a live order is sent; then without the deadline; and where both are refused, without our name.

        Raises `NotSettled` when the key may not trade, or when the refusal says nothing about the order's form.
        """
        self._check_key()
        order = params_of(fit(far_below(pair, bid), pair), pair)
        name = {"cl_ord_id": uuid.uuid4().hex}
        whole = self._refusal({**order, **name, **self._deadline(kraken_time())})
        self.was_refused = whole or ""
        if whole is not None and whole.startswith(_PERMISSION):
            return "refused", f"Kraken said {whole!r}."  # the cause is not the form of the order
        without_deadline = self._refusal({**order, **name})
        if whole is None:
            return "taken", "Kraken would take it with our name and with a deadline."
        if without_deadline is None:
            self.was_refused = ""
            return "deadline-refused", f"Kraken said {whole!r}, and would take it without a deadline."
        if self._refusal({**order, **self._deadline(kraken_time())}) is None:
            self.was_refused = ""
            return "name-refused", f"Kraken said {whole!r}, and would take it without a cl_ord_id."
        return "refused", f"Kraken said {whole!r}, whatever was left out."

    def product(self, refused: str | None) -> Reading:
        """Whether a refused order is the fault of the key or of the product."""
        if refused is None:
            raise NotSettled("No order was tried.")
        if not refused:
            return "taken", "Kraken would take an order for it."
        if not refused.startswith(_PERMISSION):
            raise NotSettled("The refusal is about the order, not about a permission.")
        if self._may_trade:
            return "product", "The key has the permission to trade, and the order is refused for one."
        return "key", "The key has no permission to trade."

    def _check_key(self) -> None:
        info = KeyInfo.of(self._call("GetApiKeyInfo", None))
        if info.permissions is not None:
            self._may_trade = PRIVATE["AddOrder"].allowed(info.permissions)
        if not self._may_trade:
            raise NotSettled("The key may not trade, so no order was tried.")

    def _deadline(self, kraken_time: int) -> dict[str, str]:
        return {"deadline": rfc3339(kraken_time + self._settings.order_deadline)}

    def _refusal(self, params: Mapping[str, Any]) -> str | None:
        """Kraken's error for an order; `None` if it would accept it."""
        try:
            result = self._call("AddOrder", {**params, "validate": True})
        except InsufficientFunds:
            raise NotSettled("The account cannot pay for the smallest order, so Kraken checks no further.") from None
        except CallRefused as error:
            if not error.kraken_code or error.kraken_code.startswith(_PASSING):
                raise
            return error.kraken_code
        self._check_nothing_placed(result)
        return None

    def _check_nothing_placed(self, result: Any) -> None:
        """A dry run has no txid; if there is one, the order is canceled at once."""
        txids = result.get("txid") if isinstance(result, Mapping) else None
        if txids:
            txid = txids[0] if isinstance(txids, list) else txids
            self._call("CancelOrder", {"txid": txid})
            raise NotSettled("Kraken placed an order that should only be validated; it was canceled.")
