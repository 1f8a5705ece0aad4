"""Kraken's endpoints: what each call is, what it costs, and what it may do.

The names, costs and permissions are those of Kraken's Spot REST reference and of its rate-limit pages. Where two
pages disagree about a cost, the table has the higher one, so that the local count is never too low.

Deliberately left out: ``RetrieveExport``, whose reply is a zip archive and not JSON; the old ``Staking``
endpoints, which Kraken has withdrawn; the Funding (beta) and OAuth endpoints, which are signed differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from enum import IntEnum
from types import MappingProxyType

from engine.errors import UnknownName
from engine.values.dataclass import dataclass


class CallClass(IntEnum):
    """The priority of a call (promise G4): the lower class goes first.

    CANCEL and ORDER are exactly the calls that write, SETTLE and READ exactly those that do not.
    """

    CANCEL = 0
    ORDER = 1
    SETTLE = 2
    READ = 3


# The permissions as GetApiKeyInfo names them, and as the page shows them where a key is made.
PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "query-funds": "Query funds",
        "add-funds": "Deposit funds",
        "withdraw-funds": "Withdraw funds",
        "earn-funds": "Earn funds",
        "query-open-trades": "Query open orders & trades",
        "query-closed-trades": "Query closed orders & trades",
        "modify-trades": "Create & modify orders",
        "close-trades": "Cancel & close orders",
        "query-ledger": "Query ledger entries",
        "export-data": "Export data",
        "create-ws-token": "WebSocket interface",
    }
)


_FINDS_ORDERS = frozenset({"OpenOrders", "ClosedOrders", "TradesHistory"})
_NEED_LIVE = frozenset({"CancelAllOrdersAfter", "GetWebSocketsToken"})  # one acts later, one opens a channel for orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of Kraken's.

    name: as in the path, for example ``Balance`` or ``Earn/Allocate``.
    call_class: its priority; `call_class()` knows the calls that settle an order.
    cost: what one call adds to the REST counter of its key; 0 for public calls, which Kraken counts by IP.
    permissions: of each set, the key needs one permission; empty where no source names any.
    writes: it may change something at Kraken, so an unreadable answer leaves its effect unknown.
    places: it puts an order on the exchange or changes one, so a cancel may cover it.
    validates: Kraken's `validate` makes it a dry run.
    writes_with: the parameter without which it only reads.
    funds: it moves money out or between accounts.
    json: its parameters are nested, so it is sent as JSON.
    public: it is not signed, and sent as GET.
    shape: the types that its `result` may have.
    by_row: its `result` has a row for each name that was asked for, so that an error about one name leaves the others.
    path: the path of the URL, which is also what is signed.
    finds_orders: a call of it may be the look-up of one order: see `call_class()`.
    changes_now: it may change what the account holds; a dead man's switch changes nothing when it is set.
    """

    name: str
    call_class: CallClass = CallClass.READ
    cost: int = 1
    permissions: tuple[frozenset[str], ...] = ()
    writes: bool = False
    writes_with: str | None = None
    places: bool = False
    validates: bool = False
    funds: bool = False
    json: bool = False
    public: bool = False
    shape: tuple[type, ...] = (dict,)
    by_row: bool = False
    path: str = field(init=False, repr=False)
    finds_orders: bool = field(init=False, repr=False)
    changes_now: bool = field(init=False, repr=False)
    needs_live: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out once what every call asks for."""
        object.__setattr__(self, "path", f"/0/{'public' if self.public else 'private'}/{self.name}")
        object.__setattr__(self, "finds_orders", self.name in _FINDS_ORDERS)
        object.__setattr__(self, "changes_now", self.writes and self.name != "CancelAllOrdersAfter")
        is_cancel = self.call_class is CallClass.CANCEL
        object.__setattr__(self, "needs_live", self.name in _NEED_LIVE or (self.writes and not is_cancel))

    def with_params(self, params: Mapping[str, object]) -> Endpoint:
        """The endpoint as a call with these parameters uses it."""
        if self.writes_with is None or params.get(self.writes_with) is not None:
            return self
        return replace(self, writes=False, call_class=CallClass.READ)

    def allowed(self, granted: Collection[str]) -> bool:
        """Whether a key with the permissions `granted` (as GetApiKeyInfo names them) may call it."""
        return all(needed.intersection(granted) for needed in self.permissions)

    @property
    def permission_text(self) -> str:
        """The permissions it needs, as a person reads them; empty when it needs none."""
        each = (" or ".join(sorted(PERMISSIONS[name] for name in any_)) for any_ in self.permissions)
        return " and ".join(f"'{text}'" for text in each)


def private_endpoint(name: str) -> Endpoint:
    """The private endpoint of that name. Raises `UnknownName`, which suggests the nearest one."""
    return _find(name, PRIVATE, "private")


def public_endpoint(name: str) -> Endpoint:
    """The public endpoint of that name. Raises `UnknownName`, which suggests the nearest one."""
    return _find(name, PUBLIC, "public")


def call_class(endpoint: Endpoint, params: Mapping[str, object]) -> CallClass:
    """The class of a call: to ask for an order by its `cl_ord_id` is to settle it (promise G4)."""
    if endpoint.finds_orders and params.get("cl_ord_id") is not None:
        return CallClass.SETTLE
    return endpoint.call_class


def is_dry_run(endpoint: Endpoint, params: Mapping[str, object]) -> bool:
    """Whether Kraken only checks the call and does nothing: `validate` as `dry_run.settled` leaves it."""
    return endpoint.validates and params.get("validate") is True


def _find(name: str, table: Mapping[str, Endpoint], kind: str) -> Endpoint:
    found = table.get(name) if isinstance(name, str) else None
    if found is not None:
        return found
    shown = str(name)[:64]  # difflib takes quadratic time
    raise UnknownName(f"Kraken has no {kind} endpoint {shown!r}: {_hint(shown, table)}", endpoint=shown)


_NEW = " A new one needs endpoint_class (--class): read, settle, order, cancel, funds."


def _hint(name: str, table: Mapping[str, Endpoint]) -> str:
    if name in _LEFT_OUT:
        return _LEFT_OUT[name]
    if name in PRIVATE or name in PUBLIC:
        return f"it is a {'private' if name in PRIVATE else 'public'} one."
    names = {known.lower(): known for known in table}
    import difflib  # noqa: PLC0415 - only for a wrong name

    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {names[near[0]]!r}?" if near else "see its reference."
    return hint if name.lower() in names else hint + _NEW


_LEFT_OUT = {"RetrieveExport": "its reply is a zip archive, which this engine does not carry."}


_EITHER: tuple[type, ...] = (dict, list)
_LIST: tuple[type, ...] = (list,)
_FLAG: tuple[type, ...] = (bool,)


def _needs(permissions: Iterable[str]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.split("|")) for text in permissions)


def _read(
    name: str,
    *permissions: str,
    cost: int = 1,
    shape: tuple[type, ...] = (dict,),
    call_class: CallClass = CallClass.READ,
    json: bool = False,
) -> Endpoint:
    return Endpoint(
        name=name, cost=cost, permissions=_needs(permissions), shape=shape, call_class=call_class, json=json
    )  # fmt: skip


def _write(
    name: str,
    *permissions: str,
    cost: int = 1,
    shape: tuple[type, ...] = (dict,),
    call_class: CallClass = CallClass.ORDER,
    places: bool = False,
    validates: bool = False,
    funds: bool = False,
    json: bool = False,
    writes_with: str | None = None,
) -> Endpoint:
    return Endpoint(
        name=name, cost=cost, permissions=_needs(permissions), shape=shape, call_class=call_class,
        writes=True, places=places, validates=validates, funds=funds, json=json, writes_with=writes_with,
    )  # fmt: skip


def _public(name: str, shape: tuple[type, ...] = (dict,), *, by_row: bool = False) -> Endpoint:
    return Endpoint(name=name, cost=0, shape=shape, public=True, by_row=by_row)


def _table(*endpoints: Endpoint) -> Mapping[str, Endpoint]:
    return MappingProxyType({endpoint.name: endpoint for endpoint in endpoints})


_OPEN, _CLOSED = "query-open-trades", "query-closed-trades"
_MODIFY, _CLOSE = "modify-trades", "close-trades"
_CANCELS = "modify-trades|close-trades"  # Kraken's guide names only the second
_FUNDS, _DEPOSIT, _WITHDRAW = "query-funds", "add-funds", "withdraw-funds"

PRIVATE: Mapping[str, Endpoint] = _table(
    # Account. For TradeBalance the reference and the guide name different permissions: both.
    _read("Balance", _FUNDS),
    _read("BalanceEx", _FUNDS),
    _read("CreditLines", _FUNDS),
    _read("TradeBalance", _FUNDS, _OPEN),
    _read("TradeVolume", _FUNDS),
    _read("OpenPositions", _OPEN, shape=_EITHER),  # a list when consolidated by market
    _read("GetApiKeyInfo"),
    _read("ListWalletAccounts", shape=_EITHER),  # needs no permission (Kraken's reference, August 2026)
    _read("GetWebSocketsToken", "create-ws-token"),
    # History: Kraken's developer page says 1 or 2, its support page 4.
    _read("TradesHistory", _CLOSED, cost=4),
    _read("QueryTrades", _CLOSED, cost=4),
    _read("Ledgers", "query-ledger", cost=4),
    _read("QueryLedgers", "query-ledger", cost=4),
    # Orders. OpenOrders: 1 on both pages, 2 in Kraken's own client (krakenfx/kraken-api-sdk, 2026).
    _read("OpenOrders", _OPEN, cost=2),
    _read("ClosedOrders", _CLOSED, cost=4),
    _read("QueryOrders", _OPEN, _CLOSED, cost=4, call_class=CallClass.SETTLE),
    _read("OrderAmends", _OPEN, _CLOSED),
    _read("Level3", _OPEN, json=True),
    # Trading: not counted by the REST counter, except the two whose cost no page names.
    _write("AddOrder", _MODIFY, cost=0, places=True, validates=True),
    _write("AddOrderBatch", _MODIFY, _CLOSE, cost=0, places=True, validates=True, json=True),
    _write("EditOrder", _MODIFY, _CLOSE, cost=0, places=True, validates=True),
    _write("AmendOrder", _CANCELS, cost=0, places=True),
    _write("CancelOrder", _CANCELS, cost=0, call_class=CallClass.CANCEL),
    _write("CancelOrderBatch", _CANCELS, cost=0, call_class=CallClass.CANCEL, json=True),
    _write("CancelAll", _CANCELS, call_class=CallClass.CANCEL),
    _write("CancelAllOrdersAfter", _CANCELS, call_class=CallClass.CANCEL),
    # Exports
    _write("AddExport", "export-data"),
    _read("ExportStatus", "export-data", shape=_EITHER),
    _write("RemoveExport", "export-data"),
    # Deposits
    _read("DepositMethods", f"{_FUNDS}|{_DEPOSIT}", shape=_EITHER),
    _read("DepositStatus", _FUNDS, _DEPOSIT, shape=_EITHER),
    _write("DepositAddresses", _DEPOSIT, shape=_EITHER, writes_with="new"),  # which makes an address
    # Withdrawals and transfers
    _read("WithdrawMethods", _FUNDS, _WITHDRAW, shape=_EITHER),
    _read("WithdrawAddresses", _FUNDS, _WITHDRAW, shape=_EITHER),
    _read("WithdrawInfo", _FUNDS, _WITHDRAW),
    _read("WithdrawStatus", _FUNDS, _WITHDRAW, shape=_EITHER),
    _write("Withdraw", _WITHDRAW, funds=True),
    _write("WithdrawCancel", _WITHDRAW, shape=_FLAG, funds=True),
    _write("WalletTransfer", _WITHDRAW, funds=True),
    _write("AccountTransfer", _WITHDRAW, funds=True),
    _write("CreateSubaccount", shape=_FLAG),
    # Earn
    _write("Earn/Allocate", "earn-funds", shape=_FLAG),
    _write("Earn/Deallocate", "earn-funds", shape=_FLAG),
    _read("Earn/AllocateStatus", f"{_FUNDS}|earn-funds"),
    _read("Earn/DeallocateStatus", f"{_FUNDS}|earn-funds"),
    _read("Earn/Strategies"),
    _read("Earn/Allocations", _FUNDS),
)

PUBLIC: Mapping[str, Endpoint] = _table(
    _public("Time"),
    _public("SystemStatus"),
    _public("MaintenanceSchedule", _EITHER),
    _public("Assets", by_row=True),
    _public("AssetPairs", by_row=True),
    _public("Ticker", by_row=True),
    _public("OHLC"),
    _public("Depth"),
    _public("GroupedBook"),
    _public("Trades"),
    _public("Spread"),
    _public("PreTrade"),
    _public("PostTrade"),
)
