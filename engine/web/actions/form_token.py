"""Proof that a form came from a page of ours, for just that action, a short while ago."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

VALID_FOR = 600  # seconds


class FormTokens:
    """Makes and checks them. Another site cannot read our pages, so it has none; each process has its own secret."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secret = secrets.token_bytes(32)
        self._monotonic = monotonic

    def issue(self, *what: str) -> str:
        """A token for this action on this account and order."""
        until = int(self._monotonic()) + VALID_FOR
        return f"{until}.{self._sign(until, what)}"

    def is_good(self, token: str, *what: str) -> bool:
        """Whether it was issued for just this, and is not too old."""
        until, _, signature = token.partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12 or int(until) < self._monotonic():
            return False
        return hmac.compare_digest(signature.encode(), self._sign(int(until), what).encode())

    def _sign(self, until: int, what: tuple[str, ...]) -> str:
        said = "\0".join((str(until), *what)).encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()
