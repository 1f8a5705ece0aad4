"""The simulator itself: an exchange, a script of faults and a journal behind one HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from engine.simulator.accounts import PERMISSIONS, Amount, SimAccount, read_rows
from engine.simulator.exchange import Exchange
from engine.simulator.faults import Fault
from engine.simulator.journal import Call, Journal
from engine.simulator.market import find_any_pair
from engine.simulator.orders import Placement
from engine.simulator.public import STATUSES
from engine.simulator.rules import Rules
from engine.simulator.script import FaultScript, ScriptedFault
from engine.simulator.server import HttpServer, Port
from engine.simulator.serving import Service


class Simulator:
    """A strict Kraken on loopback, for tests and for trying things out.

    It checks signatures, nonces and permissions by rules of its own, keeps a record of every call,
    and fails in every way it is told to. Use it as a context manager, or call `start()` and
    `close()`::

        with Simulator() as simulator:
            engine = Engine(simulator.accounts, url=simulator.url)

    Every method may be called from any thread, and `start`, `stop` and `close` from one at a time.

    accounts: names, which get new keys, or ``(name, key, secret)`` triples.
    port: 0 takes a free one.
    rules: in what this Kraken differs from today's; `Rules.of_2025()` is that of November 2025.
    remember: how many calls the record keeps, the latest; `None` keeps all.
    differences: any value of `Rules` by its name, such as the exchange's clocks, `wall` and `monotonic`. Raises
    `TypeError` for a name that is none.
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
        self._journal = Journal(remember)
        self._script = FaultScript()
        self._service = Service(self._exchange, self._script, self._journal, rules)
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
        """Stop for good: no thread and no socket is left."""
        self.stop()
        self._port.release()
        self._closed.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until somebody calls `close()`; say whether that came within the timeout."""
        return self._closed.wait(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port; known once it was started."""
        if not self._port.number:
            raise RuntimeError("the simulator was never started, so it has no port yet")
        return self._port.number

    @property
    def url(self) -> str:
        """The base URL, in place of Kraken's."""
        return f"http://{self._host}:{self.port}"

    # Accounts

    @property
    def accounts(self) -> list[SimAccount]:
        """The accounts with their keys and secrets."""
        return self._exchange.accounts

    def add_account(
        self,
        account: str | tuple[str, str, str],
        balances: Mapping[str, Amount] | None = None,
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

        Amounts are strings, told as they are. Raises `ValueError`, `TypeError` or `LookupError`.
        """
        rows = read_rows(balances)
        with self._exchange.customer(name) as customer:
            customer.wallet.rows = rows

    def set_permissions(self, name: str, permissions: Collection[str]) -> None:
        """Say what an account's key may do, in Kraken's words. Raises `ValueError` for others."""
        granted = frozenset(permissions)
        if not granted <= PERMISSIONS:
            raise ValueError(f"{sorted(granted - PERMISSIONS)} are no permissions of Kraken's")
        with self._exchange.customer(name) as customer:
            customer.key.permissions = granted

    def set_otp(self, name: str, otp: str | None) -> None:
        """Give an account's key a two-factor password, which each of its calls then has to bring."""
        with self._exchange.customer(name) as customer:
            customer.key.otp = otp

    def set_us_retail(self, name: str, is_us_retail: bool = True) -> None:
        """Let an account belong to a private client in the United States.

        Such an account has to name the pair at the other venue (``XBTUSD:BTNL``) in every leveraged order; the plain
        name is refused, but only when the order is to be placed and not when it is only validated. All other accounts
        are refused at that venue.
        """
        with self._exchange.customer(name) as customer:
            customer.orders.is_us_retail = is_us_retail

    def revoke(self, name: str) -> None:
        """Disable an account's key: it is answered ``EAPI:Invalid key``."""
        with self._exchange.customer(name) as customer:
            customer.key.is_revoked = True

    def restore(self, name: str) -> None:
        """Enable an account's key again."""
        with self._exchange.customer(name) as customer:
            customer.key.is_revoked = False

    def nonce(self, name: str) -> int:
        """The highest nonce seen of an account's key; 0 before the first."""
        with self._exchange.customer(name) as customer:
            return customer.key.nonces.highest

    def set_nonce(self, name: str, nonce: int) -> None:
        """Spend a nonce, as if another program used the key. It never falls: a lower one raises."""
        with self._exchange.customer(name) as customer:
            if nonce < customer.key.nonces.highest:
                raise ValueError("the nonce of a key never falls; give the account a new key")
            customer.key.nonces.spend(nonce)

    def add_open_order(self, name: str, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Let an order rest that can be cancelled."""
        with self._exchange.customer(name) as customer:
            customer.orders.put_in(txid, cl_ord_id=cl_ord_id)

    def placements(self, name: str) -> list[Placement]:
        """The orders that an account's calls have placed, the first one first."""
        with self._exchange.customer(name) as customer:
            return list(customer.orders.placements)

    def set_status(self, status: str) -> None:
        """Say what `SystemStatus` answers."""
        if status not in STATUSES:
            raise ValueError(f"{status!r} is none of {sorted(STATUSES)}")
        self._exchange.market.status = status

    def set_price(self, pair: str, bid: str, ask: str) -> None:
        """Move a pair's price: resting orders that it reaches are filled, at their own. Raises `ValueError`.

        pair: any of its names, of any asset class and venue.  bid, ask: ``"0"`` leaves that side of the book empty.
        """
        found = find_any_pair(pair)
        if found is None:
            raise ValueError(f"there is no pair {pair!r}")
        self._exchange.move_price(found, Decimal(bid), Decimal(ask))

    def set_listing_lag(self, seconds: float, *, closing: float = 0.0) -> None:
        """Let new orders, and their trades, be missing from every list for so long, by the exchange's clock.

        closing: how long orders that ended, and trades, are missing from `ClosedOrders` and `TradesHistory`. Nobody has
        seen Kraken do that to an order that was listed; what relies on the lists has to survive it all the same.
        """
        self._exchange.market.listing_lag = seconds
        self._exchange.market.closing_lag = closing

    def set_history(self, name: str, since: int = 0, until: int = 0) -> None:
        """Limit the history that an account's key may query, Unix time; 0 is unlimited."""
        with self._exchange.customer(name) as customer:
            customer.key.history = (since, until)

    def orders(self, name: str) -> list[dict[str, Any]]:
        """Every order that an account ever had accepted, the first one first: its row, with its ``txid``."""
        with self._exchange.customer(name) as customer:
            return [{"txid": order.txid, **order.row(trades=True)} for order in customer.book.all()]

    def fill(self, name: str, txid: str, volume: str) -> None:
        """Let a stranger take a part of a resting order. Raises `LookupError` or `ValueError`."""
        with self._exchange.customer(name) as customer:
            customer.book.fill(txid, Decimal(volume))

    # Faults

    def fault(self, fault: Fault) -> ScriptedFault:
        """Add a fault to the end of the script; the first one that fits strikes."""
        return self._script.add(fault)

    def clear_faults(self) -> None:
        """Remove all faults; calls they keep waiting go on."""
        self._script.remove()

    @contextmanager
    def outage(self, fault: Fault | None = None) -> Iterator[None]:
        """Be away inside the block: connections are refused, or every call meets `fault`."""
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
        """Wait until `n` such calls have ended, or with ``ended=False`` arrived; give all of them.

        With ``executed=True`` only those count that took effect. Raises `TimeoutError`.
        """
        return self._journal.wait_for(
            n,
            endpoint=endpoint,
            account=account,
            ended=ended,
            executed=executed,
            timeout=timeout,
        )

    @property
    def refused_nonces(self) -> int:
        """How often a nonce was refused."""
        return self._journal.refused_nonces

    @property
    def highest_in_flight(self) -> int:
        """The most private calls, of all accounts, that were ever handled at the same moment.

        A call counts until its reply is about to be complete, also when its client has given it up.
        """
        return self._journal.highest_in_flight

    @property
    def highest_awaited(self) -> int:
        """The same, without those whose client had already hung up."""
        return self._journal.highest_awaited

    @property
    def connections(self) -> int:
        """How many connections were accepted since the last `start()`."""
        return self._running().accepted

    def _running(self) -> HttpServer:
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return self._server
