"""The nonce mark of a key: how far it is ahead of the clock, and whether Kraken knows of a higher nonce."""

from __future__ import annotations

from engine.doctor.finding import Finding, bad, ok, warn
from engine.rules.lane.nonce import HIGHEST, SECOND
from engine.values.span import span

AHEAD_WARNS_AFTER = 300.0  # seconds; a larger difference means a wrong clock
USED_UP = HIGHEST // 2  # by the clock not before the year 2116
PLAUSIBLE = 3600 * SECOND  # Kraken reports the nonce of the call that asks

NO_MARK = "There is no mark yet: no engine has used the key with this state directory."

_ANOTHER_KEY = "Make a new key at Kraken and replace this one with it."
_FAR_AHEAD = (
    "It works, as nonces go on above it; but no program that counts by the clock can use this key any more, so never "
    "lose the state directory or go back to an older copy of it. If the clock was wrong once, a new key starts clean."
)
_ELSEWHERE = "Another program uses this key. Give the engine a key of its own: a new key at Kraken is the safe way."


def nonce_finding(account: str, before: int, now_ns: int, kraken: int | None = None, after: int = 0) -> Finding:
    """The finding on a mark; `before` and `after` are the marks on disk (0: none) before and after the calls.

    `kraken` is the nonce that Kraken reports for the key, which is at most `after` when nobody else uses the key.
    """
    lead = (before - now_ns) / SECOND
    told = f"The mark is {before}, {_span(lead)}." if before else NO_MARK
    if before > USED_UP:
        return bad("nonce", f"{told} The nonces of the key are nearly used up.", _ANOTHER_KEY, account)
    if kraken is not None and kraken > after:
        return warn("nonce", f"{told} Kraken reports {kraken}, higher than any of ours.", _ELSEWHERE, account)
    if kraken is not None and after - kraken < PLAUSIBLE:
        told += f" Kraken reports {kraken}, which this engine used."
    if lead > AHEAD_WARNS_AFTER:
        return warn("nonce", told, _FAR_AHEAD, account)
    return ok("nonce", told, account)


def _span(lead: float) -> str:
    return f"{span(abs(lead))} {'ahead of' if lead > 0 else 'behind'} the clock"
