"""What rich draws: the screen of `watch` and `status`, and the progress of the demonstration."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console

from engine.cli.terminal import WIDE


class _Console(Console):
    """rich would end the process with code 1 when the reader goes away."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def drawing() -> Console:
    """A console for stdout: as wide as the terminal, or wide enough where there is none."""
    made = _Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = WIDE
    return made
