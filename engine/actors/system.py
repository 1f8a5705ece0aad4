"""The actors of one engine: put together, started in order, stopped in reverse."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pykka

from engine.actors.balance.archive import ArchiveActor, Flush, read_balances
from engine.actors.balance.asset_catalogue import FILE_NAME as CATALOGUE_FILE
from engine.actors.balance.asset_catalogue import CatalogueActor, Fetch, LookForAssets, read_kept
from engine.actors.balance.asset_names import AssetNames
from engine.actors.balance.balance import BalanceActor
from engine.actors.balance.invalidation import Invalidation
from engine.actors.balance.listener import Listener
from engine.actors.balance.messages import Invalidated
from engine.actors.balance.poller import Poller
from engine.actors.balance.shared_balance import SharedBalanceActor
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning
from engine.actors.events.event_bus import PUBLISHER, EventBus
from engine.actors.events.publisher import Publisher, Subscribe
from engine.actors.fact_file import facts_in_force
from engine.actors.lane.messages import PrivateCall
from engine.actors.lane.priority_mailbox import PriorityMailbox
from engine.actors.lane.private import KrakenPrivateActor
from engine.actors.lane.report import LaneReport
from engine.actors.order.call_effects import CallEffects
from engine.actors.order.messages import DisarmAll
from engine.actors.order.order import OrderActor
from engine.actors.order.safeguards import Safeguards
from engine.actors.push_link import PushLink
from engine.actors.runtime.actor import ActorAddress, stop_actor, tell_if_alive, wait_finished
from engine.actors.runtime.scheduler import Scheduler
from engine.actors.runtime.shared_threads import SharedThreads
from engine.actors.runtime.supervisor import Supervisor
from engine.errors import StoreError
from engine.kraken.endpoints import CallClass
from engine.kraken.facts import Facts
from engine.kraken.limits import TIERS
from engine.rules.balance.auto_earn import AutoEarn
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.lane.admission import KEPT, SETTLEMENT
from engine.store.backing import Backing
from engine.values import Account, Clock, Settings

logger = logging.getLogger("engine")

PRIVATE_LANE, ARCHIVE, CATALOGUE, ORDERS = "private", "archive", "catalogue", "orders"
BALANCE = "balance "
TRADING = "trading "  # the names of trading actors begin with it
STOP_PATIENCE = 5.0  # seconds to stop the others, when an actor cannot be started
WRITTEN_WITHIN = 1.0  # seconds; with a slower disk an account that comes back may lose its very last balance
OWN_THREADS_AT_MOST = 200  # accounts, where the settings leave it open
SHARE_A_THREAD = 1000  # accounts, beyond that
PART_FOR_PUSH = 0.3  # of a stop's timeout, to close its sockets
PART_FOR_DISARMING = 0.3  # of a stop's timeout

_AUTO_EARN = {"unknown": AutoEarn.UNSETTLED, "apart": AutoEarn.SUM, "in-base": AutoEarn.LARGER}

After = Callable[[float, Callable[[], None]], None]
"""`Scheduler.after`."""


def _shared_threads(settings: Settings, accounts: int) -> SharedThreads | None:
    """The threads that balance actors share; `None`: each has its own."""
    each = settings.accounts_per_thread or (1 if accounts <= OWN_THREADS_AT_MOST else SHARE_A_THREAD)
    return None if each == 1 else SharedThreads(each)


def balance_of(account: str) -> str:
    """The name of an account's `BalanceActor`."""
    return BALANCE + account


def trading_of(account: str) -> str:
    """The name of an account's `TradingActor`."""
    return TRADING + account


def _show(board: dict[str, BalanceSnapshot], snapshot: BalanceSnapshot) -> None:
    if snapshot.account in board:  # not after its removal
        board[snapshot.account] = snapshot


