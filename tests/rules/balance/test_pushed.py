"""When a balance that REST tells is behind what the stream has told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.rules.balance.pushed import LAG, PushedTotals
from engine.values import AssetBalance

NOW = 1000.0


def rest(**rows: str) -> Mapping[str, AssetBalance]:
    return read_rows("BalanceEx", {
        name.replace("_", "."): {"balance": amount, "hold_trade": "0"} for name, amount in rows.items()
    }, AssetTable.shipped())  # fmt: skip


def told(totals: Mapping[str, str], *, is_snapshot: bool = False) -> PushedTotals:
    amounts = {name: Decimal(total) for name, total in totals.items()}
    return PushedTotals().told(amounts, NOW, is_snapshot=is_snapshot)


@pytest.mark.parametrize(("pushed", "rows", "behind"), [
    ({"USD": "10"}, {"ZUSD": "10.0000"}, False),
    ({"USD": "10"}, {"ZUSD": "9.9999"}, True),
    ({"USD": "10"}, {"ZUSD": "11"}, True),
    ({"USD": "10"}, {"ZUSD": "4.0000", "USD_F": "6.0000"}, False),
    ({"USD": "10.00004"}, {"ZUSD": "10.0000"}, False),
    ({"XBT": "0.1"}, {"ZUSD": "10.0000"}, True),
    ({"XBT": "0"}, {"ZUSD": "10.0000"}, False),
    ({"USD": "10", "XBT": "2"}, {"ZUSD": "10.0000", "XXBT": "1.0000000000"}, True),
    ({}, {"ZUSD": "10.0000"}, False),
])  # fmt: skip
def test_a_total_is_compared_at_the_asset_s_decimals(
    pushed: dict[str, str], rows: dict[str, str], behind: bool
) -> None:
    assert told(pushed).compared(rest(**rows), NOW)[1] is behind


def test_after_the_lag_rest_is_believed_until_it_agrees_again() -> None:
    one = told({"USD": "10"})
    one, behind = one.compared(rest(ZUSD="9"), NOW + LAG - 1)
    assert behind
    one, behind = one.compared(rest(ZUSD="9"), NOW + LAG)
    assert not behind
    one, behind = one.told({"USD": Decimal(11)}, NOW + LAG + 1).compared(rest(ZUSD="9"), NOW + LAG + 1)
    assert not behind, "its totals differ by something that is not a lag"
    one, _ = one.compared(rest(ZUSD="11"), NOW + LAG + 2)
    assert one.told({"USD": Decimal(12)}, NOW + LAG + 3).compared(rest(ZUSD="11"), NOW + LAG + 3)[1]


def test_a_total_that_cannot_be_read_is_not_compared() -> None:
    one = told({"USD": "10"}).told({"USD": None}, NOW)
    assert not one.compared(rest(ZUSD="9"), NOW)[1]


def test_a_snapshot_takes_the_place_of_what_was_told() -> None:
    one = told({"USD": "10"}).told({"XBT": Decimal(1)}, NOW, is_snapshot=True)
    assert not one.compared(rest(ZUSD="9", XXBT="1.0000000000"), NOW)[1]


def test_a_name_that_only_a_snapshot_has_may_be_another_one_at_rest() -> None:
    one = told({"FEE": "120", "USD": "10"}, is_snapshot=True)
    assert not one.compared(rest(ZUSD="10", KFEE="120.00"), NOW)[1]
    assert one.told({"FEE": Decimal(121)}, NOW).compared(rest(ZUSD="10"), NOW)[1]


@given(st.decimals(0, 10**6, places=4), st.decimals(0, 10**6, places=4))
def test_it_is_behind_exactly_when_the_amounts_differ(first: Decimal, second: Decimal) -> None:
    assert told({"USD": str(first)}).compared(rest(ZUSD=str(second)), NOW)[1] is (first != second)
