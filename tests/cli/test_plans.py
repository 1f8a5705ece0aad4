"""`serve --trade ACCOUNT=module:plan`: an account that trades by a plan from a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import ConfigError, Engine, Order, TradePlan
from engine.cli.plans import plans_of
from engine.errors import UnknownName
from engine.simulator import Simulator
from tests.served import FAST, served, until
from tests.stopwatch import PATIENCE

MODULE = """
from engine import Order, TradePlan

order = Order("XBTUSD", "buy", "limit", "0.001", "20000")
plan = TradePlan(order=order, interval=60, max_spread="5", max_balance_age=600, max_data_age=600, max_skew=600)
number = 12
"""
CALM = f"call_timeout = {PATIENCE}\n"
BROKEN = "import a_module_that_is_not_there\n"
FAILS = "raise RuntimeError('no licence')\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with modules in it."""
    for name, text in (("bot_of_a_test", MODULE), ("broken_bot", BROKEN), ("failing_bot", FAILS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_plan_is_found_in_the_working_directory(here: Path) -> None:
    plans = plans_of(["MASTER=bot_of_a_test:plan"], ["MASTER", "BOB"])
    assert list(plans) == ["MASTER"]
    assert isinstance(plans["MASTER"], TradePlan)
    assert plans["MASTER"].order == Order("XBTUSD", "buy", "limit", "0.001", "20000")
    assert plans_of([], ["MASTER"]) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("MASTER", "write ACCOUNT=module:plan"), ("MASTER=bot_of_a_test", "write ACCOUNT"), ("=m:p", "write ACCOUNT"),
        ("MASTER=:plan", "write ACCOUNT"), ("MASTER=bot_of_a_test.py:plan", "write ACCOUNT"),
        ("NOBODY=bot_of_a_test:plan", "configured: MASTER"),
        ("MASTER=no_such_bot:plan", "There is no module 'no_such_bot'"),
        ("MASTER=no.such.bot:plan", "There is no module 'no.such.bot'"),
        ("MASTER=broken_bot:plan", "cannot be imported: No module named 'a_module_that_is_not_there'"),
        ("MASTER=failing_bot:plan", "RuntimeError: no licence"),
        ("MASTER=bot_of_a_test:nothing", "has no 'nothing'"),
        ("MASTER=bot_of_a_test:number", "is of type int, and --trade takes a TradePlan"),
    ],
)
def test_what_names_no_plan_is_one_sentence(text: str, says: str, here: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plans_of([text], ["MASTER"])
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")
    assert isinstance(caught.value, UnknownName) == text.startswith("NOBODY")


def test_an_account_has_one_plan(here: Path) -> None:
    with pytest.raises(ConfigError, match="two plans"):
        plans_of(["MASTER=bot_of_a_test:plan"] * 2, ["MASTER"])


@pytest.mark.parametrize("live", [True, False])
def test_a_service_trades_by_it_and_only_checks_without_live(
    live: bool, sim: Simulator, here: Path, tmp_path: Path
) -> None:
    sim.set_balance("MASTER", {"ZUSD": "90000"})
    options = ("--trade", "MASTER=bot_of_a_test:plan", *(("--live",) if live else ()))
    with served(sim, tmp_path, *options, settings=FAST + CALM, directory=here) as service:
        with Engine.connect(service.state) as client:
            report = until(lambda: client.status().passes.get("MASTER"))
            assert report.require().live is live
        assert len(sim.placements("MASTER")) == live
        code, told = service.stop()
    assert code == 0
    assert "MASTER trades by its plan, with a pass every 60 s" in told
    assert ("Kraken only checks its orders" in told) is not live
