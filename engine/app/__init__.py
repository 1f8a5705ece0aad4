"""The facade: `Engine` starts and stops the actors, and each of its desks serves one kind of question."""

from engine.app.engine import Engine

__all__ = ["Engine"]
