"""Dies at one chosen system call after the other: strace is attached, and kills at call number ``KILL_AT``.

``python -m tests.crash.crasher DIRECTORY STEP FIRST`` says ``ready``, waits for a line, then forks a child for each
point and lets it open, issue, close and open again in a directory of its own. strace counts each call in each thread,
so a child dies at the n-th of a call in one of its threads by first making ``KILL_AT - n`` idle ones there. Prints the
points as JSON: thread, call, n. What a child said is in ``said`` of its directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from tests.crash.issuer import Issuer

KILL_AT = 200
NOWHERE, NO_FILE = "/nonexistent/kraken-engine", 9999


def _try(call: Callable[..., Any], *arguments: Any) -> Callable[[], None]:
    def attempt() -> None:
        with contextlib.suppress(OSError):
            call(*arguments)

    return attempt


IDLE: dict[str, Callable[[], None]] = {
    "pwrite64": _try(os.pwrite, NO_FILE, b"", 0),
    "fdatasync": _try(os.fdatasync, NO_FILE),
    "fsync": _try(os.fsync, NO_FILE),
    "ftruncate": _try(os.ftruncate, NO_FILE, 0),
    "unlink": _try(os.unlink, NOWHERE),
    "openat": _try(os.open, NOWHERE, os.O_RDONLY),
}
"""The calls that change a file, or may create one, each in a form that changes nothing."""

THREADS = 5
"""The main thread, and the writers of both files, twice."""


def live(directory: Path, thread: int, call: str, idle: int) -> None:
    """The child: everything that a life does to the files, said nonce by nonce."""
    said = os.open(directory / "said", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _idle_in(thread, call, idle)
    issuer = Issuer(directory)
    for word in ("open", "issue", "issue", "close", "open", "issue", "cancel"):
        nonce = getattr(issuer, word)()
        if nonce is not None:
            os.write(said, b"%d\n" % nonce)
        if issuer.warnings:
            raise StoreError(str(issuer.warnings))


def _idle_in(thread: int, call: str, idle: int) -> None:
    """Idle calls in the n-th thread as soon as it starts; 0 is this one."""
    def make_them() -> None:
        for _ in range(idle):
            IDLE[call]()

    numbers = iter(range(1, 1000))

    def first_event(*_: Any) -> None:
        sys.setprofile(None)
        if next(numbers) == thread:
            make_them()

    threading.setprofile(first_event)
    if thread == 0:
        make_them()


def die(directory: Path, thread: int, call: str, number: int) -> bool:
    """Whether the child was killed; `False` when it never came so far and lived its life to the end."""
    directory.mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        try:
            live(directory, thread, call, KILL_AT - number)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.waitstatus_to_exitcode(status) == 0, (directory, status)
    return killed


def main(directory: Path, step: int, first: int) -> list[tuple[int, str, int]]:
    """Every `step`-th point from the `first`, in each thread and for each call, until the child lives."""
    points = []
    for thread in range(THREADS):
        for call in IDLE:
            for number in range(1 + first, KILL_AT, step):
                if not die(directory / f"{thread}-{call}-{number}", thread, call, number):
                    break
                points.append((thread, call, number))
    return points


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
