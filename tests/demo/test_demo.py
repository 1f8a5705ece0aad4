"""The demo: once as a user runs it, and what it does when a promise is not kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from engine.demo import Check, Report
from engine.demo.crashes import KILLS, restarts
from tests import ROOT
from tests.stopwatch import Stopwatch

WRONG = {"KRAKEN_API_KEY": "half a key", "KRAKEN_SPOT_URL": "http://example.com", "KRAKEN_ENGINE_STATE": "/dev/null"}


def test_demo_sees_everything_it_claims(tmp_path: Path) -> None:
    """Whatever the environment says, and without touching the user's state directory."""
    environment = {**os.environ, **WRONG, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with Stopwatch() as watch:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "engine", "demo", "--json"],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300, check=False,
        )  # fmt: skip
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert watch.seconds < 60
    assert told["ok"]
    assert all(promise["kept"] for promise in told["promises"])
    acts = {"balances", "kill -9", "outage", "recovery", "gates", "push"}
    assert {promise["act"] for promise in told["promises"]} == acts
    seen = " ".join(promise["seen"] for promise in told["promises"])
    assert f"{KILLS} kills" in seen
    assert "1 at a time" in seen
    during = told["balances"]["During the outage"]
    assert [each["account"] for each in during] == ["MASTER", "ALICE", "BOB"]
    assert {(each["state"], each["is_available"]) for each in during} == {("stale", False)}
    assert all(each["error_count"] >= 3 and Decimal(each["cash"]) > 0 for each in during)
    assert {(each["state"], each["is_available"]) for each in told["balances"]["After the outage"]} == {("fresh", True)}
    stopped, passed = told["passes"]
    assert [each["state"] for each in passed["gates"]] == ["passed"] * 5
    assert stopped["gates"][-1]["state"] == "not reached"
    assert len(stopped["reasons"]) >= 3
    assert list(tmp_path.iterdir()) == [], "nothing is written to the user's home"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("kept", "good"), [([], False), ([True], True), ([True, False], False)])
def test_a_report_is_good_only_when_every_promise_was_seen_kept(kept: list[bool], good: bool) -> None:
    report = Report([Check("act", "promise", "seen", each) for each in kept])
    assert report.is_good is good
    assert report.to_dict()["ok"] is good


def test_a_busy_machine_is_said_and_is_no_broken_promise() -> None:
    """The engine promises nothing about how fast another process can be started."""
    assert restarts([0.2, 0.75]) == "the next engine's first call came 200 to 750 ms later"
    assert "200 to 1500 ms later; 1 of them too late to test the nonces hard" in restarts([0.2, 1.5])
