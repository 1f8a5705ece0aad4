"""The refusals of the exchange."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The call is refused and has no effect; `str()` is the error string of the reply."""


class Partly(Refused):
    """Part of the request is refused; `result` is the rest, which the reply has beside the error."""

    def __init__(self, error: str, result: Any) -> None:
        super().__init__(error)
        self.result = result


class TooMany(Refused):
    """The public limit is exceeded; `seconds` is how long to wait before the next call."""

    def __init__(self, seconds: float) -> None:
        super().__init__("EGeneral:Too many requests")
        self.seconds = seconds
