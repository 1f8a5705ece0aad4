"""The command line (DESIGN.md 5.3): click for the arguments, rich for the tables."""

from engine.cli.program import main

__all__ = ["main"]
