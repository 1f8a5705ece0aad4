"""Kills engines' nonce makers: forks children that issue nonces, and kill -9s each at a random moment.

``python tests/crash/kill9.py DIRECTORY RESTARTS SEED`` prints what it saw as JSON, fails on a nonce that does not
rise. Each child starts with its wall clock thrown up to 30 days back or a day ahead. A quarter of them die while they
open the store, which takes as long as the machine is slow, the others while they issue. Children are forked from this
small process, since starting Python anew takes longer than most of them live.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import struct
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.store.nonces import file_nonces, read_marks

DAY = 86_400 * 1_000_000_000
LONGEST_LIFE = 0.01  # seconds after the first nonce
FASTER = 100  # a mark, a second ahead, lasts 10 ms
DIE_OPENING = 0.25  # the share of those that are killed before their first nonce, or soon after it
NONCE = struct.Struct("<q")


class ShiftedClock:
    """The machine's clock, set wrong by a constant, and so fast that marks are renewed within a child's life."""

    def __init__(self, offset: int) -> None:
        self.start = time.time_ns()
        self.offset = offset

    def wall_ns(self) -> int:
        return self.start + self.offset + FASTER * (time.time_ns() - self.start)

    def monotonic(self) -> float:
        return time.monotonic()


def issue_until_killed(directory: Path, offset: int, output: int) -> None:
    """The child: says each nonce as soon as it has it."""
    nonces = file_nonces(directory, clock=ShiftedClock(offset), soon=ThreadPoolExecutor(1).submit)
    while True:
        os.write(output, NONCE.pack(nonces.issue("key")))


class Killer:
    """Decides when a child dies, by chance and by how long children take to open their store."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._opening = LONGEST_LIFE  # seconds, as seen last

    def listen(self, reading: int) -> bytes:
        """What the child says until its moment has come."""
        started = time.monotonic()
        if self._chance.random() < DIE_OPENING:
            return _listen(reading, started + self._chance.uniform(0, 1.2 * self._opening))
        select.select([reading], [], [])
        self._opening = time.monotonic() - started
        return _listen(reading, time.monotonic() + self._chance.uniform(0, LONGEST_LIFE))


def life(directory: Path, offset: int, killer: Killer) -> list[int]:
    """The nonces that one child said before it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            issue_until_killed(directory, offset, writing)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    said = killer.listen(reading)
    os.kill(child, signal.SIGKILL)
    while chunk := os.read(reading, 1 << 16):
        said += chunk
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "the child ended by itself"
    return [nonce for (nonce,) in NONCE.iter_unpack(said[: len(said) // NONCE.size * NONCE.size])]


def _listen(reading: int, until: float) -> bytes:
    said = b""
    while (left := until - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            said += os.read(reading, 1 << 16)
    return said


def main(directory: Path, restarts: int, seed: int) -> dict[str, int]:
    """Kill and restart; returns counts, raises AssertionError on the first nonce that does not rise."""
    chance = random.Random(seed)
    killer = Killer(chance)
    highest, count, backward, silent = 0, 0, 0, 0
    offset = 0
    for turn in range(restarts):
        before, offset = offset, chance.randint(-30 * DAY, DAY)
        nonces = life(directory, offset, killer)
        for nonce in nonces:
            assert nonce > highest, f"seed {seed}, restart {turn}: {nonce} after {highest}"
            highest = nonce
        assert max(read_marks(directory).values(), default=0) >= highest, "the mark is below an issued nonce"
        count += len(nonces)
        backward += offset < before
        silent += not nonces
    return {"restarts": restarts, "nonces": count, "backward": backward, "silent": silent, "seed": seed}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
