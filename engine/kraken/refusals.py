"""Kraken's error strings: the error class of each, and whether it proves that nothing was done.

The strings and their effects are those of Kraken's error pages, of its support article 360001491786, of its own
open-source clients (krakenfx/kraken-api-sdk and kraken-cli, 2026), and those that maintainers of other clients have
published from live accounts. The longest known prefix counts, so that a category such as ``EAuth`` has a meaning for
what Kraken adds to it. An ``E…`` that is not here is a refusal of a read, and leaves the effect of a write unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from engine.values.dataclass import dataclass

LOCKOUT_SECONDS = 900.0  # Kraken says "a few minutes" in one place and 15 quiet minutes in another
AUTH_THROTTLE_SECONDS = 30.0


class Effect(Enum):
    """What an error says about a call that writes."""

    NONE = "nothing was done"
    UNKNOWN = "it may have been done"


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of an error of Kraken's: its class, its effect, the wait, and advice for a person."""

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


def category(code: str) -> str:
    """The category of an error, such as ``EOrder``, where it is one of those in the table; empty otherwise."""
    return _CATEGORIES.get(normal(code).partition(":")[0], "")


def normal(code: str) -> str:
    """An error string as the table has it: lower case, no spaces around colons."""
    return _COLON.sub(":", " ".join(code.split())).lower()


def _begins(text: str, prefix: str) -> bool:
    return text.startswith(prefix) and not text[len(prefix) : len(prefix) + 1].isalnum()


_COLON = re.compile(r" ?: ?")


_OPEN = Effect.UNKNOWN
_LATER = "Kraken cannot take it just now, so try again later"
_SLOWER = "too many calls were made, so wait before the next one"
_FIX = "the request is wrong: fix it before sending it again"

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
        ("EGeneral:Permission denied", "EAPI:Permission denied"),
    ),
    (
        Meaning(PermissionDenied, advice="Kraken does not allow it to this account"),
        ("EAccount:Invalid permissions", "EEarnings:Permission denied"),
    ),
    # Kraken's own client treats every error of this category as one about the credentials.
    (
        Meaning(PermissionDenied, advice="Kraken does not accept the credentials; sign in there to see why"),
        ("EAuth", "EAuth:Failed"),
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
        ("ESession:Invalid session", "EAPI:Invalid token"),
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
    # Kraken does not say that a throttled order was refused, only to come back later.
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
            "EService",
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
        Meaning(InvalidArguments, advice=_FIX),
        (
            "EAPI:Bad request",
            "EAPI:Invalid arguments",
            "EQuery:Unknown asset pair",
            "EQuery:Invalid asset pair",
            "EQuery:Unknown asset",
            "EGeneral:Invalid arguments",
            "EGeneral:Invalid timeout argument",
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
    # Without a category: seen by Kraken's own client with `validate`.
    (
        Meaning(InvalidArguments, advice="the order lacks a price"),
        ("Limit_price(s) not found", "Stop_price(s) not found", "Price(s) not found"),
    ),
    # It proves that an earlier order with this id is open, which may be an earlier attempt of this one.
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
            # Sources disagree which of these a cancel gets for an order that is over, so each only means that there is
            # nothing to cancel under this name now, and not what became of the order.
            "EOrder:Unknown order",
            "EOrder:Invalid order",
            "EGeneral:Unknown order",
            "EOrder:Post only order",
            "EOrder:Order not editable",
            "EOrder:Not enough leaves qty",
            "EOrder:No amendable parameters specified",
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
    # The part that reduces is matched before the rest is canceled; the cancel may be our own; a batch may be done in
    # part; and an order that was taken first and canceled then may have traded in between.
    (
        Meaning(OrderRejected, _OPEN),
        (
            "EOrder:Reduce only:Position is closed",
            "EOrder:Cancel pending",
            "EOrder:Batch failed",
            "EOrder:Cancel all failed",
            "EOrder:Order cancelled",
        ),
    ),
    # Funding
    (Meaning(CallRefused), ("EFunding:Too many addresses",)),
    # No source says that nothing was done, and a withdrawal has no idempotency key.
    (Meaning(CallRefused, _OPEN), ("EFunding:Failed",)),
)

ERRORS: Mapping[str, Meaning] = MappingProxyType(
    {normal(code): meaning for meaning, codes in _GROUPS for code in codes}
)

_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {name.lower(): name for _, codes in _GROUPS for code in codes if (name := code.partition(":")[0]).isalpha()}
)
