"""The funding endpoints: a withdrawal or transfer changes the balance and adds a ledger entry."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.book_order import new_id
from engine.simulator.customers import Customer
from engine.simulator.market import decimals_of, find_asset
from engine.simulator.parameters import Params, amount, is_yes, require, text
from engine.simulator.refusal import Refused

_LIMIT = "332.00956139"
_SPOT, _FUTURES = "Spot Wallet", "Futures Wallet"


class FundingRoute(NamedTuple):
    """A way to deposit or withdraw an asset: its method, network, least amount and fee."""

    method: str
    network: str
    least: str
    fee: str


_ROUTES = {
    "XXBT": (
        FundingRoute("Bitcoin", "Bitcoin", "0.0004", "0.0002"),
        FundingRoute("Bitcoin Lightning", "Lightning", "0.00001", "0"),
    ),
    "XETH": (FundingRoute("Ether", "Ethereum", "0.005", "0.0015"),),
    "ZUSD": (FundingRoute("Fedwire", "Fedwire", "20", "4"),),
    "ZEUR": (FundingRoute("SEPA", "SEPA", "5", "0.09"),),
    "USDT": (FundingRoute("Tether USD (ERC20)", "Ethereum", "10", "2.5"),),
}
_ADDRESS_NAME = "my-address"  # the withdrawal address that every account has


# In


def deposit_methods(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`DepositMethods`."""
    asset = _asset(params)
    return [
        {
            "method": route.method, "limit": False, "fee": _shown(asset, "0"), "gen-address": True,
            "minimum": _shown(asset, route.least),
        }
        for route in _ROUTES.get(asset, ())
    ]  # fmt: skip


