"""The `Engine`: builds, wires, starts and stops the actors. The one place where they are put together."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, Literal, overload

import pykka

from engine import config
from engine.actors.balance.archive import read_history
from engine.actors.events import EngineWarning, KeyChanged, PassFinished
from engine.actors.lane.attempt import distinct
from engine.actors.publisher import Subscribe, Unsubscribe
from engine.actors.system import EVENTS, PRIVATE_LANE, ActorSystem, balance_of
from engine.app import interval
from engine.app.accounts import AccountService
from engine.app.aio import AsyncEngine
from engine.app.calls import CallService
from engine.app.gates import GateService
from engine.app.order_changes import OrderChangeService
from engine.app.order_client import OrderClient
from engine.app.orders import OrderService
from engine.app.service import Service, start_service
from engine.app.state import LONGEST, AppState
from engine.app.status import EngineStatus
from engine.errors import ConfigError, EngineStopped
from engine.rules.balance.availability import Standing
from engine.rules.balance.history import BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot, moment
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt
from engine.transport import check_proxy, check_url
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Account, Clock, Secret, Settings

logger = logging.getLogger("engine")

WARNINGS_KEPT = 50


class Engine:
    """Everything private between a bot and Kraken, for any number of accounts. Thread-safe.

    Starting needs no network. `with Engine(...) as engine:` starts and stops it; `start()` raises `StoreInUse` when
    another engine owns the state directory or a key, `StoreError` when the directory cannot be used. The constructor
    raises `ConfigError`; for a CA file that cannot be read, and for a name in `Settings.cash` that is not in a list of
    Kraken's assets of the last hour, `start()` does. Without `live=True` nothing can trade.
    `balances` names the accounts whose balances are kept up to date (`None`: all); the others are only called when
    somebody calls.

    `private` and `balances` (by account name) are the refs of the actors, for embedding in a larger pykka system. An
    actor that dies is replaced; a ref held from before is then dead, and these give the new one.
    """

    def __init__(
        self,
        accounts: Iterable[Account | tuple[str, str, str]],
        *,
        url: str = KRAKEN_URL,
        state_dir: str | os.PathLike[str] | None = None,
        settings: Settings | None = Settings(),  # noqa: B008 - frozen
        live: bool = False,
        balances: Iterable[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._settings = settings or Settings()
        if not isinstance(self._settings, Settings):
            raise ConfigError("The settings of an engine are a Settings, or None.")
        self._state = AppState(distinct(accounts), balances, self._settings, clock, self._notice)
        self._calls = CallService(self._state)
        self._accounts = AccountService(self._state)
        client = OrderClient(self._state)
        self._orders = OrderService(self._state, self._calls, client, live=live)
        self._changes = OrderChangeService(self._state, self._calls, client)
        self._gates = GateService(self._state, self._calls, self._accounts, self._orders, live=live)
        self._url = url
        check_url(url, self._settings)
        check_proxy(self._settings.proxy)
        self._state_dir = config.state_directory(state_dir)
        self._live = live
        self._subscribers: list[Any] = []
        self._services: list[Service] = []
        self._warnings: deque[EngineWarning] = deque(maxlen=WARNINGS_KEPT)
        self._turn = threading.Lock()  # one start or stop at a time
        self._aio = AsyncEngine(self, self.subscribe, self.unsubscribe, lambda: self._state.is_running)
        self._at_exit = partial(_stop_at_exit, weakref.ref(self))

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        config_file: str | os.PathLike[str] | None = None,
        url: str | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        live: bool = False,
    ) -> Engine:
        """An engine from the environment (`None`: that of the process) and, where named, a TOML file."""
        found = config.load(environ, config_file, url=url, state_dir=state_dir)
        return cls(
            found.accounts, url=found.url, state_dir=found.state_dir, settings=settings or found.settings, live=live
        )

    def start(self) -> Engine:
        """Take the state directory and the keys, start the actors and the refreshing; a second call does nothing."""
        with self._turn:
            if not self._state.is_running:
                self._start()
        return self

    def _start(self) -> None:
        state = self._state
        system = ActorSystem(
            state.accounts, url=self._url, state_dir=self._state_dir, settings=self._settings, live=self._live,
            clock=state.clock, kept=state.kept, board=state.board, subscribers=self._subscribers,
            notice=self._notice, world_stopped=self.stop, fetch=self._calls.fetch, drift=state.drift,
        )  # fmt: skip
        self._calls.open(self._url)
        try:
            system.start()
        except BaseException:
            self._calls.close()
            raise
        state.opened(system)
        interval.shorten(self, self._settings.switch_interval)
        atexit.register(self._at_exit)

    def stop(self, timeout: float = 10.0) -> None:
        """End every thread, answer every caller who waits, close the store; within `timeout` seconds.

        A read under way is cut at once, a write after half of the timeout (it ends as *unknown*). A second call does
        nothing. A subscriber may call it; its own thread then ends when it returns.
        """
        timeout = max(0.0, self._state.seconds(min(timeout, LONGEST)))
        if not self._state.is_running:
            return
        deadline = time.monotonic() + timeout
        self._state.stopped.set()
        if not self._turn.acquire(blocking=not self._state.system.is_own_thread()):
            return  # a subscriber asks while the stop under way waits for it to return
        try:
            if self._state.is_running:
                self._stop(deadline)
        finally:
            self._turn.release()

    def _stop(self, deadline: float) -> None:
        system, board = self._state.system, self._state.board
        services, self._services[:] = tuple(self._services), []
        for service in services:
            service.close_door()
        self._state.closed()
        interval.restore(self)
        atexit.unregister(self._at_exit)
        self._calls.close()
        system.stop(deadline)
        self._gates.closed()
        for service in services:  # whose requests under way the actors have answered by now
            service.stop(max(0.0, deadline - time.monotonic()))
        for name, snapshot in tuple(board.items()):
            board[name] = replace(snapshot, is_available=False, standing=Standing.UNKNOWN)

    def __enter__(self) -> Engine:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def private(self) -> pykka.ActorRef[Any]:
        """The ref of the `KrakenPrivateActor`. Raises `EngineStopped` when the engine is not running."""
        return self._state.ref(PRIVATE_LANE)

    @property
    def balances(self) -> Mapping[str, pykka.ActorRef[Any]]:
        """The refs of the `BalanceActor`s by account. Raises `EngineStopped` when the engine is not running."""
        system = self._state.system
        found = {name: system.find(balance_of(name)) for name in tuple(self._state.kept)}
        return {name: ref for name, ref in found.items() if ref is not None}

    def serve(self, port: int = 8710, **options: Any) -> Service:
        """Serve this engine's dashboard, metrics, health and gateway, as `kraken-engine serve` does, in a thread.

        `port` 0 takes a free one; the service's `url` says which. The other options are `host`, `names`, `token`,
        `certificate`, `key` and `plain`: by default only this machine reaches it. The command line and other processes
        of this user go through it as well (`Engine.connect`). It ends with its `stop()` or with the engine.

        Raises `EngineStopped` while the engine does not run, `ConfigError` for an address or an option that cannot be
        used, or without the extra ``web``, and `StoreError`.
        """
        if not self._state.is_running:
            raise EngineStopped("The engine is not running: start it before it is served.")
        service = start_service(self, state_dir=self._state_dir, settings=self._settings, port=port, **options)
        self._services.append(service)
        return service

    @property
    def aio(self) -> AsyncEngine:
        """The same methods as coroutines, and the events as an asynchronous iterator."""
        return self._aio

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """One private call: Kraken's `result` as it came (fractional JSON numbers are `Decimal`).

        Waits at most `timeout` seconds (`Settings.call_timeout`) and one more. Within that time a read is made again
        after a passing failure, a write only when it was provably not executed, a placement never; each time through
        the queue, with a fresh nonce. Raises `CallNotSent`, `CallRefused` or `CallUnknown`, the last failure: see
        `engine.errors` for what each allows the caller to do.

        `endpoint_class` says what an endpoint is that this engine does not know: ``read``, ``settle``, ``order``,
        ``cancel`` or ``funds``; what is allowed and repeated follows from that, and it costs 4 points of the REST
        counter, the dearest that Kraken has. Raises `UnknownName` for a name that is none, and `CallNotSent` where a
        known endpoint has another class.
        """
        return self._calls.call(account, endpoint, params, timeout, endpoint_class)

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """Like `call`, but returns a future at once; its `cancel()` works while the call waits in the mailbox."""
        return self._calls.submit(account, endpoint, params, timeout, endpoint_class)

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """One public call, in the caller's thread and not serialized: Kraken's `result`, or raises a `CallError`.

        Where Kraken answers Ticker, Assets or AssetPairs with an error about one name beside the rows of others, the
        rows are returned and an `EngineWarning` ``partial-answer`` says the error. An endpoint that this engine does
        not know is called with ``endpoint_class="read"``.
        """
        return self._calls.public(endpoint, params, timeout, endpoint_class)

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """Place an order: at most one is on the exchange afterwards, whatever is lost on the way.

        It is checked and rounded first, never beyond what was asked; written down before it is sent; and looked up, not
        sent again, when its outcome is unknown. `id` (1 to 128 printable characters) names the placement: the same id
        again, also after a restart, ends as the first one did and places nothing; for a placement that was not sent, it
        is another try. An id is remembered for 30 days after its order is over, a placement without one for an hour.
        Without an id every call is new.

        Waits at most `timeout` seconds and two more. Returns the receipt of an order that Kraken has. Raises
        `OrderUnknown` (with the receipt) when the time is over before it is known whether Kraken has it: the end comes
        as an `OrderChanged`, and `order()` tells it. Raises `CallNotSent` when nothing was placed (`PairUnsettled`
        while another order on the pair is unknown, `IdInUse` when the id names another order), `OrderRejected` or
        another `CallRefused` when we or Kraken refuse it, `PermissionDenied` for a key with which nobody could find out
        what became of an order, `ConfigError` for what is no order or no id.

        Without `live=True` Kraken only checks the order, and the receipt has `live=False` and is not kept.
        """
        return self._orders.place(account, order, id, timeout)

    def cancel(
        self, account: str, receipt: OrderReceipt | str, timeout: float | None = None
    ) -> OrderReceipt:
        """Cancel a placement, named by its receipt, id or txid; returns what became of it: it is over then.

        The cancel is sent again within `timeout` seconds (`Settings.call_timeout`) until Kraken has done it or the
        order is seen to be over: done twice, it is as if it were done once. The receipt may be *closed* when the order
        was filled before, and *not placed* when it had not been sent. It is not final (`is_final`) while what was
        filled is not read: an `OrderChanged` says when it is.

        Raises `OrderUnknown` when the order may still be open when the time is over: the wish is kept, also over a
        restart, and carried out as soon as it can be, and when the order comes to the exchange late. Raises
        `UnknownName` for what was not placed here, and a `CallRefused` when the key may not cancel.
        """
        return self._changes.cancel(account, receipt, timeout)

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """Cancel every open order of the account, also those placed elsewhere; how many, as Kraken counts them.

        A placement that still waits in the lane ends as *not sent*. One that is not known to be at Kraken or not is
        waited for within `timeout` seconds (`Settings.call_timeout`); `OrderUnknown` then names those that may still
        come, and each is canceled when it does, also after a restart. Raises a `CallError` when CancelAll itself did
        not go through; the placements of this engine are then canceled one by one.
        """
        return self._changes.cancel_all(account, timeout)

    def amend(
        self,
        account: str,
        receipt: OrderReceipt | str,
        price: str | int | Decimal | None = None,
        volume: str | int | Decimal | None = None,
        *,
        price2: str | int | Decimal | None = None,
        display_volume: str | int | Decimal | None = None,
        timeout: float | None = None,
    ) -> OrderReceipt:
        """Change an open placement, named by its receipt, id or txid; it stays the same order (Kraken's AmendOrder).

        Prices and volumes are those of `Order`, rounded as `place` does; the volume is that of the whole order, what
        was filled included, and one below that cancels the rest. `None` leaves a part as it is. The receipt's `sent`
        tells what the order is for now.

        Raises `OrderUnknown` when it is not known in time whether it was amended: the receipt tells it as soon as
        Kraken's list does, and an `OrderChanged`. Raises `OrderRejected` or another `CallRefused` when we or Kraken
        refuse it, `CallNotSent` when nothing was sent, `ConfigError` for amounts that are none, `UnknownName`.
        """
        changes = {"price": price, "volume": volume, "price2": price2, "display_volume": display_volume}
        return self._changes.amend(account, receipt, changes, timeout)

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[False] = False
    ) -> tuple[OrderReceipt, ...]: ...

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[True]
    ) -> tuple[OpenOrder, ...]: ...

    def open_orders(
        self, account: str, timeout: float | None = None, *, all: bool = False
    ) -> tuple[OrderReceipt, ...] | tuple[OpenOrder, ...]:
        """The placements of this engine that are not over, after a look at Kraken; the oldest first.

        Also those whose outcome is unknown. With `all=True` every open order of the account as an `OpenOrder`, also
        those placed by hand, by other programs or by `call`: `is_ours` tells them apart. Raises a `CallError` when
        Kraken cannot be asked.
        """
        return self._changes.open_of_all(account, timeout) if all else self._changes.open(account, timeout)

    def order(self, account: str, id: str) -> OrderReceipt:
        """What is known of a placement, by its id, `cl_ord_id` or txid; asks nobody. Raises `UnknownName`."""
        return self._orders.find(account, id)

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """Arm the account's dead man's switch (Kraken's CancelAllOrdersAfter), and feed it while the engine is well.

        Kraken cancels **all** open orders of the account, also those placed by hand or by other programs, when it has
        heard nothing for `seconds` (3 to 86,399): the engine died, its machine is cut off, or its journal cannot be
        written. It is fed three times in that time, through the lane. Returns when Kraken has confirmed it; a
        `CallError` says that it has not, and it is tried on until `disarm`.

        It stays armed over a crash: the next live engine on this state directory feeds it again, and says so. `stop()`
        disarms it. Disarm it before Kraken's maintenance, which counts as hearing nothing. Raises `NotLive`.
        """
        self._orders.arm(account, seconds, timeout)

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """Disarm the account's dead man's switch; returns when Kraken has confirmed it.

        Raises a `CallError` when the first try fails: it is then sent again until it is confirmed, also by the next
        engine on this state directory, and an `EngineWarning` says so.
        """
        self._orders.arm(account, 0, timeout)

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """What placements may take whose outcome is not known yet, by plain asset name: it is not available.

        Infinite for a market buy, since nobody knows what it costs.
        """
        return self._orders.reserved(account)

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """The last known balance, at once; with `max_age` (seconds) refreshed first when it is older.

        Never raises for the network and waits at most `timeout` seconds: what is known then is returned with its
        state. Callers of the same time share one refresh; with `max_age=0` it was asked for after the call began.
        Raises `UnknownName` for an account that is not here, and `ConfigError` for what is no number of seconds, or,
        with `max_age`, for a name in `Settings.cash` that Kraken does not list.
        """
        return self._accounts.balance(account, max_age, timeout)

    def history(self, account: str) -> tuple[BalancePoint, ...]:
        """The last balances of an account, the newest last: a point for every change, and one every five minutes.

        The newest 200 are kept, over restarts. Read from the store, in the caller's thread; the newest may be written a
        moment later. Raises `UnknownName`, or `StoreError` when the store cannot be read.
        """
        self._state.check_account(account)
        return read_history(self._state_dir, account, self._state.accounts[account].key_id)

    def is_available(self, account: str) -> bool:
        """Whether the account may be used: after a good reply, and neither after too many failures nor in silence."""
        return self._state.known(account).is_available and self._state.is_running

    def error_count(self, account: str) -> int:
        """The account's failures in a row."""
        return self._state.known(account).error_count

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """Take an account through its gates once: from the balance to an order that Kraken would take.

        What it does, in this order: fetches the balance when it is older than the plan allows; asks Kraken for its
        status, the plan's pairs, their prices and the plan's data, in parallel, and every ten minutes what the account
        pays in fees; lets the scanner pick; asks every gate;
        asks the strategy when no gate before the signal has denied; and, when every gate has allowed, sends the order
        once: with ``validate``, so that Kraken checks it and places nothing. Only with `dry=False` **and** an engine
        that is live it is placed. Nothing is sent when a gate denies.

        `plan`: `None` is the plan that the account trades by (`start_trading`), or without one the smallest order for
        bitcoin that Kraken takes, as a question: it is never placed, also with `dry=False`. The account's own passes
        and this one run one after the other. Each wait for Kraken takes at most `timeout` seconds (`None`:
        `Settings.call_timeout`, and 30 for a placement), each piece of your code `TradePlan.patience`.

        Never raises for the network: that is in the report, with every reason; `report.require()` raises `GateDenied`.
        Raises `UnknownName`, `ConfigError`, or `EngineStopped` when the engine does not run or stops meanwhile.
        """
        return self._gates.run(account, plan, dry=dry, timeout=timeout)

    def start_trading(self, account: str, plan: TradePlan) -> None:
        """Let an account trade by a plan, from now until `stop_trading` or the engine's stop.

        A `TradingActor` takes it through the gates every `plan.interval` seconds, beginning now; without an interval
        only when `gates` asks. An order that passes is placed where the engine is live, else Kraken checks it. Every
        pass arrives as a `PassFinished` event, and the last one is in `status()`. Raises `UnknownName`,
        `EngineStopped`, or `ConfigError` when the account trades already.
        """
        self._gates.start(account, plan)

    def stop_trading(self, account: str, timeout: float = 10.0) -> bool:
        """Let an account trade no longer; whether its pass under way has ended within `timeout` seconds.

        The pass is given up at once, unless its order is being sent. Open orders stay. Does nothing for an account that
        does not trade.
        """
        return self._gates.stop(account, self._state.seconds(timeout))

    def add_account(self, account: Account | tuple[str, str, str]) -> None:
        """Take in one more account while the others go on; its balance is kept from now on.

        Raises `ConfigError` when its name or its key is here already, `StoreInUse` when another engine uses the key,
        `DeadlinePassed` when the lane was busy for `Settings.call_timeout`; nothing has changed then.
        """
        self._accounts.add(Account.of(account))

    def remove_account(self, account: str) -> None:
        """Let an account go while the others go on: its key is free, its calls that still wait end as *not sent*.

        Its nonce marks and its last known balance stay in the store, its orders at Kraken. It trades no longer, also
        when this raises: `UnknownName`, or `DeadlinePassed` as `add_account`.
        """
        self._gates.forget(account)
        self._accounts.remove(account)

    def resume(self, account: str) -> None:
        """Say that an account's key is mended: its calls go again at once, except during a lockout.

        Returns at once; a balance is fetched in the background. Raises `UnknownName` or `EngineStopped`.
        """
        self._accounts.resume(account)

    def replace_key(self, account: str, key: str | Secret, secret: str | Secret, *, otp: str | None = None) -> None:
        """Give an account another API key, while everything else goes on; calls that wait are signed with it.

        What was known of the account is forgotten, since it is not the new key's. Raises `ConfigError` when the key is
        another account's here or not usable, `StoreInUse` when another engine uses it, `DeadlinePassed` when the lane
        was busy for `Settings.call_timeout`; the old key stays then.
        """
        self._accounts.replace_key(account, key, secret, otp)

    def status(self) -> EngineStatus:
        """What the engine is doing now; waits for nothing."""
        state = self._state
        system = state.running
        mailbox = system.lane_mailbox() if system else None
        under_way = mailbox.under_way if mailbox else None
        spent, left = (mailbox.times() if mailbox else None) or (None, None)
        return EngineStatus(
            running=system is not None,
            live=self._live,
            url=self._url,
            state_dir=self._state_dir,
            pid=os.getpid(),
            as_of=moment(state.clock.wall_ns()),
            accounts=tuple(map(state.judged, tuple(state.board.values()))),
            under_way=None if under_way is None else (under_way.call.account, under_way.call.endpoint),
            waiting={each.name.lower(): n for each, n in mailbox.waiting().items()} if mailbox else {},
            refresh_intervals=system.intervals() if system else {},
            keys=dict(state.keys),
            warnings=tuple(self._warnings),
            under_way_seconds=spent,
            under_way_left=left,
            cuts=mailbox.cuts if mailbox else 0,
            lane=system.report() if system else None,
            dead=system.dead() if system else (),
            passes=dict(state.passes),
            drift=state.drift.read(),
            silent_since=system.listener.silent_since() if system else None,
        )

    def subscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], None]) -> None:
        """Give every event to an actor (told) or a callable (called in a thread of ours), from now on and in order.

        Callables share that thread: while one takes its time the others wait, and each account's balances become one
        event, the newest with the sum of the changes. Beyond 10,000 waiting events calls are left out, and the engine
        says so. An actor is told at once; what waits in its own mailbox is its own business.
        """
        self._subscribers.append(subscriber)
        if self._state.is_running:
            self._state.system.tell(EVENTS, Subscribe(subscriber))

    def unsubscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], None]) -> None:
        """Give no more events to `subscriber`."""
        self._subscribers[:] = [each for each in self._subscribers if each != subscriber]
        if self._state.is_running:
            self._state.system.tell(EVENTS, Unsubscribe(subscriber))

    def _notice(self, event: Any) -> None:
        """What the engine itself takes from its events. Run by whoever publishes; must not wait."""
        if isinstance(event, EngineWarning):
            self._warnings.append(event)
            logger.warning("%s: %s", event.code, event.message)
        elif isinstance(event, KeyChanged):
            self._state.keys[event.account] = event
        elif isinstance(event, PassFinished) and event.account in self._state.accounts:
            self._state.passes[event.account] = event.report


def _stop_at_exit(engine: weakref.ref[Engine]) -> None:
    running = engine()
    if running is not None:
        running.stop()
