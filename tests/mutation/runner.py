"""Runs tests on a copy of the project, each time in a fork that has loaded everything but the project itself."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

from tests import ROOT

_LOADED_BEFORE = ("hypothesis.stateful", "hypothesis.strategies", "requests", "pykka", "sqlitedict", "cryptography")
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".hypothesis", ".*_cache", "*.egg-info")
GRACE = 10.0  # seconds beyond three times what the tests take without a fault; who needs more hangs


@dataclass(frozen=True, slots=True)
class Reach:
    """Which tests run which line, and what each takes."""

    seconds: Mapping[str, float]
    by_line: Mapping[str, Mapping[int, frozenset[str]]]
    """By module; a line that only runs at the import has the tests of the whole module."""

    def tests(self, module: str, lines: Iterable[int], at_most: float) -> list[str]:
        """The tests for a fault in these lines, the fastest first, and of them what `at_most` seconds allow."""
        of_module = self.by_line.get(module, {})
        named = set().union(*(of_module.get(line, frozenset()) for line in lines))
        tests = sorted(named, key=lambda test: (self.seconds[test], test))
        chosen: list[str] = []
        total = 0.0
        for test in tests:
            total += self.seconds[test]
            if chosen and total > at_most:
                break
            chosen.append(test)
        return chosen


class Copy:
    """A copy of the project in a folder of its own. What runs there cannot touch the original."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self._result, self._log = folder / "result.json", folder / "log.txt"
        shutil.copytree(ROOT, self.root, ignore=_LEFT_OUT)
        for name in _LOADED_BEFORE:
            importlib.import_module(name)

    def reach(self, tests: Sequence[str]) -> Reach:
        """Run the tests once, without a fault, and see what each runs. Raises `SystemExit` when one fails."""
        found = self._run(lambda: _trace(self.root, tests), timeout=1800.0)
        if not found or found["code"] != 0:
            raise SystemExit(f"The tests fail without a fault:\n{self._log.read_text()[-3000:]}")
        by_line = {module: {int(line): frozenset(names) for line, names in lines.items()}
                   for module, lines in found["lines"].items()}  # fmt: skip
        return Reach(found["seconds"], by_line)

    def killed_by(self, module: str, source: str, tests: Sequence[str], seconds: float) -> str | None:
        """The test that fails with this source of the module, ``"timeout"``, or `None`: the fault goes unnoticed."""
        path = self.root / module
        original = path.read_text(encoding="utf-8")
        shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()
        path.write_text(source, encoding="utf-8")
        try:
            found = self._run(lambda: _check(tests, self._tell), timeout=3 * seconds + GRACE)
        finally:
            path.write_text(original, encoding="utf-8")
        if found is None:
            return "timeout"
        return None if found["code"] == 0 else str(found["failed"] or "it cannot be imported")

    def _run(self, work: Callable[[], Any], timeout: float) -> Any:
        """What `work` returns in a fork, or `None` when it takes too long or ends by itself."""
        self._result.unlink(missing_ok=True)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._be_the_child(work)
        ended = False
        try:
            ended = _ends(child, timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):  # what the tests have started and left
                os.killpg(child, signal.SIGKILL)
            if not ended:
                os.waitpid(child, 0)
        return json.loads(self._result.read_text()) if ended and self._result.exists() else None

    def _tell(self, found: Any) -> None:
        self._result.write_text(json.dumps(found))

    def _be_the_child(self, work: Callable[[], Any]) -> None:
        try:
            os.setsid()
            with open(self._log, "wb") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.chdir(self.root)
            os.environ["PYTHONPATH"] = str(self.root)
            sys.path[:] = [str(self.root), *(each for each in sys.path if each not in ("", str(ROOT)))]
            for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "engine")]:
                del sys.modules[name]
            self._tell(work())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            sys.stdout.flush()
            os._exit(0)


def _ends(child: int, timeout: float) -> bool:
    until = time.monotonic() + timeout
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


class _Watch:
    """A pytest plugin: chooses and orders tests, quickens hypothesis, notes what fails and how long all take."""

    def __init__(
        self, chosen: Sequence[str] = (), failed: Callable[[str], None] | None = None,
        trace: coverage.Coverage | None = None,
    ) -> None:  # fmt: skip
        self._order = {name: place for place, name in enumerate(chosen)}
        self._failed, self._trace = failed, trace
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_sessionstart(self) -> None:
        """The same examples each time, and no search for the smallest one that fails."""
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        parent = hypothesis.settings.get_profile("same")
        hypothesis.settings.register_profile("mutation", parent, derandomize=True, database=None, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only the chosen ones, in their order."""
        if self._order:
            items[:] = sorted((each for each in items if each.nodeid in self._order),
                              key=lambda each: self._order[each.nodeid])  # fmt: skip

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Name the test to the trace."""
        if self._trace is not None:
            self._trace.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what it took, and say when it failed."""
        self.seconds[report.nodeid] += report.duration
        if report.failed and self._failed is not None:
            self._failed(report.nodeid)


def _pytest(arguments: Sequence[str], watch: _Watch) -> int:
    options = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    return int(pytest.main([*options, *arguments], plugins=[watch]))


def _check(tests: Sequence[str], tell: Callable[[Any], None]) -> dict[str, Any]:
    sys.dont_write_bytecode = True  # what is cached is the code without faults

    def failed(test: str) -> None:  # at once: what it has left open may take long to close
        tell({"code": 1, "failed": test})
        os._exit(0)

    code = _pytest(sorted({test.partition("::")[0] for test in tests}), _Watch(tests, failed))
    return {"code": code, "failed": None}


def _trace(root: Path, tests: Sequence[str]) -> dict[str, Any]:
    trace = coverage.Coverage(data_file=None, config_file=False, source=[str(root / "engine")])
    watch = _Watch(trace=trace)
    trace.start()
    code = _pytest(tests, watch)
    trace.stop()
    return {"code": code, "seconds": watch.seconds, "lines": _lines(trace.get_data(), root)}


def _lines(data: coverage.CoverageData, root: Path) -> dict[str, dict[int, list[str]]]:
    found = {}
    for file in data.measured_files():
        by_line = data.contexts_by_lineno(file)
        everybody = sorted({name for names in by_line.values() for name in names if name})
        found[str(Path(file).relative_to(root))] = {
            line: [name for name in names if name] or everybody for line, names in by_line.items()
        }
    return found
