"""A node of a cluster: a process that takes lanes, keeps their leases and runs their engines."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from engine import config
from engine.app import Engine
from engine.app.one_type import one_type
from engine.app.uninterrupted import uninterrupted
from engine.cluster import schema
from engine.cluster.backing import LaneBacking
from engine.cluster.database import PATIENCE, Database
from engine.cluster.durability import check_durable
from engine.cluster.lane_run import ROUND
from engine.cluster.lease import TTL
from engine.cluster.leases import Leases
from engine.cluster.members import check_keys, check_name, lanes_here
from engine.cluster.node_status import LaneStatus, NodeStatus
from engine.cluster.rounds import Rounds
from engine.cluster.view import ClusterView
from engine.errors import LaneElsewhere, StoreError, UnknownName
from engine.ownership import Ownership
from engine.ownership.cluster_keys import ClusterKeys
from engine.rules.cluster.lease import LaneState
from engine.store import prepare_directory
from engine.values import KRAKEN_URL, Account, Secret, Settings

VERIFY_EVERY = 5.0  # seconds
STOP_PATIENCE = 10.0  # seconds

logger = logging.getLogger(__name__)


@one_type
class Node:
    """Takes the lanes that it has the keys for, as they become free, and serves them. Any thread.

    `lanes` has the accounts of each lane, the same at every node; a node takes a lane when `accounts` has all of them.
    `dsn` is the address of the PostgreSQL that all nodes share. `name` is unique in the cluster (`None`: that of the
    machine); `url` is where others reach this node's gateway. `local` is a directory for what may stay on this machine
    (`None`: one of the user's, by the node's name). `settings` and `live` are those of the engines; `kraken_url` is
    where they call Kraken (`None`: ``$KRAKEN_SPOT_URL``, else Kraken's own). `ttl` is for how many seconds a lease is
    given, the same at every node, and `patience` how many PostgreSQL may take to answer.

    Lanes spread evenly over the nodes that are there. A lane whose owner is gone is taken over when its lease is over,
    `ttl` after its last renewal; then each key makes one accepted read before anything else. People say at which node a
    lane is wanted, and which node has to hand over all of its lanes (`engine.cluster.leases.Leases`).

    The constructor raises `ConfigError`. `with Node(...) as node:` starts and stops it.
    """

    def __init__(
        self,
        accounts: Iterable[Account | tuple[str, str, str]],
        lanes: Mapping[str, Iterable[str]],
        dsn: str | Secret,
        name: str | None = None,
        url: str | None = None,
        settings: Settings | None = None,
        live: bool = False,
        *,
        kraken_url: str | None = None,
        local: Path | None = None,
        ttl: float = TTL,
        patience: float = PATIENCE,
    ) -> None:
        kraken_url = kraken_url or os.environ.get("KRAKEN_SPOT_URL") or KRAKEN_URL
        self.name, self.url, self.live = config.node_name(name), url, live
        self._settings, self.kraken_url = settings or Settings(), kraken_url
        self._named, self._accounts = lanes_here(lanes, accounts)
        self._lanes_by_account = {name: lane for lane, names in self._named.items() for name in names}
        self.local = local or config.node_directory(self.name)
        for accounts_of_lane in self._accounts.values():  # what is wrong with them is said now
            Engine(accounts_of_lane, url=kraken_url, state_dir=self.local, settings=self._settings, live=live)
        self._dsn = dsn if isinstance(dsn, Secret) else Secret(dsn)
        self._ttl, self._patience = ttl, patience
        Database(self._dsn.reveal()).close()
        self._subscribers: list[Any] = []
        self._rounds: Rounds | None = None
        self._undo = contextlib.ExitStack()
        self._deadline = 0.0  # of a stop
        self._turn = threading.Lock()

    def start(self) -> Node:
        """Join the cluster and take the lanes that are free; a second call does nothing.

        It does not wait until Kraken has accepted the keys: `engine` says so. Raises `StoreError` when PostgreSQL
        cannot be used, or could lose what it has acknowledged; `StoreInUse` when a key is in use by another lane, by
        an engine with a state directory on this machine or by another cluster, and when a node of this name runs here.
        Nothing is left behind then.
        """
        uninterrupted(self._start_in_turn, undo=self.stop)
        return self

    def stop(self, timeout: float = STOP_PATIENCE) -> None:
        """Hand every lane over in order, and leave the cluster, within `timeout` seconds. A second call does nothing.

        Calls that wait are answered as *not sent*; open orders stay on the exchange. Where there is a next owner, the
        call under way ends first, and a dead man's switch stays armed; else a read is cut, and a switch is disarmed.
        """
        uninterrupted(partial(self._stop_in_turn, time.monotonic() + timeout))

    def engine(self, account: str) -> Engine:
        """The engine of an account, while this node serves it: Kraken has accepted its key under this lease.

        Raises `LaneElsewhere` otherwise, and `UnknownName` for an account that is in no lane. Never waits.
        """
        rounds = self._rounds
        lane = self.lane_of(account)
        run = None if rounds is None else rounds.runs.get(lane)
        if run is not None and run.engine is not None and run.serves(account):
            return run.engine
        status = self._lane_status(lane, time.monotonic())
        trouble = None if rounds is None else rounds.trouble
        refusal = None if run is None else run.refusals.get(account)
        word = None if run is None else run.lockouts.get(account)
        told = _where(account, status, self.name, trouble, refusal)
        raise LaneElsewhere(told, lane, status.owner, status.url, word)

    def lane_of(self, account: str) -> str:
        """The lane of an account. Raises `UnknownName` for one that is in none. Never waits."""
        lane = self._lanes_by_account.get(account)
        if lane is None and self._rounds is not None:
            lane = self._rounds.view.lane_of(account)
        if lane is None:
            raise UnknownName(f"There is no account {account!r} in the lanes of this cluster.", account=account)
        return lane

    @property
    def engines(self) -> Mapping[str, Engine]:
        """The engines that run here, by lane; also one whose keys Kraken has not accepted yet, and which only reads."""
        runs = {} if self._rounds is None else dict(self._rounds.runs)
        return {lane: run.engine for lane, run in runs.items() if run.engine is not None}

    def status(self) -> NodeStatus:
        """What this node does, and what it knows of the others; never waits."""
        rounds, now = self._rounds, time.monotonic()
        view = ClusterView() if rounds is None else rounds.view
        known = sorted(self._named.keys() | view.lanes.keys())
        return NodeStatus(
            name=self.name,
            url=self.url,
            running=rounds is not None,
            live=self.live,
            lanes=tuple(self._lane_status(lane, now) for lane in known),
            nodes=view.present(),
            draining=tuple(each.name for each in view.nodes.values() if each.draining),
            takeovers=() if rounds is None else rounds.takeovers,
            claims={} if rounds is None else dict(rounds.claims),
            seen=None if view.at is None else now - view.at,
            trouble=None if rounds is None else rounds.trouble,
        )

    def subscribe(self, subscriber: Any) -> None:
        """Give the events of every engine here, now and later, to an actor or a callable, as `Engine.subscribe`."""
        self._subscribers.append(subscriber)
        for engine in self.engines.values():
            engine.subscribe(subscriber)

    def unsubscribe(self, subscriber: Any) -> None:
        """Give no more events to `subscriber`."""
        self._subscribers[:] = [each for each in self._subscribers if each != subscriber]
        for engine in self.engines.values():
            engine.unsubscribe(subscriber)

    def announce(self, event: object) -> None:
        """Give an event of the host's own to every subscriber, as `Engine.announce`; also while no engine runs here."""
        engine = next(iter(self.engines.values()), None)
        if engine is not None:
            engine.announce(event)
            return
        for each in tuple(self._subscribers):
            if callable(each):
                each(event)

    def __enter__(self) -> Node:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_in_turn(self) -> None:
        with self._turn:
            if self._rounds is None:
                with contextlib.ExitStack() as undo:
                    self._start(undo)
                    self._undo = undo.pop_all()

    def _start(self, undo: contextlib.ExitStack) -> None:
        database = Database(self._dsn.reveal(), patience=self._patience)
        undo.callback(database.close)
        leases = Leases(database, ttl=self._ttl)
        leases.prepare()
        check_durable(database)
        check_keys(database, self._accounts)
        check_name(leases, self.name, self.url)
        keys = self._own(schema.cluster_id(database), undo)
        names = {lane: tuple(each.name for each in accounts) for lane, accounts in self._accounts.items()}
        rounds = Rounds(self.name, self.url, leases, names, self.local / "lanes", self._made)
        self._deadline = time.monotonic() + STOP_PATIENCE
        undo.callback(self._leave, leases)
        self._rounds = rounds
        rounds.once()
        thread = threading.Thread(target=self._run, args=(rounds, keys), name="kraken-engine node", daemon=True)
        thread.start()
        undo.callback(thread.join)
        undo.callback(rounds.stop)

    def _own(self, cluster: str, undo: contextlib.ExitStack) -> ClusterKeys:
        """Take this node's directory, and on this machine its API keys for the cluster."""
        undo.callback(Ownership(prepare_directory(self.local)).release)
        keys = [(each.name, each.key_id) for accounts in self._accounts.values() for each in accounts]
        claimed = ClusterKeys(cluster, keys, self.local)
        undo.callback(claimed.release)
        return claimed

    def _run(self, rounds: Rounds, keys: ClusterKeys) -> None:
        pause, verified = 0.0, time.monotonic()
        while not rounds.wait(pause):
            pause = ROUND
            try:
                if time.monotonic() - verified >= VERIFY_EVERY:
                    verified = time.monotonic()
                    keys.verify()
                pause = rounds.once()
                rounds.trouble = None
            except StoreError as error:
                if rounds.trouble is None:
                    logger.warning("The node cannot see to its lanes: %s", error)
                rounds.trouble = str(error)
            except Exception:
                logger.exception("A round of the node failed.")

    def _made(self, backing: LaneBacking) -> Engine:
        """The engine of a lane that was claimed."""
        prepare_directory(backing.local)
        accounts = self._accounts[backing.lease.lane]
        engine = Engine.over(backing, accounts, url=self.kraken_url, settings=self._settings, live=self.live)
        for each in self._subscribers:
            engine.subscribe(each)
        return engine

    def _stop_in_turn(self, deadline: float) -> None:
        with self._turn:
            self._deadline = deadline
            self._undo.close()

    def _leave(self, leases: Leases) -> None:
        rounds, self._rounds = self._rounds, None
        if rounds is not None:
            rounds.end(self._deadline)
        with contextlib.suppress(StoreError):  # it is not there any more all the same
            leases.leave(self.name)

    def _lane_status(self, lane: str, now: float) -> LaneStatus:
        rounds = self._rounds
        view = ClusterView() if rounds is None else rounds.view
        row, run = view.lanes.get(lane), None if rounds is None else rounds.runs.get(lane)
        accounts = self._named.get(lane) or tuple(() if row is None else row.accounts)
        wanted, failure = None if row is None else row.wanted, None if rounds is None else rounds.failures.get(lane)
        if run is not None and run.held.state.is_held:
            held = run.held
            served = tuple(each for each in accounts if held.serves(each))
            left = max(0.0, held.sure_until - now)
            return LaneStatus(
                lane, held.epoch, self.name, self.url, left, held.state.value, accounts, served, wanted, failure
            )
        state = LaneState.ELSEWHERE if run is None else run.held.state
        left = view.seconds_left(lane, now)
        is_owned = row is not None and left > 0 and row.owner != self.name  # what it gave back is not in the view yet
        owner, url = (row.owner, row.url) if row is not None and is_owned else (None, None)
        epoch = 0 if row is None else row.epoch
        return LaneStatus(lane, epoch, owner, url, left, state.value, accounts, (), wanted, failure)


def _where(account: str, lane: LaneStatus, me: str, trouble: str | None, refusal: str | None) -> str:
    """Where an account is, in a sentence. `refusal`: why its key was not accepted when that was tried last."""
    what = f"Account {account} is in lane {lane.id}"
    if lane.owner is None and trouble is not None:
        return f"{what}, which no node serves as far as this one can tell: {trouble}"
    if lane.owner is None:
        return f"{what}, which no node has now; one takes it over soon."
    if lane.owner == me:
        waits = f"{what}, which this node has taken and does not serve yet: Kraken has to accept a read with its key."
        return waits if refusal is None else f"{waits} That is tried again and again; the last try said: {refusal}"
    return f"{what}, which node {lane.owner} has: ask that one{f' at {lane.url}' if lane.url else ''}."
