"""The `Engine`: builds, wires, starts and stops the actors. The one place where they are put together."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from functools import partial
from typing import Any

import pykka

from engine import config
from engine.actors.crew import EVENTS, PRIVATE_LANE, Crew, balance_of
from engine.actors.events import Subscribe, Unsubscribe
from engine.actors.lane import distinct
from engine.actors.messages import (
    EngineWarning,
    ForgetBalance,
    KeyChanged,
    PrivateCall,
    ReadBalance,
    ReplaceKey,
    Resume,
)
from engine.actors.ticket import FutureReply
from engine.errors import (
    CallError,
    CallUnknown,
    ConfigError,
    DeadlinePassed,
    EngineStopped,
    UnknownName,
)
from engine.kraken.endpoints import PRIVATE, public_endpoint
from engine.kraken.replies import read_reply
from engine.kraken.signing import encode_form
from engine.rules.balances import BalanceSnapshot, moment
from engine.rules.repeat import pause_before_repeat
from engine.rules.storms import SENTENCES, State
from engine.status import EngineStatus
from engine.transport import TransportPool, check_proxy, check_url
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Account, Clock, Secret, Settings

logger = logging.getLogger("engine")

ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)
LONGEST = 1_000_000  # seconds that a caller may be willing to wait
WARNINGS_KEPT = 50


class Engine:
    """Everything private between a bot and Kraken, for any number of accounts. Thread-safe.

    Starting needs no network. `with Engine(...) as engine:` starts and stops it; `start()` raises `StoreInUse` when
    another engine owns the state directory or a key, `StoreError` when the directory cannot be used. The constructor
    raises `ConfigError` (for a CA file that cannot be read, `start()` does). Without `live=True` nothing can trade.
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
        settings: Settings | None = None,
        live: bool = False,
        balances: Iterable[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._accounts = {account.name: account for account in distinct(accounts)}
        self._settings = settings or Settings()
        self._url = url
        check_url(url, self._settings)
        check_proxy(self._settings.proxy)
        self._state_dir = config.state_directory(state_dir)
        self._live = live
        self._clock = clock
        self._board = {
            name: BalanceSnapshot(name, max_age=self._settings.max_age, _clock=clock) for name in self._accounts
        }
        self._kept = tuple(self._accounts) if balances is None else tuple(balances)
        for name in self._kept:
            self._check_account(name)
        self._subscribers: list[Any] = []
        self._warnings: deque[EngineWarning] = deque(maxlen=WARNINGS_KEPT)
        self._keys = {name: KeyChanged(name, State.OPEN.value, SENTENCES[State.OPEN]) for name in self._accounts}
        self._running = False
        self._pid = 0
        self._stopped = threading.Event()
        self._turn = threading.Lock()  # one start or stop at a time
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
            if not self._is_running:
                self._start()
        return self

    def _start(self) -> None:
        self._crew = Crew(
            self._accounts, url=self._url, state_dir=self._state_dir, settings=self._settings, live=self._live,
            clock=self._clock, kept=self._kept, board=self._board, subscribers=self._subscribers,
            notice=self._notice, world_stopped=self.stop,
        )  # fmt: skip
        self._crew.start()
        self._public = TransportPool(self._url, self._settings, clock=self._clock)
        self._stopped.clear()
        self._running = True
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def stop(self, timeout: float = 10.0) -> None:
        """End every thread, answer every caller who waits, close the store; within `timeout` seconds.

        A read under way is cut at once, a write after half of the timeout (it ends as *unknown*). A second call does
        nothing. A subscriber may call it; its own thread then ends when it returns.
        """
        timeout = max(0.0, self._seconds(min(timeout, LONGEST)))
        if not self._is_running:
            return
        deadline = time.monotonic() + timeout
        self._stopped.set()
        if not self._turn.acquire(blocking=not self._crew.is_own_thread()):
            return  # a subscriber asks while the stop under way waits for it to return
        try:
            if self._is_running:
                self._running = False
                atexit.unregister(self._at_exit)
                self._public.close()
                self._crew.stop(deadline)
                for name, snapshot in self._board.items():
                    self._board[name] = replace(snapshot, is_available=False)
        finally:
            self._turn.release()

    def __enter__(self) -> Engine:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Any:
        """One private call: Kraken's `result` as it came (fractional JSON numbers are `Decimal`).

        Waits at most `timeout` seconds (`Settings.call_timeout`) and one more. Within that time a read is made again
        after a passing failure, a write only when it was provably not executed, a placement never; each time through
        the queue, with a fresh nonce. Raises `CallNotSent`, `CallRefused` or `CallUnknown`, the last failure: see
        `engine.errors` for what each allows the caller to do.
        """
        deadline = self._clock.monotonic() + self._seconds(timeout)
        for attempt in itertools.count():
            try:
                return self._one_attempt(account, endpoint, params, deadline - self._clock.monotonic())
            except CallError as error:
                pause = _pause(error, endpoint, attempt)
                if pause is None or self._clock.monotonic() + pause >= deadline or self._stopped.wait(pause):
                    raise
        raise AssertionError("unreachable")

    def _one_attempt(self, account: str, endpoint: str, params: Mapping[str, Any] | None, seconds: float) -> Any:
        future = self.submit(account, endpoint, params, seconds)
        try:
            return future.result(max(0.0, seconds) + ANSWER_GRACE)
        except FutureTimeout:
            if future.cancel():
                raise EngineStopped("The call was not sent in time.", account=account, endpoint=endpoint) from None
            raise CallUnknown(
                "No answer in time: look up what became of the call.", account=account, endpoint=endpoint
            ) from None

    @property
    def private(self) -> pykka.ActorRef[Any]:
        """The ref of the `KrakenPrivateActor`. Raises `EngineStopped` when the engine is not running."""
        return self._ref(PRIVATE_LANE)

    @property
    def balances(self) -> Mapping[str, pykka.ActorRef[Any]]:
        """The refs of the `BalanceActor`s by account. Raises `EngineStopped` when the engine is not running."""
        return {name: self._ref(balance_of(name)) for name in self._kept}

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Future[Any]:
        """Like `call`, but returns a future at once; its `cancel()` works while the call waits in the mailbox."""
        reply = FutureReply()
        call = PrivateCall(account, endpoint, dict(params or {}), timeout, reply_to=reply)
        try:
            self._check_account(account)
            self.private.tell(call)
        except (pykka.ActorDeadError, EngineStopped):
            stopped = EngineStopped("The engine is not running.", account=account, endpoint=endpoint)
            reply.future.set_exception(stopped)
        except CallError as error:
            reply.future.set_exception(error.about(account, endpoint))
        return reply.future

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Any:
        """One public call, in the caller's thread and not serialized: Kraken's `result`, or raises a `CallError`."""
        found = public_endpoint(endpoint)
        if not self._is_running:
            raise EngineStopped("The engine is not running.", endpoint=endpoint)
        wait = self._seconds(timeout)
        try:
            answer = self._public.get(
                found.path, encode_form(params or {}).decode(), deadline=self._clock.monotonic() + wait
            )
            return read_reply(answer.status, answer.body, found, now=self._clock.wall_ns() / 1e9).result
        except CallError as error:
            raise error.about(None, endpoint) from None

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """The last known balance, at once; with `max_age` (seconds) refreshed first when it is older.

        Never raises for the network and waits at most `timeout` seconds: what is known then is returned with its
        state. Callers of the same time share one refresh. Raises `UnknownName` for an account that is not here.
        """
        self._check_account(account)
        if max_age is not None and self._is_running:
            wait = self._seconds(timeout)
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError, EngineStopped):  # the board has what is known
                self._ref(balance_of(account)).ask(ReadBalance(max_age, wait), timeout=wait + ANSWER_GRACE)
        return self._board[account]

    def is_available(self, account: str) -> bool:
        """Whether the account may be used: after a good reply, and not after too many failures."""
        self._check_account(account)
        return self._is_running and self._board[account].is_available

    def error_count(self, account: str) -> int:
        """The account's failures in a row."""
        self._check_account(account)
        return self._board[account].error_count

    def resume(self, account: str) -> None:
        """Say that an account's key is mended: its calls go again at once, except during a lockout.

        Returns at once; a balance is fetched in the background. Raises `UnknownName` or `EngineStopped`.
        """
        self._check_account(account)
        self._ref(PRIVATE_LANE).tell(Resume(account))
        self._crew.tell(balance_of(account), ReadBalance(max_age=0.0))

    def replace_key(self, account: str, key: str | Secret, secret: str | Secret, *, otp: str | None = None) -> None:
        """Give an account another API key, while everything else goes on; calls that wait are signed with it.

        What was known of the account is forgotten, since it is not the new key's. Raises `ConfigError` when the key is
        another account's here or not usable, `StoreInUse` when another engine uses it, `DeadlinePassed` when the lane
        was busy for `Settings.call_timeout`; the old key stays then.
        """
        self._check_account(account)
        new = Account(account, key, secret, tier=self._accounts[account].tier, otp=otp)
        request = ReplaceKey(new)
        answer = self._ref(PRIVATE_LANE).ask(request, block=False)
        try:
            answer.get(timeout=self._settings.call_timeout)
        except pykka.Timeout:
            if request.claim():  # withdrawn: the lane has not begun, and will not
                raise DeadlinePassed("The lane is busy; the key was not replaced.", account=account) from None
            answer.get(timeout=ANSWER_GRACE)
        except pykka.ActorDeadError:
            raise EngineStopped("The engine is not running.", account=account) from None
        is_another = new.key_id != self._accounts[account].key_id
        self._accounts[account] = new
        if is_another and account in self._kept:
            self._ref(balance_of(account)).ask(ForgetBalance(), timeout=ANSWER_GRACE)
        self._crew.tell(balance_of(account), ReadBalance(max_age=0.0))

    def status(self) -> EngineStatus:
        """What the engine is doing now; waits for nothing."""
        mailbox: Any = self.private.actor_inbox if self._is_running else None
        under_way = mailbox.under_way if mailbox else None
        return EngineStatus(
            running=self._is_running,
            live=self._live,
            url=self._url,
            state_dir=self._state_dir,
            pid=os.getpid(),
            as_of=moment(self._clock.wall_ns()),
            accounts=tuple(self._board.values()),
            under_way=under_way and (under_way.call.account, under_way.call.endpoint),
            waiting={each.name.lower(): n for each, n in mailbox.waiting().items()} if mailbox else {},
            keys=dict(self._keys),
            warnings=tuple(self._warnings),
        )

    def subscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], None]) -> None:
        """Give every event to an actor (told) or a callable (called in a thread of ours), from now on and in order."""
        self._subscribers.append(subscriber)
        if self._is_running:
            self._crew.tell(EVENTS, Subscribe(subscriber))

    def unsubscribe(self, subscriber: pykka.ActorRef[Any] | Callable[[Any], None]) -> None:
        """Give no more events to `subscriber`."""
        self._subscribers = [each for each in self._subscribers if each != subscriber]
        if self._is_running:
            self._crew.tell(EVENTS, Unsubscribe(subscriber))

    @property
    def _is_running(self) -> bool:
        """Whether it runs in this process: a forked child has the object, and none of the threads."""
        return self._running and os.getpid() == self._pid

    def _seconds(self, timeout: float | None) -> float:
        if timeout is None:
            return self._settings.call_timeout
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not -LONGEST <= timeout <= LONGEST:
            raise ConfigError(f"{timeout!r} is no timeout: give seconds as a number up to {LONGEST:,}.")
        return timeout

    def _ref(self, name: str) -> pykka.ActorRef[Any]:
        try:
            if self._is_running:
                return self._crew.ref(name)
        except KeyError:
            pass
        raise EngineStopped("The engine is not running.")

    def _check_account(self, account: str) -> None:
        if account not in self._accounts:
            known = ", ".join(self._accounts) or "none"
            raise UnknownName(f"There is no account {account!r}; this engine has: {known}.", account=account)

    def _notice(self, event: Any) -> None:
        """What the engine itself takes from its events. Run by whoever publishes; must not wait."""
        if isinstance(event, EngineWarning):
            self._warnings.append(event)
            logger.warning("%s: %s", event.code, event.message)
        elif isinstance(event, KeyChanged):
            self._keys[event.account] = event


def _pause(error: CallError, endpoint: str, attempt: int) -> float | None:
    known = PRIVATE.get(endpoint)
    if known is None:
        return None
    return pause_before_repeat(error, attempt, writes=known.writes, places=known.places)


def _stop_at_exit(engine: weakref.ref[Engine]) -> None:
    running = engine()
    if running is not None:
        running.stop()
