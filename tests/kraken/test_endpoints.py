"""The table of endpoints: what each call is and what it may do (promises G3, G4, G5)."""

from __future__ import annotations

import pytest

from engine.errors import CallNotSent, ConfigError, UnknownName
from engine.kraken.endpoints import (
    PERMISSIONS,
    PRIVATE,
    PUBLIC,
    CallClass,
    call_class,
    is_dry_run,
    private_endpoint,
    public_endpoint,
)

CANCELS = {"CancelOrder", "CancelOrderBatch", "CancelAll", "CancelAllOrdersAfter"}
PLACEMENTS = {"AddOrder", "AddOrderBatch", "EditOrder", "AmendOrder"}
OTHER_WRITES = {
    "AddExport", "RemoveExport", "Withdraw", "WithdrawCancel", "WalletTransfer", "AccountTransfer", "CreateSubaccount",
    "Earn/Allocate", "Earn/Deallocate", "DepositAddresses",
}  # fmt: skip


def test_order_of_service() -> None:
    """G4: cancel, then order, then settle, then read."""
    assert CallClass.CANCEL < CallClass.ORDER < CallClass.SETTLE < CallClass.READ


def test_names_and_paths() -> None:
    """G5: every endpoint is found under its own name, and signed for its own path."""
    for name, endpoint in PRIVATE.items():
        assert private_endpoint(name) is endpoint
        assert (endpoint.name, endpoint.path, endpoint.public) == (name, f"/0/private/{name}", False)
    for name, endpoint in PUBLIC.items():
        assert public_endpoint(name) is endpoint
        assert (endpoint.name, endpoint.path, endpoint.public) == (name, f"/0/public/{name}", True)
        assert endpoint.cost == 0
        assert not endpoint.writes


def test_what_writes() -> None:
    """G5: an unreadable answer to one of these is *unknown*; to any other it loses nothing."""
    assert {e.name for e in PRIVATE.values() if e.writes} == CANCELS | PLACEMENTS | OTHER_WRITES
    assert {e.name for e in PRIVATE.values() if e.places} == PLACEMENTS
    assert {e.name for e in PRIVATE.values() if e.call_class is CallClass.CANCEL} == CANCELS


@pytest.mark.parametrize("name", PRIVATE)
def test_class_tells_whether_it_writes(name: str) -> None:
    """G4: only a read may be cut for something more urgent than a cancel."""
    endpoint = private_endpoint(name)
    assert endpoint.writes == (endpoint.call_class in (CallClass.CANCEL, CallClass.ORDER))


def test_dry_runs() -> None:
    """G9: only these three know Kraken's `validate`; how it is spelled is `dry_run`'s business."""
    assert {e.name for e in PRIVATE.values() if e.validates} == {"AddOrder", "AddOrderBatch", "EditOrder"}
    order = private_endpoint("AddOrder")
    assert is_dry_run(order, {"validate": True})
    for doubtful in (False, None, "false", "true", "True", 1, "1", "yes", [True]):
        assert not is_dry_run(order, {"validate": doubtful})
    assert not is_dry_run(order, {})
    assert not is_dry_run(private_endpoint("Withdraw"), {"validate": True})


def test_what_moves_money() -> None:
    """`allow_withdrawals` has to cover all of these."""
    funds = {e.name for e in PRIVATE.values() if e.funds}
    assert funds == {"Withdraw", "WithdrawCancel", "WalletTransfer", "AccountTransfer"}
    assert all(PRIVATE[name].writes for name in funds)


def test_what_goes_as_json() -> None:
    """G5: a nested body cannot be a form."""
    assert {e.name for e in PRIVATE.values() if e.json} == {"AddOrderBatch", "CancelOrderBatch", "Level3"}


