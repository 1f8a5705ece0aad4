"""Auto-Earn money counts once, whichever way Kraken lists it (G6, G14)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.assets import AssetTable
from engine.kraken.balances import counted_once, read_rows, sum_cash
from engine.rules.balance.auto_earn import AutoEarn, listed_twice
from engine.values import AssetBalance

TABLE = AssetTable.shipped()
NOTHING: Mapping[str, AssetBalance] = {}


def of(base: str, earn: str, held: str = "0") -> Mapping[str, AssetBalance]:
    rows = {"ZUSD": {"balance": base, "hold_trade": held}, "USD.F": {"balance": earn, "hold_trade": "0"}}
    return read_rows("BalanceEx", rows, TABLE)


@pytest.mark.parametrize(
    ("before", "after", "twice"),
    [
        (None, of("0", "100"), False),
        (None, of("100", "50"), False),
        (None, of("100", "0"), False),
        (None, of("100.5", "100.5"), True),
        (of("0", "100"), of("100", "100"), True),
        (of("20", "100"), of("120", "100"), True),
        (of("20", "100"), of("120.3", "100"), True),
        (of("20", "100"), of("120.3", "100.3"), True),
        (of("20", "100"), of("90", "100"), False),
        (of("20", "100"), of("130", "100"), False),
        (of("120", "100"), of("220", "0"), False),
        (of("120", "100"), of("170", "50"), False),
        (of("20", "100"), of("100", "100"), False),
        (of("100", "0"), of("100", "100"), True),
        (of("100", "0"), of("60", "40"), False),
    ],
)
def test_evidence_that_two_rows_hold_one_amount(
    before: Mapping[str, AssetBalance] | None, after: Mapping[str, AssetBalance], twice: bool
) -> None:
    assert listed_twice(before or NOTHING, after) == ({"USD"} if twice else set())


def test_an_asset_listed_twice_stays_so_until_its_plain_row_is_the_smaller_one() -> None:
    known = counted_once(of("120", "100"), {"USD"})
    assert known["USD"].earn_in_base
    assert listed_twice(known, of("400", "100")) == {"USD"}
    assert listed_twice(known, of("100", "100")) == {"USD"}
    assert listed_twice(known, of("99", "100")) == set()
    assert listed_twice(known, of("400", "0")) == set()


def test_a_known_reading_needs_no_evidence() -> None:
    assert listed_twice(of("0", "100"), of("100", "100"), AutoEarn.SUM) == set()
    assert listed_twice(NOTHING, of("100", "50"), AutoEarn.LARGER) == {"USD"}
    assert listed_twice(NOTHING, of("0", "50"), AutoEarn.LARGER) == set()


def test_the_larger_row_alone_counts_and_no_hold_is_lost() -> None:
    once = counted_once(of("120", "100", held="30"), {"USD"})
    assert (once["USD"].total, once["USD"].available, once["USD"].held) == (120, 90, 30)
    assert sum_cash(once, ("USD",)) == (120, 90)
    assert [row.name for row in once["USD"].rows] == ["ZUSD", "USD.F"], "Kraken's rows are kept"


CENTS = st.integers(0, 10**6).map(lambda cents: str(Decimal(cents) / 100))


@given(st.lists(st.tuples(CENTS, CENTS, CENTS), min_size=1, max_size=5), st.sampled_from(AutoEarn))
def test_doubt_never_raises_what_is_available(story: list[tuple[str, str, str]], reading: AutoEarn) -> None:
    known: Mapping[str, AssetBalance] = NOTHING
    for base, earn, held in story:
        plain = of(base, earn, held)
        known = counted_once(plain, listed_twice(known, plain, reading))
        assert known["USD"].available is not None
        assert plain["USD"].available is not None
        assert known["USD"].available <= plain["USD"].available
        assert known["USD"].total >= max(Decimal(base), Decimal(earn))
