"""The tables of ``README.rst``: what one run has measured, a table for each topic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.findings import Finding
from tests.benchmarks.report import number

FILE = Path(__file__).with_name("README.rst")
BEGIN = ".. The tables below are written by the command above; changes by hand are lost."
END = ".. End of the tables."

_TABLE = """
.. list-table:: {title}
   :header-rows: 1
   :widths: 60 28 12

   * - What
     - Measured
     - Goal
"""
_ROW = """   * - {what}
     - {measured}
     - {goal}
"""


def write(findings: Sequence[Finding], where: dict[str, Any], path: Path = FILE) -> None:
    """Put the tables of a run in the place of the last ones. Raises `ValueError` for a file without one."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path} has no place for the tables: it begins with '{BEGIN}' and ends with '{END}'.")
    path.write_text(f"{before}{BEGIN}\n\n{_machine(where)}{_tables(findings)}\n{END}{after}", encoding="utf-8")


def _machine(where: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    return (
        f"Measured on {where['day']} with Python {where['python']} on {where['system']} with {where['cpus']} CPUs,\n"
        f"load {where['load before']:.1f}.\n{packages}.\n"
    )


def _tables(findings: Iterable[Finding]) -> str:
    by_topic: dict[str, list[Finding]] = {}
    for each in findings:
        by_topic.setdefault(each.topic, []).append(each)
    return "".join(
        _TABLE.format(title=f"{topic[0].upper()}{topic[1:]}") + "".join(map(_row, rows))
        for topic, rows in by_topic.items()
    )


def _row(found: Finding) -> str:
    spread = "" if found.low == found.high else f" ({number(found.low)} – {number(found.high)})"
    missed = " (missed)" if found.met is False else ""
    measured = f"{number(found.value)} {found.unit}".rstrip() + spread + missed
    return _ROW.format(what=found.what, measured=measured, goal=found.goal).replace("- \n", "-\n")
