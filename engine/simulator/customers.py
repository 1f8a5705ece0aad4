"""The exchange's accounts: identity, holdings, and what their keys may do."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple

from engine.simulator.book import Book, MarketState
from engine.simulator.book_order import new_id
from engine.simulator.call_limits import KeyCounter
from engine.simulator.ledger import Change, LedgerEntry
from engine.simulator.nonce_tracker import NonceTracker
from engine.simulator.order_entry import OrderEntry
from engine.simulator.stream_rows import balance_update, totals
from engine.simulator.trading_limits import PairCounters
from engine.simulator.wallet import Rows, Wallet

Amount = str | Mapping[str, str]

PERMISSIONS = frozenset({
    "query-funds", "add-funds", "withdraw-funds", "earn-funds", "query-open-trades",
    "query-closed-trades", "modify-trades", "close-trades", "query-ledger", "export-data",
    "create-ws-token", "add-withdraw-address", "update-withdraw-address",
})  # fmt: skip
USUAL_PERMISSIONS = frozenset({
    "query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades",
    "query-ledger", "export-data", "create-ws-token",
})  # fmt: skip

_COLUMNS = ("balance", "hold_trade", "credit", "credit_used")
_USUAL_BALANCES: Mapping[str, Mapping[str, Amount]] = {
    "MASTER": {
        "ZUSD": {"balance": "12500.0000", "hold_trade": "500.0000"},
        "USD.F": "2500.0000",
        "USDT": "3000.00000000",
        "XXBT": {"balance": "0.7500000000", "hold_trade": "0.1000000000"},
        "XETH": "4.2000000000",
        "XAUT": "1.5000000000",
        "KFEE": "120.00",
    },
    "ALICE": {"ZUSD": "0.0000", "USD.F": "4200.5000", "XBT.F": "0.0500000000"},  # all in Auto Earn
    "BOB": {"ZUSD": "250.0000", "USDT": "80.00000000", "DOT.S": "31.0000000000"},
}
_OTHERS: Mapping[str, Amount] = {"ZUSD": "1000.0000", "XXBT": "0.1000000000"}


class SimAccount(NamedTuple):
    """The credentials of an account."""

    name: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"SimAccount({self.name!r}, ***)"  # people paste what their tests print

    @classmethod
    def of(cls, value: str | Iterable[str]) -> SimAccount:
        """A name with a new key, or a ``(name, key, secret)`` triple as it is."""
        account = cls.new(value) if isinstance(value, str) else cls(*value)
        try:
            base64.b64decode(account.secret, validate=True)
        except binascii.Error:
            raise ValueError(f"the secret of account {account.name} is not base64") from None
        return account

    @classmethod
    def new(cls, name: str) -> SimAccount:
        """An account of this name with a new key, shaped like Kraken's."""
        return cls(name, _random(42), _random(64))


def _random(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()


class Key:
    """One API key: what it may do and what it has done."""

    def __init__(self, account: SimAccount, nonces: NonceTracker, counter: KeyCounter | None) -> None:
        self.account = account
        self.nonces = nonces
        self.counter = counter
        self.permissions = USUAL_PERMISSIONS
        self.is_revoked = False
        self.otp: str | None = None
        self.tokens: dict[str, float] = {}
        """Its tokens for the WebSocket, and when each ends unless it is used, Unix time."""
        self.history: tuple[int, int] = (0, 0)
        """From when to when it may query history, Unix time; 0 is unlimited."""

    def may(self, needed: frozenset[str]) -> bool:
        """Whether it has one of these permissions; true for an empty set."""
        return not needed or bool(needed & self.permissions)


class Customer:
    """One account with its key, its wallet and its orders."""

    def __init__(self, key: Key, market: MarketState, counter: PairCounters, *, hold_on_earn: bool = False) -> None:
        self.key = key
        name = key.account.name
        self.wallet = Wallet(read_rows(_USUAL_BALANCES.get(name, _OTHERS)), hold_on_earn=hold_on_earn)
        self.book = Book(market, self.wallet)
        self.orders = OrderEntry(name, self.book, counter)
        self.iban = _iban(name)
        self.others: Mapping[str, Customer] = {}
        """Every account of the exchange by its IBAN."""
        self.allocated: dict[str, Decimal] = {}
        """The allocated amounts, by strategy."""
        self.exports: dict[str, dict[str, str]] = {}
        self.addresses: dict[tuple[str, str], list[str]] = {}
        """Deposit addresses by asset and method."""
        self.withdrawals: dict[str, dict[str, Any]] = {}
        self.subaccounts: set[str] = set()

    def move(self, kind: str, refid: str, asset: str, amount: Decimal, fee: Decimal = Decimal(0)) -> None:
        """Add an amount (or subtract it if negative), subtract a fee, and add a ledger entry of this kind."""
        self.book.ledger.enter(kind, refid, self.orders.now(), self.book.change(asset, amount, fee))

    def set_rows(self, rows: Rows) -> None:
        """Replace all balances; its WebSockets are told of each asset that has another amount now."""
        before, self.wallet.rows = totals(self.wallet.rows), rows
        after, now = totals(rows), self.orders.now()
        for asset in sorted(before.keys() | after.keys()):
            amount = after.get(asset, Decimal(0)) - before.get(asset, Decimal(0))
            if amount:
                change = Change(asset, amount, Decimal(0), after.get(asset, Decimal(0)))
                entry = LedgerEntry(new_id("L"), new_id("R"), now, "deposit" if amount > 0 else "withdrawal", change)
                self.book.feed.tell("balances", partial(balance_update, entry, rows))


def _iban(name: str) -> str:
    """The public id of an account, in Kraken's form; determined by the name."""
    text = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()
    return f"AA{sum(name.encode()) % 100:02d} {text[:4]} {text[4:8]} {text[8:12]}"


def read_rows(rows: Mapping[str, Amount]) -> dict[str, dict[str, str]]:
    """Complete, checked balance rows. Raises `ValueError` or `TypeError` for an invalid amount."""
    return {asset: _read_row(asset, row) for asset, row in rows.items()}


def _read_row(asset: str, row: Amount) -> dict[str, str]:
    columns = dict(row) if isinstance(row, Mapping) else {"balance": row}
    if "balance" not in columns or not columns.keys() <= set(_COLUMNS):
        raise ValueError(f"a row has a balance and may have {_COLUMNS[1:]}; {asset} has {columns}")
    for text in columns.values():
        _check_amount(asset, text)
    return {"balance": columns["balance"], "hold_trade": "0.0000", **columns}


def _check_amount(asset: str, text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"amounts are strings, as in Kraken's replies; {asset} has {text!r}")
    try:
        is_amount = Decimal(text).is_finite()
    except InvalidOperation:
        is_amount = False
    if not is_amount:
        raise ValueError(f"{asset} has {text!r}, which is not an amount")
