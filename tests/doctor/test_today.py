"""The doctor compares what Kraken says today with what the engine knows, and says whether an account could trade."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Settings
from engine.doctor import examine_running
from engine.doctor.can_trade import probe_pair
from engine.doctor.finding import Level
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.simulator import Fault, Simulator
from engine.values import AssetBalance
from tests.conftest import private_calls
from tests.doctor.test_doctor import Found, look, one, state

__all__ = ["one", "state"]  # fixtures


def changed(sim: Simulator, endpoint: str, change: Callable[[dict[str, Any]], object]) -> None:
    """From now on Kraken's reply of a public endpoint is another."""
    with urllib.request.urlopen(f"{sim.url}/0/public/{endpoint}") as answer:
        told = json.load(answer)
    change(told["result"])
    sim.fault(Fault.body(json.dumps(told).encode(), endpoint=endpoint))


def notes(found: Found) -> str:
    return " ".join(each.found for each in found.all if each.level is Level.NOTE)


def test_what_kraken_no_longer_tells_is_a_note(one: Simulator, state: Path) -> None:
    """All is well with the engine: it counts with a bound, and says which."""

    def without_fees(rows: dict[str, Any]) -> None:
        for row in rows.values():
            row.update(fees=[], fees_maker=[], rumour="a value")
            row.pop("status", None)

    changed(one, "AssetPairs", without_fees)
    found = look(one, state)
    told = notes(found)
    assert "AssetPairs no longer lists fees; the engine assumes 0.8 %" in told
    assert "rumour" in told
    assert "status" in told
    assert "a value" not in told
    assert found("pairs").level is Level.OK
    assert not found.of(Level.BAD) + found.of(Level.WARN)


def test_rows_that_cannot_be_read_are_counted(one: Simulator, state: Path) -> None:
    changed(one, "AssetPairs", lambda rows: rows.update(BROKEN={"altname": "BROKEN"}, ODD=7))
    finding = look(one, state)("pairs")
    assert finding.level is Level.WARN
    assert finding.found.startswith("2 of Kraken's ")


def test_a_list_of_which_nothing_can_be_read_is_bad(one: Simulator, state: Path) -> None:
    changed(one, "AssetPairs", lambda rows: [row.clear() for row in rows.values()])
    found = look(one, state)
    assert found("pairs").level is Level.BAD
    assert found("prices").level is Level.SKIPPED


def test_what_kraken_changes_for_a_key_is_a_note_too(one: Simulator, state: Path) -> None:
    with Engine(one.accounts, url=one.url, state_dir=state) as engine:
        info = engine.call("MASTER", "GetApiKeyInfo")
    body = json.dumps({"error": [], "result": {**info, "mood": "good"}}).encode()
    one.fault(Fault.body(body, endpoint="GetApiKeyInfo"))
    assert "GetApiKeyInfo replies have a field that this engine does not know: mood" in notes(look(one, state))


# Could it trade?


def test_the_smallest_order_is_checked_and_not_placed(one: Simulator, state: Path) -> None:
    finding = look(one, state)("can-trade", "MASTER")
    assert finding.level is Level.OK
    assert finding.found.startswith("Yes: ")
    (call,) = [call for call in private_calls(one) if call.endpoint == "AddOrder"]
    assert call.params["validate"] == "true"
    assert {"deadline", "cl_ord_id"} <= call.params.keys(), "as a live order is sent"
    assert not one.placements("MASTER")


@pytest.mark.parametrize(
    "code",
    ["EAccount:Invalid permissions:margin trading restricted", "EGeneral:Permission denied", "EOrder:Never heard of"],
)
def test_an_order_that_kraken_refuses_is_bad_each_time(one: Simulator, state: Path, code: str) -> None:
    one.fault(Fault.error(code, endpoint="AddOrder"))
    for _ in range(2):
        finding = look(one, state)("can-trade", "MASTER")
        assert finding.level is Level.BAD
        assert finding.found.startswith("No: ")
        assert code in finding.found


def test_a_busy_kraken_settles_nothing(one: Simulator, state: Path) -> None:
    one.fault(Fault.error("EService:Unavailable", endpoint="AddOrder"))
    finding = look(one, state, settings=Settings(call_timeout=1.0))("can-trade", "MASTER")
    assert finding.level is Level.WARN
    assert finding.found.startswith("Not now: ")


def test_an_empty_account_cannot_trade_now(one: Simulator, state: Path) -> None:
    one.set_balance("MASTER", {})
    finding = look(one, state)("can-trade", "MASTER")
    assert finding.level is Level.WARN
    assert not [call for call in private_calls(one) if call.endpoint == "AddOrder"]


def test_a_key_that_may_not_trade_is_not_tried(one: Simulator, state: Path) -> None:
    one.set_permissions("MASTER", {"query-funds"})
    finding = look(one, state)("can-trade", "MASTER")
    assert finding.level is Level.SKIPPED
    assert "may not trade" in finding.found
    assert not [call for call in private_calls(one) if call.endpoint == "AddOrder"]


@pytest.mark.parametrize(
    ("held", "pair"),
    [
        ({"USD": "100", "USDT": "5"}, "XBTUSD"),
        ({"USD": "0", "USDT": "5"}, "XBTUSDT"),
        ({"EUR": "5000"}, "XBTEUR"),
        ({"XBT": "1"}, "XBTUSD"),
        ({}, "XBTUSD"),
    ],
)
def test_the_pair_follows_the_money_that_is_there(held: dict[str, str], pair: str) -> None:
    amounts = {name: Decimal(amount) for name, amount in held.items()}
    assets = {name: AssetBalance(amount, amount, Decimal(0)) for name, amount in amounts.items()}
    assert probe_pair(BalanceSnapshot("MASTER", assets=assets), Settings()) == pair


def test_calls_that_kraken_limits_against_our_count_are_said(one: Simulator, state: Path) -> None:
    settings = Settings(refresh_every=3600)
    with Engine(one.accounts, url=one.url, state_dir=state, settings=settings) as engine:
        one.fault(Fault.error("EAPI:Rate limit exceeded", endpoint="OpenOrders", times=1))
        with pytest.raises(Exception, match="Rate limit"):
            engine.call("MASTER", "OpenOrders", timeout=0.5)
        lane = engine.status().lane
        assert lane is not None
        assert lane.keys["MASTER"].limited == 1
        found = Found(examine_running(engine, "MASTER", settings))
    assert found("call-cost", "MASTER").level is Level.WARN
