"""The quick reader of dates never says other than the email package, which reads every form."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.kraken.http_date import unix_time


def by_email(header: str) -> float | None:
    """What the slow way makes of it."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(header)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    return None


@given(st.integers(0, 4_000_000_000))
def test_the_usual_form_is_read(seconds: int) -> None:
    assert unix_time(formatdate(seconds, usegmt=True)) == seconds


@pytest.mark.parametrize("header", [None, "", "nonsense", "120", "Mon, 99 Foo 9999 99:99:99 GMT"])
def test_what_is_no_date_is_none(header: str | None) -> None:
    assert unix_time(header) is None


@pytest.mark.parametrize(
    "header",
    ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 -0000", "Sun, 6 Nov 1994 09:49:37 +0100"],
)
def test_another_form_is_read_as_well(header: str) -> None:
    assert unix_time(header) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


_WORDS = st.sampled_from(
    [
        *("Sun,", "sun,", "06", "6", "31", "00", "Nov", "Feb", "nov", "Foo", "1994", "94", "0000", "9999"),
        *("08:49:37", "24:00:00", "23:59:60", "8:49:37", "08:49", "GMT", "UTC", "+0000", "-0000", "EST"),
    ]
)


@example("Sun, 31 Feb 1994 08:49:37 GMT")
@example("Sun, 06 Nov 0000 08:49:37 GMT")
@example("Sun, 06 Nov 0094 08:49:37 GMT")
@example("Sun, 06 Nov 1994 08:49:37 GMT\n")
@example("Sun, ٠٦ Nov 1994 08:49:37 GMT")
@given(st.lists(_WORDS, max_size=7).map(" ".join) | st.text(max_size=40))
def test_it_never_says_other_than_the_email_package(header: str) -> None:
    assert unix_time(header) == by_email(header)
