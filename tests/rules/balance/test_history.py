"""A point of the history of balances is written and read without loss."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest

from engine.rules.balance.history import BalancePoint


@pytest.mark.parametrize("free", [None, Decimal("0"), Decimal("12.50")])
def test_a_point_is_read_as_it_was_written(free: Decimal | None) -> None:
    totals = MappingProxyType({"XBT": Decimal("0.10000000")})
    point = BalancePoint(datetime(2026, 11, 28, tzinfo=UTC), Decimal("20.00"), free, totals, ("USD",))
    plain = json.loads(json.dumps(point.to_dict()))
    assert plain["available_cash"] == (None if free is None else format(free, "f"))
    assert BalancePoint.from_dict(plain) == point
