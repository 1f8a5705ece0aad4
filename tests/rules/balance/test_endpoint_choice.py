"""Which endpoint serves balances, where BalanceEx is missing for a while or for ever."""

from __future__ import annotations

import pytest

from engine import errors
from engine.errors import CallError
from engine.rules.balance.endpoint_choice import EXTENDED, PLAIN, TRY_EXTENDED_EVERY, EndpointChoice

PLAINLY = EndpointChoice().sent().fallen_back().served()
MISSING = errors.UnknownMethod("no such method")
DENIED = errors.PermissionDenied("not with this key")
HELD = errors.LockedOut("kept back")


def test_while_balance_serves_the_other_is_tried_now_and_then() -> None:
    choice, seen = PLAINLY, []
    for _ in range(3 * TRY_EXTENDED_EVERY):
        choice = choice.sent()
        seen.append(choice.name)
        if choice.name == EXTENDED:
            choice = choice.fallen_back().served()
    assert 2 <= seen.count(EXTENDED) <= 3
    assert set(seen) == {EXTENDED, PLAIN}


def test_a_good_reply_of_the_other_ends_it() -> None:
    choice = PLAINLY
    while choice.name == PLAIN:
        choice = choice.sent()
    choice, seen = choice.served(), set()
    for _ in range(2 * TRY_EXTENDED_EVERY):
        choice = choice.sent()
        seen.add(choice.name)
    assert seen == {EXTENDED}


def test_after_a_fallback_that_fails_extended_balances_are_requested_again() -> None:
    assert EndpointChoice().sent().fallen_back().sent().name == EXTENDED


@pytest.mark.parametrize(
    ("choice", "error", "expected"),
    [
        (EndpointChoice().sent(), MISSING, True),
        (EndpointChoice().sent(), DENIED, True),
        (EndpointChoice().sent(), HELD, False),
        (EndpointChoice(EXTENDED, PLAIN), HELD, True),
        (EndpointChoice().sent(), errors.CallUnknown("timed out"), False),
        (PLAINLY, MISSING, False),
        (PLAINLY, DENIED, False),
    ],
)
def test_which_errors_say_that_there_is_none(choice: EndpointChoice, error: CallError, expected: bool) -> None:
    assert choice.is_unsupported(error) is expected
