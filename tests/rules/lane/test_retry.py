"""When a call may be made again by itself (promise G5)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import CallUnknown, ConnectFailed, OrderRejected, PermissionDenied
from engine.rules.lane.retry import cancels_by_name, pause_before_retry


@pytest.mark.parametrize(
    ("endpoint", "params", "by_name"),
    [
        ("CancelAll", None, True),
        ("CancelAll", {}, True),
        ("CancelOrder", {"txid": "OABCDE-FGHIJ-KLMNOP"}, True),
        ("CancelOrder", {"cl_ord_id": "x"}, True),
        ("CancelOrder", {"txid": 7}, False),
        ("CancelOrder", {"txid": " -7"}, False),
        ("CancelOrder", {"userref": "7"}, False),
        ("CancelOrderBatch", {"orders": ["OABCDE-FGHIJ-KLMNOP"]}, True),
        ("CancelOrderBatch", {"orders": ["OABCDE-FGHIJ-KLMNOP", 7]}, False),
        ("CancelAllOrdersAfter", {"timeout": 60}, False),
        ("CancelOrder", "txid", False),
        ("AddOrder", {"txid": "x"}, False),
    ],
)
def test_only_a_cancel_that_names_its_orders_or_all_cannot_be_done_twice(
    endpoint: str, params: Any, by_name: bool
) -> None:
    assert cancels_by_name(endpoint, params) is by_name


@pytest.mark.parametrize(
    ("error", "read", "write", "placement", "cancel"),
    [
        (CallUnknown(""), True, False, False, True),
        (ConnectFailed(""), True, True, False, True),
        (OrderRejected(""), False, False, False, False),
        (PermissionDenied(""), False, False, False, False),
    ],
)
def test_what_may_be_made_again(error: Any, read: bool, write: bool, placement: bool, cancel: bool) -> None:
    def may(**about: bool) -> bool:
        return pause_before_retry(error, 0, **{"writes": True, "places": False, **about}) is not None

    assert (may(writes=False), may(), may(places=True), may(cancels_by_name=True)) == (read, write, placement, cancel)
