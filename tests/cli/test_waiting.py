"""Progress on stderr: for a person who waits, and for nobody else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SHORT = (
    "import sys; from engine.cli.output import waiting\n"
    "with waiting('Asking'): pass\n"
    "print('rich' in sys.modules)"
)
LONG = (
    "import sys, threading; from engine.cli.output import waiting\n"
    "with waiting('Asking'): sys.stdin.readline()\n"
    "drawing = [each for each in threading.enumerate() if each is not threading.current_thread()]\n"
    "[each.join(60) for each in drawing]\n"  # rich tells its thread to end, and does not wait for it
    "print(threading.active_count())"
)


def _on_a_terminal(code: str) -> tuple[subprocess.Popen[str], int]:
    """A program whose stderr is a terminal, and the other end of that."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, text=True,
        env=environment,
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def test_a_short_wait_draws_nothing() -> None:
    process, terminal = _on_a_terminal(SHORT)
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        os.close(terminal)
    assert (process.returncode, out) == (0, "False\n")


def test_a_long_wait_is_shown_and_leaves_nothing() -> None:
    process, terminal = _on_a_terminal(LONG)
    try:
        shown = b""
        while b"Asking" not in shown:
            shown += os.read(terminal, 4096)
        out, _ = process.communicate("\n", timeout=60)
    finally:
        os.close(terminal)
    assert (process.returncode, out) == (0, "1\n")
