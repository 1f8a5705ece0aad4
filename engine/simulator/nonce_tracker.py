"""The nonces of one key, as the exchange tracks them."""

from __future__ import annotations

LARGEST_NONCE = 2**64 - 1


def read_nonce(text: str | None) -> int | None:
    """The number a body carries as its nonce, or `None` when that is not an unsigned 64-bit integer."""
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= 20):
        return None
    nonce = int(text)
    return nonce if nonce <= LARGEST_NONCE else None


class NonceTracker:
    """The nonces one key has used.

    A nonce has to be greater than the highest one seen, or, with a `window`, less than `window`
    below it. A value that was used before is refused inside the window too, unless `reuse` allows
    it: nobody has said in public what Kraken does there.
    """

    def __init__(self, *, window: int = 0, reuse: bool = False) -> None:
        self.window = window
        self.highest = 0
        self._reuse = reuse
        self._used: set[int] = set()

    def accepts(self, nonce: int) -> bool:
        """Say whether a call with this nonce may pass."""
        if nonce > self.highest:
            return True
        inside = nonce > self.highest - self.window
        return inside and (self._reuse or nonce not in self._used)

    def spend(self, nonce: int) -> None:
        """Take note of a nonce that has been used. The highest one never falls."""
        self.highest = max(self.highest, nonce)
        self._used.add(nonce)
        self._used = {used for used in self._used if used > self.highest - self.window}
