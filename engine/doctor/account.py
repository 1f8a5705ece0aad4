"""Findings on one account of a running engine: its key, its permissions, its balance."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any

from engine.actors.events import CallFinished
from engine.app import Engine
from engine.doctor.can_trade import CHECK, can_trade
from engine.doctor.finding import Finding, Level, bad, ok, skipped, warn
from engine.doctor.key import key_findings
from engine.doctor.refusal import is_about_key, refused
from engine.doctor.time_left import TimeLeft
from engine.errors import CallError, InvalidNonce, PermissionDenied
from engine.kraken.balances import spendable_total
from engine.kraken.key_info import KeyInfo
from engine.rules.balance.cash import elsewhere, in_words, line_to_count
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import Settings

CALL_PATIENCE = 10.0  # seconds
GRACE = 2.0
STARTER_LIMIT = 15.0
THIS_TEST = 120.0  # seconds; every balance fetched by this test is younger

_NO_ANSWER = "Look at https://status.kraken.com, and try again in a few minutes."


class CallResults:
    """Collects how the private calls of an engine end; subscribe it before the engine starts."""

    def __init__(self) -> None:
        self._first: dict[str, CallFinished] = {}
        self._changed = threading.Condition()
        self.is_nonce_refused = False

    def __call__(self, event: Any) -> None:
        """Take an event. Called in a thread of the engine's."""
        if isinstance(event, CallFinished):
            with self._changed:
                self._first.setdefault(event.account, event)
                self.is_nonce_refused |= isinstance(event.error, InvalidNonce)
                self._changed.notify_all()

    def first(self, account: str, timeout: float) -> CallFinished | None:
        """How the first call of an account ended; `None` when it does not end in time."""
        with self._changed:
            self._changed.wait_for(lambda: account in self._first, timeout)
            return self._first.get(account)


def account_findings(
    engine: Engine, name: str, settings: Settings, calls: CallResults, left: TimeLeft, now: float
) -> Generator[Finding, None, int | None]:
    """Findings on the account's first call, which fetches the balance, and on the key, unless Kraken refuses it.

    Returns the nonce that Kraken reports for the key, or `None`. `now` is in Unix seconds.
    """
    first = calls.first(name, left.seconds(CALL_PATIENCE + GRACE))
    if first is None:
        yield bad("key", "A call with this key did not end in time.", _NO_ANSWER, name)
        yield from without_key(name, "no answer came")
        return None
    # A refused key is not used again: Kraken locks out keys that keep failing.
    problem = first.error if is_about_key(first.error) else None
    info = KeyInfo.of({})
    if problem is None:
        is_taken = first.error is None or isinstance(first.error, PermissionDenied)
        try:
            info = KeyInfo.of(engine.call(name, "GetApiKeyInfo", timeout=left.seconds(CALL_PATIENCE)))
        except CallError as error:
            problem = None if is_taken and not is_about_key(error) else error
    if problem is not None:
        yield refused("key", name, problem)
        yield from without_key(name, "no call could be made with the key")
        return None
    yield from key_findings(name, info, settings, now)
    yield _tier(engine, name)
    is_there = True
    for finding in _balance(engine, name, first.error, left):
        is_there &= finding.level is not Level.BAD
        yield finding
    if is_there:
        seconds = left.seconds(min(settings.call_timeout, CALL_PATIENCE))
        yield can_trade(engine, name, info, settings, balance_age=THIS_TEST, seconds=seconds)
    else:
        yield skipped(CHECK, "there is no balance", name)
    return info.nonce


def without_key(name: str, why: str) -> Iterator[Finding]:
    """The skipped checks of an account whose key cannot be used."""
    for check in ("permissions", "balance", CHECK):
        yield skipped(check, why, name)


def _tier(engine: Engine, name: str) -> Finding:
    """Which counter the account's calls are counted with. Kraken tells the tier by no endpoint."""
    lane = engine.status().lane
    limit = 0.0 if lane is None or name not in lane.keys else lane.keys[name].limit
    tier = "starter" if limit <= STARTER_LIMIT else "intermediate or pro"
    told = (
        f"Calls are counted up to {limit:g}, as in Kraken's tier {tier}. Kraken does not tell it by API: its website "
        "shows the account's verification level. To set another one: tier = ... under the account or [settings]."
    )
    return ok("tier", told, name)


def _balance(engine: Engine, name: str, error: CallError | None, left: TimeLeft) -> Iterator[Finding]:
    if isinstance(error, PermissionDenied):
        yield refused("balance", name, error)
        return
    found = engine.balance(name, THIS_TEST, left.seconds(CALL_PATIENCE))
    if found.cash is None or found.restored:
        why = found.last_error or "There was no answer in time."
        yield bad("balance", f"No balance came. {why}", _NO_ANSWER, name)
        return
    free = "" if found.available_cash is None else f", of which {found.available_cash:f} is available"
    assets = "1 asset" if len(found.assets) == 1 else f"{len(found.assets)} assets"
    yield ok("balance", f"Cash {in_words(found.cash_assets)} is {found.cash:f}{free}; {assets} in all.", name)
    yield from _elsewhere(found)


def _elsewhere(found: BalanceSnapshot) -> Iterator[Finding]:
    """Money on the account that cash does not count."""
    names = elsewhere({name: spendable_total(each) for name, each in found.assets.items()}, found.cash_assets)
    if names:
        counted = in_words(found.cash_assets)
        told = f"The account holds {', '.join(names)}, which is not counted: its cash is {counted}."
        line = line_to_count(names, found.cash_assets)
        yield warn("cash", told, f"{line} is the line under [settings] that counts it.", found.account)
