"""Secrets, and texts that may be secrets."""

from __future__ import annotations

import re
from typing import Any

SECRET_FROM = 40  # characters
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\s-]+")


class Secret:
    """A string that only `reveal()` shows (promise G11).

    It prints as ``Secret(***)``, cannot be pickled, and compares by value.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Hand it to what needs it and to nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret cannot be pickled: secrets are never written")


def shown(value: object) -> str:
    """A value as a sentence may repeat it: not one that could be a key or a secret in the wrong place.

    Kraken's keys have 56 characters and its secrets 88, all of them of base64.
    """
    text = str(value)
    may_be_secret = len(text) >= SECRET_FROM and _BASE64.fullmatch(text)
    return f"a text of {len(text)} characters" if may_be_secret else repr(text)
