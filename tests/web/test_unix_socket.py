"""The command line through a running service, by its Unix socket; and the examples that go with a service."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.served import served, until

EXAMPLES = ROOT / "examples"


def test_commands_go_through_the_running_service(sim: Simulator, tmp_path: Path) -> None:
    """Its key and its nonces stay with it, so that nothing has to be stopped for a look."""
    with served(sim, tmp_path, "--live") as service:
        mode = (tmp_path / "state" / "serve.sock").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert mode & 0o777 == 0o600
        until(lambda: service.ask("/readyz").status == 200)

        balances = service.command("balances", "--json")
        assert balances.returncode == 0, balances.stderr
        rows = {row["account"]: row for row in json.loads(balances.stdout)["accounts"]}
        assert (rows["MASTER"]["cash"], rows["MASTER"]["is_available"]) == ("18000.00000000", True)

        made = service.command("call", "MASTER", "TradeBalance", "asset=ZUSD")
        assert made.returncode == 0, made.stderr
        assert isinstance(json.loads(made.stdout), dict)
        sim.fault(Fault.body(b'{"error":[],"result":[0.10]}', endpoint="ListThings"))
        new = ("call", "MASTER", "ListThings", "--class")
        assert json.loads(service.command(*new, "read").stdout) == ["0.10"]
        assert service.command(*new, "order").returncode == 2, "that would need the caller's --live"
        order = ("call", "MASTER", "AddOrder", "pair=XBTUSD", "type=buy", "ordertype=limit", "price=1", "volume=1")
        assert service.command(*order).returncode == 2, "the service is live, and this command line is not"
        assert sim.placements("MASTER") == []
        assert service.command(*order, "--live").returncode == 0
        assert len(sim.placements("MASTER")) == 1
        sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
        unknown = service.command(*order, "--live")
        assert (unknown.returncode, "look it up" in unknown.stderr) == (5, True)
        refused = service.command("call", "NOBODY", "Balance")
        assert (refused.returncode, "NOBODY" in refused.stderr) == (2, True)

        trade = ("trade", "MASTER", "--pair", "XBTUSD", "--side", "buy", "--max-spread", "5", "--volume")
        passed = service.command(*trade, "0.001")
        assert (passed.returncode, "Checked by Kraken, not placed" in passed.stdout) == (0, True), passed
        stopped = service.command(*trade, "99", "--json")
        assert stopped.returncode == 1
        assert json.loads(stopped.stdout)["passed"] is False
        gates = until(lambda: service.ask("/api/state").json["rows"]["gates-MASTER"])
        assert len(gates) == 5
        assert "bad" in [row["s"] for row in gates]
        assert 'gate_decisions_total{decision="passed"' in service.ask("/metrics").text

        marks = service.command("nonce", "show", "--json")
        assert [row["account"] for row in json.loads(marks.stdout)["keys"]] == ["MASTER", "ALICE", "BOB"]
        watched = service.command("watch")
        assert "All accounts are available" in watched.stdout
        assert json.loads(service.command("watch", "--json").stdout)["pid"] == service.process.pid

        doctor = service.command("doctor", "--json")
        findings = json.loads(doctor.stdout)["findings"]
        checks = {(each["account"], each["check"]): each["level"] for each in findings}
        assert checks["BOB", "balance"] == "ok", findings
        assert checks["MASTER", "nonce"] == "ok"
        assert "To test the keys" not in doctor.stdout, "they were tested, by the service"
        assert service.stop()[0] == 0
    assert sim.refused_nonces == 0
    assert service.command("balances", "--json").returncode == 0, "and without it as ever"


def test_a_socket_that_a_killed_service_left_is_no_obstacle(sim: Simulator, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with served(sim, deep) as service:
        service.process.kill()
        service.process.communicate()
    with served(sim, deep) as service:
        assert service.command("watch", "--json").returncode == 0, "nor is a path that is longer than a socket's name"
        assert service.stop()[0] == 0


def test_watch_without_a_service_starts_an_engine_of_its_own(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        service.stop()
    done = service.command("watch")
    assert (done.returncode, "All accounts are available" in done.stdout) == (0, True)
