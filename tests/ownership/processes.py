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


def assert_one_wins(race: Callable[..., Any], where: Path) -> None:
    """One of two sends "owner", and the other the winner's pid. `race` takes the place, the start and a pipe's end."""
    start = CONTEXT.Event()
    pipes = [CONTEXT.Pipe() for _ in range(2)]
    racers = [CONTEXT.Process(target=race, args=(where, start, theirs)) for _, theirs in pipes]
    for racer in racers:
        racer.start()
    start.set()
    results = {racer.pid: ours.recv() for racer, (ours, _) in zip(racers, pipes, strict=True)}
    winner = next(pid for pid, result in results.items() if result == "owner")
    assert sorted(map(str, results.values())) == sorted(["owner", str(winner)])
    for racer, (ours, theirs) in zip(racers, pipes, strict=True):
        racer.kill()
        racer.join()
        racer.close()
        ours.close()
        theirs.close()
