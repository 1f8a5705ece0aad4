"""The Earn endpoints: an allocation leaves the balance, and a deallocation returns to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.book_order import new_id
from engine.simulator.customers import Customer
from engine.simulator.market import decimals_of, dollars, find_asset
from engine.simulator.parameters import Params, amount, require, text


class Strategy(NamedTuple):
    """An Earn strategy: an asset by its altname, and the least amount of it."""

    id: str
    asset: str
    least: str
    low: str
    high: str


STRATEGIES = {
    each.id: each
    for each in (
        Strategy("ESRFUO3-Q62XD-WIOIL7", "DOT", "0.01", "8.0000", "12.0000"),
        Strategy("ESXBTAA-Q62XD-WIOIL8", "XBT", "0.0001", "0.1000", "0.2000"),
        Strategy("ESETHAA-Q62XD-WIOIL9", "ETH", "0.001", "2.0000", "4.0000"),
    )
}


def strategies(customer: Customer, params: Params) -> dict[str, Any]:
    """`Earn/Strategies`: all of them, or those of an asset, on one page."""
    asset = find_asset(text(params, "asset"))
    found = [each for each in STRATEGIES.values() if not text(params, "asset") or find_asset(each.asset) == asset]
    return {"next_cursor": None, "items": [_told(each) for each in found]}


def allocations(customer: Customer, params: Params) -> dict[str, Any]:
    """`Earn/Allocations`: what is allocated, with its worth in dollars."""
    items = [_item(STRATEGIES[id], held) for id, held in customer.allocated.items() if held]
    total = sum((Decimal(item["amount_allocated"]["total"]["converted"]) for item in items), Decimal(0))
    return {
        "converted_asset": "USD", "total_allocated": f"{total:.4f}", "total_rewarded": "0.0000", "next_cursor": None,
        "items": items,
    }  # fmt: skip


def allocate(customer: Customer, params: Params) -> bool:
    """`Earn/Allocate`: done at once."""
    strategy, wanted = _asked(params)
    asset = _asset(strategy)
    customer.book.catch_up()
    require(wanted >= Decimal(strategy.least), "EEarnings:Below min:(De)allocation operation amount less than minimum")
    free = customer.book.free(asset)
    require(wanted <= free, "EEarnings:Insufficient funds:Insufficient funds to complete the (de)allocation request")
    _move(customer, strategy, wanted)
    return True


def deallocate(customer: Customer, params: Params) -> bool:
    """`Earn/Deallocate`: done at once."""
    strategy, wanted = _asked(params)
    held = customer.allocated.get(strategy.id, Decimal(0))
    require(wanted <= held, "EEarnings:Above max:(De)allocation operation amount greater than the allocated amount")
    _move(customer, strategy, -wanted)
    return True


def status(customer: Customer, params: Params) -> dict[str, bool]:
    """`Earn/AllocateStatus` and `Earn/DeallocateStatus`: nothing is ever under way."""
    require(text(params, "strategy_id") in STRATEGIES, "EGeneral:Invalid arguments:Invalid strategy ID")
    return {"pending": False}


def _asked(params: Params) -> tuple[Strategy, Decimal]:
    strategy = STRATEGIES.get(text(params, "strategy_id"))
    require(strategy, "EGeneral:Invalid arguments:Invalid strategy ID")
    assert strategy is not None
    wanted = amount(text(params, "amount")) or Decimal(0)
    require(wanted > 0, "EGeneral:Invalid arguments:amount")
    return strategy, wanted


def _move(customer: Customer, strategy: Strategy, wanted: Decimal) -> None:
    """Move an amount from the balance to the strategy; a negative amount moves back."""
    customer.allocated[strategy.id] = customer.allocated.get(strategy.id, Decimal(0)) + wanted
    customer.move("earn", new_id("E"), _asset(strategy), -wanted)


def _asset(strategy: Strategy) -> str:
    return find_asset(strategy.asset) or strategy.asset


def _told(strategy: Strategy) -> dict[str, Any]:
    return {
        "id": strategy.id, "asset": strategy.asset, "lock_type": {"type": "instant", "payout_frequency": 604800},
        "apr_estimate": {"low": strategy.low, "high": strategy.high}, "user_min_allocation": strategy.least,
        "allocation_fee": "0.0000", "deallocation_fee": "0.0000", "auto_compound": {"type": "enabled"},
        "yield_source": {"type": "staking"}, "can_allocate": True, "can_deallocate": True,
        "allocation_restriction_info": [],
    }  # fmt: skip


def _item(strategy: Strategy, held: Decimal) -> dict[str, Any]:
    native = f"{held:.{decimals_of(_asset(strategy))}f}"
    both = {"native": native, "converted": f"{held * dollars(_asset(strategy)):.4f}"}
    return {
        "strategy_id": strategy.id, "native_asset": strategy.asset,
        "amount_allocated": {"total": both}, "total_rewarded": {"native": "0", "converted": "0.0000"},
    }  # fmt: skip
