"""The date in an HTTP header (RFC 9110, section 5.6.7).

The form that servers have to send is read here. The others are left to the email package, which takes longer to import
than any other that a call needs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FORM = re.compile(
    rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([1-9][0-9]{{3}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT"
)


def unix_time(header: str | None) -> float | None:
    """The Unix time that a ``Date`` or ``Retry-After`` header tells; `None` when it cannot be read as a date."""
    told = _FORM.fullmatch(header or "")
    try:
        if told is None:
            return _other_form(header or "")
        day, month, year, hour, minute, second = told.groups()
        date = int(year), _MONTHS.index(month) + 1, int(day)
        return datetime(*date, int(hour), int(minute), int(second), tzinfo=UTC).timestamp()
    except (ValueError, TypeError, OverflowError, OSError, ImportError):  # the last two: no descriptor for the import
        return None


def _other_form(header: str) -> float:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - takes long, and hardly ever needed

    date = parsedate_to_datetime(header)
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
