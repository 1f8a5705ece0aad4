"""Prints a finding of the doctor in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.output import BAD, GOOD, QUIET
from engine.doctor import Finding, Level

_STYLES = {Level.OK: GOOD, Level.NOTE: "cyan", Level.WARN: "yellow", Level.BAD: BAD, Level.SKIPPED: QUIET}
_LEVEL_WIDTH = 8


def shown(out: Console, finding: Finding) -> None:
    """Print one finding: its level, and its text folded beside it."""
    about = finding.check if finding.account is None else f"{finding.account} {finding.check}"
    line = Table.grid(padding=(0, 1))
    line.add_column(width=_LEVEL_WIDTH)
    line.add_column(overflow="fold")
    level = Text(finding.level.value, style=_STYLES[finding.level])
    line.add_row(level, Text.assemble((f"{about}: ", "bold"), finding.found))
    if finding.advice:
        line.add_row("", Text(f"-> {finding.advice}"))
    out.print(line)
