"""The simulator: an exchange, a fault script and a call log behind one HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Self

from engine.simulator.call_handler import CallHandler
from engine.simulator.call_log import Call, CallLog
from engine.simulator.customers import PERMISSIONS, Amount, SimAccount, read_rows
from engine.simulator.exchange import Exchange
from engine.simulator.faults import Fault
from engine.simulator.market import find_any_pair
from engine.simulator.order_entry import PlacedOrder
from engine.simulator.public_endpoints import STATUSES
from engine.simulator.rules import Rules
from engine.simulator.script import FaultScript, ScriptedFault
from engine.simulator.server import HttpServer, Port
from engine.simulator.stream_server import StreamServer


class Simulator:
    """A strict Kraken on loopback, for tests and experiments.

    It checks signatures, nonces and permissions with its own code, records every call, and fails in
    every way it is told to. Use it as a context manager, or call `start()` and
    `close()`::

        with Simulator() as simulator:
            engine = Engine(simulator.accounts, url=simulator.url)

    Every method may be called from any thread, and `start`, `stop` and `close` from one at a time.

    accounts: names, which get new keys, or ``(name, key, secret)`` triples.
    port: 0 takes a free one.
    rules: how this Kraken differs from today's; `Rules.of_2025()` is that of November 2025.
    remember: how many of the latest calls to keep; `None` keeps all.
    differences: any value of `Rules` by its name, such as the exchange's clocks, `wall` and `monotonic`. Raises
    `TypeError` for an unknown name.
    """

    def __init__(
        self,
        accounts: Iterable[str | tuple[str, str, str]] = ("MASTER", "ALICE", "BOB"),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        rules: Rules | None = None,
        remember: int | None = None,
        **differences: Any,
    ) -> None:
        rules = replace(rules or Rules(), **differences)
        self._host = host
        self._port = Port(host, port)
        self._exchange = Exchange([SimAccount.of(account) for account in accounts], rules)
        self._journal = CallLog(remember)
        self._script = FaultScript()
        self.streams = StreamServer(self._exchange)
        """The WebSockets, with their faults."""
        self._service = CallHandler(self._exchange, self._script, self._journal, rules, self.streams)
        self._server: HttpServer | None = None
        self._closed = threading.Event()

    # Running

    def start(self) -> Self:
        """Begin to listen, on the same port as before if there was one."""
        if self._server is None:
            serve, date = self._service.serve, self._service.date
            self._server = HttpServer(self._port.listen(), serve, date=date)
        return self

    def stop(self) -> None:
        """Refuse new connections and cut the open ones. Port, accounts and records are kept."""
        server, self._server = self._server, None
        if server is not None:
            server.stop_accepting()
            self._port.hold()
            self._script.wake()
            server.close()

    def close(self) -> None:
        """Stop for good; no thread or socket is left."""
        self.stop()
        self._port.release()
        self._closed.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `close()`; returns whether it was called within the timeout."""
        return self._closed.wait(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port; known after the first start."""
        if not self._port.number:
            raise RuntimeError("the simulator was never started, so it has no port yet")
        return self._port.number

    @property
    def url(self) -> str:
        """The base URL, in place of Kraken's."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The URL of the WebSocket, private and public, in place of Kraken's."""
        return f"ws://{self._host}:{self.port}/v2"

    # Accounts

    @property
    def accounts(self) -> list[SimAccount]:
        """The accounts with their keys and secrets."""
        return self._exchange.accounts

    def add_account(
        self, account: str | tuple[str, str, str], balances: Mapping[str, Amount] | None = None
    ) -> SimAccount:
        """Open another account. Raises `ValueError` when the name or the key is taken."""
        added = SimAccount.of(account)
        self._exchange.add(added)
        if balances is not None:
            self.set_balance(added.name, balances)
        return added

    def replace_key(self, name: str) -> SimAccount:
        """Give an account a new key; the old one is unknown from now on."""
        account = SimAccount.new(name)
        self._exchange.replace_key(account)
        return account

    def set_balance(self, name: str, balances: Mapping[str, Amount]) -> None:
        """Replace an account's balance rows: an amount, or ``{"balance": …, "hold_trade": …}``.

        Amounts are strings, returned unchanged. Raises `ValueError`, `TypeError` or `LookupError`.
        """
        rows = read_rows(balances)
        with self._exchange.customer(name) as customer:
            customer.set_rows(rows)

    def set_permissions(self, name: str, permissions: Collection[str]) -> None:
        """Set the permissions of an account's key. Raises `ValueError` for an unknown one."""
        granted = frozenset(permissions)
        if not granted <= PERMISSIONS:
            raise ValueError(f"{sorted(granted - PERMISSIONS)} are not permissions of Kraken's")
        with self._exchange.customer(name) as customer:
            customer.key.permissions = granted

    def set_otp(self, name: str, otp: str | None) -> None:
        """Give an account's key a two-factor password, which each of its calls must then carry."""
        with self._exchange.customer(name) as customer:
            customer.key.otp = otp

    def set_us_retail(self, name: str, is_us_retail: bool = True) -> None:
        """Make an account that of a private client in the United States.

        Such an account has to name the pair at the other venue (``XBTUSD:BTNL``) in every leveraged order; the plain
        name is refused, but only when the order is to be placed and not when it is only validated. All other accounts
        are refused at that venue.
        """
        with self._exchange.customer(name) as customer:
            customer.orders.is_us_retail = is_us_retail

    def revoke(self, name: str) -> None:
        """Disable an account's key: its calls get ``EAPI:Invalid key``."""
        with self._exchange.customer(name) as customer:
            customer.key.is_revoked = True

    def restore(self, name: str) -> None:
        """Enable an account's key again."""
        with self._exchange.customer(name) as customer:
            customer.key.is_revoked = False

    def nonce(self, name: str) -> int:
        """The highest nonce seen from an account's key; 0 before the first."""
        with self._exchange.customer(name) as customer:
            return customer.key.nonces.highest

    def set_nonce(self, name: str, nonce: int) -> None:
        """Spend a nonce, as if another program used the key. It never falls: a lower one raises."""
        with self._exchange.customer(name) as customer:
            if nonce < customer.key.nonces.highest:
                raise ValueError("the nonce of a key never falls; give the account a new key")
            customer.key.nonces.spend(nonce)

    def add_open_order(self, name: str, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Add a resting order that can be canceled."""
        with self._exchange.customer(name) as customer:
            customer.orders.put_in(txid, cl_ord_id=cl_ord_id)

    def placements(self, name: str) -> list[PlacedOrder]:
        """The orders that an account's calls have placed, oldest first."""
        with self._exchange.customer(name) as customer:
            return list(customer.orders.placements)

    def set_status(self, status: str) -> None:
        """Set the status that `SystemStatus` returns."""
        if status not in STATUSES:
            raise ValueError(f"invalid status {status!r}: use one of {sorted(STATUSES)}")
        self._exchange.market.status = status

    def set_price(self, pair: str, bid: str, ask: str) -> None:
        """Move a pair's price: resting orders that it reaches are filled, at their own. Raises `ValueError`.

        pair: any of its names, of any asset class and venue.  bid, ask: ``"0"`` leaves that side of the book empty.
        """
        found = find_any_pair(pair)
        if found is None:
            raise ValueError(f"there is no pair {pair!r}")
        traded = self._exchange.move_price(found, Decimal(bid), Decimal(ask))
        self.streams.price_moved(found, traded=traded)

    def set_rest_lag(self, name: str, seconds: float) -> None:
        """Let an account's balances and order lists tell what was `seconds` ago, while its WebSocket tells what is."""
        with self._exchange.customer(name) as customer:
            customer.book.set_lag(seconds)

    def set_listing_lag(self, seconds: float, *, closing: float = 0.0) -> None:
        """Delay new orders and their trades in all lists by `seconds` of the exchange's clock.

        closing: the delay of ended orders and trades in `ClosedOrders` and `TradesHistory`. Kraken has not been seen to
        do that to a listed order, but code that relies on the lists must survive it.
        """
        self._exchange.market.listing_lag = seconds
        self._exchange.market.closing_lag = closing

    def set_history(self, name: str, since: int = 0, until: int = 0) -> None:
        """Limit the history that an account's key may query, Unix time; 0 is unlimited."""
        with self._exchange.customer(name) as customer:
            customer.key.history = (since, until)

    def orders(self, name: str) -> list[dict[str, Any]]:
        """Every accepted order of an account, oldest first: its row, with its ``txid``."""
        with self._exchange.customer(name) as customer:
            return [{"txid": order.txid, **order.row(trades=True)} for order in customer.book.all()]

    def fill(self, name: str, txid: str, volume: str) -> None:
        """Let another trader take part of a resting order. Raises `LookupError` or `ValueError`."""
        with self._exchange.customer(name) as customer:
            customer.book.fill(txid, Decimal(volume))

    # Faults

    def fault(self, fault: Fault) -> ScriptedFault:
        """Add a fault to the end of the script; the first matching one applies."""
        return self._script.add(fault)

    def clear_faults(self) -> None:
        """Remove all faults; calls that they hold go on."""
        self._script.remove()

    @contextmanager
    def outage(self, fault: Fault | None = None) -> Iterator[None]:
        """Simulate an outage inside the block: connections are refused, or every call meets `fault`."""
        scripted = self._script.add(fault, first=True) if fault else None
        if scripted is None:
            self.stop()
        try:
            yield
        finally:
            if scripted is None:
                self.start()
            else:
                scripted.remove()

    def fail_new_connections(self, fails: bool = True) -> None:
        """Reset every new connection as soon as it is made, until `stop()`; open ones go on."""
        self._running().refuses = fails

    def drop_connections(self) -> None:
        """Cut every open connection now."""
        self._running().drop_connections()

    # What was seen

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in the order they arrived; one under way has no `ended`."""
        return self._journal.calls

    def wait_for_calls(
        self,
        n: int,
        *,
        endpoint: str | None = None,
        account: str | None = None,
        ended: bool = True,
        executed: bool = False,
        timeout: float = 10.0,
    ) -> list[Call]:
        """Wait until `n` such calls have ended, or with ``ended=False`` arrived; returns all of them.

        With ``executed=True`` only those count that took effect. Raises `TimeoutError`.
        """
        return self._journal.wait_for(
            n, endpoint=endpoint, account=account, ended=ended, executed=executed, timeout=timeout
        )

    @property
    def refused_nonces(self) -> int:
        """How often a nonce was refused."""
        return self._journal.refused_nonces

    @property
    def highest_in_flight(self) -> int:
        """The most private calls, of all accounts, that were ever handled at the same moment.

        A call counts until its reply is nearly complete, also if its client has given up.
        """
        return self._journal.highest_in_flight

    @property
    def highest_awaited(self) -> int:
        """The same, without calls whose client had disconnected."""
        return self._journal.highest_awaited

    @property
    def connections(self) -> int:
        """How many connections were accepted since the last `start()`."""
        return self._running().accepted

    def _running(self) -> HttpServer:
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return self._server
