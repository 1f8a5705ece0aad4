"""What the engine asks of the program that it runs in."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from engine.errors import ConfigError
from engine.ownership import files_needed
from engine.store import check_room

_FILES = 50  # for its store and its connections, with some to spare
_INTERPRETERS = ("_interpreters", "_xxsubinterpreters")  # from Python 3.13 on, and before


def check_host() -> None:
    """Raise `ConfigError` in a program in which the engine's promises could not be kept."""
    patcher: Any = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise ConfigError(
            "eventlet has replaced Python's threads, and under it a lock of the engine can be passed over: run the "
            "engine in a process of its own ('kraken-engine serve'), or without eventlet's monkey patching."
        )
    if not _is_main_interpreter():
        raise ConfigError(
            "The engine does not run in a sub-interpreter, where it could not see another one's locks in this process: "
            "start it in the main interpreter, or in a process of its own."
        )


def check_files(accounts: int, streams: int) -> None:
    """Raise `StoreError` when this process may not open the files that an engine of so many accounts needs."""
    of = "1 account" if accounts == 1 else f"{accounts:,} accounts"
    check_room(f"An engine of {of}", _FILES + streams + files_needed(accounts))


def _is_main_interpreter() -> bool:
    for name in _INTERPRETERS:
        try:
            interpreters: Any = importlib.import_module(name)
        except ImportError:
            continue
        return _id(interpreters.get_current()) == _id(interpreters.get_main())
    return True


def _id(told: Any) -> int:
    """An interpreter's number; newer Pythons say it with more beside."""
    return int(told[0] if isinstance(told, tuple) else told)
