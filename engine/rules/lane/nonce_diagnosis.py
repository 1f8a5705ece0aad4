"""Why Kraken refused a nonce that was higher than all before it, explained to a person."""

from __future__ import annotations

from collections.abc import Iterable

_SLOW = 5.0  # seconds: a clock that is less far behind is not the cause; Kraken's time is known to a second or two
_AHEAD = 60.0
_NEW_KEY = "Make a new key at Kraken for this engine alone"
_TAKE_OVER = "'kraken-engine nonce import' or 'kraken-engine nonce raise'"


def diagnose_nonce(*, first_use: bool, skew: float | None = None, lead: float | None = None) -> str:
    """The likely cause of refused nonces and the remedy, as sentences for a person.

    first_use: this state directory had no mark for the key when the engine started.
    skew: seconds that our wall clock is ahead of Kraken's (behind: negative), when known.
    lead: seconds that our nonces are ahead of our wall clock, when known.
    """
    slow = -skew if skew is not None and skew < -_SLOW else None
    if not first_use:
        return " ".join((_OTHER_PROGRAM, *_also(slow, lead)))
    if slow is None:
        return _OTHER_UNIT
    return _SLOW_CLOCK.format(slow=slow)


def _also(slow: float | None, lead: float | None) -> Iterable[str]:
    if slow is not None:
        yield f"This machine's clock is {slow:.0f} s behind Kraken's, so our nonces do not catch up: set it."
    if lead is not None and lead > _AHEAD:
        yield f"Our own nonces are {lead:.0f} s ahead of the clock already, so the others are further ahead still."


_OTHER_PROGRAM = (
    "Kraken has seen a higher nonce of this key than this engine ever sent, and our record of those is whole: another "
    f"program uses the key. {_NEW_KEY}; or stop the other program for good and take over its counter with {_TAKE_OVER}."
)
_OTHER_UNIT = (
    "This state directory has never used the key, and Kraken has seen a higher nonce of it. Either another tool used "
    "the key, now or before, with larger numbers (it counts in another unit, or its clock was ahead), or this engine "
    f"used it from a state directory that is lost. {_NEW_KEY}; or bring the old state directory back; or stop the "
    f"other tool for good and take over its counter with {_TAKE_OVER}."
)
_SLOW_CLOCK = (
    "This machine's clock is {slow:.0f} s behind Kraken's and this state directory has never used the key, so our "
    "nonces are lower than those that were made by a right clock before. Set the clock, then 'resume'; should it "
    f"go on, another program uses the key: {_NEW_KEY[0].lower()}{_NEW_KEY[1:]}."
)
