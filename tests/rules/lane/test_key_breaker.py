"""When a key that Kraken refuses is left alone: series of refused nonces, refused keys, denied calls, lockouts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.errors import CallError
from engine.kraken.refusals import LOCKOUT_SECONDS, meaning_of
from engine.rules.lane import key_state
from engine.rules.lane.admission import Wait
from engine.rules.lane.breaker_state import LONGEST, BreakerState
from engine.rules.lane.key_breaker import LOCKOUT, KeyBreaker, check_all
from engine.rules.lane.key_state import SENTENCES, KeyAnswer, KeyState, answer_of
from engine.rules.lane.nonce_diagnosis import diagnose_nonce

GOOD = None
NONCE = errors.InvalidNonce("nonce", kraken_code="EAPI:Invalid nonce")
KEY = errors.InvalidKey("key", kraken_code="EAPI:Invalid key")
DENIED = errors.PermissionDenied("denied", kraken_code="EGeneral:Permission denied")
RESTRICTED = errors.PermissionDenied("restricted", kraken_code="EAccount:Invalid permissions")
LOCKED = errors.TemporaryLockout("out", kraken_code="EGeneral:Temporary lockout", retry_after=900.0)
TIMEOUT = errors.CallUnknown("timed out")
UNSENT = errors.ConnectFailed("no route")
ENDS: list[CallError | None] = [GOOD, NONCE, KEY, DENIED, LOCKED, TIMEOUT, UNSENT, errors.InvalidArguments("no")]
ENDPOINTS = ["BalanceEx", "AddOrder", "CancelOrder"]

Kraken = Callable[[float], CallError | None]


class Lane:
    """What the private lane does with a guard: the times and ends of what it sent are written down."""

    def __init__(self, guard: KeyBreaker | None = None) -> None:
        self.guard = guard or KeyBreaker()
        self.sent: list[tuple[float, str, CallError | None]] = []

    def call(self, kraken: Kraken, now: float, endpoint: str = "BalanceEx") -> Wait | None:
        held = self.guard.check(endpoint, now)
        if held is not None:
            return held
        error = self._send(kraken, now, endpoint)
        if isinstance(error, errors.InvalidNonce) and self.guard.may_sign_again:
            self._send(kraken, now, endpoint)
        return None

    def _send(self, kraken: Kraken, now: float, endpoint: str) -> CallError | None:
        self.guard = self.guard.started(endpoint, now)
        error = kraken(now)
        self.guard = self.guard.after(error, endpoint, now)
        if not isinstance(error, errors.CallNotSent):
            self.sent.append((now, endpoint, error))
        return error


def always(error: CallError | None) -> Kraken:
    return lambda now: error


def times(lane: Lane) -> list[float]:
    return [now for now, _, _ in lane.sent]


def due(guard: KeyBreaker) -> float:
    """When the next call may go."""
    return max(0.0, guard.key.due, *(hold.due for hold in guard.calls.values()))


# --- nonces ---------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 20), min_size=3, max_size=200), st.sampled_from([1.0, 5.0, 60.0]))
def test_at_most_three_calls_go_into_a_nonce_storm(pauses: list[float], probe_every: float) -> None:
    """G7: the call, its second signature, one more; then none before the first probe."""
    lane, now = Lane(KeyBreaker(probe_every)), 0.0
    for pause in pauses:
        now += pause
        lane.call(always(NONCE), now)
    third = times(lane)[2]
    assert lane.guard.state is KeyState.NONCES_REFUSED
    assert sum(each < third + min(12 * probe_every, LONGEST) for each in times(lane)) == 3


def test_the_probes_of_a_storm_are_a_minute_five_and_fifteen_apart() -> None:
    lane = Lane()
    for second in range(4_000):
        lane.call(always(NONCE), float(second))
    assert times(lane) == [0, 0, 1, 61, 361, 1261, 2161, 3061, 3961]


def test_only_the_first_refused_nonce_is_signed_again() -> None:
    guard = KeyBreaker()
    assert not guard.may_sign_again
    guard = guard.after(NONCE, "BalanceEx", 0.0)
    assert guard.may_sign_again
    assert guard.state is KeyState.NONCE_REFUSED_ONCE
    guard = guard.after(NONCE, "BalanceEx", 0.0)
    assert not guard.may_sign_again
    assert guard.state is KeyState.NONCES_REFUSED


def test_a_second_signature_that_works_ends_the_doubt() -> None:
    answers = iter([NONCE, GOOD, NONCE, GOOD])
    lane = Lane()
    lane.call(lambda now: next(answers), 0.0)
    lane.call(lambda now: next(answers), 1.0)
    assert times(lane) == [0, 0, 1, 1]
    assert lane.guard == KeyBreaker()


# --- keys and permissions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KEY, errors.InvalidSignature("s"), errors.AccountLocked("l")], ids=repr)
def test_a_refused_key_is_probed_and_not_hammered(error: CallError) -> None:
    """G7: a revoked key; cancels are held back as well, since they would fail."""
    lane = Lane()
    for second in range(4_000):
        lane.call(always(error), float(second), ENDPOINTS[second % 3])
    assert times(lane) == [0, 60, 360, 1260, 2160, 3060, 3960]
    assert lane.guard.state is KeyState.KEY_REFUSED


@given(st.floats(0.01, 1e4), st.integers(1, 8))
def test_the_pauses_follow_the_settings_and_never_exceed_fifteen_minutes(probe_every: float, refusals: int) -> None:
    guard, now, pauses = KeyBreaker(probe_every), 0.0, []
    for _ in range(refusals):
        guard = guard.started("BalanceEx", now).after(KEY, "BalanceEx", now)
        held = guard.check("BalanceEx", now)
        assert held is not None
        pauses.append(held.retry_after)
        now = guard.key.due
    expected = [min(probe_every * times, LONGEST) for times in (12, 60, *[180] * refusals)]
    assert pauses == pytest.approx(expected[:refusals])


def test_a_denied_call_holds_back_only_itself() -> None:
    lane = Lane()
    for second in range(1_000):
        lane.call(always(DENIED), float(second), "AddOrder")
        lane.call(always(GOOD), float(second), "BalanceEx")
    assert [now for now, endpoint, _ in lane.sent if endpoint == "AddOrder"] == [0, 60, 360]
    assert sum(endpoint == "BalanceEx" for _, endpoint, _ in lane.sent) == 1_000
    assert lane.guard.state is KeyState.CALL_REFUSED
    lane.call(always(GOOD), 5_000.0, "AddOrder")
    assert lane.guard == KeyBreaker()


# --- denied markets -------------------------------------------------------------------------------------------

RESTRICTED = errors.PermissionDenied("not here", kraken_code="EAccount:Invalid permissions:X trading restricted for Y")
TRADING_LOCKED = errors.AccountLocked("locked", kraken_code="ETrade:Locked")


def ordered(guard: KeyBreaker, error: CallError | None, market: str, now: float = 0.0) -> KeyBreaker:
    return guard.started("AddOrder", now, market).after(error, "AddOrder", now, market)


def held_markets(guard: KeyBreaker, now: float = 0.0) -> list[str]:
    return [market for market in ("XBTUSD", "AAPLxUSD", "TSLAxUSD") if guard.check("AddOrder", now, market)]


def test_the_first_refusal_of_an_order_holds_back_its_market_alone() -> None:
    guard = ordered(KeyBreaker(), DENIED, "AAPLxUSD")
    assert held_markets(guard) == ["AAPLxUSD"]
    assert guard.check("EditOrder", 0.0, "AAPLxUSD") is None
    assert (guard.state, guard.denied) == (KeyState.PRODUCT_REFUSED, ("AddOrder",))
    assert guard.sentence.startswith("AAPLxUSD: Kraken refused AddOrder with 'EGeneral:Permission denied'.")
    assert held_markets(guard, 61.0) == []
    assert held_markets(ordered(guard, GOOD, "AAPLxUSD", 61.0)) == []


def test_a_second_market_shows_that_the_key_lacks_the_permission() -> None:
    guard = ordered(ordered(KeyBreaker(), DENIED, "AAPLxUSD"), DENIED, "XBTUSD")
    assert held_markets(guard) == ["XBTUSD", "AAPLxUSD", "TSLAxUSD"]
    assert (guard.state, guard.denied) == (KeyState.CALL_REFUSED, ("AddOrder",))
    assert ordered(ordered(guard, GOOD, "XBTUSD", 61.0), GOOD, "AAPLxUSD", 61.0).is_quiet


def test_a_market_that_is_denied_again_is_still_one() -> None:
    guard = ordered(ordered(KeyBreaker(), DENIED, "AAPLxUSD"), DENIED, "AAPLxUSD", 61.0)
    assert held_markets(guard, 61.0) == ["AAPLxUSD"]
    assert held_markets(guard, 300.0) == ["AAPLxUSD"], "the pauses grow"
    assert held_markets(guard, 362.0) == []


@given(st.lists(st.sampled_from(["AAPLxUSD", "TSLAxUSD"]), min_size=1, max_size=6), st.sampled_from([0, 1, 2]))
def test_a_key_with_the_permission_is_never_kept_from_other_markets(denied: list[str], way: int) -> None:
    """Known by an order that went through, by GetApiKeyInfo, or by words that speak of the product."""
    starts = (ordered(KeyBreaker(), GOOD, "XBTUSD"), KeyBreaker().told(["AddOrder"], ["Withdraw"]), KeyBreaker())
    guard = starts[way]
    for market in denied:
        guard = ordered(guard, RESTRICTED if way == 2 else DENIED, market)
    assert held_markets(guard) == sorted(set(denied))
    assert guard.denied == ()


def test_a_permission_that_kraken_says_is_missing_is_not_taken_for_one_market_twice() -> None:
    guard = ordered(KeyBreaker(), GOOD, "XBTUSD").told([], ["AddOrder"])
    guard = ordered(ordered(guard, DENIED, "AAPLxUSD"), DENIED, "XBTUSD")
    assert held_markets(guard) == ["XBTUSD", "AAPLxUSD", "TSLAxUSD"]


def test_trading_that_is_locked_is_locked_on_every_market() -> None:
    guard = ordered(ordered(KeyBreaker(), GOOD, "XBTUSD"), TRADING_LOCKED, "AAPLxUSD")
    assert held_markets(guard) == ["XBTUSD", "AAPLxUSD", "TSLAxUSD"]


def test_resume_forgets_a_denied_market() -> None:
    guard = ordered(ordered(KeyBreaker(), GOOD, "XBTUSD"), DENIED, "AAPLxUSD").resume()
    assert held_markets(guard) == []
    assert held_markets(ordered(ordered(guard, DENIED, "AAPLxUSD"), DENIED, "TSLAxUSD")) == ["AAPLxUSD", "TSLAxUSD"]


def test_the_probe_of_a_denied_market_that_was_not_sent_is_repeated() -> None:
    guard = ordered(ordered(KeyBreaker(), GOOD, "XBTUSD"), DENIED, "AAPLxUSD")
    assert held_markets(ordered(guard, UNSENT, "AAPLxUSD", 61.0), 61.0) == []
    assert held_markets(ordered(guard, TIMEOUT, "AAPLxUSD", 61.0), 61.0) == ["AAPLxUSD"]


@given(st.sampled_from([NONCE, KEY, DENIED]), st.integers(1, 6), st.integers(0, 100))
def test_one_probe_at_a_time(error: CallError, refusals: int, late: int) -> None:
    """While it is under way no other call passes, and whatever becomes of it the next waits a whole pause."""
    lane = Lane()
    for _ in range(refusals):
        lane.call(always(error), due(lane.guard))
    now = due(lane.guard) + late
    assert lane.guard.check("BalanceEx", now) is None
    under_way = lane.guard.started("BalanceEx", now)
    for answered in (under_way, under_way.after(TIMEOUT, "BalanceEx", now)):
        assert answered.check("BalanceEx", now) is not None
        assert answered.check("BalanceEx", now + 59.9) is not None


@pytest.mark.parametrize("error", [NONCE, KEY, DENIED], ids=repr)
def test_a_probe_that_was_not_sent_is_repeated_at_once(error: CallError) -> None:
    lane = Lane()
    lane.call(always(error), 0.0)
    now = due(lane.guard)
    tried = lane.guard.started("BalanceEx", now).after(UNSENT, "BalanceEx", now + 1)
    assert tried.check("BalanceEx", now + 1) is None


@given(
    st.sampled_from([NONCE, KEY, DENIED, LOCKED]), st.lists(st.sampled_from([TIMEOUT, KEY, NONCE, DENIED]), max_size=4)
)
def test_a_call_that_was_held_back_opens_no_way_for_another(error: CallError, probes: list[CallError]) -> None:
    """Whoever tells the guard of a call that never started changes nothing."""
    lane = Lane()
    for each in (error, error, error, *probes):
        lane.call(always(each), due(lane.guard))
    assert lane.guard.after(errors.LockedOut("ours"), "BalanceEx", 1e9) == lane.guard


@given(st.lists(st.tuples(st.sampled_from(ENDS), st.sampled_from(ENDPOINTS)), max_size=30))
def test_one_success_resets(history: list[tuple[CallError | None, str]]) -> None:
    guard = KeyBreaker()
    for error, endpoint in history:
        guard = guard.after(error, endpoint, 0.0)
    for endpoint in ENDPOINTS:
        guard = guard.started(endpoint, 1e6).after(GOOD, endpoint, 1e6)
    assert guard == KeyBreaker()


# --- lockouts -------------------------------------------------------------------------------------------------

script = st.lists(
    st.tuples(st.floats(0, 400), st.sampled_from(ENDS), st.sampled_from(ENDPOINTS)), min_size=1, max_size=60
)


@given(script)
def test_after_a_lockout_nothing_is_sent_for_fifteen_minutes(events: list[Any]) -> None:
    """From the last refusal, and not even a cancel, over restarts as well."""
    lane, now, last = Lane(), 0.0, -math.inf
    for pause, error, endpoint in events:
        now += pause
        before = len(lane.sent)
        lane.call(always(error), now, endpoint)
        assert len(lane.sent) == before or now >= last + LOCKOUT - 1e-6
        if error is LOCKED and len(lane.sent) > before:
            last = now
        saved = json.loads(json.dumps(lane.guard.to_dict(now, now + 1.7e9)))
        again = KeyBreaker.from_dict(saved, now, now + 1.7e9)
        left = last + LOCKOUT - now
        assert (again.check("CancelOrder", now) is not None) == (left > 0) or abs(left) < 1e-3


@given(script)
def test_between_two_good_replies_no_more_is_sent_than_promised(events: list[Any]) -> None:
    """Whatever is mixed: in each minute without a good reply, at most 3 refused nonces and one refused key."""
    lane, now = Lane(), 0.0
    for pause, error, endpoint in events:
        now += pause
        lane.call(always(error), now, endpoint)
    for start, _, _ in lane.sent:
        minute = [error for at, _, error in lane.sent if start <= at < start + 60]
        until_good = minute[: minute.index(GOOD)] if GOOD in minute else minute
        if not any(isinstance(error, errors.PermissionDenied) for error in until_good):  # that shows a good key
            assert sum(error is NONCE for error in until_good) <= 3
            assert sum(error is KEY for error in until_good) <= 1


# seconds into the lockout, jump of the wall clock, start of the new process
@given(st.floats(0, 899.9), st.floats(-1e7, 1e7), st.floats(0, 1e6))
def test_a_lockout_survives_a_restart_whatever_the_wall_clock_does(into: float, jump: float, start: float) -> None:
    guard = KeyBreaker().after(LOCKED, "BalanceEx", 100.0)
    saved = json.loads(json.dumps(guard.to_dict(100.0 + into, 1.7e9)))
    again = KeyBreaker.from_dict(saved, start, 1.7e9 + jump)
    left = max(0.0, min(900.0, 900.0 - into - jump))
    held = again.check("CancelOrder", start)
    assert (held.retry_after if held else 0.0) == pytest.approx(left, abs=1e-3)


NO_TIMES = [None, True, "1", math.nan, math.inf, -math.inf, 10**400]


@pytest.mark.parametrize(
    "document",
    [None, [], "x", 3, {"other": 1}, *({"locked_until": each} for each in NO_TIMES)],
    ids=lambda document: str(document)[:30],
)
def test_garbage_is_a_lockout_of_fifteen_minutes_from_now(document: Any) -> None:
    """Fail closed."""
    assert KeyBreaker.from_dict(document, 50.0, 1.7e9).check("BalanceEx", 50.0) == Wait(
        SENTENCES[KeyState.LOCKED_OUT], LOCKOUT
    )


@pytest.mark.parametrize("state", KeyState)
def test_a_wait_says_whether_it_passes_by_itself(state: KeyState) -> None:
    """A lockout ends with time; what Kraken refused has to be fixed."""
    wait = BreakerState(state, due=60.0).check(0.0)
    passes = state in (KeyState.ACCEPTED, KeyState.NONCE_REFUSED_ONCE, KeyState.LOCKED_OUT)
    assert wait is not None
    assert wait.is_refusal is not passes


def test_nothing_saved_is_no_lockout() -> None:
    assert KeyBreaker.from_dict({}, 50.0, 1.7e9, probe_every=5.0) == KeyBreaker()
    assert KeyBreaker().to_dict(50.0, 1.7e9) == {}


def test_a_lockout_lasts_as_long_as_the_reply_says() -> None:
    assert LOCKOUT == LOCKOUT_SECONDS


@given(st.floats(0, 899), st.integers(0, 2))
def test_two_locked_keys_stop_all_until_the_later_is_free(apart: float, others: int) -> None:
    first = KeyBreaker().after(LOCKED, "BalanceEx", 0.0)
    second = KeyBreaker().after(LOCKED, "BalanceEx", apart)
    rest = [KeyBreaker()] * others
    assert check_all([first, *rest], apart) is None
    for now in (apart, 900.0, apart + 899.9):
        held = check_all([*rest, second, first], now)
        assert (held is not None) == (now < apart + 900)
        assert held is None or held.retry_after == pytest.approx(apart + 900 - now)
    assert check_all([first, second, *rest], apart + 900) is None


def test_two_lockouts_one_after_the_other_do_not_stop_all() -> None:
    first = KeyBreaker().after(LOCKED, "BalanceEx", 0.0)
    second = KeyBreaker().after(LOCKED, "BalanceEx", 5_000.0)
    assert check_all([first, second], 5_000.0) is None


# --- people ---------------------------------------------------------------------------------------------------


@given(script)
def test_resume_lets_all_go_but_a_lockout(events: list[Any]) -> None:
    lane, now = Lane(), 0.0
    for pause, error, endpoint in events:
        now += pause
        lane.call(always(error), now, endpoint)
    resumed = lane.guard.resume()
    locked = lane.guard.locked_until
    for endpoint in ENDPOINTS:
        assert (resumed.check(endpoint, now) is not None) == (locked is not None and now < locked)
        assert KeyBreaker(lane.guard.probe_every).check(endpoint, now) is None


@pytest.mark.parametrize("state", KeyState)
def test_every_state_has_a_sentence(state: KeyState) -> None:
    sentence = BreakerState(state).sentence
    assert sentence.endswith(".")
    assert state is KeyState.ACCEPTED or len(sentence) > 80


def test_the_sentence_gives_krakens_words_or_the_diagnosis() -> None:
    assert KeyBreaker().after(KEY, "BalanceEx", 0.0).sentence.startswith("key ")
    guard = KeyBreaker().after(NONCE, "BalanceEx", 0.0).after(NONCE, "BalanceEx", 0.0, cause="The clock is slow.")
    assert guard.sentence.startswith("The clock is slow. Kraken refuses the nonces")
    assert KeyBreaker().after(DENIED, "AddOrder", 0.0).sentence.startswith("denied ")


@pytest.mark.parametrize(
    ("facts", "words", "not_words"),
    [
        ({"first_use": False}, "another program uses the key", "state directory that is lost"),
        ({"first_use": False, "skew": 1e6}, "another program uses the key", "clock"),
        ({"first_use": False, "skew": -700.0}, "clock is 700 s behind", "state directory"),
        ({"first_use": False, "lead": 3600.0}, "3600 s ahead of the clock", "behind"),
        ({"first_use": True}, "another unit", "record of those is whole"),
        ({"first_use": True, "skew": 2.0, "lead": 0.5}, "state directory that is lost", "clock is"),
        ({"first_use": True, "skew": -700.0}, "clock is 700 s behind", "another unit"),
    ],
)
def test_the_causes_of_refused_nonces_are_told_apart(facts: dict[str, Any], words: str, not_words: str) -> None:
    sentence = diagnose_nonce(**facts)
    assert words in sentence
    assert not_words not in sentence
    assert "ake a new key" in sentence, "every diagnosis has a remedy"
    assert "{" not in sentence


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("EAPI:Invalid nonce", KeyAnswer.BAD_NONCE),
        ("EAPI:Invalid key", KeyAnswer.BAD_KEY),
        ("EAPI:Invalid signature", KeyAnswer.BAD_KEY),
        ("EAuth:Account temporary disabled", KeyAnswer.BAD_KEY),
        ("ETrade:Locked", KeyAnswer.DENIED),
        ("EGeneral:Permission denied", KeyAnswer.DENIED),
        ("EAuth:Failed", KeyAnswer.DENIED),
        ("EAccount:Invalid permissions:USDT trading restricted for DE.", KeyAnswer.RESTRICTED),
        ("EEarnings:Permission denied", KeyAnswer.OTHER),
        ("EGeneral:Temporary lockout", KeyAnswer.LOCKOUT),
        ("EOrder:Insufficient funds", KeyAnswer.GOOD),
        ("EOrder:Invalid price", KeyAnswer.GOOD),
        ("EAPI:Rate limit exceeded", KeyAnswer.OTHER),
        ("EGeneral:Invalid arguments", KeyAnswer.OTHER),
        ("EService:Unavailable", KeyAnswer.OTHER),
    ],
)
def test_what_krakens_errors_say_about_the_key(code: str, answer: KeyAnswer) -> None:
    meaning = meaning_of(code)
    assert meaning is not None
    assert answer_of(meaning.error("why", kraken_code=code)) is answer


def test_a_lockout_beside_a_result_is_a_lockout() -> None:
    assert answer_of(errors.CallUnknown("?", kraken_code="EGeneral: Temporary Lockout")) is KeyAnswer.LOCKOUT


def test_the_table_drawn_is_the_table_used() -> None:
    drawn = [line.split() for line in (key_state.__doc__ or "").splitlines() if line.strip()]
    rows = {row[0]: row[1:] for row in drawn if row[0] in KeyState.__members__}
    order = [GOOD, LOCKED, KEY, NONCE, DENIED, RESTRICTED, TIMEOUT]
    assert rows.keys() == KeyState.__members__.keys() - {"CALL_REFUSED", "PRODUCT_REFUSED"}
    for name, row in rows.items():
        expected = [name if each == "-" else each for each in row]
        guard = KeyBreaker(key=BreakerState(KeyState[name]))
        assert [guard.after(error, "BalanceEx", 1e6).key.state.name for error in order] == expected
