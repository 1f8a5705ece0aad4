"""A disk that forgets what was not synced, played from what strace saw a process do to its files.

The model is the strictest that POSIX allows: after a power loss each unsynced sector of 512 bytes, each truncation and
each name made or removed may have survived or not, in any mixture. Memory maps are not seen; SQLite maps only its
``-shm``, which it makes anew after a crash.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT

CALLS = "openat,pwrite64,write,ftruncate,fdatasync,fsync,unlink,rename"
SECTOR = 512

_LINE = re.compile(r"\d+ +(\w+)\((.*)\) += (\d+)")
_HEX = re.compile(r'[<"]((?:\\x[0-9a-f]{2})*)[>"]')


@dataclass(frozen=True)
class Step:
    """One system call that succeeded: its name, the path it was about, the text and the number it was given."""

    call: str
    path: Path
    data: bytes = b""
    number: int = 0


def record(directory: Path, words: str, module: str = "tests.crash.issuer") -> list[Step | int]:
    """What a program did to a directory while it obeyed, and between that the numbers it said: what it relies on."""
    trace = directory.with_suffix(".trace")
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "65536", "-o", str(trace), "-e", f"trace={CALLS}"]
    subprocess.run(
        [*command, sys.executable, "-m", module, str(directory)], input=words.replace(" ", "\n"), text=True,
        capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    lines = trace.read_text().splitlines()
    assert not any("unfinished" in line for line in lines), "two threads at once: their order is not known"
    return [step for line in lines for step in _step(line, directory)]


def _step(line: str, directory: Path) -> Iterator[Step | int]:
    match = _LINE.match(line)
    if match is None:
        return
    call, arguments, _ = match.groups()
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _HEX.findall(arguments)]
    if call == "write" and arguments.startswith("1<"):
        yield from _said(texts[-1])
        return
    path = Path(os.fsdecode(texts[1 if call == "openat" else 0]))
    if directory not in (path, path.parent) or path.name.endswith("-shm"):
        return
    assert call not in ("write", "rename"), f"the model does not know {line}"
    if call != "openat" or "O_CREAT" in arguments:
        numbers = re.findall(r", (\d+)", arguments)
        yield Step(call, path, texts[-1], int(numbers[-1]) if numbers else 0)


def _said(output: bytes) -> Iterator[int]:
    told = json.loads(output)
    number = told.get("nonce", told.get("sent", told.get("locked")))
    if number is not None:
        yield number


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Callable[[bytearray, Callable[[], bool]], None]] = field(default_factory=list)

    def content(self, survives: Callable[[], bool]) -> bytearray:
        found = bytearray(self.durable)
        for change in self.pending:
            change(found, survives)
        return found


class Disk:
    """One directory, as it is and as it would be after a power loss."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._pending: list[tuple[str, _File | None]] = []

    def do(self, step: Step) -> None:
        """Play one call."""
        getattr(self, f"_{step.call}")(step)

    def after_power_loss(self, survives: Callable[[], bool]) -> dict[str, bytes]:
        """What is on the disk then: every file by name. `survives` is asked about each thing that was not synced."""
        names: dict[str, _File | None] = dict(self._durable)
        for name, file in self._pending:
            if survives():
                names[name] = file
        return {name: bytes(file.content(survives)) for name, file in names.items() if file is not None}

    def _openat(self, step: Step) -> None:
        if step.path.name not in self._names:
            self._names[step.path.name] = _File()
            self._pending.append((step.path.name, self._names[step.path.name]))

    def _unlink(self, step: Step) -> None:
        del self._names[step.path.name]
        self._pending.append((step.path.name, None))

    def _pwrite64(self, step: Step) -> None:
        self._names[step.path.name].pending.append(_write(step.number, step.data))

    def _ftruncate(self, step: Step) -> None:
        self._names[step.path.name].pending.append(_truncate(step.number))

    def _fsync(self, step: Step) -> None:
        if step.path.name in self._names:
            file = self._names[step.path.name]
            file.durable, file.pending = file.content(lambda: True), []
        else:
            self._durable, self._pending = dict(self._names), []

    _fdatasync = _fsync


def _write(offset: int, data: bytes) -> Callable[[bytearray, Callable[[], bool]], None]:
    def change(content: bytearray, survives: Callable[[], bool]) -> None:
        start = offset
        while start < offset + len(data):
            end = min(offset + len(data), (start // SECTOR + 1) * SECTOR)
            if survives():
                content.extend(bytes(max(0, end - len(content))))
                content[start:end] = data[start - offset : end - offset]
            start = end

    return change


def _truncate(length: int) -> Callable[[bytearray, Callable[[], bool]], None]:
    def change(content: bytearray, survives: Callable[[], bool]) -> None:
        if survives():
            content.extend(bytes(max(0, length - len(content))))
            del content[length:]

    return change
