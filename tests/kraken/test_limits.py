"""How Kraken counts: what it grants by tier, and what actions on orders cost by the order's age."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.limits import PENALTIES, TIERS, Action, OrderAges, batch_points
from engine.kraken.trades import note_done
from engine.values import check_tier

BANDS = [
    (0, 4, 7, 8), (4.9, 4, 7, 8), (5, 3, 6, 6), (9.9, 3, 6, 6), (10, 2, 5, 5), (15, 1, 3, 4), (44, 1, 3, 4),
    (45, 1, 2, 2), (89, 1, 2, 2), (90, 1, 1, 1), (299, 1, 1, 1), (300, 1, 1, 0), (1e6, 1, 1, 0),
]  # fmt: skip


def test_the_tiers_are_those_of_the_settings() -> None:
    assert [check_tier(name) for name in TIERS] == ["starter", "intermediate", "pro"]


@pytest.mark.parametrize(("age", "amend", "edit", "cancel"), BANDS)
def test_the_penalties_are_those_of_krakens_page(age: float, amend: float, edit: float, cancel: float) -> None:
    ages = OrderAges()
    ages.born("O1", "XBTUSD", 100.0)
    actions = (Action.ADD, Action.AMEND, Action.EDIT, Action.CANCEL)
    assert [ages.points(action, 100.0 + age, "O1") for action in actions] == [1, amend, edit, cancel]


@given(st.sampled_from(Action), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_older_order_never_costs_more_and_an_unknown_one_the_most(action: Action, age: float, more: float) -> None:
    points = PENALTIES[action].points
    assert points(None) >= points(age) >= points(age + more) >= PENALTIES[action].fixed


def test_a_batch_costs_half() -> None:
    assert batch_points(15) == 7.5


def test_an_amend_makes_an_order_young_again() -> None:
    ages = OrderAges()
    ages.born("O1", "XBTUSD", 0.0)
    assert ages.points(Action.CANCEL, 400.0, "O1") == 0
    ages.born("O1", "XBTUSD", 400.0)
    assert ages.points(Action.CANCEL, 400.0, "O1") == 8


def test_a_cancel_of_some_is_charged_once_each() -> None:
    ages = OrderAges()
    ages.born("O1", "XBTUSD", 0.0)
    ages.born("O2", "XBTUSD", 0.0)
    ages.forget(["O2", "never told of"])
    assert ages.cancel_points(0.0, ["O1", "O1", "O2"]) == [("XBTUSD", 8)]
    assert (ages.pair_of("O1"), ages.pair_of("O2")) == ("XBTUSD", None)


def test_a_cancel_of_all_is_charged_for_each_order_and_forgets_them() -> None:
    ages = OrderAges()
    ages.born("A", "XBTUSD", 0.0)
    ages.born("B", "ETHUSD", 0.0)
    assert note_done("CancelAll", {}, {"count": 2}, ages, 1.0) == [("XBTUSD", 8), ("ETHUSD", 8)]
    assert not len(ages)
    assert note_done("CancelAll", {}, {"count": 0}, ages, 1.0) == []


def test_memory_is_bounded() -> None:
    ages = OrderAges(remember=100)
    for number in range(5_000):
        ages.born(f"O{number}", f"PAIR{number}", float(number))
    assert len(ages) == 100
    assert ages.points(Action.AMEND, 1e6, "O0") == 4, "a forgotten order costs the dearest"
