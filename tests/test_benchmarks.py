"""The benchmark code runs, at tiny size; no timing is asserted, since its figures say nothing then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import (
    baseline,
    calls,
    cluster,
    gateway,
    journal,
    nonces,
    order_path,
    page,
    reading,
    readme,
    remote,
    report,
)
from tests.benchmarks.contestants import CONTESTANTS, is_installed
from tests.benchmarks.findings import FULL, TINY, Finding, alternate, finding, ratios
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET, Worker
from tests.cluster.postgresql import programs


def test_everything_is_measured_and_written_down(tmp_path: Path) -> None:
    with ExchangeProcess() as exchange:
        found = [
            *calls.one_thread(exchange, TINY, only={"this engine", "http.client"}),
            *nonces.issuing(TINY),
            *reading.snapshots(exchange, TINY),
            *remote.remote_calls(exchange, TINY),
            *gateway.gateway_calls(exchange, TINY),
            *page.watching(exchange, TINY),
            *journal.size(TINY),
            *order_path.order_path(exchange, TINY),
            *cluster.cluster(exchange, TINY),
        ]
    assert all(each.low <= each.value <= each.high for each in found)
    topics = {"one thread, one CPU", "one thread, free", "nonces", "snapshots", "journal", "remote", "gateway"} | {
        "order path", "page",
    } | ({"cluster"} if programs() else set())
    assert {each.topic for each in found} == topics
    written = report.write(found, report.machine(), tmp_path)
    told = json.loads(written[0].read_text(encoding="utf-8"))
    assert [each["what"] for each in told["findings"]] == [each.what for each in found]
    assert written[1].read_text(encoding="utf-8").count("\n| ") == len(found) + 1
    assert all(path.stat().st_size > 0 for path in written)


@pytest.fixture(scope="module")
def exchange() -> Iterator[ExchangeProcess]:
    with ExchangeProcess() as running:
        yield running


TIDY = [name for name in CONTESTANTS if is_installed(name) and not name.startswith(("python-kraken-sdk", "ccxt"))]
"""The others leave sockets and loops open, which is an error in here; they are run where they are measured."""


@pytest.mark.parametrize("name", TIDY)
def test_contestants_make_calls_that_the_exchange_accepts(exchange: ExchangeProcess, name: str) -> None:
    contestant = CONTESTANTS[name](exchange.url, os.urandom(8).hex(), SECRET)
    try:
        exchange.stats()
        assert len(Worker(contestant).calls(3)["seconds"]) == 3
        told = exchange.stats()
    finally:
        contestant.close()
    assert (told["calls"], told["refused"]) == (3, 0)


def test_the_exchange_refuses_a_nonce_that_does_not_rise() -> None:
    with ExchangeProcess() as exchange:
        first, second = (CONTESTANTS["http.client"](exchange.url, "one key", SECRET) for _ in range(2))
        second._nonces = iter([1])  # type: ignore[attr-defined]
        first.call()
        with pytest.raises(RuntimeError, match="EAPI:Invalid nonce"):
            second.call()
        assert exchange.stats()["refused"] == 1
        first.close()
        second.close()


def test_figures_come_from_alternating_rounds() -> None:
    order: list[str] = []
    found = alternate(2, {"a": lambda: order.append("a") or 1.0, "b": lambda: order.append("b") or 3.0})
    assert order == ["a", "b", "b", "a"]
    assert ratios(found["a"], found["b"]) == [3.0, 3.0]
    line = finding("topic", "what", "×", [1.0, 3.0, 2.0], at_least=2.5)
    assert line == Finding("topic", "what", 2.0, "×", 1.0, 3.0, "≥ 2.5", met=False)
    assert FULL.rounds > TINY.rounds


def test_a_ratio_that_falls_by_a_third_is_found(tmp_path: Path) -> None:
    def found(value: float) -> list[Finding]:
        lines = {"a": value, "b": 3.0}
        return [finding("calls", what, "×", [number], is_ratio=True) for what, number in lines.items()]

    kept = tmp_path / "baseline.json"
    baseline.write([*found(2.0), finding("calls", "no ratio", "ms", [1.0])], kept)
    known = baseline.read(kept)
    assert known == {"calls: a": 2.0, "calls: b": 3.0}
    assert not baseline.fallen(baseline.ratios_in(found(1.41)), known)
    fallen = baseline.ratios_in(found(1.39))
    assert baseline.fallen(fallen, known) == {"calls: a": (1.39, 2.0)}
    assert not baseline.fallen(baseline.better(fallen, {"calls: a": 1.9}), known)
    assert not baseline.fallen({"calls: of a peer that is not installed": 0.1}, known)


def test_what_the_repository_keeps_is_what_the_short_form_measures() -> None:
    names = {name.partition(":")[0] for name in baseline.read()}
    assert names == {"one thread, one CPU", "16 threads, one CPU", "order path"}
    assert all(value > 0 for value in baseline.read().values())


def test_the_tables_of_the_readme_are_those_of_a_run(tmp_path: Path) -> None:
    page = tmp_path / "README.rst"
    page.write_text(readme.FILE.read_text(encoding="utf-8"), encoding="utf-8")
    lines = [finding("calls", "one", "µs", [1.0, 2.0, 3.0], at_most=1.5), finding("growth", "two", "×", [4.0])]
    for _ in range(2):
        readme.write(lines, report.machine(), page)
    text = page.read_text(encoding="utf-8")
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1
    tables = text.partition(readme.BEGIN)[2]
    assert "   * - one\n     - 2 µs (1 – 3) (missed)\n     - ≤ 1.5\n" in tables
    assert "   * - two\n     - 4 ×\n     -\n" in tables
    page.write_text("no tables", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the tables"):
        readme.write(lines, report.machine(), page)
