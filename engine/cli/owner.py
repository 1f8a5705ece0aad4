"""Names the owner of a state directory, for commands that only read it."""

from __future__ import annotations

from pathlib import Path

from engine.ownership import owner_pid


def directory_owner(directory: Path) -> str | None:
    """A sentence that names the engine which owns the directory, or `None` when none does. Takes no lock."""
    pid = owner_pid(directory)
    if pid is None:
        return None
    owner = f"An engine (process {pid})" if pid else "Another engine"
    return f"{owner} owns the state directory {directory}."
