"""How a rule of the exchange says no."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The call is refused, and nothing was done; `str()` is the error string of the reply."""


class Partly(Refused):
    """A part of what was asked for is refused; `result` is the rest, which stands beside the error in the reply."""

    def __init__(self, error: str, result: Any) -> None:
        super().__init__(error)
        self.result = result


class TooMany(Refused):
    """A public call too many; `seconds` is how long to wait before the next."""

    def __init__(self, seconds: float) -> None:
        super().__init__("EGeneral:Too many requests")
        self.seconds = seconds
