"""The way to the engine of another process: looked for before the client of one is imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine import config
from engine.app.remote.place import Directory

if TYPE_CHECKING:
    from engine.app.remote.remote_engine import RemoteEngine


def connect(state_dir: str | os.PathLike[str] | None = None) -> RemoteEngine:
    """`Engine.connect`; where nobody serves it costs no more than a look."""
    Directory(config.served_directory(state_dir)).look()
    from engine.app.remote.remote_engine import RemoteEngine  # noqa: PLC0415 - few programs need it

    return RemoteEngine(state_dir)
