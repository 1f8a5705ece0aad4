"""The facade: `Engine` is one class made of its subjects: calls, accounts, orders and gates."""

from engine.app.engine import Engine

__all__ = ["Engine"]