class ActorSystem:
    """Events, the private lane, archive, catalogue and orders, then one `BalanceActor` for each account in `kept`.

    `board` holds the newest snapshot of each account; `notice` is called before the subscribers, with those events that
    the engine keeps.
    `subscribers` is the engine's own list, which it changes as they come and go.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        *,
        url: str,
        backing: Backing,
        settings: Settings,
        live: bool,
        clock: Clock,
        kept: Sequence[str],
        board: dict[str, BalanceSnapshot],
        subscribers: Sequence[Any],
        notice: Callable[[Any], None],
        world_stopped: Callable[[], None],
        fetch: Fetch,
        drift: DriftLog,
    ) -> None:
        self._accounts, self._kept, self._board, self._subscribers = accounts, kept, board, subscribers
        self._url, self._backing, self._settings, self._live, self._clock = url, backing, settings, live, clock
        self._fetch, self._drift = fetch, drift
        self.names = AssetNames(look=partial(self.tell, CATALOGUE, LookForAssets()), cash=settings.cash)
        self.listener = Listener(settings, clock)
        self.safeguards = Safeguards()
        self._invalidations: defaultdict[str, Invalidation] = defaultdict(partial(Invalidation, threading.Lock()))
        self.facts = Facts()
        self._report: Callable[..., LaneReport] | None = None
        self._late: list[pykka.ActorRef[Any]] = []
        self._scheduler = Scheduler()
        self._threads = _shared_threads(settings, len(kept))
        self._poller = Poller(settings, monotonic=clock.monotonic, after=self._scheduler.after)
        self._actors = Supervisor(
            keystone=PRIVATE_LANE, after=self._scheduler.after, warn=self._warn, world_stopped=world_stopped
        )  # fmt: skip
        self.refs = self._actors.refs
        """The actors by name; it changes as they are started, replaced and stopped."""
        self._effects = CallEffects(self.refs, ORDERS, clock.wall_ns)
        self._private = ActorAddress(self.refs, PRIVATE_LANE)
        self._show, self._archive = partial(_show, board), partial(self.tell, ARCHIVE)
        self.publish = EventBus(self.refs, subscribers, notice, self._archive).publish
        """Gives an event to the engine, where it keeps such events, and to every subscriber. Any thread."""
        self.push = PushLink(
            settings, clock, drift, tell=lambda name, message: self.refs[name].tell(message), lane=PRIVATE_LANE,
            orders=ORDERS, balance_of=balance_of, invalidate=self.invalidate, publish=self.publish,
        )  # fmt: skip

    def start(self) -> None:
        """Start them all. When one cannot be started, the others are stopped again and its error is raised."""
        try:
            self._scheduler.start()
            self._actors.watch()
            self._actors.start(PUBLISHER, self._start_events)
            self._actors.start(PRIVATE_LANE, self._start_private)
            self._actors.start(
                ARCHIVE, lambda: ArchiveActor.start(self._backing.local, publish=self.publish, clock=self._clock)
            )
            kept = read_kept(self._backing.local / CATALOGUE_FILE)
            self._actors.start(CATALOGUE, self._start_catalogue)
            self.names.start(kept, self._clock.wall_ns() / 1e9)
            self.facts = facts_in_force(self._backing.local, self._accounts, self.publish)
            self._actors.start(ORDERS, self._start_orders)
            self._board.update(self._restored(self._accounts.values()))
            self.push.prepare()
            start_balance = self._start_balance
            for name in self._kept:
                self._actors.start(balance_of(name), start_balance, name)
            self.push.start(self._kept)
        except BaseException:
            self.stop(time.monotonic() + STOP_PATIENCE)
            raise

    def stop(self, deadline: float) -> None:
        """Stop them in the reverse order of their start, all by `deadline` (`time.monotonic()`).

        Trading actors are told first and waited for last: their pass under way may wait for the others.
        """
        self._actors.stop_watching(max(0.0, deadline - time.monotonic()))
        if not self.push.stop((deadline - time.monotonic()) * PART_FOR_PUSH):
            logger.warning("Push did not stop in time.")
        names = self._actors.names()
        trading = [name for name in names if name.startswith(TRADING)]
        for name in names:  # each waits for no other, so they end together
            if name.startswith((TRADING, BALANCE)):
                stop_actor(self._actors.ref(name))
        others = [name for name in reversed(names) if name not in trading]
        for name in (*others, *trading):
            if name == ORDERS:
                self._disarm(deadline)
            if name in (ORDERS, PRIVATE_LANE) and (lane := self.lane_mailbox()) is not None:
                # Before the journal stops: it takes in how the call under way ends. Where another owner goes on, the
                # account's callers are to see no more of it than that a call was not sent.
                lane.end_calls(deadline, reads_end=self._backing.is_handed_over)
            ref = self._actors.ref(name)
            if not self._actors.stop(name, deadline - time.monotonic()):
                self._late.append(ref)
                logger.warning("The actor %s did not stop in time.", name)
        self._scheduler.stop(max(0.0, deadline - time.monotonic()))

    def wait_ended(self, seconds: float) -> bool:
        """Whether also those have finished, within some seconds, that a stop did not wait for."""
        deadline = time.monotonic() + seconds
        return all(wait_finished(ref, deadline - time.monotonic()) for ref in self._late)

    def start_trading(self, account: str, start: Callable[[After], pykka.ActorRef[Any]]) -> None:
        """Start an account's `TradingActor`; `start` is given the timers."""
        self._actors.start(trading_of(account), partial(start, self._scheduler.after))

    def stop_trading(self, account: str, timeout: float) -> bool:
        """Stop an account's `TradingActor`; whether it has finished in time."""
        return self._actors.stop(trading_of(account), timeout)

    def _disarm(self, deadline: float) -> None:
        """An orderly stop needs no dead man's switch; one that cannot be disarmed now is at the next start."""
        if self._backing.is_handed_over:
            return
        with contextlib.suppress(pykka.ActorDeadError, pykka.Timeout, KeyError):
            patience = (deadline - time.monotonic()) * PART_FOR_DISARMING
            self._actors.ref(ORDERS).ask(DisarmAll(), timeout=max(0.0, patience))

    def add_balance(self, account: str) -> None:
        """Keep another account's balance, starting from what the store knows, even if it was just removed."""
        with contextlib.suppress(KeyError, pykka.Timeout, pykka.ActorDeadError):
            self._actors.ref(ARCHIVE).ask(Flush(), timeout=WRITTEN_WITHIN)
        self._board.update(self._restored([self._accounts[account]]))
        self._actors.start(balance_of(account), self._start_balance, account)
        self.push.keep(account)

    def remove_balance(self, account: str) -> None:
        """Stop keeping an account's balance; callers that wait for it are answered."""
        self.push.drop(account)
        self._actors.stop(balance_of(account), STOP_PATIENCE)

    def is_own_thread(self) -> bool:
        """Whether the caller runs in the thread of one of the actors."""
        return self._actors.is_own_thread()

    def tell(self, name: str, message: Any) -> None:
        """Tell an actor something; without such an actor it is dropped."""
        tell_if_alive(self.refs.get(name), message)

    def intervals(self) -> dict[str, float]:
        """Seconds between two refreshes of each account's balance, given all of them."""
        accounts, usual = self._accounts, self._settings.tier
        intervals = {name: self._poller.interval(tier.calls_decay) for name, tier in TIERS.items()}
        return {name: intervals[accounts[name].tier or usual] for name in tuple(self._kept) if name in accounts}

    def plain_name(self, row: str) -> str:
        """The plain name of an asset that Kraken calls `row`."""
        return self.names.table.locate(row).asset

    def lane_mailbox(self) -> PriorityMailbox | None:
        """The lane's mailbox, for reading; `None` while there is no lane."""
        lane = self.refs.get(PRIVATE_LANE)
        mailbox: PriorityMailbox | None = None if lane is None else lane.actor_inbox  # type: ignore[assignment]
        return mailbox

    def report(self, *only: str) -> LaneReport | None:
        """The state of the private lane, with the keys of all or only those accounts; `None` before it has started."""
        return None if self._report is None else self._report(*only)

    def dead(self) -> tuple[str, ...]:
        """The names of actors and threads that should run and do not; a dead actor is replaced within a second."""
        threads = ("scheduler", not self._scheduler.is_alive), ("push", self.push.is_dead)
        return (*self._actors.dead(), *(name for name, is_dead in threads if is_dead))

    def invalidate(self, account: str) -> None:
        """A call or a fill has changed what the account holds: its balance is STALE now, and fetched again soon.

        Any thread may call this; when it returns, no snapshot that was asked for before is FRESH.
        """
        now = self._clock.monotonic()
        self._invalidations[account].note(now)
        self.tell(balance_of(account), Invalidated(now))

    def _warn(self, code: str, sentence: str) -> None:
        self.publish(EngineWarning(code, sentence))

    def _start_events(self) -> pykka.ActorRef[Any]:
        events = Publisher.start()
        for subscriber in self._subscribers:
            events.tell(Subscribe(subscriber))
        return events

    def _start_private(self) -> pykka.ActorRef[Any]:
        return KrakenPrivateActor.start(
            self._accounts.values(), url=self._url, backing=self._backing, settings=self._settings,
            live=self._live, clock=self._clock, scheduler=self._scheduler, publish=self.publish,
            invalidate=self.invalidate, going=self._going, told=self._effects.ended, watch=self._watch,
            drift=self._drift, ended=self.listener.ended, subscribers=self._subscribers,
        )  # fmt: skip

    def _watch(self, report: Callable[..., LaneReport]) -> None:
        self._report = report

    def _start_catalogue(self) -> pykka.ActorRef[Any]:
        return CatalogueActor.start(
            self._backing.local, fetch=self._fetch, learn=self._learn, after=self._scheduler.after, clock=self._clock,
            drift=self._drift, gave_up=self.names.gave_up, wants_shares=lambda: self.names.wants_shares,
        )  # fmt: skip

    def _learn(self, assets: object) -> None:
        """Take in Kraken's list of assets. Any thread but the scheduler's."""
        self.names.learn(assets)
        trouble = self.names.cash_trouble()
        if trouble is not None:
            self.publish(EngineWarning("cash-not-listed", trouble))

    def _start_orders(self) -> pykka.ActorRef[Any]:
        return OrderActor.start(
            self._backing.open_journal, self._private, settings=self._settings,
            clock=self._clock, after=self._scheduler.after, publish=self.publish, invalidate=self.invalidate,
            live=self._live, drift=self._drift, key_of=self._key_of, spare=self._spare, safeguards=self.safeguards,
        )  # fmt: skip

    def _going(self, call: PrivateCall) -> None:
        """A paused account places nothing, and an edit is written down first. Lane's thread; raises `CallNotSent`."""
        self.safeguards.check(call)
        self._effects.going(call)

    def _key_of(self, account: str) -> str | None:
        known = self._accounts.get(account)
        return None if known is None else known.key_id

    def _spare(self, account: str, seconds: float) -> float:
        """The points of an account's counter that may be spent, so that `seconds` later a thorough look has room."""
        report = self.report(account)
        key = report.keys.get(account) if report is not None and self._settings.local_limits else None
        if key is None:
            return math.inf
        decay = TIERS[self._accounts[account].tier or self._settings.tier].calls_decay
        return key.limit - KEPT[CallClass.SETTLE] - SETTLEMENT - key.level + decay * max(0.0, seconds)

    def _start_balance(self, name: str) -> pykka.ActorRef[Any]:
        threads = self._threads
        start = BalanceActor.start if threads is None else partial(SharedBalanceActor.start_on, threads)
        return start(
            name, self._private, settings=self._settings, clock=self._clock,
            scheduler=self._scheduler, poller=self._poller, tier=self._accounts[name].tier, names=self.names,
            publish=self.publish, show=self._show, record=self._archive, known=self._board[name],
            invalidation=self._invalidations[name], drift=self._drift, listener=self.listener,
            auto_earn=_AUTO_EARN[self.facts.auto_earn(self._clock.wall_ns() / 1e9)], pulse=self.push.pulse(name),
        )  # fmt: skip

    def _restored(self, accounts: Iterable[Account]) -> dict[str, BalanceSnapshot]:
        try:
            return read_balances(self._backing.local, accounts, self._settings, self._clock)
        except StoreError as error:
            self.publish(EngineWarning("balances-lost", f"The last known balances cannot be read: {error}"))
            return {}
