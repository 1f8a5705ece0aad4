"""Kraken's error strings: which error each one is, and whether Kraken then did nothing.

The strings and their effects are Kraken's error pages', the support article 360001491786's, and those that other
clients' maintainers have published from live accounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from engine.errors import (
    AccountLocked,
    CallRefused,
    InsufficientFunds,
    InvalidArguments,
    InvalidKey,
    InvalidNonce,
    InvalidSignature,
    MarketUnavailable,
    OrderRejected,
    PermissionDenied,
    RateLimited,
    TemporaryLockout,
    UnknownMethod,
)

LOCKOUT_SECONDS = 900.0  # Kraken says "a few minutes" in one place and 15 quiet minutes in another
AUTH_THROTTLE_SECONDS = 30.0


class Effect(Enum):
    """What an error says about a call that writes."""

    NONE = "nothing was done"
    UNKNOWN = "it may have been done"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one of Kraken's errors means: its class, its effect, when to come back, and what a person can do."""

    error: type[CallRefused]
    effect: Effect = Effect.NONE
    retry_after: float | None = None
    advice: str = ""


def meaning_of(code: str) -> Meaning | None:
    """What an error string of Kraken's means, by its longest known prefix; `None` when it is not listed.

    Spaces around colons and upper or lower case do not matter, and a prefix ends at the end of a word.
    """
    text = normal(code)
    known = (prefix for prefix in ERRORS if _begins(text, prefix))
    longest = max(known, key=len, default=None)
    return None if longest is None else ERRORS[longest]


def normal(code: str) -> str:
    """An error string as the table has it: lower case, no spaces around colons."""
    return _COLON.sub(":", " ".join(code.split())).lower()


def _begins(text: str, prefix: str) -> bool:
    return text.startswith(prefix) and not text[len(prefix) : len(prefix) + 1].isalnum()


_COLON = re.compile(r" ?: ?")


_OPEN = Effect.UNKNOWN
_LATER = "Kraken cannot take it just now, so try again later"
_SLOWER = "too many calls were made, so wait before the next one"
_MEND = "the request is wrong and has to be mended"

UNLISTED = Meaning(CallRefused, _OPEN, advice="this engine does not know that error")

