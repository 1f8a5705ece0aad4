"""Sentences that are written for those who program, in the words of those who type commands."""

from __future__ import annotations

import re

_WORDS = (
    (re.compile(r"start it with live=True"), "give --live"),
    (re.compile(r"\blive=True\b"), "--live"),
    (re.compile(r"\bendpoint_class\b"), "--class"),
    (re.compile(r"unless Settings\((\w+)=True\)"), r"unless the file of --config says [settings] \1 = true"),
    (re.compile(r"set Settings\.any_host\b"), "write [settings] any_host = true in the file of --config"),
    (re.compile(r"\bSettings\.(\w+)"), r"[settings] \1"),
)


def as_options(text: str) -> str:
    """The text with the options and the entries of the file in place of Python's arguments."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
