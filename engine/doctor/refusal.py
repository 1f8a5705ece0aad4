"""A private call that failed: what that says about the key, and what to do about it."""

from __future__ import annotations

from engine.doctor.finding import Finding, bad
from engine.errors import (
    AccountLocked,
    CallError,
    CallUnknown,
    ConnectFailed,
    CounterFull,
    DeadlinePassed,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    LockedOut,
    MarketUnavailable,
    NonceNotDurable,
    OtpNeeded,
    PermissionDenied,
    RateLimited,
    StoreError,
    TemporaryLockout,
)

_KEY = (
    InvalidKey, InvalidSignature, InvalidNonce, TemporaryLockout, LockedOut, AccountLocked, NonceNotDurable, OtpNeeded,
)  # fmt: skip

_LOCKOUT = (
    "Stop every program that uses the key, and make no call with it for 15 minutes: each try, this test too, starts "
    "the time again. Then look for what went wrong before: a wrong key or secret, or a key that several programs use."
)
_SLOWER = "Wait a minute and try again. If it comes back, another program uses the same key: stop one of them."
_LATER = "Look at https://status.kraken.com, and try again in a few minutes."
_USED_UP = "Replace this key with the new one. The disk is fine; waiting does not help."
_REPORT = "Try again; if it stays, look the error up in Kraken's list of API errors."

# The first match counts. `None`: the finding is the error's own message.
_MEANINGS: tuple[tuple[type[CallError], str | None, str], ...] = (
    (
        InvalidKey, "Kraken does not know the API key.",
        "Copy the key again, whole. At Kraken (Settings, API) see that it is still there, not expired, and, if it is "
        "bound to addresses, that this machine's is on the list. Else make a new key.",
    ),
    (
        InvalidSignature, "The secret does not belong to the API key.",
        "Copy both again, from the same key. Kraken shows a secret only once: if it is lost, make a new key.",
    ),
    (InvalidNonce, None, "Do that before any other call with this key: Kraken locks out a key that keeps failing."),
    (TemporaryLockout, "Kraken has locked the key out for a while.", _LOCKOUT),
    (LockedOut, None, "Stop every program that uses the key, wait until it is over, and run this again."),
    (
        AccountLocked, "Kraken has locked the account, or not confirmed it yet.",
        "Sign in at Kraken: it says there what is missing.",
    ),
    (
        OtpNeeded, None,
        "The password is the one that was set for the key itself at Kraken (Settings, API), and stays the same. A key "
        "whose second factor is an app's changing code cannot be used here: make a key with a password, or without.",
    ),
    (
        PermissionDenied, "Kraken denies the balance to the key.",
        "Give it the permission 'Query funds' on Kraken's API page (Settings, API).",
    ),
    (NonceNotDurable, None, "Fix the disk or the permissions of the state directory: without it no call is made."),
    (RateLimited, "Kraken says that too many calls were made.", _SLOWER),
    (CounterFull, None, _SLOWER),
    (MarketUnavailable, None, _LATER),
    (ConnectFailed, None, _LATER),
    (DeadlinePassed, "Kraken was too slow, so there was no time for this call.", _LATER),
    (CallUnknown, None, _LATER),
)  # fmt: skip


def is_about_key(error: CallError | None) -> bool:
    """Whether no call with this key can succeed, so that another one would only do harm."""
    return isinstance(error, _KEY)


def refused(check: str, account: str, error: CallError) -> Finding:
    """A finding in plain words, with Kraken's error."""
    found, advice = next(
        ((found, advice) for kind, found, advice in _MEANINGS if isinstance(error, kind)), (None, _REPORT)
    )
    if isinstance(error, NonceNotDurable) and not isinstance(error.__cause__, StoreError):
        advice = _USED_UP
    text = str(error) if found is None else found
    if error.kraken_code and error.kraken_code not in text:
        text += f" It said {error.kraken_code!r}."
    return bad(check, text, advice, account)