_GROUPS: tuple[tuple[Meaning, tuple[str, ...]], ...] = (
    # Key, nonce, permission
    (
        Meaning(
            InvalidKey, advice="this API key is unknown to Kraken, disabled or expired; check it or make a new one"
        ),
        ("EAPI:Invalid key",),
    ),
    (
        Meaning(InvalidSignature, advice="the secret does not belong to this API key; copy both again"),
        ("EAPI:Invalid signature",),
    ),
    (
        Meaning(InvalidNonce, advice="another program uses this API key, so give this engine a key of its own"),
        ("EAPI:Invalid nonce",),
    ),
    (
        Meaning(PermissionDenied, advice="give this API key the permission {permissions} on Kraken's API page"),
        ("EGeneral:Permission denied",),
    ),
    (
        Meaning(PermissionDenied, advice="Kraken does not allow it to this account"),
        ("EAuth:Failed", "EAccount:Invalid permissions", "EEarnings:Permission denied"),
    ),
    (
        Meaning(AccountLocked, advice="the account is locked or not confirmed; sign in at Kraken to see why"),
        (
            "EAuth:Account temporary disabled",
            "EAuth:Account unconfirmed",
            "ETrade:Locked",
            "ETrade:User Locked",
        ),
    ),
    (Meaning(CallRefused, advice="Kraken has switched this off"), ("EAPI:Feature disabled",)),
    (
        Meaning(CallRefused, _OPEN, advice="a new WebSocket token is needed"),
        ("ESession:Invalid session",),
    ),
    # Rate and lockout
    (
        Meaning(RateLimited, advice=_SLOWER),
        (
            "EAPI:Rate limit exceeded",
            "EGeneral:Too many requests",
            "EOrder:Rate limit exceeded",
            "EOrder:Domain rate limit exceeded",
        ),
    ),
    (
        Meaning(RateLimited, retry_after=AUTH_THROTTLE_SECONDS, advice=_SLOWER),
        ("EAuth:Rate limit exceeded", "EAuth:Too many requests"),
    ),
    # Kraken does not say that a throttled order was refused, only that one should come back.
    (Meaning(RateLimited, _OPEN, advice=_SLOWER), ("EService:Throttled",)),
    (
        Meaning(
            TemporaryLockout,
            retry_after=LOCKOUT_SECONDS,
            advice="make no call with this key for 15 minutes, because each one prolongs it",
        ),
        ("EGeneral:Temporary lockout",),
    ),
    # Service and market
    (
        Meaning(MarketUnavailable, _OPEN, advice=_LATER),
        (
            "EService:Unavailable",
            "EService:Busy",
            "EService:Timeout",
            "EService:Internal error",
            "EGeneral:Internal error",
            "EDatabase:Internal error",
            "EService:Deadline elapsed",
        ),
    ),
    # cancel_only and post_only are seen; limit_only and reduce_only exist as states of a pair.
    (
        Meaning(MarketUnavailable, advice="the market takes only some orders just now, so try again later"),
        ("EService:Market in",),
    ),
    (Meaning(MarketUnavailable, advice=_LATER), ("EEarnings:Busy",)),
    # Arguments
    (Meaning(UnknownMethod, advice="this server has no such endpoint"), ("EGeneral:Unknown method",)),
    (
        Meaning(InvalidArguments, advice=_MEND),
        (
            "EAPI:Bad request",
            "EQuery:Unknown asset pair",
            "EQuery:Invalid asset pair",
            "EQuery:Unknown asset",
            "EGeneral:Invalid arguments",
            "ETrade:Invalid request",
            "EFunding:Max fee exceeded",
            "EFunding:No funding method",
            "EFunding:Unknown asset",
            "EFunding:Unknown withdraw key",
            "EFunding:Invalid amount",
            "EFunding:Invalid reference id",
            "EFunding:Unknown reference id",
            "EFunding:Invalid staking method",
            "EEarnings:Below min",
            "EEarnings:Below minimum",
            "EEarnings:Above max",
            "EEarnings:Above maximum",
        ),
    ),
    (
        Meaning(InvalidArguments, advice="the volume is below the least that this pair takes"),
        ("EGeneral:Invalid arguments:volume minimum not met",),
    ),
    # It proves that an earlier order of this id rests on the book, which may be this very one, sent before.
    (
        Meaning(InvalidArguments, _OPEN, advice="an open order has this cl_ord_id already"),
        ("EGeneral:Invalid arguments:cl_ord_id not unique",),
    ),
    # Orders
    (
        Meaning(InsufficientFunds, advice="the available balance does not cover it"),
        ("EOrder:Insufficient funds", "EEarnings:Insufficient funds"),
    ),
    (
        Meaning(OrderRejected),
        (
            "EOrder:Order minimum not met",
            "EOrder:Cost minimum not met",
            "EOrder:Tick size check failed",
            "EOrder:Invalid price",
            "EOrder:Orders limit exceeded",
            "EOrder:Scheduled orders limit exceeded",
            "EOrder:Positions limit exceeded",
            "EOrder:Unknown order",
            "EOrder:Invalid order",
            "EOrder:Post only order",
            "EOrder:Order not editable",
            "EOrder:Not enough leaves qty",
            "EOrder:Unknown position",
            "EOrder:Cannot open position",
            "EOrder:Cannot open opposing position",
            "EOrder:Margin allowance exceeded",
            "EOrder:Margin level too low",
            "EOrder:Margin position size exceeded",
            "EOrder:Insufficient margin",
            "EOrder:Insufficient initial margin",
            "EOrder:Reduce only:Non-PC",
            "EOrder:Reduce only:Non-ECP",
            "EOrder:Reduce only:No position exists",
            "EOrder:Trading agreement required",
            "EBM:limit exceeded",
        ),
    ),
    # The part that reduces is matched before the rest is canceled; and the cancel may be our own.
    (Meaning(OrderRejected, _OPEN), ("EOrder:Reduce only:Position is closed", "EOrder:Cancel pending")),
    # Funding
    (Meaning(CallRefused), ("EFunding:Too many addresses",)),
    # No source says that nothing was done, and a withdrawal has no name by which it could be sent once only.
    (Meaning(CallRefused, _OPEN), ("EFunding:Failed",)),
)

ERRORS: Mapping[str, Meaning] = MappingProxyType(
    {normal(code): meaning for meaning, codes in _GROUPS for code in codes}
)
