"""A contestant in a process of its own: obeys one JSON object a line from stdin and answers each with another.

``python -m tests.benchmarks.worker CONTESTANT URL CPUS``, with CPUs as in ``0`` or ``0,1``.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS, Contestant

SECRET = base64.b64encode(bytes(range(64))).decode()


class Worker:
    """What the words do."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._burning: threading.Event | None = None

    def calls(self, count: int) -> dict[str, Any]:
        """The seconds of each of so many calls, one after the other."""
        many = getattr(self._contestant, "many", None)
        return {"seconds": many(count) if many is not None else self._timed(count, [])}

    def threads(self, threads: int, count: int) -> dict[str, Any]:
        """So many threads make so many calls each; a call that fails is counted, not timed."""
        taken: list[list[float]] = [[] for _ in range(threads)]
        failures: list[str] = []
        gate = threading.Barrier(threads + 1)

        def work(mine: list[float]) -> None:
            gate.wait()
            self._timed(count, mine, failures)

        workers = [threading.Thread(target=work, args=(mine,)) for mine in taken]
        for worker in workers:
            worker.start()
        gate.wait()
        began = time.perf_counter()
        for worker in workers:
            worker.join()
        elapsed = time.perf_counter() - began
        return {"seconds": [each for mine in taken for each in mine], "elapsed": elapsed, "failed": len(failures)}

    def spell(self, seconds: float) -> dict[str, Any]:
        """As many calls as fit into so many seconds."""
        taken: list[float] = []
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            self._timed(1, taken)
        return {"seconds": taken}

    def burn(self, on: bool) -> dict[str, Any]:
        """Begin or end a thread of the host that computes and never rests."""
        if self._burning is not None:
            self._burning.set()
        self._burning = threading.Event() if on else None
        if self._burning is not None:
            threading.Thread(target=_burn, args=(self._burning,), daemon=True).start()
        return {}

    def _timed(self, count: int, taken: list[float], failures: list[str] | None = None) -> list[float]:
        call, now = self._contestant.call, time.perf_counter
        for _ in range(count):
            began = now()
            try:
                call()
            except Exception as error:
                if failures is None:
                    raise
                failures.append(str(error))
            else:
                taken.append(now() - began)
        return taken


def _burn(enough: threading.Event) -> None:
    number = 0
    while not enough.is_set():
        for _ in range(1000):
            number = (number * 1103515245 + 12345) % 2147483648


class WorkerProcess:
    """A `Worker` elsewhere. A context manager."""

    def __init__(self, contestant: str, url: str, cpus: set[int]) -> None:
        self._command = [sys.executable, "-m", __name__, contestant, url, ",".join(map(str, sorted(cpus)))]

    def __enter__(self) -> WorkerProcess:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(do="calls", count=20)  # connections and caches are warm from here on
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, **words: Any) -> dict[str, Any]:
        """Have it do something and wait for what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._command[3]} ended while it was asked {words}")
        found: dict[str, Any] = json.loads(answer)
        return found


def pin(cpus: set[int]) -> None:
    """Run on these CPUs only, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def main(contestant: str, url: str, cpus: str) -> None:
    """Serve until standard input ends."""
    pin({int(cpu) for cpu in cpus.split(",")})  # before any thread is there
    made = CONTESTANTS[contestant](url, f"key-{uuid.uuid4().hex}", SECRET)
    worker = Worker(made)
    try:
        for line in sys.stdin:
            words = json.loads(line)
            print(json.dumps(getattr(worker, words.pop("do"))(**words)), flush=True)
    finally:
        made.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
