"""The standard output, for people: how wide it is, and which styles it has."""

from __future__ import annotations

import os
import shutil
import sys

from engine.cli.table import Cell, Styled, Table, printable

WIDE = 200  # columns where the output is not a terminal: nothing is folded without need

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PLAIN_TERMINALS = ("dumb", "unknown")


class Terminal:
    """Prints to the standard output: in colours and as wide as the terminal, or plain and wide without one.

    ``FORCE_COLOR`` makes it a terminal, and ``NO_COLOR`` (https://no-color.org) keeps it without colours.
    """

    def __init__(self) -> None:
        self.is_terminal = bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in _PLAIN_TERMINALS
        self._has_styles = self.is_terminal and not is_plain
        # Of now, since rich puts a stream without an encoding in its place while it shows progress.
        self._rule = "─" if (sys.stdout.encoding or "").lower().startswith("utf") else "-"
        self.width = shutil.get_terminal_size().columns if self.is_terminal else WIDE

    def print(self, *parts: Cell) -> None:
        """Print a line, or several; what would steer the terminal is written out."""
        shown = (Styled(part) if isinstance(part, str) else part for part in parts)
        line = "".join(self._painted(printable(each.text), each.style) for each in shown)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def show(self, table: Table) -> None:
        """Print a table. A terminal that is too narrow breaks its lines; an amount is never cut or folded here."""
        sys.stdout.write("\n".join([*table.lines(self.width, self._painted, self._rule), ""]))
        sys.stdout.flush()

    def _painted(self, text: str, style: str) -> str:
        if not (self._has_styles and style and text):
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"
