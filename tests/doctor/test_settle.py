"""`doctor --settle`: safe questions only, one after another; what was learnt is told, kept, and used (promise G14)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Settings
from engine.actors.fact_file import FILE_NAME, read_facts
from engine.cli.exits import Exit
from engine.cli.options import Options
from engine.cli.settle import settle
from engine.doctor.fact_finder import FactFinder, NotLearnt, finding_of
from engine.doctor.finding import Finding, Level
from engine.errors import ConfigError, StoreInUse
from engine.kraken.facts import FACTS, ORDER, PLACED, PRODUCTS, WALLETS, Learnt
from engine.simulator import Fault, Simulator
from engine.values import SYSTEM_CLOCK
from tests.doctor.test_doctor import check_wording, configured, one

__all__ = ["configured", "one"]  # fixtures

QUICK = Settings(local_limits=False)


def told_by(
    sim: Simulator, state: Path, *, place: bool = False, settings: Settings = QUICK
) -> dict[str, Learnt | NotLearnt]:
    """What one run learns, by fact."""
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=settings, live=place, balances=()) as engine:
        finder = FactFinder(engine, "MASTER", url=sim.url, settings=settings, clock=SYSTEM_CLOCK, pause=0.0)
        return {each.fact: each for each in finder.learn(place=place)}


def answer(told: Learnt | NotLearnt) -> str:
    assert isinstance(told, Learnt), told
    return told.answer


def orders(sim: Simulator) -> list[dict[str, Any]]:
    return [dict(call.params) for call in sim.calls if call.endpoint == "AddOrder"]


def refusing(code: str, **where: Any) -> Fault:
    return Fault.error(code, endpoint="AddOrder", **where)


def wallets(*ids: str) -> Fault:
    listed = {"accounts": [{"account_id": each, "type": "spot"} for each in ids]}
    return Fault.body(json.dumps({"error": [], "result": listed}).encode(), endpoint="ListWalletAccounts")


def test_every_question_but_that_of_a_real_order_is_asked(one: Simulator, tmp_path: Path) -> None:
    told = told_by(one, tmp_path)
    assert told.keys() == FACTS.keys() - {PLACED}
    assert not one.placements("MASTER")
    for each in told.values():
        check_wording(finding_of(each), ())


def test_an_order_is_tried_as_it_is_sent_and_without_its_deadline(one: Simulator, tmp_path: Path) -> None:
    assert answer(told_by(one, tmp_path)[ORDER]) == "taken"
    first, second = orders(one)
    assert first.keys() - second.keys() == {"deadline"}
    for each in (first, second):
        assert each["validate"] == "true"
        assert len(each["cl_ord_id"]) == 32
        assert "post" in each["oflags"]
        assert float(each["price"]) < 40_000, "far below the market"


@pytest.mark.parametrize(
    ("refusals", "read"),
    [(1, "deadline-refused"), (2, "name-refused"), (3, "refused")],
)
def test_a_refusal_names_the_culprit(one: Simulator, tmp_path: Path, refusals: int, read: str) -> None:
    one.fault(refusing("EGeneral:Invalid arguments:deadline", times=refusals))
    told = told_by(one, tmp_path)[ORDER]
    assert answer(told) == read
    finding = finding_of(told)
    assert finding.level is Level.BAD
    assert "EGeneral:Invalid arguments:deadline" in finding.found
    if read == "deadline-refused":
        assert "second one would be sent" in finding.found, "what would be lost without it is said"


def test_a_refused_product_is_not_the_keys_fault(one: Simulator, tmp_path: Path) -> None:
    one.fault(refusing("EAccount:Invalid permissions:XBT trading restricted for DK."))
    assert answer(told_by(one, tmp_path)[PRODUCTS]) == "product"


def test_no_order_is_tried_with_a_key_that_may_not_trade(one: Simulator, tmp_path: Path) -> None:
    one.set_permissions("MASTER", {"query-funds"})
    told = told_by(one, tmp_path)
    assert isinstance(told[ORDER], NotLearnt)
    assert "may not trade" in finding_of(told[ORDER]).found
    assert not orders(one)


def test_a_question_that_fails_is_not_settled_and_the_others_go_on(one: Simulator, tmp_path: Path) -> None:
    one.fault(Fault.error("EGeneral:Permission denied", endpoint="TradeVolume"))
    one.fault(Fault.body(b'{"error":[],"result":{"accounts":7}}', endpoint="ListWalletAccounts"))
    told = told_by(one, tmp_path)
    assert isinstance(told["fee"], NotLearnt)
    assert "EGeneral:Permission denied" in finding_of(told["fee"]).found
    assert isinstance(told[WALLETS], NotLearnt)
    assert answer(told[ORDER]) == "taken"


def test_a_refused_key_is_used_once(one: Simulator, tmp_path: Path) -> None:
    one.revoke("MASTER")
    told = told_by(one, tmp_path)
    assert isinstance(told[ORDER], NotLearnt)
    assert len([call for call in one.calls if call.private]) == 1
    assert answer(told["names"]), "what needs no key is settled all the same"


def test_several_wallets_are_a_warning_and_their_ids_are_not_kept(one: Simulator, tmp_path: Path) -> None:
    """Also where Balance does not take their ids."""
    one.fault(wallets("AA-SECRET-1", "AA-SECRET-2"))
    told = told_by(one, tmp_path)[WALLETS]
    finding = finding_of(told)
    assert finding.level is Level.WARN
    assert "2 wallets" in finding.found
    assert isinstance(told, Learnt)
    assert "SECRET" not in json.dumps(told.to_dict())


def test_a_dry_run_that_placed_an_order_is_canceled(one: Simulator, tmp_path: Path) -> None:
    """Should Kraken ever take a dry run for a real one, the order does not stay."""
    placed = {"descr": {"order": "buy"}, "txid": ["OAAAAA-BBBBB-CCCCCC"]}
    one.fault(Fault.body(json.dumps({"error": [], "result": placed}).encode(), endpoint="AddOrder"))
    told = told_by(one, tmp_path)[ORDER]
    assert isinstance(told, NotLearnt)
    (cancel,) = [call for call in one.calls if call.endpoint == "CancelOrder"]
    assert cancel.params["txid"] == "OAAAAA-BBBBB-CCCCCC"
    assert len(orders(one)) == 1


# The one real order


def test_one_order_is_placed_and_canceled(one: Simulator, tmp_path: Path) -> None:
    one.set_listing_lag(0.3, closing=0.3)
    told = told_by(one, tmp_path, place=True)
    assert told.keys() == {PLACED}
    assert answer(told[PLACED]) == "seen"
    assert len(one.placements("MASTER")) == 1
    (row,) = one.orders("MASTER")
    assert row["status"] == "canceled"
    assert float(row["vol_exec"]) == 0
    found = finding_of(told[PLACED]).found
    assert "with our name" in found
    assert "second cancel" in found
    assert "EOrder:" in found
    assert len([call for call in one.calls if call.endpoint == "CancelOrder"]) == 2


def test_an_order_that_is_not_listed_in_time_is_canceled_all_the_same(one: Simulator, tmp_path: Path) -> None:
    one.set_listing_lag(1.0)
    told = told_by(one, tmp_path, place=True, settings=Settings(local_limits=False, settle_margin=0.1))[PLACED]
    (row,) = one.orders("MASTER")
    assert row["status"] == "canceled"
    assert answer(told) == "late"


# The command


@pytest.mark.usefixtures("configured")
def test_what_was_learnt_is_kept_and_said_again(
    one: Simulator, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one.fault(refusing("EGeneral:Invalid arguments:deadline", times=1))
    assert settle(Options(json=True), "MASTER", place=False, yes=False, pause=0.0) == Exit.REFUSED
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["facts"]["order/MASTER"]["answer"] == "deadline-refused"
    assert read_facts(state).answer(ORDER, "MASTER") == "deadline-refused"
    assert (state / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with Engine(one.accounts, url=one.url, state_dir=state) as engine:
        (warning,) = [each for each in engine.status().warnings if each.code == "kraken-fact"]
    assert "deadline" in warning.message
    assert settle(Options(), "MASTER", place=False, yes=False, pause=0.0) == Exit.DONE
    assert "are settled" in capsys.readouterr().out
    with Engine(one.accounts, url=one.url, state_dir=state) as engine:
        assert not [each for each in engine.status().warnings if each.code == "kraken-fact"]


@pytest.mark.usefixtures("configured")
def test_an_owned_directory_is_refused_by_name(one: Simulator, state: Path) -> None:
    with Engine(one.accounts, url=one.url, state_dir=state), pytest.raises(StoreInUse) as refused:
        settle(Options(), "MASTER", place=False, yes=False, pause=0.0)
    assert refused.value.pid


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("live", "word"), [(False, "--live"), (True, "--yes")])
def test_a_real_order_needs_two_options_and_a_terminal(one: Simulator, live: bool, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        settle(Options(live=live), "MASTER", place=True, yes=False, pause=0.0)
    assert not one.calls


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_finding_of_the_settling_names_the_account_only_where_it_is_its_own() -> None:
    assert finding_of(Learnt("ticker", "kept", "Seen.", "MASTER")) == Finding(
        "ticker", None, Level.OK, f"Seen. {FACTS['ticker'].answers['kept']}"
    )
    assert finding_of(Learnt("fee", "told", "Seen.", "MASTER")).account == "MASTER"
