"""The effect of a private call on the trading counters: the pair and points charged, the orders whose age changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.kraken.limits import Action, OrderAges, batch_points
from engine.kraken.pair_names import market_key

_CHANGES = {"AmendOrder": Action.AMEND, "EditOrder": Action.EDIT}
_CANCELS = frozenset({"CancelOrder", "CancelOrderBatch", "CancelAll"})


def use_of(endpoint: str, params: Mapping[str, Any], ages: OrderAges, now: float) -> tuple[str | None, float]:
    """The pair that a call is charged to and the points; no pair where none is named or known.

    Cancels are charged when they are done (`note_done`), since their cost decides nothing.
    """
    pair = _pair(params)
    if endpoint == "AddOrder":
        return pair, ages.points(Action.ADD, now)
    if endpoint == "AddOrderBatch":
        return pair, batch_points(len(_listed(params.get("orders"))))
    if endpoint in _CHANGES:
        order = next(iter(_orders(params)), None)
        known = ages.pair_of(order) if order is not None else None
        return known or pair, ages.points(_CHANGES[endpoint], now, order)
    return None, 0.0


def note_done(
    endpoint: str, params: Mapping[str, Any], result: Any, ages: OrderAges, now: float
) -> list[tuple[str, float]]:
    """Record what a call did: an order was made or changed, or orders are gone. The pairs and points of its cancels."""
    if endpoint in _CANCELS:
        orders = None if endpoint == "CancelAll" else _orders(params)
        points = ages.cancel_points(now, orders)
        ages.forget(orders)
        return points
    pair = _pair(params)
    if endpoint in ("AddOrder", "AddOrderBatch") and pair is not None:
        for order in (*_orders(params), *_made(result)):
            ages.born(order, pair, now)
    elif endpoint in _CHANGES:
        for order in _orders(params):
            known = ages.pair_of(order) or pair
            if known is not None:
                ages.born(order, known, now)
    return []


def _pair(params: Mapping[str, Any]) -> str | None:
    pair = params.get("pair")
    return market_key(pair) if isinstance(pair, str) else None


def _orders(params: Mapping[str, Any]) -> list[str]:
    """Every id and name of an order in the parameters."""
    found = [str(params[name]) for name in ("txid", "cl_ord_id") if params.get(name) is not None]
    for name in ("orders", "cl_ord_ids"):
        for each in _listed(params.get(name)):
            found += _orders(each) if isinstance(each, Mapping) else [str(each)]
    return found


def _made(result: Any) -> Iterable[str]:
    """The transaction ids in the reply to a placement."""
    if not isinstance(result, Mapping):
        return []
    made = result.get("txid")
    batch = [each.get("txid") for each in _listed(result.get("orders")) if isinstance(each, Mapping)]
    return [each for each in (*(made if isinstance(made, list) else [made]), *batch) if isinstance(each, str)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
