"""The command line: click for the arguments, rich for what is drawn: the screen, the doctor's findings, the demo."""

from engine.cli.program import main

__all__ = ["main"]
