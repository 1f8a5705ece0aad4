"""The command line: click for the arguments, rich for what is redrawn: the screen, and progress."""

from engine.cli.program import main

__all__ = ["main"]
