"""A balance never says that an order was not placed, at most that it is not open."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules.order.holds import NOT_OPEN, ask_holds, says
from engine.rules.order.order import Order

ORDER = Order("XBTUSD", "buy", "limit", "1", "30000")


def balance(**held: str) -> dict[str, Any]:
    return {asset: {"balance": "100.0", "hold_trade": amount} for asset, amount in held.items()}


def test_with_nothing_held_no_order_is_open() -> None:
    steps = ask_holds(ORDER)
    assert next(steps) == ("BalanceEx", {})
    with pytest.raises(StopIteration) as end:
        steps.send(balance(ZUSD="0.0000", XXBT="0"))
    assert end.value.value == NOT_OPEN


def test_what_is_held_may_be_for_it() -> None:
    told = says(ORDER, balance(ZUSD="30120.5000", XXBT="0.0", **{"USD.F": "1.50"}))
    assert told == "Kraken holds 1.5 USD.F, 30120.5 ZUSD for open orders, this one perhaps among them."


@pytest.mark.parametrize(
    "result",
    [
        {}, None, "odd", ["ZUSD"], {"ZUSD": "100"}, {"ZUSD": {"balance": "100"}}, balance(ZUSD="n/a"),
        balance(ZUSD="NaN"), balance(ZUSD="-1"), {**balance(ZUSD="0"), "XXBT": {"balance": "1"}},
    ],
)  # fmt: skip
def test_what_cannot_be_read_tells_nothing(result: Any) -> None:
    assert says(ORDER, result) == ""


def test_an_order_with_leverage_need_not_hold_anything() -> None:
    assert says(Order("XBTUSD", "buy", "limit", "1", "30000", leverage=2), balance(ZUSD="0")) == ""
