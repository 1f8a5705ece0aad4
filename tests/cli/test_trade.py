"""`kraken-engine trade`: one order through the five gates; exit codes, and nothing placed without --live."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Engine, NotLive, Order, TradePlan
from engine.app.documents import trade
from engine.cli import main
from engine.simulator import Fault, Simulator
from tests.cli.test_cli import Ran, _of, cli  # noqa: F401 - `cli` is a fixture
from tests.served import served

BUY = ("trade", "MASTER", "--pair", "XBTUSD", "--side", "buy")
LIMIT = (*BUY, "--volume", "0.001", "--type", "limit", "--price", "60000")
LIMITED = Order("XBTUSD", "buy", "limit", "0.001", "60000")
Cli = Callable[..., Ran]


def test_an_order_that_passes_is_checked_and_not_placed(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    ran = cli(*LIMIT, env=_of(sim, tmp_path))
    assert ran.code == 0
    words = ("Balance fetch", "Health check", "Capital validation", "Market scan", "Signal execution")
    places = [ran.out.index(word) for word in words]
    assert places == sorted(places), "it reads like the flow"
    assert "Checked by Kraken, not placed: buy 0.001 XBTUSD @ limit 60000." in ran.out
    assert sim.orders("MASTER") == []


def test_with_live_it_is_placed_once(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    ran = cli(*LIMIT, "--live", "--json", env=_of(sim, tmp_path))
    assert ran.code == 0
    assert ran.document["receipt"]["live"] is True
    assert [each["txid"] for each in sim.orders("MASTER")] == ran.document["receipt"]["txids"]
    assert ran.document["order"]["volume"] == "0.001"


def test_what_a_gate_stops_says_why_and_ends_with_1(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    sim.set_status("maintenance")
    ran = cli(*LIMIT, "--live", "--json", "--reserve", "1000000", env=_of(sim, tmp_path))
    assert ran.code == 1
    assert not ran.document["passed"]
    assert [each["state"] for each in ran.document["gates"]] == [
        "passed", "denied", "denied", "passed", "not reached",
    ]  # fmt: skip
    assert len(ran.document["reasons"]) == 2
    assert sim.orders("MASTER") == []


def test_what_kraken_refuses_ends_with_1_and_what_may_be_there_with_5(
    sim: Simulator, tmp_path: Path, cli: Cli  # noqa: F811
) -> None:
    quick = tmp_path / "quick.toml"  # three passes in two seconds are more than the starter tier's counter takes
    quick.write_text('[settings]\ntier = "pro"\n')
    limit = (*LIMIT, "--live", "--config", str(quick))
    sim.fault(Fault.error("EOrder:Insufficient funds", endpoint="AddOrder", times=1))
    assert cli(*limit, env=_of(sim, tmp_path)).code == 1
    sim.set_listing_lag(3600.0)
    sim.fault(Fault.http(504, executed=True, endpoint="AddOrder", times=1))
    ran = cli(*limit, "--json", "--timeout", "1", env=_of(sim, tmp_path))
    assert ran.code == 5
    assert ran.document["gates"][-1]["state"] == "unknown"
    ran = cli(*limit, "--timeout", "1", env=_of(sim, tmp_path))
    assert ran.code == 1
    assert "What became of an earlier order is not known yet" in ran.out
    assert len(sim.orders("MASTER")) == 1


def test_a_running_service_takes_the_order(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path, "--live") as service:
        done = service.command(*LIMIT, "--live", "--json")
        assert json.loads(done.stdout)["outcome"] == "Placed: buy 0.001 XBTUSD @ limit 60000."
        assert len(sim.orders("MASTER")) == 1


def test_a_service_that_is_not_live_does_not_pass_a_check_for_a_placement(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state") as engine:
        plan = TradePlan(order=LIMITED)
        with pytest.raises(NotLive):
            trade(engine, account="MASTER", plan=plan, live=True)
        assert trade(engine, account="MASTER", plan=plan).passed
    assert sim.orders("MASTER") == []


@pytest.mark.parametrize(
    "wrong",
    [
        BUY, (*BUY, "--volume", "x"), (*BUY, "--volume", "0"), (*BUY, "--volume", "1", "--type", "limit"),
        (*BUY, "--volume", "1", "--price", "5"), (*BUY, "--volume", "1", "--flag", "odd"),
        (*BUY, "--volume", "1", "--max-spread", "wide"), (*BUY, "--volume", "1", "--reserve", "-1"),
        (*BUY, "--volume", "1", "--type", "iceberg"), ("trade", "NOBODY", *BUY[2:], "--volume", "1"),
    ],
)  # fmt: skip
def test_an_invalid_order_is_a_sentence_and_2(
    wrong: tuple[str, ...], sim: Simulator, tmp_path: Path, cli: Cli  # noqa: F811
) -> None:
    ran = cli(*wrong, "--json", env=_of(sim, tmp_path))
    assert ran.code == 2
    assert json.loads(ran.out)["error"]["message"]
    assert sim.calls == []


def test_its_help_shows_the_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trade", "--help"]) == 0
    assert "Balance fetch -> Health check" in capsys.readouterr().out
