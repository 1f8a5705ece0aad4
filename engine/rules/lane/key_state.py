"""What Kraken's answers say about an API key, as a table of states that changes only here.

::

                        good      lockout     bad key      bad nonce           denied    restricted  other
    ACCEPTED            ACCEPTED  LOCKED_OUT  KEY_REFUSED  NONCE_REFUSED_ONCE  -         -           -
    NONCE_REFUSED_ONCE  ACCEPTED  LOCKED_OUT  KEY_REFUSED  NONCES_REFUSED      -         -           -
    NONCES_REFUSED      ACCEPTED  LOCKED_OUT  KEY_REFUSED  NONCES_REFUSED      -         -           -
    KEY_REFUSED         ACCEPTED  LOCKED_OUT  KEY_REFUSED  NONCES_REFUSED      ACCEPTED  -           -
    LOCKED_OUT          ACCEPTED  LOCKED_OUT  KEY_REFUSED  NONCES_REFUSED      ACCEPTED  -           ACCEPTED

A dash leaves the state as it is. *Denied* and *restricted* hold back an endpoint or a market (see `key_breaker`); the
first also shows that Kraken knows the key. It says nothing about the nonce, since it is not known which of the two
Kraken checks first. A lockout is over by the time the first call goes out again, so any answer but a refusal ends it.
Nothing is learnt from a call that was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from engine.errors import (
    AccountLocked,
    CallError,
    CallNotSent,
    InsufficientFunds,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    OrderRejected,
    PermissionDenied,
    TemporaryLockout,
)


class KeyState(Enum):
    """The state of a key, or of a key with one endpoint (CALL_REFUSED) or one market (PRODUCT_REFUSED)."""

    ACCEPTED = "open"
    NONCE_REFUSED_ONCE = "nonce-refused-once"
    NONCES_REFUSED = "nonces-refused"
    KEY_REFUSED = "key-refused"
    CALL_REFUSED = "call-refused"
    PRODUCT_REFUSED = "product-refused"
    LOCKED_OUT = "locked-out"

    @property
    def is_probed(self) -> bool:
        """Whether a call is let through now and then to see whether it is over."""
        return self in _PROBED


_PROBED = frozenset(
    {KeyState.KEY_REFUSED, KeyState.CALL_REFUSED, KeyState.PRODUCT_REFUSED, KeyState.NONCES_REFUSED}
)  # fmt: skip


class KeyAnswer(Enum):
    """What an answer of Kraken's says about the key."""

    GOOD = "good"
    LOCKOUT = "lockout"
    BAD_KEY = "bad key"
    BAD_NONCE = "bad nonce"
    DENIED = "denied"
    RESTRICTED = "restricted"
    OTHER = "other"
    UNSENT = "unsent"


def _row(here: KeyState, **changes: KeyState) -> Mapping[KeyAnswer, KeyState]:
    """Where each answer leads; what is not named leaves the state as it is."""
    row = dict.fromkeys(KeyAnswer, here)
    row |= {KeyAnswer.GOOD: _S.ACCEPTED, KeyAnswer.LOCKOUT: _S.LOCKED_OUT, KeyAnswer.BAD_KEY: _S.KEY_REFUSED}
    return MappingProxyType(row | {KeyAnswer[name]: state for name, state in changes.items()})


_S = KeyState
TABLE: Mapping[KeyState, Mapping[KeyAnswer, KeyState]] = MappingProxyType(
    {
        _S.ACCEPTED: _row(_S.ACCEPTED, BAD_NONCE=_S.NONCE_REFUSED_ONCE),
        _S.NONCE_REFUSED_ONCE: _row(_S.NONCE_REFUSED_ONCE, BAD_NONCE=_S.NONCES_REFUSED),
        _S.NONCES_REFUSED: _row(_S.NONCES_REFUSED, BAD_NONCE=_S.NONCES_REFUSED),
        _S.KEY_REFUSED: _row(_S.KEY_REFUSED, BAD_NONCE=_S.NONCES_REFUSED, DENIED=_S.ACCEPTED),
        _S.LOCKED_OUT: _row(_S.LOCKED_OUT, BAD_NONCE=_S.NONCES_REFUSED, DENIED=_S.ACCEPTED, OTHER=_S.ACCEPTED),
    }
)

