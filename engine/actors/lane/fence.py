"""Keeps what an earlier owner of a key may still be sending from being done after this one's calls."""

from __future__ import annotations

from engine.errors import CallError, CallNotSent
from engine.kraken.endpoints import CallClass

_NOT_YET = (
    "It was not sent: Kraken has not accepted the key since this node took the account over, and until then an "
    "order of the earlier owner may still arrive. Only reads are sent; try again. {error}"
)


class Fence:
    """Which keys, by their hashes, have had a read accepted under this owner. One thread.

    Kraken refuses every nonce that is not above the highest that it has accepted for the key (Kraken's support article
    on nonces), so from that read on an earlier owner's call is refused, also one that was signed long before. Reads may
    go out until then, everything else waits for one. Where `is_needed` is false, nothing waits.
    """

    def __init__(self, *, is_needed: bool) -> None:
        self.is_needed = is_needed
        """Whether anything has to be asked or told here."""
        self._passed: set[str] = set()

    def lets(self, key_id: str, call_class: CallClass) -> bool:
        """Whether a call of that class may be sent with the key."""
        return not self.is_needed or key_id in self._passed or call_class is CallClass.READ

    def accepted(self, key_id: str) -> None:
        """Kraken has accepted a call of that key."""
        self._passed.add(key_id)

    def forget(self, key_id: str) -> None:
        """The key was taken anew: another may have had it meanwhile."""
        self._passed.discard(key_id)


def held_back(error: CallError) -> CallError:
    """The error of a call whose fence was not accepted."""
    if isinstance(error, CallNotSent):
        return error
    return CallNotSent(_NOT_YET.format(error=error), retry_after=error.retry_after)
