"""What a process holds, seen from outside while it runs, and whether that grows."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGESIZE")


class Usage(NamedTuple):
    """One sample: `at` in seconds since the start, `memory` (resident) in bytes."""

    at: float
    memory: int
    threads: int
    descriptors: int


class Sampler:
    """Samples a process of this user every `every` seconds, in a thread of its own, until the block ends. Linux.

    `log` gets a line of each as it is taken, so that a run that is broken off was not for nothing.
    """

    def __init__(self, pid: int, every: float, log: Path) -> None:
        self.samples: list[Usage] = []
        self._log = log
        self._proc, self._every = Path("/proc", str(pid)), every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Sampler:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with self._log.open("w", encoding="utf-8", buffering=1) as written:
            while not self._over.wait(self._every):
                sample = self._sample()
                self.samples.append(sample)
                print(*sample, sep="\t", file=written)

    def _sample(self) -> Usage:
        return Usage(
            round(time.monotonic() - self._started, 1),
            int((self._proc / "statm").read_text().split()[1]) * PAGE,
            len(os.listdir(self._proc / "task")),
            len(os.listdir(self._proc / "fd")),
        )


def growth(samples: list[Usage], of: str) -> float:
    """By how much the straight line through the samples rises from the first to the last (least squares)."""
    times = [sample.at for sample in samples]
    values = [float(getattr(sample, of)) for sample in samples]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    slope = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True))
    return slope / sum((at - middle) ** 2 for at in times) * (times[-1] - times[0])