@pytest.mark.parametrize(
    ("cost", "names"),
    [
        (0, {"AddOrder", "AddOrderBatch", "EditOrder", "AmendOrder", "CancelOrder", "CancelOrderBatch"}),
        (2, {"OpenOrders"}),
        (4, {"Ledgers", "QueryLedgers", "TradesHistory", "QueryTrades", "ClosedOrders", "QueryOrders"}),
    ],
)
def test_costs(cost: int, names: set[str]) -> None:
    """Our own count is never below Kraken's: the dearer of its two pages, 1 for all that no page names."""
    assert {e.name for e in PRIVATE.values() if e.cost == cost} == names
    assert {e.cost for e in PRIVATE.values()} == {0, 1, 2, 4}


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("AddOrder", {}, CallClass.ORDER),
        ("CancelAll", {}, CallClass.CANCEL),
        ("Balance", {}, CallClass.READ),
        ("Balance", {"cl_ord_id": "x"}, CallClass.READ),
        ("QueryOrders", {"txid": "OAAAAA-BBBBB-CCCCCC"}, CallClass.SETTLE),
        ("OpenOrders", {"cl_ord_id": "x"}, CallClass.SETTLE),
        ("ClosedOrders", {"cl_ord_id": "x"}, CallClass.SETTLE),
        ("TradesHistory", {"cl_ord_id": "x"}, CallClass.SETTLE),
        ("OpenOrders", {}, CallClass.READ),
        ("ClosedOrders", {"cl_ord_id": None}, CallClass.READ),
        ("CancelOrder", {"cl_ord_id": "x"}, CallClass.CANCEL),
    ],
)
def test_call_class(name: str, params: dict[str, object], expected: CallClass) -> None:
    """G4: looking up what became of an order goes before every other read."""
    assert call_class(private_endpoint(name), params) is expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Balanc", "did you mean 'Balance'?"),
        ("balanceex", "did you mean 'BalanceEx'?"),
        ("addorder", "did you mean 'AddOrder'?"),
        ("EarnAllocate", "did you mean 'Earn/Allocate'?"),
        ("Ticker", "it is a public one"),
        ("RetrieveExport", "zip archive"),
        ("", "reference"),
        ("x" * 10**6, "reference"),
        ("../public/Time", "Kraken has no private endpoint"),
        ("Balance?a=b", "Kraken has no private endpoint"),
    ],
)
def test_unknown_private_name(name: str, hint: str) -> None:
    """G5: a name that Kraken does not have is *not sent*, and the sentence helps."""
    with pytest.raises(UnknownName) as caught:
        private_endpoint(name)
    assert hint in str(caught.value)
    assert isinstance(caught.value, CallNotSent)
    assert isinstance(caught.value, ConfigError)
    assert len(str(caught.value)) < 200


def test_unknown_public_name() -> None:
    """G5: the same for public calls."""
    with pytest.raises(UnknownName, match="did you mean 'Ticker'"):
        public_endpoint("ticker")
    with pytest.raises(UnknownName, match="it is a private one"):
        public_endpoint("Balance")


@pytest.mark.parametrize("name", [None, 7, ["Balance"], {"a": 1}])
def test_a_name_that_is_not_a_text(name: object) -> None:
    """G5: a host's mistake ends typed as well."""
    with pytest.raises(UnknownName):
        private_endpoint(name)  # type: ignore[arg-type]


def test_permissions() -> None:
    """G7: the doctor can tell what a key lacks, before Kraken does."""
    named = {name for e in PRIVATE.values() for any_ in e.permissions for name in any_}
    assert named <= set(PERMISSIONS)
    assert private_endpoint("Balance").allowed(["query-funds"])
    assert not private_endpoint("Balance").allowed(["query-open-trades"])
    assert private_endpoint("CancelAll").allowed({"close-trades"})
    assert private_endpoint("CancelAll").allowed({"modify-trades"})
    assert not private_endpoint("AddOrderBatch").allowed({"modify-trades"})
    assert private_endpoint("GetApiKeyInfo").allowed(())
    assert private_endpoint("TradeBalance").permission_text == "'Query funds' and 'Query open orders & trades'"
    assert private_endpoint("CancelAll").permission_text == "'Cancel & close orders or Create & modify orders'"


def test_tables_cannot_be_changed() -> None:
    """What Kraken is does not change while the engine runs."""
    with pytest.raises(TypeError):
        PRIVATE["Balance"] = PRIVATE["AddOrder"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        PRIVATE["Balance"].writes = True  # type: ignore[misc]
