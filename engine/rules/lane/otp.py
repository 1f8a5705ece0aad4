"""Whether Kraken denies a call because the API key has a two-factor password, and not for a missing permission.

Kraken refuses every call with such a key that comes without its password (`otp`) or with a wrong one. Its documentation
does not name the error; ``EGeneral:Permission denied`` was seen, which also means a missing permission.
``GetApiKeyInfo`` needs no permission (Kraken's changelog of 11 March 2026), so a key that is denied even that call
needs its password.
"""

from __future__ import annotations

import re

from engine.errors import AccountLocked, CallError, OtpNeeded, PermissionDenied
from engine.values import MASTER

KEY_INFO = "GetApiKeyInfo"

# The errors that deny a call and do not say that it is about a product, a country or a tier.
_DENIALS = re.compile(r"(EGeneral|EAPI) ?: ?Permission denied|EAuth\b", re.IGNORECASE)


def may_want_otp(error: CallError) -> bool:
    """Whether Kraken answers like this when the password is missing."""
    denied = isinstance(error, PermissionDenied) and not isinstance(error, AccountLocked)
    return denied and _DENIALS.match(error.kraken_code or "") is not None


def otp_needed(account: str, endpoint: str, code: str | None, *, has_otp: bool) -> OtpNeeded:
    """The error for a key that needs its password: where to configure it, or that it is wrong. Never shows it."""
    variable = "KRAKEN_API_OTP" if account == MASTER else f"KRAKEN_USER_{account}_API_OTP"
    place = f"as otp in [accounts.{account}] of the configuration file, as {variable}, or as Account(otp=…)"
    if has_otp:
        what = f"the otp that is configured for account {account} is not the key's two-factor password: correct it,"
    else:
        what = f"the key has a two-factor password, and account {account} has no otp: give the password"
    asked = "" if endpoint == KEY_INFO else f" and {KEY_INFO}"
    return OtpNeeded(
        f"Kraken denies {endpoint}{asked} to this API key ({code!r}). {KEY_INFO} needs no permission, so {what} "
        f"{place}.",
        account=account, endpoint=endpoint, kraken_code=code,
    )  # fmt: skip
