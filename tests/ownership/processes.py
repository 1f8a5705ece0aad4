"""Other processes that own something."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")


@contextmanager
def running(target: Callable[..., None], *args: Any) -> Iterator[Any]:
    """A process that runs `target` with `args` and a pipe, by which it tells its pid first; killed at the end."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=target, args=(*args, theirs))
    process.start()
    assert ours.recv() == process.pid
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
        theirs.close()


def lock_files_of(key: str, place: Path) -> list[Path]:
    """The lock files in one place that name a key."""
    return [file for file in place.rglob("keys-*.lock") if key in file.read_text().split()]
