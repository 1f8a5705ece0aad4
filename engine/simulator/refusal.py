"""How a rule of the exchange says no."""

from __future__ import annotations


class Refused(Exception):
    """The call is refused, and nothing was done; `str()` is the error string of the reply."""
