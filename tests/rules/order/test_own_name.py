"""The engine's own names for orders, told from those that clients give; and the names of orders with a close."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.order.own_name import RANDOM_BYTES, KrakenName, is_own, own_name, same
from engine.rules.order.reconciliation import look_up
from tests.rules.order.test_reconciliation import run


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_an_own_name_is_known_in_every_form_in_which_kraken_tells_it(random: bytes) -> None:
    name = own_name(random)
    assert len(name) == 32
    for told in (name, name.upper(), str(uuid.UUID(name))):
        assert is_own(told)
        assert KrakenName.of(name, has_close=False).is_of({"cl_ord_id": told})


@given(st.one_of(st.none(), st.text(), st.uuids().map(str), st.uuids().map(lambda each: each.hex)))
def test_a_name_that_a_client_gives_is_none(told: str | None) -> None:
    assert not is_own(told)


@pytest.mark.parametrize(("one", "other", "are_same"), [
    ("0A1B2C3D-4E5F-4A6B-8C7D-8E9FA0B1C2D3", "0a1b2c3d4e5f4a6b8c7d8e9fa0b1c2d3", True), ("a-b", "ab", False),
    ("A", "a", False),
])  # fmt: skip
def test_a_uuid_is_one_name_with_and_without_hyphens(one: str, other: str, are_same: bool) -> None:
    assert (same(one) == same(other)) is are_same


def test_an_order_with_a_close_is_found_by_its_number_and_its_closes_are_not_it() -> None:
    name = KrakenName.of("f" * 32, has_close=True)
    assert isinstance(name.value, int)
    assert 0 < name.value < 2**31
    assert name.to_cancel() == {"txid": str(name.value)}
    there = {"status": "open", "userref": name.value, "refid": None, "vol_exec": "0", "cost": "0", "fee": "0"}
    calls, found = run(look_up(name, 10_000.0, thorough=False), {"open": {
        "A": there, "B": {**there, "refid": "A"}, "C": {**there, "userref": 5},
        "D": {**there, "userref": 0, "cl_ord_id": "x"},
    }})  # fmt: skip
    assert calls == [("OpenOrders", {"userref": name.value})]
    assert set(found) == {"A"}
