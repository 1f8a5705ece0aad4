"""Endpoints that the table does not have are called with the class that their caller names (promise G14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, PrivateCall
from engine.errors import CallError, CallNotSent, CallUnknown, NotLive, PermissionDenied, UnknownName
from engine.kraken.endpoints import PRIVATE, PUBLIC, CallClass
from engine.kraken.signing import encode
from engine.kraken.unlisted import CLASSES, DEAREST, endpoint_of, public_endpoint_of
from engine.rules.lane.key_breaker import DENIED_AT_MOST, KeyBreaker
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE

NEW = "ListThings"


@pytest.fixture
def answering(sim: Simulator) -> Simulator:
    """The simulator, whose Kraken has an endpoint more."""
    sim.fault(Fault.body(b'{"error":[],"result":["a",7]}', endpoint=NEW))
    sim.fault(Fault.body(b'{"error":[],"result":true}', endpoint="DoThings"))
    sim.fault(Fault.body(b'{"error":[],"result":[]}', endpoint="WithdrawMethods"))
    return sim


@pytest.fixture
def live(answering: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with Engine(answering.accounts, url=answering.url, state_dir=tmp_path, settings=QUICK, live=True) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "call_class", "writes", "places", "funds"),
    [
        ("read", CallClass.READ, False, False, False),
        ("settle", CallClass.SETTLE, False, False, False),
        ("order", CallClass.ORDER, True, True, False),
        ("cancel", CallClass.CANCEL, True, False, False),
        ("funds", CallClass.ORDER, True, False, True),
    ],
)
def test_what_may_be_done_follows_from_the_class(
    name: str, call_class: CallClass, writes: bool, places: bool, funds: bool
) -> None:
    found = endpoint_of(NEW, {}, name)
    assert (found.call_class, found.writes, found.places, found.funds) == (call_class, writes, places, funds)
    assert found.path == f"/0/private/{NEW}"
    assert endpoint_of("Earn/Something", {}, name).path == "/0/private/Earn/Something"
    assert found.cost == DEAREST == max(each.cost for each in PRIVATE.values())
    assert not found.validates, "what Kraken makes of it there is not known"


@pytest.mark.parametrize(
    "name",
    [
        "", "../public/Time", "Earn/../AddOrder", "Earn//Allocate", "/Balance", "Balance/", "List Things", "List\n",
        "ListThings\n", "List%2FThings", "List?x=1", "List#x", "Lïst", "A" * 500, "A/B/C/D", ".", "1List", None, 7,
        ["ListThings"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("endpoint_class", [None, "read", "order"])
def test_odd_names_are_refused(name: Any, endpoint_class: str | None) -> None:
    """A name goes into the path that is signed."""
    with pytest.raises(UnknownName):
        endpoint_of(name, {}, endpoint_class)
    with pytest.raises(CallNotSent):
        public_endpoint_of(name, endpoint_class)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("addorder", "'AddOrder'"), ("ADDORDER", "'AddOrder'"), ("Ticker", "public"), ("RetrieveExport", "zip"),
     ("earn/allocate", "'Earn/Allocate'")],
)  # fmt: skip
def test_a_known_endpoint_is_not_called_as_something_else_under_another_spelling(name: str, hint: str) -> None:
    with pytest.raises(UnknownName, match=hint):
        endpoint_of(name, {}, "read")
    with pytest.raises(UnknownName, match="private"):
        public_endpoint_of("Balance", "read")


@pytest.mark.parametrize("name", PRIVATE)
def test_a_class_that_contradicts_the_table_is_refused(name: str) -> None:
    found = endpoint_of(name, {"new": "true"})
    right = {each for each in CLASSES if _is_taken(name, each)}
    if found.funds:
        assert right == {"funds"}
    elif found.call_class is CallClass.CANCEL:
        assert right == {"cancel"}
    else:
        assert right == ({"order"} if found.writes else {"read", "settle"})


def _is_taken(name: str, endpoint_class: str) -> bool:
    try:
        return endpoint_of(name, {"new": "true"}, endpoint_class) == endpoint_of(name, {"new": "true"})
    except CallNotSent as error:
        return isinstance(error, UnknownName) or "endpoint_class" not in str(error)


@pytest.mark.parametrize("endpoint_class", ["", "READ", "write", 3, CallClass.READ, ["read"]])
def test_an_unknown_endpoint_class_is_refused(endpoint_class: Any) -> None:
    asks: tuple[Callable[[], object], ...] = (
        lambda: endpoint_of(NEW, {}, endpoint_class),
        lambda: endpoint_of("Balance", {}, endpoint_class),
        lambda: public_endpoint_of("Time", endpoint_class),
    )
    for ask in asks:
        with pytest.raises(CallNotSent, match="read, settle, order, cancel, funds"):
            ask()


def test_a_deposit_address_is_read_unless_a_new_one_is_asked_for() -> None:
    assert not endpoint_of("DepositAddresses", {"asset": "XBT"}).writes
    assert endpoint_of("DepositAddresses", {"asset": "XBT"}).call_class is CallClass.READ
    for new in (True, "true", "false", False, "", 1):
        assert endpoint_of("DepositAddresses", {"new": new}).writes, "Kraken may read any spelling as yes"


def test_nested_parameters_go_as_json() -> None:
    for params in ({"a": {"b": 1}}, {"a": [{"b": 1}]}, {"a": [[1]]}):
        body = encode(endpoint_of(NEW, params, "read"), params)
        assert body.content_type == "application/json"
    assert not endpoint_of(NEW, {"a": [1, "x"], "b": 2}, "read").json


def test_a_new_endpoint_is_called(live: Engine, answering: Simulator) -> None:
    """Any shape of a result comes as it is, by `call`, `submit` and the actor."""
    assert live.call("MASTER", NEW, {"x": "1"}, endpoint_class="read") == ["a", 7]
    assert live.submit("MASTER", NEW, endpoint_class="settle").result(PATIENCE) == ["a", 7]
    assert live.call("MASTER", "DoThings", endpoint_class="order") is True
    assert live.private.ask(PrivateCall("MASTER", NEW, {}, PATIENCE, endpoint_class="read"), timeout=PATIENCE)
    assert live.private.proxy().call("MASTER", NEW, endpoint_class="read").get(timeout=PATIENCE) == ["a", 7]
    sent = [call.params for call in answering.calls if call.endpoint == NEW]
    assert sent == [{"x": "1"}, {}, {}, {}]
    with pytest.raises(UnknownName, match="endpoint_class"):
        live.call("MASTER", NEW)
    with pytest.raises(CallNotSent, match="'order'"):
        live.call("MASTER", "AddOrder", endpoint_class="read")
    with pytest.raises(CallNotSent, match="allow_withdrawals"):
        live.call("MASTER", NEW, endpoint_class="funds")


def test_a_new_public_endpoint_is_called(live: Engine, sim: Simulator) -> None:
    sim.fault(Fault.body(b'{"error":[],"result":"well"}', endpoint="NewPublic"))
    assert live.public("NewPublic", endpoint_class="read") == "well"
    with pytest.raises(UnknownName, match="endpoint_class"):
        live.public("NewPublic")
    with pytest.raises(CallNotSent, match="a read"):
        live.public("NewPublic", endpoint_class="order")


def test_a_lost_answer_follows_the_class(live: Engine, sim: Simulator) -> None:
    """G5: of a write it is unknown, and the write is not sent again; a read is."""
    sim.clear_faults()
    sim.fault(Fault.http(502, endpoint=NEW, times=1))
    with pytest.raises(CallUnknown):
        live.call("MASTER", NEW, endpoint_class="order")
    assert [call.endpoint for call in sim.calls].count(NEW) == 1
    sim.fault(Fault.http(502, endpoint="OtherThings", times=1))
    sim.fault(Fault.body(b'{"error":[],"result":{}}', endpoint="OtherThings"))
    assert live.call("MASTER", "OtherThings", endpoint_class="read") == {}


def test_an_engine_that_is_not_live(answering: Simulator, tmp_path: Path) -> None:
    """Nothing new trades there; a cancel and a read go."""
    with Engine(answering.accounts, url=answering.url, state_dir=tmp_path, settings=QUICK) as engine:
        with pytest.raises(NotLive):
            engine.call("MASTER", NEW, endpoint_class="order")
        with pytest.raises(CallNotSent, match="no dry run"):  # nobody knows what `validate` means there
            engine.call("MASTER", NEW, {"validate": True}, endpoint_class="order")
        with pytest.raises(CallNotSent, match="allow_withdrawals"):
            engine.call("MASTER", NEW, endpoint_class="funds")
        assert engine.call("MASTER", NEW, endpoint_class="cancel") == ["a", 7]
        assert engine.call("MASTER", "WithdrawMethods", {"asset": "XBT"}, endpoint_class="read") == []


def test_invented_names_that_are_denied_do_not_fill_the_memory() -> None:
    """What is held back of a key has an end, and the newest is held."""
    guard = KeyBreaker()
    denied: CallError = PermissionDenied("no", kraken_code="EGeneral:Permission denied")
    for number in range(DENIED_AT_MOST + 50):
        guard = guard.after(denied, f"Invented{number}", float(number))
    assert len(guard.calls) == DENIED_AT_MOST
    assert guard.check(f"Invented{DENIED_AT_MOST + 49}", DENIED_AT_MOST + 50.0) is not None


def test_the_endpoints_of_2026_are_in_the_table() -> None:
    assert {"ListWalletAccounts", "GetApiKeyInfo", "OrderAmends", "CreditLines", "Level3"} <= PRIVATE.keys()
    assert {"GroupedBook", "PreTrade", "PostTrade", "MaintenanceSchedule"} <= PUBLIC.keys()
    assert not PRIVATE["ListWalletAccounts"].permissions
