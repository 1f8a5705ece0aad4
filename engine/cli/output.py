"""What goes to stdout and to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import click

from engine.cli.table import Cell, Table
from engine.cli.terminal import Terminal
from engine.values.span import span

SHORT_WAIT = 0.5  # seconds
GOOD, BAD, QUIET = "green", "bold red", "dim"


def say(text: str) -> None:
    """Print one diagnostic on stderr; a stderr that cannot be written to is not an error."""
    with contextlib.suppress(OSError):
        click.echo(f"kraken-engine: {text}", err=True)


def document(value: Any) -> None:
    """Print the JSON document of a command on stdout."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def console() -> Terminal:
    """The standard output, for lines and tables."""
    return Terminal()


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    right: Iterable[int] = (),
    fold: Iterable[int] = (),
) -> Table:
    """A table; the columns in `right` are right-aligned, and those in `fold` may take several lines."""
    return Table(title, columns, tuple(rows), frozenset(right), frozenset(fold))


def seconds_in_words(seconds: float | None) -> str:
    """A span of time, for a person."""
    return "-" if seconds is None else span(seconds)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show progress on stderr where that is a terminal and the wait is not short, and remove it at the end."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    with contextlib.ExitStack() as shown:
        timer = threading.Timer(SHORT_WAIT, lambda: shown.enter_context(_progress(text)))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


@contextlib.contextmanager
def _progress(text: str) -> Iterator[None]:
    from rich.console import Console  # noqa: PLC0415 - takes longer than most waits
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    out = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        progress.add_task(text, total=None)
        yield


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
