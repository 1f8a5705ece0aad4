"""The wait that Kraken asks for: in an error's text, or in the ``Retry-After`` of an HTTP 429."""

from __future__ import annotations

import re

from engine.errors import RateLimited
from engine.kraken.http_date import unix_time
from engine.kraken.refusals import LOCKOUT_SECONDS, Meaning, normal

TOO_MANY_REQUESTS = 429
SHORTEST = 1.0
"""Seconds: the least wait after an HTTP 429, whatever its header says."""

_UNIX_TIME = re.compile(r":([0-9]{1,12})(?![0-9])")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def wait_in_error(code: str, meaning: Meaning | None, now: float | None) -> float | None:
    """Seconds until another attempt makes sense, if the error says so or its class has a default; else `None`.

    `now` is the wall clock in Unix seconds. Kraken appends the Unix time of the next try to a throttling error, as in
    ``EService:Throttled: 1700000010`` (its rate-limit page) and ``EAPI:Rate limit exceeded: 1700000010`` (its client).
    """
    known = None if meaning is None else meaning.retry_after
    throttles = meaning is not None and issubclass(meaning.error, RateLimited)
    until = _UNIX_TIME.search(normal(code)) if throttles and now is not None else None
    if until is None or now is None:
        return known
    return max(_bounded(float(until[1]) - now), known or 0.0)


def wait_in_header(text: str | None, now: float | None) -> float:
    """Seconds that a ``Retry-After`` asks for, as a number of seconds or as an HTTP date (RFC 9110, section 10.2.3)."""
    told = (text or "").strip()
    if _SECONDS.fullmatch(told):
        return max(SHORTEST, _bounded(float(told)))
    until = unix_time(told)
    return SHORTEST if until is None or now is None else max(SHORTEST, _bounded(until - now))


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LOCKOUT_SECONDS)  # a wrong local clock must not cause hours of waiting
