"""The facade: `Engine` starts and stops the actors, and each of its services serves one kind of request."""

from engine.app.engine import Engine

__all__ = ["Engine"]