def deposit_addresses(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`DepositAddresses`: ``new`` creates one."""
    asset = _asset(params)
    route = _route(asset, text(params, "method"))
    known = customer.addresses.setdefault((asset, route.method), [])
    is_new = is_yes(params, "new")
    if is_new:
        known.append(f"sim{secrets.token_hex(16)}")
    return [{"address": each, "expiretm": "0", "new": is_new and each is known[-1]} for each in known]


def deposit_status(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`DepositStatus`: always empty; tests set balances directly."""
    return []


# Out


def withdraw_methods(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`WithdrawMethods`: of all assets, or of one."""
    wanted = _asset(params) if text(params, "asset") else None
    return [
        {"asset": asset, "method": route.method, "network": route.network, "minimum": route.least}
        for asset, routes in _ROUTES.items() for route in routes if wanted in (None, asset)
    ]  # fmt: skip


def withdraw_addresses(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`WithdrawAddresses`: one for each asset, and verified."""
    wanted = _asset(params) if text(params, "asset") else None
    return [
        {"address": f"sim-{asset.lower()}", "asset": asset, "method": routes[0].method, "key": _ADDRESS_NAME,
         "verified": True}
        for asset, routes in _ROUTES.items() if wanted in (None, asset)
    ]  # fmt: skip


def withdraw_info(customer: Customer, params: Params) -> dict[str, str]:
    """`WithdrawInfo`: what would arrive, and what it would cost."""
    asset, route, whole = _withdrawal(params)
    return {
        "method": route.method, "limit": _LIMIT, "amount": _shown(asset, whole - Decimal(route.fee)),
        "fee": _shown(asset, route.fee),
    }  # fmt: skip


def withdraw(customer: Customer, params: Params) -> dict[str, str]:
    """`Withdraw`: the amount, with the fee in it, leaves the balance at once."""
    asset, route, whole = _withdrawal(params)
    _check_funds(customer, asset, whole)
    refid = f"FTQcuak-V6Za8{secrets.token_hex(8)}"
    customer.move("withdrawal", refid, asset, Decimal(route.fee) - whole, Decimal(route.fee))
    customer.withdrawals[refid] = {
        "method": route.method, "aclass": "currency", "asset": asset, "refid": refid, "txid": secrets.token_hex(32),
        "info": f"sim-{asset.lower()}", "amount": _shown(asset, whole - Decimal(route.fee)),
        "fee": _shown(asset, route.fee), "time": int(customer.orders.now()), "status": "Pending",
        "key": text(params, "key"),
    }  # fmt: skip
    return {"refid": refid}


def withdraw_status(customer: Customer, params: Params) -> list[dict[str, Any]]:
    """`WithdrawStatus`: the newest first. A withdrawal stays pending until it is canceled."""
    wanted = _asset(params) if text(params, "asset") else None
    return [row for row in reversed(customer.withdrawals.values()) if wanted in (None, row["asset"])]


def withdraw_cancel(customer: Customer, params: Params) -> bool:
    """`WithdrawCancel`: the amount and the fee come back."""
    row = customer.withdrawals.get(text(params, "refid"))
    if row is None or row["asset"] != _asset(params) or row["status"] != "Pending":
        raise Refused("EFunding:Unknown reference id")
    row |= {"status": "Failure", "status-prop": "canceled"}
    customer.move("withdrawal", row["refid"], row["asset"], Decimal(row["amount"]) + Decimal(row["fee"]))
    return True


# Between wallets and accounts


def wallet_transfer(customer: Customer, params: Params) -> dict[str, str]:
    """`WalletTransfer`: from the spot wallet to the futures wallet, which the simulator does not show."""
    require((text(params, "from"), text(params, "to")) == (_SPOT, _FUTURES), "EGeneral:Invalid arguments")
    asset, whole = _asset(params), _amount(params)
    _check_funds(customer, asset, whole)
    refid = new_id("B")
    customer.move("transfer", refid, asset, -whole)
    return {"refid": refid}


def create_subaccount(customer: Customer, params: Params) -> bool:
    """`CreateSubaccount`: its name is taken; a test opens the account itself with `Simulator.add_account`."""
    name = text(params, "username")
    require(name and "@" in text(params, "email"), "EGeneral:Invalid arguments")
    require(name not in customer.subaccounts, "EGeneral:Invalid arguments:username")
    customer.subaccounts.add(name)
    return True


def account_transfer(customer: Customer, params: Params) -> dict[str, str]:
    """`AccountTransfer`: from this account to another one, both by their IBAN."""
    asset, whole, other = _asset(params), _amount(params), customer.others.get(text(params, "to"))
    require(text(params, "from") == customer.iban, "EGeneral:Invalid arguments:from")
    if other is None or other is customer:
        raise Refused("EGeneral:Invalid arguments:to")
    _check_funds(customer, asset, whole)
    refid = new_id("T")
    customer.move("transfer", refid, asset, -whole)
    other.move("transfer", refid, asset, whole)
    return {"transfer_id": refid, "status": "complete"}


def _asset(params: Params) -> str:
    asset = find_asset(text(params, "asset"))
    if asset is None:
        raise Refused("EFunding:Unknown asset")
    return asset


def _route(asset: str, method: str) -> FundingRoute:
    for route in _ROUTES.get(asset, ()):
        if route.method == method:
            return route
    raise Refused("EFunding:No funding method")


def _amount(params: Params) -> Decimal:
    found = amount(text(params, "amount"))
    if found is None or found <= 0:
        raise Refused("EFunding:Invalid amount")
    return found


def _withdrawal(params: Params) -> tuple[str, FundingRoute, Decimal]:
    """The asset, the route and the amount of a withdrawal to the address of that name."""
    asset, whole = _asset(params), _amount(params)
    routes = _ROUTES.get(asset)
    if not routes:
        raise Refused("EFunding:No funding method")
    require(text(params, "key") == _ADDRESS_NAME, "EFunding:Unknown withdraw key")
    require(whole >= Decimal(routes[0].least) and whole > Decimal(routes[0].fee), "EFunding:Invalid amount")
    return asset, routes[0], whole


def _check_funds(customer: Customer, asset: str, whole: Decimal) -> None:
    customer.book.catch_up()
    require(whole <= customer.book.free(asset), "EFunding:Insufficient funds")


def _shown(asset: str, told: str | Decimal) -> str:
    return f"{Decimal(told):.{decimals_of(asset)}f}"
