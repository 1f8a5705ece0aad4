"""Balances that a client need not wait for: what is known, where it is as young as the client asks for."""

from __future__ import annotations

import re
from typing import Any

from engine.app.served import ServedEngine
from engine.rules.balance.snapshot import BalanceSnapshot

BALANCES = frozenset({"Balance", "BalanceEx"})
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])")


def max_age_of(cache_control: str) -> float | None:
    """The age in seconds that a client accepts (``Cache-Control: max-age=5``), or `None`."""
    found = _MAX_AGE.search(cache_control.lower())
    return None if found is None else float(found[1])


def known_balance(engine: ServedEngine, account: str, endpoint: str, max_age: float) -> dict[str, Any] | None:
    """Kraken's result of `Balance` or `BalanceEx`, from the last good reply; `None` where that does not answer.

    It is younger than `max_age` seconds, and nothing that was done through the engine has changed it since.
    """
    snapshot = engine.known_balance(account)
    if snapshot is None or not snapshot.answers(max_age):
        return None
    return _totals(snapshot) if endpoint == "Balance" else _extended(snapshot)


def _totals(snapshot: BalanceSnapshot) -> dict[str, Any]:
    return {row.name: format(row.balance, "f") for asset in snapshot.assets.values() for row in asset.rows}


def _extended(snapshot: BalanceSnapshot) -> dict[str, Any] | None:
    """With holds, where all of them are known; a credit line cannot be told from what is kept of it."""
    known: dict[str, Any] = {}
    for row in (row for asset in snapshot.assets.values() for row in asset.rows):
        if row.held is None or row.credit:
            return None
        known[row.name] = {"balance": format(row.balance, "f"), "hold_trade": format(row.held, "f")}
    return known