# The first row that fits: the class of the error and the beginning of Kraken's code.
_ANSWERS: tuple[tuple[type[CallError], str, KeyAnswer], ...] = (
    (CallNotSent, "", KeyAnswer.UNSENT),
    (TemporaryLockout, "", KeyAnswer.LOCKOUT),
    (CallError, "EGeneral:Temporary lockout", KeyAnswer.LOCKOUT),  # beside a result it is an unknown outcome
    (InvalidNonce, "", KeyAnswer.BAD_NONCE),
    (InvalidKey, "", KeyAnswer.BAD_KEY),
    (InvalidSignature, "", KeyAnswer.BAD_KEY),
    (AccountLocked, "ETrade:", KeyAnswer.DENIED),  # trading is locked: the balance can still be read
    (AccountLocked, "", KeyAnswer.BAD_KEY),
    (PermissionDenied, "EAccount:", KeyAnswer.RESTRICTED),  # depends on what was asked for: one pair, one country
    (PermissionDenied, "EEarnings:", KeyAnswer.OTHER),
    (PermissionDenied, "", KeyAnswer.DENIED),
    (InsufficientFunds, "", KeyAnswer.GOOD),  # Kraken found the key, its signature and the nonce to be right
    (OrderRejected, "", KeyAnswer.GOOD),
)


def answer_of(error: CallError | None) -> KeyAnswer:
    """What the end of a call says about its key; `None` is a good reply."""
    if error is None:
        return KeyAnswer.GOOD
    code = _plain(error.kraken_code or "")
    fits = (answer for kind, prefix, answer in _ANSWERS if isinstance(error, kind) and code.startswith(_plain(prefix)))
    return next(fits, KeyAnswer.OTHER)


def _plain(code: str) -> str:
    return "".join(code.lower().split())


CODES: Mapping[KeyState, str] = MappingProxyType(
    {
        KeyState.NONCES_REFUSED: "EAPI:Invalid nonce",
        KeyState.KEY_REFUSED: "EAPI:Invalid key",
        KeyState.CALL_REFUSED: "EGeneral:Permission denied",
        KeyState.PRODUCT_REFUSED: "EGeneral:Permission denied",
        KeyState.LOCKED_OUT: "EGeneral:Temporary lockout",
    }
)
"""The error string of Kraken's for a call that is kept back."""

_PROBES = "One call is let through now and then to see whether it is over; 'resume' tries at once."

SENTENCES: Mapping[KeyState, str] = MappingProxyType(
    {
        KeyState.ACCEPTED: "Kraken accepts this key.",
        KeyState.NONCE_REFUSED_ONCE: (
            "Kraken refused a nonce of this key once. If it does so again, another program uses the key: give this "
            "engine a key of its own."
        ),
        KeyState.NONCES_REFUSED: f"Kraken refuses the nonces of this key, so its calls are kept back. {_PROBES}",
        KeyState.KEY_REFUSED: (
            f"Kraken refuses this key, so all its calls are kept back: it may be disabled, expired or mistyped, or the "
            f"account is locked. Fix it at Kraken, or set a new key with 'replace_key'. {_PROBES}"
        ),
        KeyState.CALL_REFUSED: (
            f"Kraken denies this call to this key, so it is kept back; other calls go on. {_PROBES}"
        ),
        KeyState.PRODUCT_REFUSED: (
            "Kraken denies orders on this market to this account or key, so they are kept back; other markets go on. "
            "Check at Kraken whether your account may trade it where you live, and whether the key may create orders. "
            f"{_PROBES}"
        ),
        KeyState.LOCKED_OUT: (
            "Kraken has locked this key out, usually after too many calls with a bad key, signature or nonce. No call "
            "is made for 15 minutes, not even a cancel, because each one would prolong it. Look for what went wrong "
            "before, and for other programs that use the key or this address."
        ),
    }
)

ALL_HELD = (
    "Kraken has locked out two keys at once, so it probably shuts out this machine's address. No key makes a call "
    "until that is over, because each one would prolong it. Look for other programs that call Kraken from here."
)
