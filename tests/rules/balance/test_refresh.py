"""When a balance is requested: the table of phases, what each result makes follow, and who is answered by which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import errors
from engine.errors import CallError
from engine.rules.balance import refresh as rules
from engine.rules.balance.refresh import (
    AFTER_A_LEAD,
    CONFIRM_IN,
    REQUEST_AGAIN_IN,
    SETTLES_IN,
    TABLE,
    Phase,
    Refresh,
    RefreshEvent,
    RefreshResult,
    result_of,
)

NOW = 100.0
PLANNED = Refresh().planned(NOW + 5.0)
URGENT = PLANNED.invalidated(NOW)
SENT = PLANNED.asked(NOW)


def test_the_drawing_is_the_table() -> None:
    """What a person reads at the top of the file is what the program does."""
    lines = [line.split() for line in (rules.__doc__ or "").splitlines()]
    phases = {phase.value for phase in Phase}
    assert [event.value for event in RefreshEvent] in lines
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in phases and len(line) > len(RefreshEvent)}
    assert drawn == {
        here.value: [row[event].value for event in RefreshEvent] for here, row in TABLE.items()
    }


def test_the_transitions_are_the_table() -> None:
    for before in (PLANNED, URGENT, SENT):
        after = {
            RefreshEvent.ASKED: before.asked(NOW),
            RefreshEvent.WOKEN: before.woken(before.turn, NOW),
            RefreshEvent.INVALIDATED: before.invalidated(NOW),
            RefreshEvent.SETTLED: before.ended(RefreshResult.GOOD, NOW, 5.0),
            RefreshEvent.UNSETTLED: before.ended(RefreshResult.OUTDATED, NOW, 1.0),
            RefreshEvent.UNSUPPORTED: before.unsupported(NOW),
            RefreshEvent.REPLACED: before.replaced(NOW),
            RefreshEvent.SILENT: before.silent(NOW + 1.0),
        }
        assert {event: value.phase for event, value in after.items()} == TABLE[before.phase]


def test_an_older_plans_timer_changes_nothing() -> None:
    for before in (PLANNED, URGENT, SENT):
        assert before.woken(before.turn - 1, NOW) == before


def test_an_invalidation_is_followed_soon_and_a_second_one_delays_nothing() -> None:
    assert URGENT.at == NOW + SETTLES_IN
    assert URGENT.invalidated(NOW + 0.1) == URGENT
    assert SENT.invalidated(NOW) == SENT, "the reply's own time says whether it still counts"


def test_steady_trading_causes_no_more_than_one_request_in_a_second() -> None:
    first = URGENT.woken(URGENT.turn, NOW + SETTLES_IN)
    again = first.ended(RefreshResult.GOOD, NOW + 0.3, 5.0).invalidated(NOW + 0.3)
    assert again.at == NOW + SETTLES_IN + REQUEST_AGAIN_IN


def test_a_full_counter_delays_what_an_invalidation_causes() -> None:
    full = SENT.ended(RefreshResult.FAILED, NOW, 5.0, room=20.0)
    assert full.invalidated(NOW + 1.0).at == NOW + 20.0


def test_a_request_under_way_is_joined_by_callers_whom_it_is_young_enough_for() -> None:
    assert SENT.first_for(5.0, NOW + 1.0) == SENT.turn
    assert SENT.first_for(0.0, NOW + 1.0) > SENT.turn, "what comes was requested before the caller asked"
    assert SENT.first_for(0.0, NOW) > SENT.turn
    assert PLANNED.first_for(5.0, NOW) == PLANNED.asked(NOW).turn


def test_without_extended_balances_the_plain_one_is_requested_at_once_and_answers_the_same_callers() -> None:
    plain = SENT.unsupported(NOW + 0.1)
    assert (plain.phase, plain.endpoint.name) == (Phase.SENT, "Balance")
    assert plain.turn >= SENT.first_for(5.0, NOW)
    assert not plain.awaits(SENT.turn)
    assert plain.awaits(plain.turn)


def test_another_key_gives_up_the_request_under_way_and_begins_with_extended_balances() -> None:
    served = SENT.unsupported(NOW).ended(RefreshResult.GOOD, NOW, 5.0).asked(NOW + 1.0)
    assert served.endpoint.name == "Balance"
    fresh = served.replaced(NOW + 2.0)
    assert not fresh.awaits(served.turn)
    assert (fresh.endpoint.name, fresh.at) == ("BalanceEx", NOW + 2.0)


def test_silence_moves_only_what_waits_for_its_turn() -> None:
    assert PLANNED.silent(NOW + 1.0).at == NOW + 1.0
    assert URGENT.silent(NOW + 1.0) == URGENT
    assert SENT.silent(NOW + 1.0) == SENT


FULL = errors.CounterFull("no room", retry_after=7.0)
NONCE = errors.InvalidNonce("too low")
TIMED_OUT = errors.CallUnknown("timed out")


@pytest.mark.parametrize(
    ("error", "count", "outdated", "unconfirmed", "awaited", "result", "pause"),
    [
        (None, 0, False, False, True, RefreshResult.GOOD, 5.0),
        (None, 0, True, False, True, RefreshResult.OUTDATED, REQUEST_AGAIN_IN),
        (TIMED_OUT, 1, False, False, True, RefreshResult.FAILED, 5.0),
        (TIMED_OUT, 1, False, True, True, RefreshResult.UNCONFIRMED, CONFIRM_IN),
        (NONCE, 1, False, False, False, RefreshResult.NONCE_LEAD, AFTER_A_LEAD),
        (NONCE, 2, False, False, True, RefreshResult.FAILED, 5.0),
        (FULL, 0, False, False, True, RefreshResult.NO_ROOM, 7.0),
        (FULL, 0, False, False, False, RefreshResult.FAILED, 5.0),
        (errors.CounterFull("no room"), 0, False, False, True, RefreshResult.FAILED, 5.0),
    ],
)
def test_what_each_result_makes_follow(
    error: CallError | None, count: int, outdated: bool, unconfirmed: bool, awaited: bool,
    result: RefreshResult, pause: float,
) -> None:  # fmt: skip
    found = result_of(error, count, outdated=outdated, unconfirmed=unconfirmed, awaited=awaited)
    assert found is result
    assert found.pause(5.0, error) == pause
    assert found.is_settled == (result in (RefreshResult.GOOD, RefreshResult.FAILED))


@given(st.floats(0.01, 600.0))
def test_an_outdated_reply_never_waits_longer_than_the_plan(planned: float) -> None:
    assert RefreshResult.OUTDATED.pause(planned) == min(planned, REQUEST_AGAIN_IN)


class RefreshMachine(RuleBasedStateMachine):
    """One account over any sequence of events, with the model's own memory of who waits for which request."""

    @initialize()
    def start(self) -> None:
        self.now = NOW
        self.value = Refresh().planned(NOW)
        self.turns = [self.value.turn]
        self.wants: list[tuple[float, int]] = []  # when a caller came, and the first request that may answer
        self.answered: list[tuple[float, float]] = []  # when a caller came, and when his request was sent

    def follow(self, after: Refresh) -> None:
        if after.turn == self.value.turn:
            assert after == self.value
        else:
            self.turns.append(after.turn)
        self.value = after

    @rule(seconds=st.floats(0.01, 10.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_caller_asks_for_the_youngest(self) -> None:
        self.wants.append((self.now, self.value.first_for(0.0, self.now)))
        self.follow(self.value.asked(self.now))

    @rule()
    def the_timer_fires(self) -> None:
        self.follow(self.value.woken(self.value.turn, self.now))

    @rule()
    def an_order_goes(self) -> None:
        self.follow(self.value.invalidated(self.now))

    @rule()
    def the_key_is_replaced(self) -> None:
        self.follow(self.value.replaced(self.now))

    @rule()
    def kraken_is_silent(self) -> None:
        self.follow(self.value.silent(self.now + 1.0))

    @precondition(lambda self: self.value.is_sent)
    @rule(result=st.sampled_from(RefreshResult), pause=st.floats(0.1, 10.0))
    def the_request_ends(self, result: RefreshResult, pause: float) -> None:
        ended, sent_at = self.value.turn, self.value.at
        self.follow(self.value.ended(result, self.now, pause))
        assert self.value.at > self.now
        if result.is_settled:
            self.answered += [(came, sent_at) for came, first in self.wants if first <= ended]
            self.wants = [want for want in self.wants if want[1] > ended]
            if self.wants:
                self.follow(self.value.asked(self.now))

    @precondition(lambda self: self.value.is_sent)
    @rule()
    def there_is_no_extended_balance(self) -> None:
        self.follow(self.value.unsupported(self.now))

    @invariant()
    def every_plan_and_request_has_a_number_of_its_own(self) -> None:
        assert self.turns == sorted(set(self.turns))

    @invariant()
    def no_caller_is_answered_by_a_request_from_before_he_came(self) -> None:
        assert all(sent_at >= came for came, sent_at in self.answered)

    @invariant()
    def whoever_waits_has_a_request_under_way_or_due(self) -> None:
        assert not self.wants or self.value.phase is not Phase.PLANNED


TestRefreshMachine = RefreshMachine.TestCase
