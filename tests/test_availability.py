"""G7: when an account is available, over every sequence of what can happen to it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.errors import CallError
from engine.rules.availability import Availability, Standing, Weight, next_refresh, weigh

LIMIT = 3
GOOD = None
FAILURE = errors.CallUnknown("timed out")
REVOKED = errors.InvalidKey("revoked")
OURS = errors.DeadlinePassed("expired in our queue")
HELD = errors.LockedOut("kept back")
EVENTS = (GOOD, FAILURE, REVOKED, OURS)


def after(events: tuple[CallError | None, ...]) -> Availability:
    state = Availability()
    for event in events:
        state = state.after_success() if event is None else state.after_failure(event, LIMIT)
    return state


def expected(events: tuple[CallError | None, ...]) -> tuple[bool, int]:
    """G7 read off the history: no state, no table."""
    told = [event for event in events if event is not OURS]
    since = told[len(told) - next((n for n, event in enumerate(reversed(told)) if event is None), len(told)) :]
    ever = None in told
    return ever and len(since) < LIMIT and REVOKED not in since, len(since)


@pytest.mark.parametrize("length", range(9))
def test_every_sequence_up_to_eight(length: int) -> None:
    """TORTURE T13."""
    for events in product(EVENTS, repeat=length):
        state = after(events)
        assert (state.is_available, state.errors) == expected(events)
        assert (state.reason is None) == (state.errors == 0)


@given(st.lists(st.sampled_from(EVENTS), max_size=60).map(tuple))
def test_longer_sequences(events: tuple[CallError | None, ...]) -> None:
    state = after(events)
    assert (state.is_available, state.errors) == expected(events)


@pytest.mark.parametrize(
    ("error", "weight"),
    [
        (errors.CallRefused, Weight.FAILURE),
        (errors.InvalidNonce, Weight.FAILURE),
        (errors.RateLimited, Weight.FAILURE),
        (errors.TemporaryLockout, Weight.FAILURE),
        (errors.MarketUnavailable, Weight.FAILURE),
        (errors.CallUnknown, Weight.FAILURE),
        (errors.ConnectFailed, Weight.FAILURE),
        (errors.InvalidKey, Weight.BLOCK),
        (errors.InvalidSignature, Weight.BLOCK),
        (errors.PermissionDenied, Weight.BLOCK),
        (errors.AccountLocked, Weight.BLOCK),
        (errors.DeadlinePassed, Weight.NOTHING),
        (errors.MailboxFull, Weight.NOTHING),
        (errors.CounterFull, Weight.NOTHING),
        (errors.LockedOut, Weight.HELD),
        (errors.NonceNotDurable, Weight.NOTHING),
        (errors.EngineStopped, Weight.HELD),
        (errors.CallCut, Weight.NOTHING),
    ],
)
def test_what_counts_as_a_failure(error: type[CallError], weight: Weight) -> None:
    assert weigh(error("why")) is weight


def test_what_is_kept_back_counts_until_the_account_is_unavailable() -> None:
    assert not after((GOOD, FAILURE, FAILURE, HELD)).is_available
    assert after((GOOD, FAILURE, FAILURE, HELD)) == after((GOOD, FAILURE, FAILURE, HELD, HELD, HELD))
    assert after((GOOD, REVOKED)) == after((GOOD, REVOKED, HELD))


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [next_refresh(Availability(Standing.UNAVAILABLE, errors), 5.0, None) for errors in range(40)]
    assert pauses[:3] == [5.0, 5.0, 5.0], "the failures that decide follow at the normal pace"
    assert pauses == sorted(pauses)
    assert max(pauses) == 60.0


def test_who_says_when_is_heeded() -> None:
    degraded, out = Availability(Standing.DEGRADED, 1), Availability(Standing.UNAVAILABLE, 3)
    assert next_refresh(degraded, 5.0, errors.RateLimited("slow down", retry_after=30.0)) == 30.0
    assert next_refresh(degraded, 5.0, errors.LockedOut("kept back", retry_after=900.0)) == 5.0
    assert next_refresh(out, 5.0, errors.LockedOut("kept back", retry_after=900.0)) == 900.0
