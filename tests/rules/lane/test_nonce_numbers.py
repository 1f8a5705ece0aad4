"""The numbers of the nonces, exactly: the ends of their range, and when a mark is renewed (promise G1)."""

from __future__ import annotations

import pytest

from engine.errors import NonceNotDurable, StoreError
from engine.rules.lane.nonce import (
    AHEAD,
    BELIEVABLE,
    HIGHEST,
    KEPT_FOR_CANCELS,
    SECOND,
    STEP,
    NonceSequence,
    next_mark,
    next_nonce,
)

NOW = 1_800_000_000 * SECOND


def test_kraken_s_nonces_are_64_bits_with_a_sign() -> None:
    assert HIGHEST == 9_223_372_036_854_775_807
    assert SECOND == 1_000_000_000


def test_a_clock_is_followed_up_to_the_last_believable_moment() -> None:
    assert next_nonce(5, BELIEVABLE - 1) == BELIEVABLE - 1
    assert next_nonce(5, BELIEVABLE) == 6
    assert next_mark(5, BELIEVABLE - 1) == BELIEVABLE - 1 + AHEAD
    assert next_mark(5, BELIEVABLE) == 5 + STEP
    assert next_nonce(NOW, NOW) == NOW + 1
    assert next_nonce(NOW, NOW + 1) == NOW + 1
    assert next_nonce(NOW, NOW + 2) == NOW + 2


def test_a_mark_is_ahead_of_the_clock_and_of_the_nonce_and_never_above_the_end() -> None:
    assert next_mark(NOW, NOW) == NOW + AHEAD
    assert next_mark(NOW + AHEAD, NOW) == NOW + AHEAD + STEP
    assert next_mark(NOW + AHEAD - STEP, NOW) == NOW + AHEAD
    assert next_mark(HIGHEST, NOW) == next_mark(HIGHEST - STEP, NOW) == HIGHEST
    assert next_mark(HIGHEST - STEP - 1, NOW) == HIGHEST - 1


def test_without_renewals_a_mark_is_used_up_to_what_is_kept_for_cancels() -> None:
    marks: list[int] = []
    sequence = NonceSequence()
    sequence.issue(NOW, marks.append)
    last = marks[0] - KEPT_FOR_CANCELS
    assert sequence.issue(last, marks.append) == last
    assert len(marks) == 1
    assert sequence.issue(last, marks.append) == last + 1
    assert marks[1:] == [last + AHEAD]


def test_a_key_in_use_has_its_mark_renewed_at_half_of_the_way() -> None:
    marks: list[int] = []
    asked: list[tuple[int, int]] = []

    def renew(mark: int, wanted: int) -> int:
        asked.append((mark, wanted))
        return mark

    sequence = NonceSequence()
    sequence.issue(NOW, marks.append, renew)
    assert (marks, asked) == ([NOW + AHEAD], [])
    half = NOW + AHEAD // 2
    sequence.issue(half, marks.append, renew)
    assert asked == []
    sequence.issue(half + 1, marks.append, renew)
    assert asked == [(NOW + AHEAD, half + 1 + AHEAD)]
    assert len(marks) == 1, "nothing was reserved in the foreground"


def test_a_mark_that_was_made_durable_for_other_keys_is_used_and_renewed_by_whoever_comes_near_it() -> None:
    reserved: list[int] = []
    asked: list[tuple[int, int]] = []
    shared = NOW + AHEAD

    def renew(mark: int, wanted: int) -> int:
        asked.append((mark, wanted))
        return shared

    def issue(now: int) -> int:
        return NonceSequence().issue(now, reserved.append, renew, lambda: shared)

    half = NOW + AHEAD // 2
    assert [issue(NOW), issue(half - 1)] == [NOW, half - 1]
    assert (reserved, asked) == ([], []), "there is enough left of it for a key that was idle"
    assert issue(half) == half
    assert (reserved, asked) == ([], [(shared, half + AHEAD)])
    last = shared - KEPT_FOR_CANCELS
    assert [issue(last), issue(last + 1)] == [last, last + 1]
    assert reserved == [last + 1 + AHEAD], "and none is left for others than cancels"


def test_what_is_skipped_to_is_below_the_next_nonce_and_a_lower_number_changes_nothing() -> None:
    marks: list[int] = []
    sequence = NonceSequence.above(NOW)
    assert (sequence.mark, sequence.last) == (NOW, NOW)
    sequence.skip_to(NOW + 5, marks.append)
    sequence.skip_to(NOW + 5, marks.append)
    sequence.skip_to(NOW, marks.append)
    assert marks == [NOW + 5]
    assert sequence.issue(0, marks.append) == NOW + 6
    assert marks[1:] == [NOW + 6 + STEP]


def test_a_cancel_uses_the_last_nonce_below_the_mark_and_none_above() -> None:
    def full(mark: int) -> None:
        raise StoreError("disk full")

    sequence = NonceSequence()
    sequence.issue(NOW, lambda mark: None)
    sequence.last = sequence.mark - 1
    assert sequence.issue(NOW + 9 * SECOND, full, cancel=True) == sequence.mark
    with pytest.raises(NonceNotDurable):
        sequence.issue(NOW + 9 * SECOND, full, cancel=True)
