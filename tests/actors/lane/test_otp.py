"""A key that wants its two-factor password is told from one that lacks a permission (promise G7)."""

from __future__ import annotations

import pytest

from engine.actors.lane.otp_watch import OtpWatch
from engine.errors import AccountLocked, CallError, CallUnknown, CounterFull, OtpNeeded, PermissionDenied
from engine.rules.lane.key_breaker import KeyBreaker
from engine.rules.lane.otp import KEY_INFO, may_want_otp, otp_needed
from engine.values import Account

ALICE = Account("ALICE", "key", "c2VjcmV0")
DENIED = PermissionDenied("no", kraken_code="EGeneral:Permission denied")
WANTED = otp_needed("ALICE", KEY_INFO, "EGeneral:Permission denied", has_otp=False)


class Asking:
    """Makes the call of GetApiKeyInfo, which ends with `error`."""

    def __init__(self, error: CallError | None) -> None:
        self.error, self.count = error, 0

    def __call__(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("code", "may"),
    [
        ("EGeneral:Permission denied", True), ("EAPI: Permission denied", True), ("EAuth:Failed", True),
        ("EAuth:Something new", True), ("EAccount:Invalid permissions:USDT trading restricted for DE.", False),
        ("EEarnings:Permission denied", False), ("", False),
    ],
)  # fmt: skip
def test_what_may_mean_a_missing_password(code: str, may: bool) -> None:
    assert may_want_otp(PermissionDenied("no", kraken_code=code)) is may
    assert not may_want_otp(AccountLocked("no", kraken_code=code))
    assert not may_want_otp(CallUnknown("?", kraken_code=code))


def test_a_key_that_is_denied_what_needs_no_permission_wants_its_password() -> None:
    watch, ask = OtpWatch(), Asking(WANTED)
    for _ in range(3):
        told = watch.explained(DENIED, ALICE, "BalanceEx", ask)
        assert isinstance(told, OtpNeeded)
        assert "KRAKEN_USER_ALICE_API_OTP" in str(told)
        assert (told.account, told.endpoint, told.kraken_code) == ("ALICE", "BalanceEx", DENIED.kraken_code)
    assert ask.count == 1, "one question tells it"
    assert isinstance(watch.explained(DENIED, ALICE, KEY_INFO, ask), OtpNeeded)
    watch.passed(ALICE.key_id)
    assert watch.explained(DENIED, ALICE, "BalanceEx", ask) is DENIED
    watch.forget(ALICE.key_id)
    assert isinstance(watch.explained(DENIED, ALICE, "BalanceEx", ask), OtpNeeded)
    assert ask.count == 2


@pytest.mark.parametrize("ending", [None, CallUnknown("?"), CounterFull("later")])
def test_without_that_answer_the_error_stays_what_it_is(ending: CallError | None) -> None:
    assert OtpWatch().explained(DENIED, ALICE, "BalanceEx", Asking(ending)) is DENIED


def test_a_wrong_password_is_named_and_not_shown() -> None:
    account = Account("MASTER", "key", "c2VjcmV0", otp="pw-4711")
    told = OtpWatch().explained(DENIED, account, KEY_INFO, Asking(None))
    assert "is not the key's two-factor password" in str(told)
    assert "KRAKEN_API_OTP" in str(told)
    assert "4711" not in str(told)


def test_a_missing_password_is_not_taken_for_a_market_that_is_denied() -> None:
    guard = KeyBreaker().after(WANTED, "AddOrder", 0.0, "XBTUSD", cause=str(WANTED))
    assert guard.calls.keys() == {"AddOrder"}
    assert not guard.products
    assert "two-factor" in guard.sentence
    assert "permission '" not in guard.sentence
