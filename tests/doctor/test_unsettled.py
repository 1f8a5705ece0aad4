"""The doctor names what is not known of orders: unknown outcomes, and a journal that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Account, Engine, Order, OrderUnknown, Settings
from engine.actors.backing.journal_file import FILE_NAME
from engine.doctor import Finding, Level, examine, examine_running
from engine.simulator import Fault, Simulator

SETTINGS = Settings(local_limits=False, order_deadline=1.0, call_timeout=1.0, refresh_every=3600.0)


def _orders(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.check == "unsettled-orders"]


def test_a_running_engine_names_its_unknown_orders(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", live=True, settings=SETTINGS) as engine:
        assert _orders(list(examine_running(engine, "MASTER", SETTINGS))) == []
        sim.fault(Fault.close(executed=True, endpoint="AddOrder"))
        lists = [sim.fault(Fault.http(502, endpoint=each)) for each in ("OpenOrders", "ClosedOrders", "QueryOrders")]
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.01", "30000"), id="lost", timeout=1)
        (found,) = _orders(list(examine_running(engine, "MASTER", SETTINGS)))
        for each in lists:
            each.remove()
    assert (found.level, found.account) == (Level.WARN, "MASTER")
    assert "'lost'" in found.found
    assert "kraken-engine order MASTER lost" in str(found.advice)


def test_a_damaged_journal_is_told(sim: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Engine(sim.accounts, url=sim.url, state_dir=state, live=True, settings=SETTINGS) as engine:
        engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.01", "30000"), id="placed")
    (state / FILE_NAME).write_bytes(b"no database " * 1000)
    accounts = [Account.of(each) for each in sim.accounts]
    findings = examine(accounts, url=sim.url, state_dir=state, settings=SETTINGS)
    found = [each for each in findings if each.check == "journal-damaged"]
    assert [each.level for each in found] == [Level.WARN]
    assert "look at Kraken" in str(found[0].advice)
