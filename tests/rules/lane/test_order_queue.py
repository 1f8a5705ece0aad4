"""G4: which queued placements a cancel takes out of the queue of orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.lane.order_queue import COVERS_ALL, OrderQueue, QueuedPlacement, names_of


@dataclass(eq=False)
class Sent:
    """A call in the queue."""

    endpoint: str
    params: dict[str, Any]
    account: str


def read(call: Sent) -> QueuedPlacement | None:
    return QueuedPlacement(call.account, call.params) if call.endpoint in ("AddOrder", "AmendOrder") else None


@pytest.mark.parametrize(
    ("endpoint", "cancel", "placement", "covered"),
    [
        ("CancelAll", {}, {"pair": "XBTUSD"}, True),
        ("CancelOrder", {"cl_ord_id": "a"}, {"cl_ord_id": "a"}, True),
        ("CancelOrder", {"cl_ord_id": "a"}, {"cl_ord_id": "b"}, False),
        ("CancelOrder", {"cl_ord_id": "6d1b345e-2821-40e2-ad83-4ecb18a06876"},
         {"cl_ord_id": "6D1B345E282140E2AD834ECB18A06876"}, True),
        ("CancelOrder", {"txid": 7}, {"userref": "7"}, True),
        ("CancelOrder", {"txid": "OABC"}, {"txid": "OABC", "limit_price": "1"}, True),
        ("CancelOrderBatch", {"orders": ["OABC", 7]}, {"userref": 7}, True),
        ("CancelOrderBatch", {"cl_ord_ids": ["a", "b"]}, {"orders": [{"cl_ord_id": "b"}, {"cl_ord_id": "z"}]}, True),
        ("CancelOrderBatch", {"orders": [{"txid": "O1"}]}, {"orders": [{"cl_ord_id": "b"}]}, False),
        ("CancelAllOrdersAfter", {"timeout": 60}, {"pair": "XBTUSD"}, False),
    ],
)  # fmt: skip
def test_what_a_cancel_covers(endpoint: str, cancel: dict[str, Any], placement: dict[str, Any], covered: bool) -> None:
    queue, placed = OrderQueue(read), Sent("AddOrder", placement, "A")
    queue.append(placed)
    assert queue.take_covered("A", endpoint, cancel) == [placed] * covered
    assert len(queue) == (not covered)


_UUIDS = ("0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5bd9cb469fa16570867728950e")
_NAMES = st.sampled_from(["", "a", "b", "7", "c", *_UUIDS])
_PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "txid": _NAMES, "cl_ord_id": _NAMES, "userref": st.sampled_from([7, 8]),
        "orders": st.lists(st.one_of(_NAMES, st.fixed_dictionaries({"cl_ord_id": _NAMES})), max_size=3),
    },
)  # fmt: skip
_QUEUED = st.tuples(st.sampled_from(["AddOrder", "AmendOrder", "AddExport"]), _PARAMS, st.sampled_from(["A", "B"]))
_CANCELS = st.tuples(st.sampled_from(["CancelOrder", "CancelAll", "CancelAllOrdersAfter"]), _PARAMS, st.just("A"))


@given(st.lists(_QUEUED, max_size=8), st.integers(0, 3), st.lists(_CANCELS, min_size=1, max_size=3))
def test_the_queue_finds_exactly_what_a_cancel_covers(queued: Any, served: int, cancels: Any) -> None:
    queue, model = OrderQueue(read), [Sent(*each) for each in queued]
    queue.extend(model)
    for _ in range(min(served, len(model))):
        assert queue.popleft() is model.pop(0)
    for endpoint, params, account in cancels:
        expected = [
            each for each in model
            if read(each) is not None and each.account == account
            and (endpoint == COVERS_ALL or names_of(params) & names_of(each.params))
        ]  # fmt: skip
        assert queue.take_covered(account, endpoint, params) == expected
        model = [each for each in model if all(each is not other for other in expected)]
        assert list(queue) == model
        assert len(queue) == len(model)
    queue.clear()
    assert not queue
