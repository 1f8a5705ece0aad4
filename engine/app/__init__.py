"""The facade: `Engine` is one class made of its subjects: calls, accounts, orders and gates.

It is loaded on first use: what asks a running service needs none of the actors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.app.engine import Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> Any:
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.app.engine import Engine  # noqa: PLC0415 - takes longer than all that most of its neighbours do

    return Engine
