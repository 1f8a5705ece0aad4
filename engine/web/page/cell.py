"""The text of the page, as values: cells and rows, made of pieces of which the browser brings some up to date.

No text is escaped yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

GLYPHS = {"good": "✓", "warn": "!", "bad": "✕", "plain": "·", "old": "✓"}
"""The sign of each state, so that none is told by colour alone; ``old`` is good by a fact that is stale, and grey."""
_TOLERANCE = 0.6  # seconds by which a ticking piece may differ from what the browser has made of it


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds that the browser counts up, written as a span of time.

    is_silent: a screen reader, which would read each second aloud, leaves it out.
    """

    seconds: float
    is_silent: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"age": round(self.seconds, 1)} | ({"silent": True} if self.is_silent else {})


@dataclass(frozen=True, slots=True)
class Due:
    """Seconds that the browser counts down."""

    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"due": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time (aware UTC): by the browser's clock, with UTC on hover."""

    at: datetime

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"at": self.at.isoformat(timespec="milliseconds")}


@dataclass(frozen=True, slots=True)
class Number:
    """An amount as it is shown, and exactly on hover."""

    text: str
    exact: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"n": self.text, "x": self.exact}


@dataclass(frozen=True, slots=True)
class Worth:
    """What something is worth, in each currency that a viewer may choose."""

    by_currency: Mapping[str, Number]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"w": {name: [each.text, each.exact] for name, each in self.by_currency.items()}}


@dataclass(frozen=True, slots=True)
class Strong:
    """A text that stands out from the rest of its cell."""

    text: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"b": self.text}


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another page of the service. `label` is its whole meaning, for screen readers."""

    text: str
    path: str
    label: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"a": self.text, "h": self.path, "l": self.label}


Piece = str | Age | Due | Moment | Number | Worth | Strong | Link


@dataclass(frozen=True, slots=True)
class Cell:
    """One text. `part`: of a meter, from 0 to 1."""

    pieces: tuple[Piece, ...]
    state: str = "plain"
    part: float | None = None

    @property
    def text(self) -> str:
        """The words of it, for those who cannot count along."""
        return "".join(map(words, self.pieces))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        told: dict[str, Any] = {"p": [each if isinstance(each, str) else each.to_dict() for each in self.pieces]}
        return told | {"s": self.state} | ({} if self.part is None else {"part": self.part})

    def looks_like(self, other: Cell | None) -> bool:
        """Whether the browser shows the same already, one second later."""
        if other is None or (self.state, self.part) != (other.state, other.part):
            return False
        return len(self.pieces) == len(other.pieces) and all(map(_alike, self.pieces, other.pieces))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. `key` tells it apart from the others; `tags` are what a viewer may filter it by."""

    key: str
    cells: tuple[Cell, ...]
    state: str = "plain"
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        told = {"k": self.key, "c": [each.to_dict() for each in self.cells], "s": self.state}
        return told | ({"d": dict(self.tags)} if self.tags else {})

    def changes(self, other: Row | None) -> dict[str, Any] | None:
        """What the browser does not show already one second later than `other`, JSON-ready; `None` for nothing.

        A cell that it does show is `None`. Without `other` it is the whole row.
        """
        if other is None or len(self.cells) != len(other.cells):
            return self.to_dict()
        cells = [
            None if now is then or now.looks_like(then) else now.to_dict()
            for now, then in zip(self.cells, other.cells, strict=True)
        ]
        if not any(cells) and (self.state, self.tags) == (other.state, other.tags):
            return None
        return {"k": self.key, "c": cells, "s": self.state} | ({"d": dict(self.tags)} if self.tags else {})


def cell(*pieces: Piece, state: str = "plain", part: float | None = None) -> Cell:
    """A cell of these pieces; empty texts are left out."""
    return Cell(tuple(each for each in pieces if each != ""), state, part)


def joined(pieces: Iterable[Piece], between: str) -> list[Piece]:
    """The pieces with a text between each two."""
    found: list[Piece] = []
    for each in pieces:
        found += [between, each] if found else [each]
    return found


def span(seconds: float) -> str:
    """A span of time as the page writes it; `page.js` writes the same."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def words(piece: Piece) -> str:
    """A piece as text."""
    match piece:
        case Age():
            return span(piece.seconds)
        case Due():
            return f"in {span(piece.seconds)}" if piece.seconds >= 1 else "now"
        case Moment():
            return f"{piece.at:%H:%M:%S} UTC"
        case Number() | Strong() | Link():
            return piece.text
        case Worth():
            return next((each.text for each in piece.by_currency.values()), "")
    return piece


def _alike(now: Piece, then: Piece) -> bool:
    match now, then:
        case Age(), Age():
            return abs(now.seconds - then.seconds - 1.0) < _TOLERANCE
        case Due(), Due():
            return abs(now.seconds - then.seconds + 1.0) < _TOLERANCE
    return now == then
