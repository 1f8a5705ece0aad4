"""The ratios that later work must not lose: kept in ``baseline.json``, and compared by the short form of the benchmark.

Only ratios are kept, of contestants that took turns in one run: how fast a machine is, and what else it does meanwhile,
is in both parts of a ratio. A ratio that is better when it is larger is kept as it is; `is_ratio` marks those.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.benchmarks.findings import Finding

FILE = Path(__file__).with_name("baseline.json")
ALLOWED = 0.7
"""A ratio counts as fallen below this part of the kept one."""


def name_of(found: Finding) -> str:
    """What a ratio is called in the file."""
    return f"{found.topic}: {found.what}"


def ratios_in(findings: Iterable[Finding]) -> dict[str, float]:
    """The ratios among the findings, by name."""
    return {name_of(each): each.value for each in findings if each.is_ratio}


def read(path: Path = FILE) -> dict[str, float]:
    """The ratios that are kept."""
    told: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return told


def write(findings: Iterable[Finding], path: Path = FILE) -> None:
    """Keep the ratios of these findings."""
    told = {name: round(value, 3) for name, value in sorted(ratios_in(findings).items())}
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fallen(found: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The ratios that have fallen: what they are, and what they were. One without a counterpart is not compared."""
    pairs = {name: (found[name], kept[name]) for name in found.keys() & kept.keys()}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] < ALLOWED * pair[1]}


def better(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """The better figure of two runs: a busy machine can only make a ratio look worse in one of them."""
    return {name: max(first.get(name, 0.0), second.get(name, 0.0)) for name in first.keys() | second.keys()}
