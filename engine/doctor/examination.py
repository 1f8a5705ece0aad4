"""The whole examination, in order: the network, the state directory, then each account."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from engine.app import Engine
from engine.config import state_directory
from engine.doctor.account import CALL_PATIENCE, CallResults, account_findings, without_key
from engine.doctor.changes import Kind, change_findings
from engine.doctor.finding import Finding, Level, bad, ok, skipped, warn
from engine.doctor.machine import disk_finding
from engine.doctor.network import Network
from engine.doctor.nonce import nonce_finding
from engine.doctor.time_left import TimeLeft
from engine.errors import (
    CallUnknown,
    ConfigError,
    ConnectFailed,
    EngineError,
    LaneElsewhere,
    StoreError,
    StoreInUse,
)
from engine.ownership import Ownership, owner_pid
from engine.rules.lane.clock import is_believed
from engine.store.nonces import read_marks
from engine.transport import Resolver
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Account, Clock, Settings

PATIENCE = 50.0  # seconds for all checks; the rest of the 60 is for stopping
STOP_PATIENCE = 5.0
ONCE = 86_400.0  # seconds: every balance is fetched once, at the start

_CONFIGURATION = "Correct the setting that it names: an option, a variable of the environment, or the file of --config."
_NO_ACCOUNT = (
    "Set KRAKEN_API_KEY and KRAKEN_API_SECRET (MASTER), or KRAKEN_USER_<NAME>_API_KEY and _API_SECRET, or name a file "
    "with --config."
)
_OWNED = "That is normal while it runs."
_UNTESTED = "To test the keys as well, stop it and run this again."
_KEY_TAKEN = "Two engines must not share a key: give each its own key, or run one engine for both."
_DIRECTORY = "Fix that, or name another directory with --state-dir or KRAKEN_ENGINE_STATE."
_REPORT = "Please report it."
_NOT_REACHED = (
    "See that it runs and that this machine reaches it. kraken-engine cluster status says who has the lane of the "
    "account now."
)
_NO_ANSWER = "Run this again: it changes nothing. The log of the service says what keeps it busy."
_SAID = "Do what it says, and run this again."
_ELSEWHERE = "kraken-engine cluster status says who has the lane. Try again once a node serves it."

_ONE_REFUSED = "nonce-refused-once"

# Warnings of an engine that no check covers; its other warnings repeat a finding.
_WARNINGS: Mapping[str, str] = {
    _ONE_REFUSED: "If it happens again, another program uses the key: give the engine a key of its own.",
    "nonces-restored": "Check the disk; the damaged file was kept beside the new one.",
    "order-unknown": "kraken-engine order ACCOUNT ID looks it up and says what became of it. Do not place it again.",
    "journal-damaged": "Do what it says before you trade: look at Kraken for open orders first.",
    "nonces-lost": "Do what it says before you trade: the marks of the nonces are what keeps a key usable.",
    "nonces-failing": "Fix the disk, the permissions of that file or PostgreSQL: without it no call can be made.",
    "nonces-copy-failing": "Fix the disk or the permissions of that file: it is the second copy of the nonce marks.",
    "balances-lost": "Nothing has to be done: balances are fetched anew. Check the disk if it happens again.",
    "limits-lost": "Nothing has to be done: the counts fall by themselves. Check the disk if it happens again.",
    "limits-not-kept": "Fix the disk, the permissions of that file or PostgreSQL.",
}


def examine(
    accounts: Iterable[Account],
    *,
    url: str = KRAKEN_URL,
    state_dir: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    clock: Clock = SYSTEM_CLOCK,
    resolver: Resolver | None = None,
    patience: float = PATIENCE,
    owner: Callable[[str], Iterable[Finding]] | None = None,
    keys_used_by: str | None = None,
) -> Iterator[Finding]:
    """Examine everything that an engine with these arguments needs; yields each finding as soon as it is known.

    Guarantees: nothing is changed at Kraken; a key that Kraken refuses is not tried again; ends within `patience` and
    a few seconds; never raises; shows no secret. While another engine owns the state directory, its marks are read and
    no key is used, unless `owner` has that engine examine an account. No key and no mark is used either where
    `keys_used_by` says in words who else uses them: the nodes of a cluster. `resolver` resolves names for the network
    checks.
    """
    examination = _Examination(
        tuple(accounts), url, state_directory(state_dir), settings or Settings(), clock, owner, keys_used_by
    )
    return _isolated(examination.findings(resolver or Resolver(), TimeLeft(clock, patience)))


class _Examination:
    """One run of the test."""

    def __init__(
        self,
        accounts: tuple[Account, ...],
        url: str,
        directory: Path,
        settings: Settings,
        clock: Clock,
        owner: Callable[[str], Iterable[Finding]] | None,
        keys_used_by: str | None,
    ) -> None:
        self._owner, self._keys_used_by = owner, keys_used_by
        self._accounts = accounts
        self._url = url
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._skew: float | None = None
        self._changes: frozenset[Kind] = frozenset()
        self._marks: Mapping[str, int] = {}
        self._calls = CallResults()

    def findings(self, resolver: Resolver, left: TimeLeft) -> Iterator[Finding]:
        """All of them, in order."""
        try:
            network = Network(self._url, self._settings, self._clock, resolver, left)
            engine = self._engine()
        except ConfigError as error:
            yield bad("configuration", str(error), _CONFIGURATION)
            return
        yield from _isolated(network.findings())
        self._skew, self._changes = network.skew, network.changes
        if not self._accounts:
            yield bad("configuration", "There is no account.", _NO_ACCOUNT)
        if self._keys_used_by is not None:
            yield disk_finding(self._directory)
            for account in self._accounts:
                yield skipped("key", self._keys_used_by, account.name)
            return
        yield from self._read_marks()
        if network.is_open and self._accounts:
            yield from self._with_keys(engine, left)
        else:
            yield self._obstacle(self._take_and_give_back) or self._usable()
            yield disk_finding(self._directory)
            yield from self._without_keys("Kraken cannot be reached")

    def _engine(self) -> Engine:
        call_timeout = min(self._settings.call_timeout, CALL_PATIENCE)
        settings = replace(self._settings, refresh_every=ONCE, call_timeout=call_timeout, push=False)
        return Engine(
            self._accounts, url=self._url, state_dir=self._directory, settings=settings, clock=self._clock
        )

    def _read_marks(self) -> Iterator[Finding]:
        """Read the marks before anything uses a nonce."""
        try:
            self._marks = read_marks(self._directory)
        except StoreError as error:
            yield bad("nonce", str(error), _DIRECTORY)

    def _with_keys(self, engine: Engine, left: TimeLeft) -> Iterator[Finding]:
        engine.subscribe(self._calls)
        obstacle = self._obstacle(engine.start)
        if obstacle is not None:
            yield obstacle
            yield disk_finding(self._directory)
            if self._owner is not None and obstacle.level is Level.OK:
                yield from self._through(self._owner)
            else:
                yield from self._without_keys("the key could not be used, as said above")
            return
        try:
            yield self._usable()
            yield disk_finding(self._directory)
            for account in self._accounts:
                yield from _isolated(self._account(engine, account, left), account.name)
        finally:
            engine.stop(STOP_PATIENCE)
        yield from change_findings(engine.status().drift, self._settings, self._changes)
        yield from self._warnings(engine)

    def _through(self, owner: Callable[[str], Iterable[Finding]]) -> Iterator[Finding]:
        """The findings of the directory's owner; those on all accounts come with each account and are yielded once."""
        told = set()
        for account in self._accounts:
            for finding in _isolated(iter(owner(account.name)), account.name):
                if finding.account is not None or finding not in told:
                    yield finding
                told.add(finding)

    def _obstacle(self, take: Callable[[], object]) -> Finding | None:
        """Why the state directory or a key cannot be taken; `None` if `take` succeeds."""
        pid = owner_pid(self._directory)
        if pid is not None:
            owner = f"An engine (process {pid})" if pid else "Another engine"
            told = f"{owner} is using the state directory {self._directory}. {_OWNED}"
            return ok("state-directory", told if self._owner else f"{told} {_UNTESTED}")
        try:
            take()
        except StoreInUse as error:
            return bad("state-directory", str(error), _KEY_TAKEN)
        except ConfigError as error:
            return bad("configuration", str(error), _CONFIGURATION)
        except EngineError as error:
            return bad("state-directory", str(error), _DIRECTORY)
        return None

    def _take_and_give_back(self) -> None:
        Ownership(self._directory, [(each.name, each.key_id) for each in self._accounts]).release()

    def _usable(self) -> Finding:
        return ok("state-directory", f"The state directory {self._directory} can be used.")

    def _account(self, engine: Engine, account: Account, left: TimeLeft) -> Iterator[Finding]:
        if not left.seconds(1.0):
            yield skipped("key", "the time for this test is over", account.name)
            return
        now = self._now_ns()
        kraken = yield from account_findings(
            engine, account.name, self._settings, self._calls, left, now / 1e9
        )
        after = read_marks(self._directory).get(account.key_id, 0)
        yield self._nonce(account, now, kraken, after)

    def _nonce(self, account: Account, now_ns: int, kraken: int | None = None, after: int = 0) -> Finding:
        return nonce_finding(account.name, self._marks.get(account.key_id, 0), now_ns, kraken, after)

    def _without_keys(self, why: str) -> Iterator[Finding]:
        for account in self._accounts:
            yield skipped("key", why, account.name)
            yield from without_key(account.name, why)
            yield self._nonce(account, self._now_ns())

    def _now_ns(self) -> int:
        """The time by the machine's clock, unless that is known to be wrong."""
        wall = self._clock.wall_ns()
        return wall if is_believed(self._skew) else wall - int((self._skew or 0.0) * 1e9)

    def _warnings(self, engine: Engine) -> Iterator[Finding]:
        for code, message in dict.fromkeys((each.code, each.message) for each in engine.status().warnings):
            is_told = code == _ONE_REFUSED and self._calls.is_nonce_refused
            if code in _WARNINGS and not is_told:
                yield warn(code, message, _WARNINGS[code])


def _isolated(findings: Iterator[Finding], account: str | None = None) -> Iterator[Finding]:
    """The findings; an exception becomes one more finding."""
    try:
        yield from findings
    except ConfigError as error:
        yield bad("configuration", str(error), _CONFIGURATION, account)
    except LaneElsewhere as error:
        yield bad("cluster", str(error), _ELSEWHERE, account)
    except EngineError as error:
        yield bad("service", str(error), _advice(error), account)
    except Exception as error:  # noqa: BLE001 - a finding helps more than a traceback
        yield bad("doctor", f"The test itself failed ({type(error).__name__}).", _REPORT, account)


def _advice(error: EngineError) -> str:
    """What to do when the service, or another node, could not be asked for its findings."""
    if isinstance(error, ConnectFailed):
        return _NOT_REACHED
    return _NO_ANSWER if isinstance(error, CallUnknown) else _SAID
