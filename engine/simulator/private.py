"""The private endpoints by name, and the permissions that each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.simulator import account, earn, exports, funding, lists, trading
from engine.simulator.accounts import Customer
from engine.simulator.book import Book
from engine.simulator.ledger import Window
from engine.simulator.parameters import Params


class Endpoint(NamedTuple):
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

ENDPOINTS: Mapping[str, Endpoint] = {
    "Balance": Endpoint(account.balance, _FUNDS),
    "BalanceEx": Endpoint(account.balance_ex, _FUNDS),
    # Kraken's two pages name different permissions for this one, so either will do.
    "TradeBalance": Endpoint(account.trade_balance, _FUNDS | _OPEN),
    "TradeVolume": Endpoint(account.trade_volume, _FUNDS),
    "CreditLines": Endpoint(account.credit_lines, _FUNDS),
    "GetApiKeyInfo": Endpoint(account.get_api_key_info),
    "ListWalletAccounts": Endpoint(account.list_wallet_accounts),
    "GetWebSocketsToken": Endpoint(account.get_web_sockets_token, frozenset({"create-ws-token"})),
    "OpenPositions": Endpoint(account.open_positions, _OPEN),
    "OpenOrders": Endpoint(_listed(lists.open_orders), _OPEN),
    "ClosedOrders": Endpoint(_history(lists.closed_orders), _CLOSED),
    "QueryOrders": Endpoint(_listed(lists.query_orders), _OPEN | _CLOSED),
    "OrderAmends": Endpoint(_listed(lists.order_amends), _OPEN | _CLOSED),
    "TradesHistory": Endpoint(_history(lists.trades_history), _CLOSED),
    "QueryTrades": Endpoint(_listed(lists.query_trades), _CLOSED),
    "Ledgers": Endpoint(_history(lists.ledgers), _LEDGER),
    "QueryLedgers": Endpoint(_listed(lists.query_ledgers), _LEDGER),
    "Level3": Endpoint(trading.level3),
    "AddOrder": Endpoint(trading.add_order, _MODIFY),
    "AddOrderBatch": Endpoint(trading.add_order_batch, _MODIFY, _CLOSE),
    "AmendOrder": Endpoint(trading.amend_order, _MODIFY | _CLOSE),
    "EditOrder": Endpoint(trading.edit_order, _MODIFY, _CLOSE),
    "CancelOrder": Endpoint(trading.cancel_order, _MODIFY | _CLOSE),
    "CancelOrderBatch": Endpoint(trading.cancel_order_batch, _MODIFY | _CLOSE),
    "CancelAll": Endpoint(trading.cancel_all, _MODIFY | _CLOSE),
    "CancelAllOrdersAfter": Endpoint(trading.cancel_all_after, _MODIFY | _CLOSE),
    "AddExport": Endpoint(exports.add_export, _EXPORT),
    "ExportStatus": Endpoint(exports.export_status, _EXPORT),
    "RemoveExport": Endpoint(exports.remove_export, _EXPORT),
    "Earn/Strategies": Endpoint(earn.strategies, _FUNDS | _EARN),
    "Earn/Allocations": Endpoint(earn.allocations, _FUNDS),
    "Earn/Allocate": Endpoint(earn.allocate, _EARN),
    "Earn/Deallocate": Endpoint(earn.deallocate, _EARN),
    "Earn/AllocateStatus": Endpoint(earn.status, _EARN | _FUNDS),
    "Earn/DeallocateStatus": Endpoint(earn.status, _EARN | _FUNDS),
    "DepositMethods": Endpoint(funding.deposit_methods, _FUNDS | _ADD),
    "DepositAddresses": Endpoint(funding.deposit_addresses, _ADD),
    "DepositStatus": Endpoint(funding.deposit_status, _FUNDS | _ADD),
    "WithdrawMethods": Endpoint(funding.withdraw_methods, _FUNDS | _WITHDRAW),
    "WithdrawAddresses": Endpoint(funding.withdraw_addresses, _FUNDS | _WITHDRAW),
    "WithdrawInfo": Endpoint(funding.withdraw_info, _FUNDS | _WITHDRAW),
    "WithdrawStatus": Endpoint(funding.withdraw_status, _FUNDS | _WITHDRAW),
    "Withdraw": Endpoint(funding.withdraw, _WITHDRAW),
    "WithdrawCancel": Endpoint(funding.withdraw_cancel, _WITHDRAW),
    "WalletTransfer": Endpoint(funding.wallet_transfer, _WITHDRAW),
    "CreateSubaccount": Endpoint(funding.create_subaccount, _WITHDRAW),
    "AccountTransfer": Endpoint(funding.account_transfer, _WITHDRAW),
}
