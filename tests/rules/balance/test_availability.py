"""G7: when an account is available, over every sequence of what can happen to it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.errors import CallError
from engine.rules.balance import availability
from engine.rules.balance.availability import Availability, AvailabilityEvent, Standing, Weight, next_refresh, weigh

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
        state = state.asked()
        state = state.after_success() if event is None else state.after_failure(event, LIMIT)
    return state


def expected(events: tuple[CallError | None, ...]) -> tuple[Standing, bool, int]:
    """G7 read off the history: no state, no table."""
    told = [event for event in events if event is not OURS]
    since = told[len(told) - next((n for n, event in enumerate(reversed(told)) if event is None), len(told)) :]
    ever = None in told
    if REVOKED in since:
        standing = Standing.BLOCKED
    elif len(since) >= LIMIT:
        standing = Standing.UNAVAILABLE
    elif ever:
        standing = Standing.DEGRADED if since else Standing.AVAILABLE
    else:
        standing = Standing.UNKNOWN
    return standing, ever and len(since) < LIMIT and REVOKED not in since, len(since)


@pytest.mark.parametrize("length", range(9))
def test_every_sequence_up_to_eight(length: int) -> None:
    """Of good replies, failures, refused keys and errors of our own."""
    for events in product(EVENTS, repeat=length):
        state = after(events)
        assert (state.standing, state.is_available, state.errors) == expected(events)
        assert (state.reason is None) == (state.errors == 0)


@given(st.lists(st.sampled_from(EVENTS), max_size=60).map(tuple))
def test_longer_sequences(events: tuple[CallError | None, ...]) -> None:
    state = after(events)
    assert (state.standing, state.is_available, state.errors) == expected(events)


def test_the_drawing_is_the_table() -> None:
    """What a person reads at the top of the file is what the program does."""
    short = {standing: standing.value.partition("-")[0] for standing in Standing}
    lines = [line.split() for line in (availability.__doc__ or "").splitlines()]
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in short.values()}
    table = availability.TABLE.items()
    assert drawn == {short[here]: [short[row[event]] for event in AvailabilityEvent] for here, row in table}


def test_after_an_outage_one_probe_is_shown_as_recovering() -> None:
    out = after((GOOD, FAILURE, FAILURE, FAILURE))
    assert out.asked().standing is Standing.RECOVERING
    assert not out.asked().is_available
    assert out.asked().after_failure(OURS, LIMIT) == out, "our own doing says nothing, and the probe is over"
    assert out.asked().after_success() == Availability(Standing.AVAILABLE)


@pytest.mark.parametrize("before", Standing)
@pytest.mark.parametrize("after", Standing)
def test_every_change_but_a_first_failure_and_a_probe_is_an_event(
    before: Standing, after: Standing
) -> None:
    quiet = ({Standing.AVAILABLE, Standing.DEGRADED}, {Standing.UNAVAILABLE, Standing.RECOVERING})
    assert after.differs_from(before) == (after is not before and {before, after} not in quiet)
    assert after.is_available == before.is_available or after.differs_from(before)


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


def test_calls_that_are_held_back_count_until_the_account_is_unavailable() -> None:
    assert not after((GOOD, FAILURE, FAILURE, HELD)).is_available
    assert after((GOOD, FAILURE, FAILURE, HELD)) == after((GOOD, FAILURE, FAILURE, HELD, HELD, HELD))
    assert after((GOOD, REVOKED)) == after((GOOD, REVOKED, HELD))


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [next_refresh(Availability(Standing.UNAVAILABLE, errors), 5.0, None) for errors in range(40)]
    assert pauses[:3] == [5.0, 5.0, 5.0], "the failures that decide follow at the normal pace"
    assert pauses == sorted(pauses)
    assert max(pauses) == 60.0


def test_a_longer_pause_that_kraken_asks_for_counts() -> None:
    degraded, out = Availability(Standing.DEGRADED, 1), Availability(Standing.UNAVAILABLE, 3)
    assert next_refresh(degraded, 5.0, errors.RateLimited("slow down", retry_after=30.0)) == 30.0
    assert next_refresh(degraded, 5.0, errors.LockedOut("kept back", retry_after=900.0)) == 5.0
    assert next_refresh(out, 5.0, errors.LockedOut("kept back", retry_after=900.0)) == 900.0
