"""G4: how often hung calls were cut decides over the next cut."""

from __future__ import annotations

from engine.rules.lane.cut_history import KINDS_AT_MOST, MINUTE, CutHistory
from engine.rules.lane.priority import CANCEL, CUTS_A_MINUTE, CUTS_OF_ONE_READ, ORDER, READ

BALANCE = ("MASTER", "Balance")


def patience(history: CutHistory, waiting: int, now: float) -> float | None:
    return history.patience(READ, waiting, BALANCE, now, read=0.5, write=3.0)


def test_a_read_that_was_cut_twice_gives_way_to_cancels_alone_until_it_ended_by_itself() -> None:
    history = CutHistory()
    for _ in range(CUTS_OF_ONE_READ):
        assert patience(history, ORDER, 0.0) == 0.5
        history = history.after_cut(BALANCE, 0.0)
    assert patience(history, ORDER, 0.0) is None
    assert patience(history, CANCEL, 0.0) == 0.5
    assert history.after_end(("MASTER", "Ledgers")) == history
    assert patience(history.after_end(BALANCE), ORDER, 0.0) == 0.5


def test_cuts_are_bounded_by_the_minute() -> None:
    history = CutHistory()
    for number in range(CUTS_A_MINUTE):
        history = history.after_cut(("MASTER", str(number)), float(number))
    assert patience(history, ORDER, 10.0) is None
    assert patience(history, ORDER, MINUTE + 0.5) == 0.5, "the first one is more than a minute ago"
    assert history.total == CUTS_A_MINUTE


def test_memory_is_bounded_and_the_kind_not_cut_for_longest_is_forgotten() -> None:
    history = CutHistory()
    for number in range(KINDS_AT_MOST + 1):
        history = history.after_cut(("MASTER", str(number)), 1000.0 * number)
    assert len(history.by_kind) == KINDS_AT_MOST
    assert ("MASTER", "0") not in history.by_kind
    assert len(history.recent) == 1
