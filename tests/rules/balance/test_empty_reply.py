"""G6: an account is empty when two replies say so, requested apart; any other reply ends the doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rules.balance.empty_reply import CONFIRMS_AFTER, EmptyReplies

REPLIES = st.lists(st.tuples(st.booleans(), st.floats(0.01, 2.0)), max_size=12)


@given(REPLIES)
def test_an_empty_reply_counts_only_when_an_earlier_one_confirms_it(replies: list[tuple[bool, float]]) -> None:
    doubt, now = EmptyReplies(), 0.0
    run: list[float] = []  # the empty replies in a row since the last that counted
    for is_empty, later in replies:
        now += later
        doubt = doubt.after(is_empty=is_empty, had_amounts=True, requested_at=now)
        run = [*run, now] if is_empty else []
        believed = is_empty and run[-1] - run[0] >= CONFIRMS_AFTER
        assert doubt.is_doubted == (is_empty and not believed)
        run = [] if believed else run


def test_after_a_balance_of_nothing_there_is_no_doubt() -> None:
    assert not EmptyReplies().after(is_empty=True, had_amounts=False, requested_at=1.0).is_doubted
