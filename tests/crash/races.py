"""Processes that race for one state directory: ``python -m tests.crash.races DIRECTORY RACES RACERS``.

Each race forks its racers, lets them start at one moment, and kills the winner with -9. Prints for each race what every
racer saw as JSON: its pid, the seconds it took, and the owner it was refused by, or `null` when it won.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from engine.errors import StoreInUse
from engine.ownership import Ownership
from tests.stopwatch import Stopwatch


def run(directory: Path, key_id: str, start: int, output: int) -> None:
    """The racer: waits for the starting shot, says what became of it, and keeps what it won."""
    os.read(start, 1)
    owner, held = None, None
    with Stopwatch() as watch:
        try:
            held = Ownership(directory, [("MASTER", key_id)])
        except StoreInUse as error:
            owner = error.pid
    told = {"pid": os.getpid(), "seconds": watch.seconds, "owner": owner, "won": held is not None}
    os.write(output, json.dumps(told).encode() + b"\n")
    signal.pause()


def race(directory: Path, racers: int) -> list[dict[str, Any]]:
    """One race; when it returns every racer is dead."""
    (start, shot), (reading, output) = os.pipe(), os.pipe()
    key_id = os.urandom(16).hex()  # a key is owned machine-wide, and other tests may be running
    children = []
    for _ in range(racers):
        child = os.fork()
        if child == 0:
            os.close(shot)
            try:
                run(directory, key_id, start, output)
            finally:
                os._exit(1)
        children.append(child)
    os.close(start)
    os.close(output)
    os.close(shot)
    with os.fdopen(reading) as lines:
        told = [json.loads(lines.readline()) for _ in children]
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return told


if __name__ == "__main__":
    print(json.dumps([race(Path(sys.argv[1]), int(sys.argv[3])) for _ in range(int(sys.argv[2]))]))
