"""What Kraken's balance rows are called: the table follows Kraken's Assets, without the lane and over restarts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import BalanceChanged, Engine, Settings
from engine.actors.balance.asset_catalogue import FILE_NAME, CatalogueActor, LookForAssets, read_names
from engine.actors.balance.asset_names import AssetNames
from engine.actors.drift_log import DriftLog
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallUnknown, ConfigError
from engine.kraken.assets import AssetTable
from engine.simulator import Fault, Simulator
from engine.values import SYSTEM_CLOCK
from tests.conftest import QUICK, Events
from tests.stopwatch import Stopwatch

LISTED = {
    "XNEW": {"aclass": "currency", "altname": "NEW", "decimals": 8, "display_decimals": 5},
    "XAUT": {"aclass": "currency", "altname": "AUT", "decimals": 8, "display_decimals": 5},
}
ASSETS = Fault.body(json.dumps({"error": [], "result": LISTED}).encode(), endpoint="Assets")


def knows(name: str) -> Callable[[object], bool]:
    return lambda event: isinstance(event, BalanceChanged) and name in event.snapshot.assets


def asked(sim: Simulator) -> int:
    return len([call for call in sim.calls if call.endpoint == "Assets"])


def test_an_unknown_name_is_looked_up_once_and_kept_over_a_restart(sim: Simulator, tmp_path: Path) -> None:
    """Shipped names keep their meaning, whatever a reply says; a new one is learned, also without Kraken later."""
    sim.fault(ASSETS)
    sim.set_balance("MASTER", {"XNEW": "7.5", "XAUT": "1.25", "WHAT.Q": "3"})
    events = Events()
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK)
    engine.subscribe(events)
    with engine:
        events.wait_for(knows("NEW"))
        assets = engine.balance("MASTER", max_age=0).assets
        assert {name: str(each.total) for name, each in assets.items()} == {"NEW": "7.5", "XAUT": "1.25", "WHAT": "3"}
        assert assets["WHAT"].available == 0, "an unknown suffix is shown, and is not free"
        sim.wait_for_calls(len(sim.calls) + 3)
        assert asked(sim) == 1, "WHAT is not in the list either, and is not asked for again and again"
    with sim.outage(), Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as again:
        assert again.balance("MASTER").assets["NEW"].total == assets["NEW"].total
    assert read_names(tmp_path).names["XNEW"] == "NEW"


def test_tokenized_assets_are_asked_for_where_somebody_holds_some(tmp_path: Path) -> None:
    """Kraken lists them only to whom asks for them."""
    tmp_path.chmod(0o700)
    asked: list[tuple[object, ...]] = []
    shares = {"BF.A": {"altname": "BF.A", "aclass": "tokenized_asset"}}

    def fetch(*what: object) -> object:
        asked.append(what)
        return shares if len(what) == 3 else LISTED

    names = AssetNames()
    ref = CatalogueActor.start(
        tmp_path, fetch=fetch, learn=names.learn, after=lambda *_: None, clock=SYSTEM_CLOCK,
        drift=DriftLog(SYSTEM_CLOCK, lambda _: None), wants_shares=lambda: names.wants_shares,
    )  # fmt: skip
    try:
        names.read("Balance", {"WHAT.Q": "1"})
        assert not names.wants_shares
        names.read("Balance", {"AAPLx": "1"})
        assert names.wants_shares
        ref.ask(LookForAssets(), timeout=10)
        assert [what[2:] for what in asked] == [(), ({"aclass": "tokenized_asset"},)]
        assert names.table.locate("BF.A").asset == "BF.A"
        assert names.table.names["XNEW"] == "NEW"
    finally:
        stop_actor(ref)
        assert wait_finished(ref, 10)
    assert read_names(tmp_path).locate("BF.A").asset == "BF.A"


def test_a_row_of_a_balance_proves_a_name_in_cash() -> None:
    """Whatever the list of assets says: it may be older than the asset."""
    names = AssetNames(cash=("USD", "FRESH"))
    names.learn({"ZUSD": {"altname": "USD"}, "XXBT": {"altname": "XBT"}})
    with pytest.raises(ConfigError, match="FRESH"):
        names.check_cash()
    assert names.read("Balance", {"FRESH": "5"})["FRESH"].total == 5
    names.check_cash()
    assert names.cash == ("USD", "FRESH")


def test_known_names_ask_for_nothing(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "1", "XXBT": "1", "USD.F": "1", "XTZ": "1"})
    settings = Settings(refresh_every=0.1, local_limits=False)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=settings):
        sim.wait_for_calls(3, endpoint="BalanceEx")
    assert asked(sim) == 0


def test_a_list_of_assets_that_hangs_delays_no_balance(sim: Simulator, tmp_path: Path) -> None:
    """G8 and G13: the fetch hangs, balances go on under the names they came with, and stop is quick."""
    sim.fault(Fault.hang(endpoint="Assets"))
    sim.set_balance("MASTER", {"XNEW": "7.5"})
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER", max_age=0).assets["XNEW"].total
        sim.wait_for_calls(1, endpoint="Assets", ended=False)
        assert engine.balance("MASTER", max_age=0).assets["XNEW"].total
        with Stopwatch() as watch:
            engine.stop()
    assert watch.seconds < 5, "the fetch would take ten seconds"


class Failing:
    """Fails for as long as it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = True
        self.called = threading.Event()

    def __call__(self, endpoint: str, seconds: float) -> object:
        self.calls += 1
        self.called.set()
        if self.fails:
            raise CallUnknown("no answer")
        return LISTED


@pytest.fixture
def timers() -> list[tuple[float, Callable[[], None]]]:
    return []


def test_a_failed_fetch_is_tried_again_later_and_later(
    tmp_path: Path, timers: list[tuple[float, Callable[[], None]]]
) -> None:
    tmp_path.chmod(0o700)
    fetch = Failing()
    learned: list[object] = []
    ref = CatalogueActor.start(
        tmp_path, fetch=fetch, learn=learned.append, after=lambda *timer: timers.append(timer), clock=SYSTEM_CLOCK,
        drift=DriftLog(SYSTEM_CLOCK, learned.append),
    )
    try:
        ref.ask(LookForAssets(), timeout=10)
        ref.ask(LookForAssets(), timeout=10)
        assert fetch.calls == 1, "the second asks too early"
        assert len(timers) == 1
        assert timers[0][0] > 1
        assert not learned
    finally:
        stop_actor(ref)
        assert wait_finished(ref, 10)


def test_a_damaged_file_costs_nothing_but_the_fetch(sim: Simulator, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / FILE_NAME
    file.write_bytes(b"no database" * 100)
    file.chmod(0o600)
    assert read_names(tmp_path) == AssetTable.shipped()
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER", max_age=0).cash is not None
    assert list(tmp_path.glob(f"{FILE_NAME}.damaged-*"))
