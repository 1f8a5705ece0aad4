"""The command line: click for the arguments, rich for the tables."""

from engine.cli.program import main

__all__ = ["main"]
