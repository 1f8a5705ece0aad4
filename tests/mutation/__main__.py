"""``python -m tests.mutation [ROOM ...]``: makes small faults in the code one by one, and sees which the tests find."""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from tests import ROOT
from tests.mutation.operators import Mutant, lines_of, mutants_of
from tests.mutation.rooms import ROOMS, Room
from tests.mutation.runner import Copy, Reach

FOLDER = ROOT / "build" / "mutation"
UNREACHED = "no test runs this line"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure room by room; print each fault that goes unnoticed, and write all of them down."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all without")
    parser.add_argument("--seconds", type=float, default=240.0, help="for each room; a random sample fits in")
    parser.add_argument("--each", type=float, default=5.0, help="seconds of tests for one fault, the fastest first")
    parser.add_argument("--again", action="store_true", help="only those that went unnoticed the last time")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder for what is found")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.rooms or ROOMS:
        path = given.out / f"{name.replace('/', '-')}.json"
        only = _unnoticed(path) if given.again else None
        with tempfile.TemporaryDirectory() as folder:
            run = Run(name, Copy(Path(folder)), only)
            tried = dict(run.results(given.seconds, given.each))
        result = [{**mutant.to_dict(), "found_by": by} for mutant, by in tried.items()]
        (path.with_suffix(".again.json") if given.again else path).write_text(json.dumps(result, indent=1))
        share = _share(list(tried.values()))
        print(f"{name}: {share}; {len(run.mutants)} there are; {_cpu():.0f} s of CPU so far", flush=True)


class Run:
    """The faults of one room, in an order of chance that is the same each time."""

    def __init__(self, name: str, copy: Copy, only: Sequence[Mutant] | None = None) -> None:
        self._copy, self._room = copy, ROOMS[name]
        self._sources = _sources(self._room)
        everything = [each for module, source in self._sources.items() for each in mutants_of(module, source)]
        self.mutants = everything if only is None else list(only)
        random.Random(name).shuffle(self.mutants)

    def results(self, seconds: float, each: float) -> Iterator[tuple[Mutant, str | None]]:
        """What finds each fault, or `None`, for as many as fit into the time. Prints those that nothing finds."""
        reach = self._copy.reach(self._room.tests)
        lines = {module: lines_of(source) for module, source in self._sources.items()}
        until = time.monotonic() + seconds
        for mutant in self.mutants:
            if time.monotonic() > until:
                return
            mutated = mutant.source(self._sources[mutant.module])
            if _compiles(mutated):
                where = lines[mutant.module].get(mutant.line, frozenset({mutant.line}))
                yield mutant, self._try(mutant, mutated, reach, reach.tests(mutant.module, where, each))

    def _try(self, mutant: Mutant, mutated: str, reach: Reach, tests: Sequence[str]) -> str | None:
        original, by = self._sources[mutant.module], None
        if tests:
            by = self._copy.killed_by(mutant.module, mutated, tests, sum(reach.seconds[test] for test in tests))
        if by is None:
            print(_sentence(mutant, original, mutated, "" if tests else UNREACHED), flush=True)
        return by


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:  # such as a star for two before a mapping
        return False
    return True


def _unnoticed(path: Path) -> list[Mutant]:
    names = [each.name for each in fields(Mutant)]
    rows = json.loads(path.read_text())
    return [Mutant(**{name: row[name] for name in names}) for row in rows if row["found_by"] is None]


def _sources(room: Room) -> Mapping[str, str]:
    paths = [path for each in room.modules for path in sorted((ROOT / each).rglob("*.py")) or [ROOT / each]]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def _sentence(mutant: Mutant, original: str, mutated: str, note: str) -> str:
    pairs = zip(original.splitlines(), mutated.splitlines(), strict=False)
    was, now = next(((before, after) for before, after in pairs if before != after), ("", ""))
    return f"  {mutant.module}:{mutant.line} {mutant.operator}  {note}\n    {was.strip()}\n    {now.strip()}"


def _share(found_by: Sequence[str | None]) -> str:
    found = sum(by is not None for by in found_by)
    return f"{found} of {len(found_by)} found ({100 * found / max(1, len(found_by)):.0f} %)"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
