"""What `doctor` says of push."""

from __future__ import annotations

from pathlib import Path

from engine import Account, Engine
from engine.doctor import Finding, Level, examine, examine_running
from engine.doctor.push import push_findings
from engine.rules.stream.subscription import StreamState
from engine.simulator import Simulator
from engine.simulator.stream_faults import PUBLIC
from tests.stream.conftest import pushing, state_of, until, until_live


def push(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.check in ("push", "websocket")]


def test_a_running_engine_is_asked_for_its_streams(tmp_path: Path) -> None:
    with Simulator(["MASTER"]) as sim:
        settings = pushing(sim)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
            until_live(engine)
            permission, stream = push(list(examine_running(engine, "MASTER", settings)))
            assert (permission.level, stream.level) == (Level.OK, Level.OK)
            assert "Push is live since" in stream.found
            sim.streams.close(1008)
            until(lambda: state_of(engine) is StreamState.ENDED)
            _, stream = push(list(examine_running(engine, "MASTER", settings)))
            assert stream.level is Level.WARN
            assert "Kraken refuses it (close code 1008)" in stream.found
            assert stream.advice is not None
            assert "'WebSocket interface'" in stream.advice


def test_the_prices_are_told_when_a_gate_asks(tmp_path: Path) -> None:
    with Simulator(["MASTER"]) as sim:
        settings = pushing(sim)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
            until_live(engine)

            def prices() -> list[tuple[Level, str]]:
                return [(each.level, each.found) for each in push_findings(engine, "MASTER") if each.check != "push"]

            assert prices() == []
            until(lambda: engine.gates("MASTER") and prices() == [(Level.OK, "Prices are live (1 pair).")])
            sim.streams.state.refused = 403
            sim.streams.close(1001, PUBLIC)
            told = "Prices are ended: Kraken refuses it (HTTP 403); the gates ask for them by REST."
            until(lambda: prices() == [(Level.WARN, told)])


def test_a_key_that_may_not_is_a_warning_where_push_is_wanted(tmp_path: Path) -> None:
    with Simulator(["MASTER"]) as sim:
        sim.set_permissions("MASTER", {"query-funds"})
        for wanted, level in ((True, Level.WARN), (False, Level.OK)):
            settings = pushing(sim, push=wanted)
            account = Account(*sim.accounts[0])
            found = list(examine([account], url=sim.url, state_dir=tmp_path, settings=settings))
            (permission,) = push(found)
            assert permission.level is level
        assert sim.streams.state.upgrades == [], "doctor opens no stream"
