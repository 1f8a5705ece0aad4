"""The private endpoints by name, and the permissions that each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.simulator import account_endpoints as account
from engine.simulator import earn_endpoints as earn
from engine.simulator import export_endpoints as exports
from engine.simulator import export_file
from engine.simulator import funding_endpoints as funding
from engine.simulator import order_lists as lists
from engine.simulator import trading_endpoints as trading
from engine.simulator.book import Book
from engine.simulator.customers import Customer
from engine.simulator.ledger import Window
from engine.simulator.parameters import Params


class PrivateEndpoint(NamedTuple):
    """What an endpoint does, and the permissions of which the key needs one, and one of `also` as well."""

    run: Callable[[Customer, Params], Any]
    needs: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()


def _listed(read: Callable[[Book, Params], Any]) -> Callable[[Customer, Params], Any]:
    return lambda customer, params: read(customer.book, params)


def _history(read: Callable[[Book, Params, Window], Any]) -> Callable[[Customer, Params], Any]:
    return lambda customer, params: read(customer.book, params, customer.key.history)


_FUNDS, _ADD, _WITHDRAW = frozenset({"query-funds"}), frozenset({"add-funds"}), frozenset({"withdraw-funds"})
_EARN, _EXPORT = frozenset({"earn-funds"}), frozenset({"export-data"})
_MODIFY, _CLOSE = frozenset({"modify-trades"}), frozenset({"close-trades"})
_OPEN, _CLOSED = frozenset({"query-open-trades"}), frozenset({"query-closed-trades"})
_LEDGER = frozenset({"query-ledger"})

ENDPOINTS: Mapping[str, PrivateEndpoint] = {
    "Balance": PrivateEndpoint(account.balance, _FUNDS),
    "BalanceEx": PrivateEndpoint(account.balance_ex, _FUNDS),
    # Kraken's two pages name different permissions for this one, so either will do.
    "TradeBalance": PrivateEndpoint(account.trade_balance, _FUNDS | _OPEN),
    "TradeVolume": PrivateEndpoint(account.trade_volume, _FUNDS),
    "CreditLines": PrivateEndpoint(account.credit_lines, _FUNDS),
    "GetApiKeyInfo": PrivateEndpoint(account.get_api_key_info),
    "ListWalletAccounts": PrivateEndpoint(account.list_wallet_accounts),
    "GetWebSocketsToken": PrivateEndpoint(account.get_web_sockets_token, frozenset({"create-ws-token"})),
    "OpenPositions": PrivateEndpoint(account.open_positions, _OPEN),
    "OpenOrders": PrivateEndpoint(_listed(lists.open_orders), _OPEN),
    "ClosedOrders": PrivateEndpoint(_history(lists.closed_orders), _CLOSED),
    "QueryOrders": PrivateEndpoint(_listed(lists.query_orders), _OPEN | _CLOSED),
    "OrderAmends": PrivateEndpoint(_listed(lists.order_amends), _OPEN | _CLOSED),
    "TradesHistory": PrivateEndpoint(_history(lists.trades_history), _CLOSED),
    "QueryTrades": PrivateEndpoint(_listed(lists.query_trades), _CLOSED),
    "Ledgers": PrivateEndpoint(_history(lists.ledgers), _LEDGER),
    "QueryLedgers": PrivateEndpoint(_listed(lists.query_ledgers), _LEDGER),
    "Level3": PrivateEndpoint(trading.level3),
    "AddOrder": PrivateEndpoint(trading.add_order, _MODIFY),
    "AddOrderBatch": PrivateEndpoint(trading.add_order_batch, _MODIFY, _CLOSE),
    "AmendOrder": PrivateEndpoint(trading.amend_order, _MODIFY | _CLOSE),
    "EditOrder": PrivateEndpoint(trading.edit_order, _MODIFY, _CLOSE),
    "CancelOrder": PrivateEndpoint(trading.cancel_order, _MODIFY | _CLOSE),
    "CancelOrderBatch": PrivateEndpoint(trading.cancel_order_batch, _MODIFY | _CLOSE),
    "CancelAll": PrivateEndpoint(trading.cancel_all, _MODIFY | _CLOSE),
    "CancelAllOrdersAfter": PrivateEndpoint(trading.cancel_all_after, _MODIFY | _CLOSE),
    "AddExport": PrivateEndpoint(exports.add_export, _EXPORT),
    "ExportStatus": PrivateEndpoint(exports.export_status, _EXPORT),
    "RetrieveExport": PrivateEndpoint(export_file.retrieve_export, _EXPORT),
    "RemoveExport": PrivateEndpoint(exports.remove_export, _EXPORT),
    "Earn/Strategies": PrivateEndpoint(earn.strategies, _FUNDS | _EARN),
    "Earn/Allocations": PrivateEndpoint(earn.allocations, _FUNDS),
    "Earn/Allocate": PrivateEndpoint(earn.allocate, _EARN),
    "Earn/Deallocate": PrivateEndpoint(earn.deallocate, _EARN),
    "Earn/AllocateStatus": PrivateEndpoint(earn.status, _EARN | _FUNDS),
    "Earn/DeallocateStatus": PrivateEndpoint(earn.status, _EARN | _FUNDS),
    "DepositMethods": PrivateEndpoint(funding.deposit_methods, _FUNDS | _ADD),
    "DepositAddresses": PrivateEndpoint(funding.deposit_addresses, _ADD),
    "DepositStatus": PrivateEndpoint(funding.deposit_status, _FUNDS | _ADD),
    "WithdrawMethods": PrivateEndpoint(funding.withdraw_methods, _FUNDS | _WITHDRAW),
    "WithdrawAddresses": PrivateEndpoint(funding.withdraw_addresses, _FUNDS | _WITHDRAW),
    "WithdrawInfo": PrivateEndpoint(funding.withdraw_info, _FUNDS | _WITHDRAW),
    "WithdrawStatus": PrivateEndpoint(funding.withdraw_status, _FUNDS | _WITHDRAW),
    "Withdraw": PrivateEndpoint(funding.withdraw, _WITHDRAW),
    "WithdrawCancel": PrivateEndpoint(funding.withdraw_cancel, _WITHDRAW),
    "WalletTransfer": PrivateEndpoint(funding.wallet_transfer, _WITHDRAW),
    "CreateSubaccount": PrivateEndpoint(funding.create_subaccount, _WITHDRAW),
    "AccountTransfer": PrivateEndpoint(funding.account_transfer, _WITHDRAW),
}
