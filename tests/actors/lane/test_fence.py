"""Before anything but a read is sent with a key that an earlier owner may be using, Kraken accepts a read with it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Account, CallNotSent, Engine, OrderState
from engine.actors.backing.file_backing import FileBacking
from engine.actors.events import EngineWarning, OrderChanged
from engine.errors import CallRefused, OrderUnknown, OwnershipLost
from engine.kraken.endpoints import private_endpoint
from engine.kraken.signing import Signer, encode
from engine.ownership import LOCK_NAME
from engine.simulator import Fault, Simulator
from tests.app.test_place import RESTS
from tests.conftest import QUICK, Events, private_calls
from tests.stopwatch import PATIENCE

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "20000"}
SETTINGS = replace(QUICK, allow_withdrawals=True, order_deadline=2.0, settle_margin=2.0)


class FencingFiles(FileBacking):
    """A state directory that another machine had before, whose last call may still be on its way."""

    fences = True


def over(sim: Simulator, directory: Path, **options: Any) -> Engine:
    return Engine.over(
        FencingFiles(directory), sim.accounts, url=sim.url, settings=SETTINGS, live=True, balances=(), **options
    )


@pytest.fixture
def successor(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with over(sim, tmp_path / "state") as engine:
        yield engine


def sent(sim: Simulator, account: str = "MASTER") -> list[str]:
    return [call.endpoint for call in private_calls(sim) if call.account == account]


def test_each_key_is_fenced_once_by_a_read_of_its_own(sim: Simulator, successor: Engine) -> None:
    for account in ("MASTER", "ALICE"):
        for _ in range(2):
            successor.call(account, "AddOrder", ORDER)
        assert sent(sim, account) == ["GetApiKeyInfo", "AddOrder", "AddOrder"]


def test_a_read_goes_out_and_is_the_fence_once_it_is_accepted(sim: Simulator, successor: Engine) -> None:
    with sim.outage(Fault.error("EGeneral:Permission denied", endpoint="Balance")), pytest.raises(CallRefused):
        successor.call("MASTER", "Balance")
    successor.call("ALICE", "Balance")
    for account in ("MASTER", "ALICE"):
        successor.call(account, "AddOrder", ORDER)
    assert sent(sim)[-2:] == ["GetApiKeyInfo", "AddOrder"], "a read that was refused is none"
    assert sent(sim, "ALICE") == ["Balance", "AddOrder"]


CALLS = [
    ("AddOrder", ORDER),
    ("CancelAll", {}),
    ("CancelAllOrdersAfter", {"timeout": 60}),
    ("Withdraw", {"asset": "XBT", "key": "cold", "amount": "0.1"}),
    ("OpenOrders", {"cl_ord_id": "0123456789abcdef0123456789abcdef"}),
]


@pytest.mark.parametrize(("endpoint", "params"), CALLS)
def test_until_then_only_reads_are_sent(
    sim: Simulator, successor: Engine, endpoint: str, params: dict[str, Any]
) -> None:
    told = pytest.raises(CallNotSent, match="has not accepted the key since this node took the account over")
    with sim.outage(Fault.http(502, endpoint="GetApiKeyInfo")), told:
        successor.call("MASTER", endpoint, params)
    assert set(sent(sim)) == {"GetApiKeyInfo"}
    assert successor.call("MASTER", "Balance")
    assert sent(sim)[-1] == "Balance"


def test_a_fence_that_hangs_ends_with_the_time_of_its_call(sim: Simulator, successor: Engine) -> None:
    with sim.outage(Fault.hang(endpoint="GetApiKeyInfo")), pytest.raises(CallNotSent):
        successor.call("MASTER", "AddOrder", ORDER, timeout=1.0)
    assert "AddOrder" not in sent(sim)


def test_another_key_of_the_account_is_fenced_anew(sim: Simulator, successor: Engine) -> None:
    successor.call("MASTER", "AddOrder", ORDER)
    new = sim.replace_key("MASTER")
    successor.replace_key("MASTER", new.key, new.secret)
    successor.call("MASTER", "CancelAll")
    assert sent(sim)[-2:] == ["GetApiKeyInfo", "CancelAll"]


def test_what_the_earlier_owner_had_signed_is_refused_after_that(sim: Simulator, tmp_path: Path) -> None:
    """Its bytes come late: without the fence Kraken would have taken them."""
    account = next(Account.of(each) for each in sim.accounts if each.name == "MASTER")
    late = _signed(sim.url, account, time.time_ns())
    with over(sim, tmp_path / "state") as successor:
        successor.call("MASTER", "CancelAll")
        with urllib.request.urlopen(late, timeout=PATIENCE) as reply:
            assert b"EAPI:Invalid nonce" in reply.read()
    assert sim.placements("MASTER") == []


def _signed(url: str, account: Account, nonce: int) -> urllib.request.Request:
    """An order as its owner has signed it and not sent yet."""
    endpoint = private_endpoint("AddOrder")
    encoded = encode(endpoint, ORDER)
    body = encoded.with_nonce(nonce)
    signer = Signer(account.secret, account.key)
    headers = signer.headers(endpoint.path, body, nonce, encoded.content_type)
    return urllib.request.Request(url + endpoint.path, body, headers)


def test_an_unknown_order_is_looked_up_only_after_the_fence(sim: Simulator, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    first = Engine(sim.accounts, url=sim.url, state_dir=directory, settings=SETTINGS, live=True, balances=())
    with first, ThreadPoolExecutor(1) as thread:
        sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
        sim.fault(Fault.http(502, endpoint="OpenOrders"))
        placing = thread.submit(first.place, "MASTER", RESTS, id="one", timeout=PATIENCE)
        sim.wait_for_calls(1, endpoint="OpenOrders", timeout=PATIENCE)
        first.stop()
        with pytest.raises(OrderUnknown):
            placing.result(PATIENCE)
    sim.clear_faults()
    fence = sim.fault(Fault.http(502, endpoint="GetApiKeyInfo"))
    before = len(private_calls(sim))
    events = Events()
    successor = over(sim, directory)
    successor.subscribe(events)
    with successor:
        sim.wait_for_calls(2, endpoint="GetApiKeyInfo", timeout=PATIENCE)
        assert {call.endpoint for call in private_calls(sim)[before:]} == {"GetApiKeyInfo"}
        fence.remove()
        told = events.wait_for(lambda each: isinstance(each, OrderChanged) and each.receipt.state is OrderState.PLACED)
        assert told.receipt.id == "one"
    assert len(sim.placements("MASTER")) == 1


def test_what_waits_ends_as_not_sent_when_it_is_another_owners(sim: Simulator, tmp_path: Path) -> None:
    directory, events = tmp_path / "state", Events()
    with over(sim, directory) as engine:
        engine.subscribe(events)
        hanging = sim.fault(Fault.hang(endpoint="Balance"))
        first = engine.submit("MASTER", "Balance")
        sim.wait_for_calls(1, endpoint="Balance", ended=False, timeout=PATIENCE)
        waiting: list[Future[Any]] = [engine.submit("MASTER", "TradeBalance") for _ in range(5)]
        (directory / LOCK_NAME).unlink()
        hanging.remove()
        assert first.result(PATIENCE)
        for each in waiting:
            with pytest.raises(OwnershipLost):
                each.result(PATIENCE)
        events.wait_for(lambda each: isinstance(each, EngineWarning) and each.code == "ownership-lost")
        assert [each.code for each in engine.status().warnings] == ["ownership-lost"]
    assert "TradeBalance" not in sent(sim)
