"""The table, the same as JSON, and a picture of the ratios."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.findings import Finding, all_cpus

PACKAGES = ("requests", "pykka", "sqlitedict", "krakenex", "python-kraken-sdk", "ccxt")


def machine() -> dict[str, Any]:
    """Where it was measured, as far as it matters."""
    return {
        "day": f"{datetime.now(UTC):%d %B %Y}".lstrip("0"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(all_cpus()),
        "load before": os.getloadavg()[0],
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def write(findings: Sequence[Finding], where: dict[str, Any], folder: Path) -> list[Path]:
    """Write all three into `folder`; without matplotlib there is no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "benchmarks.json", folder / "benchmarks.md"]
    document = {"machine": where, "findings": [asdict(each) for each in findings]}
    written[0].write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    written[1].write_text(table(findings, where), encoding="utf-8")
    if find_spec("matplotlib") is not None:
        written.append(folder / "ratios.png")
        _draw([each for each in findings if each.is_ratio], written[-1])
    return written


def table(findings: Sequence[Finding], where: dict[str, Any]) -> str:
    """The table as Markdown."""
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    lines = [
        f"Python {where['python']}, {where['system']}, {where['cpus']} CPUs, load {where['load before']:.1f}.",
        f"{packages}.",
        "Loopback only. Medians over alternating rounds, with the least and the most.",
        "",
        "| topic | what | median | spread | goal | met |",
        "|---|---|---:|---:|---:|---|",
    ]
    for each in findings:
        met = {None: "", True: "yes", False: "**no**"}[each.met]
        spread = "" if each.low == each.high else f"{number(each.low)} – {number(each.high)}"
        lines.append(
            f"| {each.topic} | {each.what} | {number(each.value)} {each.unit} | {spread} | {each.goal} | {met} |"
        )
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """A figure for a person: three digits, or all of a large one."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _draw(ratios: Sequence[Finding], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.36 * len(ratios) + 1.4), layout="constrained")
    names = [f"{each.topic}: {each.what}" for each in ratios]
    values = [each.value for each in ratios]
    colours = {True: "#2a7a3f", None: "#6b7a8f", False: "#b3402a"}
    axes.barh(names, values, color=[colours[each.met] for each in ratios])
    spans = [[each.value - each.low for each in ratios], [each.high - each.value for each in ratios]]
    axes.errorbar(values, names, xerr=spans, fmt="none", ecolor="black", elinewidth=0.8, capsize=2)
    for row, each in enumerate(ratios):
        axes.text(1.15 * each.high, row, f"{number(each.value)} ×  {each.goal}", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(right=20 * max([1.0, *values]))
    axes.invert_yaxis()
    axes.set_title("this engine against its peers, as ratios (more is better)", fontsize=10)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
