"""The pair of an order: which one it names, whether it accepts orders, and who may trade on it.

There are no margin positions in the simulator: an order with leverage is held and paid in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.simulator.catalogue import BITNOMIAL, CURRENCY, TOKENIZED, ListedPair
from engine.simulator.market import find_order_pair
from engine.simulator.refusal import Refused
from engine.simulator.rules import Rules

Params = Mapping[str, Any]

_NOT_LEVERAGED = frozenset({"", "none"})


def pair_of_order(params: Params, rules: Rules) -> ListedPair:
    """The pair that an order names; a tokenized asset is found only with its ``asset_class``. Raises `Refused`."""
    aclass = params.get("asset_class", CURRENCY)
    if "asset_class" in params and aclass != TOKENIZED:  # orders know this one class only
        raise Refused("EGeneral:Invalid arguments")
    pair = find_order_pair(str(params.get("pair", "")), rules, aclass=aclass)
    if pair is None:
        raise Refused("EQuery:Unknown asset pair")
    return pair


def check_pair(params: Params, pair: ListedPair) -> None:
    """Refuse what the pair does not take now: orders at all, or orders that are not post-only."""
    is_post = "post" in str(params.get("oflags", "")).split(",")
    if pair.status in ("cancel_only", "reduce_only") or (pair.status == "post_only" and not is_post):
        raise Refused(f"EService:Market in {pair.status} mode")


def without_leverage(params: Params, pair: ListedPair) -> Params:
    """The same order without leverage, which is one that the pair has. Raises `Refused` if it is not."""
    leverage = _leverage(params)
    most = pair.buyers if params.get("type") == "buy" else pair.sellers
    if leverage and leverage not in {str(each) for each in range(2, most + 1)}:
        raise Refused("EGeneral:Invalid arguments:leverage")
    return {name: value for name, value in params.items() if name != "leverage"}


def check_account(params: Params, pair: ListedPair, *, is_us_retail: bool) -> None:
    """Refuse an order that is to be placed and not for this account. Kraken does not tell when it only validates.

    A private client in the United States has to name the pair at Bitnomial in every leveraged order, seen in September
    2026; that others are refused there is the stricter guess.
    """
    if is_us_retail and _leverage(params) and pair.venue != BITNOMIAL:
        raise Refused("EOrder:Reduce only:Non-ECP")
    if pair.venue == BITNOMIAL and not is_us_retail:
        raise Refused("EAccount:Invalid permissions")


def _leverage(params: Params) -> str:
    told = str(params.get("leverage", ""))
    return "" if told in _NOT_LEVERAGED else told.partition(":")[0]
