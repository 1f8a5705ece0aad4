"""What goes to stdout and to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from engine.values.span import span

WIDE = 200  # columns where the output is not a terminal: nothing is cut or folded without need
_WIDEST = 100_000
GOOD, BAD, QUIET = "green", "bold red", "dim"


class _Console(Console):
    """rich would end the process with code 1 when the reader goes away."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def say(text: str) -> None:
    """Print one diagnostic on stderr; a stderr that cannot be written to is not an error."""
    with contextlib.suppress(OSError):
        click.echo(f"kraken-engine: {text}", err=True)


def document(value: Any) -> None:
    """Print the JSON document of a command on stdout."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def console() -> Console:
    """A console for stdout: as wide as the terminal, or wide enough where there is none."""
    made = _Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = WIDE
    return made


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    right: Iterable[int] = (),
    fold: Iterable[int] = (),
) -> Table:
    """A table; the columns in `right` are right-aligned, and those in `fold` may take several lines."""
    made = Table(
        title=Text(title), title_justify="left", title_style="bold",
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True,
    )  # fmt: skip
    numbers, folded = set(right), set(fold)
    for number, column in enumerate(columns):
        justify: JustifyMethod = "right" if number in numbers else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=number not in folded)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def needed_width(out: Console, made: Table) -> int:
    """The columns that a table takes without a cell that is cut or folded."""
    measured = Measurement.get(out, out.options.update(max_width=_WIDEST), made).minimum
    return measured + 2 * len(made.columns)  # rich does not count all of the padding


def show(out: Console, made: Table) -> None:
    """Print a table. A terminal that is too narrow breaks its lines; an amount is never cut or folded here."""
    width, out.width = out.width, max(out.width, needed_width(out, made))
    try:
        out.print(made)
    finally:
        out.width = width


def seconds_in_words(seconds: float | None) -> str:
    """A span of time, for a person."""
    return "-" if seconds is None else span(seconds)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show progress on stderr where that is a terminal, and remove it at the end."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only for a person

    out = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        progress.add_task(text, total=None)
        yield


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
