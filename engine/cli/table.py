"""A table for people: its columns line up, and an amount is never cut or folded.

Made here, since a table is all that most commands print, and importing rich takes longer than their calls do.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

GAP = "  "
HEADING = "bold"

Paint = Callable[[str, str], str]
"""Puts a text into a style, where there are styles."""


class Styled(NamedTuple):
    """A text in a style, such as ``bold red``."""

    text: str
    style: str = ""

    def __str__(self) -> str:
        return self.text


Cell = str | Styled


class Table(NamedTuple):
    """The columns in `right` are right-aligned; those in `fold` are folded between words where they have no room."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[int] = frozenset()
    fold: frozenset[int] = frozenset()

    @property
    def needed_width(self) -> int:
        """The columns of a terminal that it takes at least."""
        return _total(self._longest(words=True))

    def lines(self, width: int, paint: Paint, rule: str = "─") -> Iterator[str]:
        """Its lines, in as many columns of a terminal, or as many as it needs."""
        widths = self._widths(width)
        yield paint(self.title, HEADING)
        names = [name.split("\n") for name in self.columns]
        high = max(map(len, names))
        headings = [[""] * (high - len(each)) + each for each in names]
        yield from self._row(headings, [HEADING] * len(names), widths, paint)
        yield rule * _total(widths)
        for row in self.rows:
            cells = [self._folded(n, str(cell), widths[n]) for n, cell in enumerate(row)]
            yield from self._row(cells, [getattr(cell, "style", "") for cell in row], widths, paint)

    def _row(
        self, cells: Sequence[Sequence[str]], styles: Sequence[str], widths: Sequence[int], paint: Paint
    ) -> Iterator[str]:
        for line in zip_longest(*cells, fillvalue=""):
            parts = []
            for number, (text, style, width) in enumerate(zip(line, styles, widths, strict=True)):
                blank = " " * (width - len(text))
                shown = paint(text, style) if style and text else text
                parts.append(blank + shown if number in self.right else shown + blank)
            yield GAP.join(parts).rstrip()

    def _widths(self, width: int) -> list[int]:
        """As wide as their texts; where the table has no room, the widest of those that may be folded give some up."""
        widths, least = self._longest(), self._longest(words=True)
        while _total(widths) > width:
            widest = max((n for n in self.fold if widths[n] > least[n]), key=widths.__getitem__, default=None)
            if widest is None:
                break
            widths[widest] -= 1
        return widths

    def _longest(self, *, words: bool = False) -> list[int]:
        """How long the longest line of each column is; with `words`, the longest word of those that may be folded."""
        return [
            max(map(len, _words(texts) if words and number in self.fold else _lines(texts)), default=0)
            for number, texts in enumerate(zip(self.columns, *(map(str, row) for row in self.rows), strict=True))
        ]

    def _folded(self, number: int, text: str, width: int) -> list[str]:
        """The lines of a cell."""
        lines = printable(text).split("\n")
        if number not in self.fold:
            return lines
        # Not at a hyphen: an order's id or a command would have to be put together before it can be pasted.
        fold = textwrap.TextWrapper(max(1, width), break_on_hyphens=False).wrap
        return [part for line in lines for part in fold(line) or [""]]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    return (line for text in texts for line in printable(text).split("\n"))


def _words(texts: Iterable[str]) -> Iterator[str]:
    return (word for text in texts for word in printable(text).split())


def printable(text: str) -> str:
    """The text, with what would move a terminal's cursor or change its colours written out."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)
