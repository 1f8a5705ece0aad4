"""Prints a finding of the doctor in a terminal."""

from __future__ import annotations

import textwrap

from engine.cli.output import BAD, GOOD, QUIET
from engine.cli.table import Styled
from engine.cli.terminal import Terminal
from engine.doctor import Finding, Level

_STYLES = {Level.OK: GOOD, Level.NOTE: "cyan", Level.WARN: "yellow", Level.BAD: BAD, Level.SKIPPED: QUIET}
_LEVEL_WIDTH = 9
_LEAST = 20  # columns for the text, however narrow the terminal is


def shown(out: Terminal, finding: Finding) -> None:
    """Print one finding: its level, and its text folded beside it, between words alone: it names commands and paths."""
    about = f"{finding.check if finding.account is None else f'{finding.account} {finding.check}'}: "
    room = max(_LEAST, out.width - _LEVEL_WIDTH)
    fold = textwrap.TextWrapper(room, break_long_words=False, break_on_hyphens=False).wrap
    first, *more = fold(about + finding.found)
    head = about if first.startswith(about) else ""
    level = Styled(finding.level.value.ljust(_LEVEL_WIDTH), _STYLES[finding.level])
    out.print(level, Styled(head, "bold"), first.removeprefix(head))
    for line in [*more, *(fold(f"-> {finding.advice}") if finding.advice else ())]:
        out.print(" " * _LEVEL_WIDTH, line)
