"""An open order as it is shown, whoever placed it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order
from engine.rules.order.states import OrderState
from tests.actors.order.test_journal import placement

ORDER = Order("XBTUSD", "sell", "stop-loss-limit", "1.5", "30000", price2="29990")
OURS = replace(placement(7, "x", ORDER), state=OrderState.PLACED, txids=("O1",), filled=Decimal("0.5"))
ROW: dict[str, Any] = {
    "status": "open", "cl_ord_id": "somebody", "vol": "2.5", "vol_exec": "0.25", "cost": "10",
    "opentm": 1_790_000_000.5,
    "descr": {"pair": "ETHUSD", "type": "buy", "ordertype": "limit", "price": "1000", "price2": "0", "order": "buy it"},
}


def test_what_kraken_lists_is_told_and_whose_it_is() -> None:
    shown = OpenOrder.listed("MASTER", "O2", ROW, None)
    assert shown == OpenOrder(
        "MASTER", "O2", False, cl_ord_id="somebody", pair="ETHUSD", side="buy", type="limit", volume=Decimal("2.5"),
        price=Decimal(1000), filled=Decimal("0.25"), description="buy it",
        opened=datetime.fromtimestamp(1_790_000_000.5, UTC),
    )  # fmt: skip
    ours = OpenOrder.listed("MASTER", "O1", ROW, OURS)
    assert (ours.is_ours, ours.id, ours.receipt) == (True, "x", OURS.receipt)


@pytest.mark.parametrize("row", [{}, {"descr": "odd", "opentm": "odd"}, {"descr": {"pair": 7}, "vol": "n/a"}])
def test_what_cannot_be_read_is_left_out(row: dict[str, Any]) -> None:
    assert OpenOrder.listed("MASTER", "O2", row, None) == OpenOrder("MASTER", "O2", False)


def test_a_placement_that_is_not_listed_is_told_as_it_was_sent() -> None:
    shown = OpenOrder.unlisted(OURS)
    assert shown == OpenOrder(
        "MASTER", "O1", True, id="x", receipt=OURS.receipt, cl_ord_id=OURS.cl_ord_id, pair="XBTUSD", side="sell",
        type="stop-loss-limit", volume=Decimal("1.5"), price=Decimal(30000), price2=Decimal(29990),
        filled=Decimal("0.5"),
    )  # fmt: skip
    relative = replace(OURS, fitted=Order("XBTUSD", "sell", "trailing-stop", "1", "+1%"), txids=())
    assert (OpenOrder.unlisted(relative).price, OpenOrder.unlisted(relative).txid) == (None, None)


def test_it_is_json() -> None:
    plain = json.loads(json.dumps(OpenOrder.listed("MASTER", "O1", ROW, OURS).to_dict()))
    assert plain["volume"] == "2.5"
    assert plain["opened"].startswith("2026-")
    assert plain["receipt"]["id"] == "x"
    assert json.loads(json.dumps(OpenOrder.listed("MASTER", "O2", ROW, None).to_dict()))["receipt"] is None
