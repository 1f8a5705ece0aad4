"""Kraken's list of assets: what its balance rows are called, fetched beside the lane and kept over restarts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from engine.actors.drift_log import DriftLog
from engine.actors.runtime.actor import EngineActor, tell_if_alive
from engine.errors import CallError, CallUnknown, ConfigError, StoreError
from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.kraken.cash_names import plain_names, unlisted, unlisted_sentence
from engine.kraken.drift import MISSING, ODD, Note, unnoted
from engine.store import open_or_replace, read_documents
from engine.values import AssetBalance, Clock

logger = logging.getLogger(__name__)

FILE_NAME = "catalogue.sqlite"
ASSETS = "Assets"
PATIENCE = 10.0  # seconds for one fetch
NOT_AGAIN_FOR = 3600.0  # seconds after a good one: a name that Kraken itself does not list would ask for ever
OLD = 86_400.0  # seconds after which a kept list is fetched anew
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds after failures

SHARES = {"aclass": "tokenized_asset"}  # Kraken lists these only to whom asks for them, by its changelog of August 2025

Fetch = Callable[..., Any]


def _nobody() -> None:
    pass


class AssetNames:
    """The asset table that all accounts share, swapped whole when Kraken tells more; any thread may use it.

    `look` is called when a name is met that the table does not know; it must not wait. `cash` is what the
    configuration counts as cash.
    """

    def __init__(
        self, table: AssetTable | None = None, look: Callable[[], None] = _nobody, cash: Iterable[str] = ()
    ) -> None:
        self.table = table or AssetTable.shipped()
        self._look = look
        self._asked = tuple(cash)
        self._is_listed = False
        self._has_looked = threading.Event()
        self._wants_shares = False
        self._met: frozenset[str] = frozenset()  # assets that a balance has had a row of

    @property
    def wants_shares(self) -> bool:
        """Whether a balance has names of tokenized assets: no other asset of Kraken's has small letters in its name."""
        return self._wants_shares

    @property
    def cash(self) -> tuple[str, ...]:
        """What counts as cash, by plain names."""
        return plain_names(self._asked, self.table)

    def learn(self, assets: object) -> None:
        """Take in the result of Kraken's Assets."""
        self.table = self.table.with_assets(assets)
        self._is_listed = self._is_listed or self._is_whole(assets)
        self._has_looked.set()

    def gave_up(self) -> None:
        """Kraken's Assets could not be fetched, for now: who waits for it waits no longer."""
        self._has_looked.set()

    def start(self, kept: Mapping[str, Any] | None, now: float) -> None:
        """Take in the list of an earlier run, where there is one. Raises `ConfigError` for cash that is not in it.

        `now` in Unix seconds: a list that may be fetched anew proves nothing against a name.
        """
        if kept is not None:
            self.table = self.table.with_assets(kept["result"])
            self._is_listed = 0 <= now - kept["fetched"] < NOT_AGAIN_FOR and self._is_whole(kept["result"])
            self.check_cash()
        if unlisted(self._asked, self.table):
            self._look()

    def check_cash(self, timeout: float = 0.0) -> None:
        """Raise `ConfigError` for a name in cash that Kraken does not list.

        Waits at most `timeout` seconds for the list, where a name is in doubt; without the list nothing is wrong.
        """
        if unlisted(self._asked, self.table):
            self._has_looked.wait(timeout)
        trouble = self.cash_trouble()
        if trouble is not None:
            raise ConfigError(trouble)

    def _is_whole(self, assets: object) -> bool:
        """Whether a list may prove that Kraken has no such asset: one without dollars or bitcoin is not the whole."""
        told = assets if isinstance(assets, Mapping) else {}
        return {"USD", "XBT"} <= {self.table.names.get(name) for name in told}

    def cash_trouble(self) -> str | None:
        """What is wrong with the names in cash, as far as it is known."""
        found = tuple(name for name in unlisted(self._asked, self.table) if self._is_listed and name not in self._met)
        return unlisted_sentence(found, self.table) if found else None

    def read(self, endpoint: str, result: Any, note: Note = unnoted) -> Mapping[str, AssetBalance]:
        """The assets of a balance reply. Raises `CallUnknown` when it cannot be read, or not be summed to cash."""
        table = self.table
        if isinstance(result, Mapping):
            self._met |= {table.locate(name).asset for name in result}.intersection(self._asked)
        trouble = self.cash_trouble()
        if trouble is not None:
            raise CallUnknown(trouble)
        assets = read_rows(endpoint, result, table, needed=plain_names(self._asked, table), note=note)
        unknown = [name for name in assets if name not in table.names]
        if unknown:
            self._wants_shares = self._wants_shares or not all(map(str.isupper, unknown))
            self._look()
        return assets


class Look:
    """Tells the `CatalogueActor` that a name was met which is not in the list, or that the list has become old."""


class CatalogueActor(EngineActor):
    """Fetches Kraken's Assets when they are needed and gives them to `learn`. The only writer of its file.

    Nothing is fetched before an unknown name is met in a balance or in the configuration; then at most once an hour,
    and daily while the engine runs. Without Kraken the names of the file, or those shipped, go on, and `gave_up` is
    called. `fetch(endpoint, seconds, params)` is a public call that whoever stops the engine can cut.
    `wants_shares` says whether the tokenized assets are asked for as well.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fetch: Fetch,
        learn: Callable[[object], None],
        after: Callable[[float, Callable[[], None]], None],
        clock: Clock,
        drift: DriftLog,
        gave_up: Callable[[], None] = _nobody,
        wants_shares: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._wants_shares = wants_shares
        self._store, damage = open_or_replace(directory / FILE_NAME)
        self._gave_up = gave_up
        self._fetch, self._learn, self._after, self._clock = fetch, learn, after, clock
        self._drift = drift
        self._not_before = float("-inf")
        self._failures = 0
        if damage is not None:
            logger.warning("Kraken's list of assets is fetched anew: %s", damage)

    def on_start(self) -> None:
        """See to it that a kept list does not grow old."""
        kept = read_kept(self._store.path)
        if kept is not None:
            age = self._clock.wall_ns() / 1e9 - kept["fetched"]
            self._look_in(min(max(0.0, OLD - age), OLD))

    def on_receive(self, message: Any) -> None:
        """Fetch, unless it is too early. Runs in the actor's thread, which waits for Kraken; nobody waits for it."""
        if not isinstance(message, Look):
            super().on_receive(message)
        elif self._clock.monotonic() >= self._not_before:
            self._refresh()

    def closing(self) -> None:
        """Close the file."""
        self._store.close()

    def _refresh(self) -> None:
        try:
            assets = self._fetch(ASSETS, PATIENCE)
        except CallError as error:
            logger.info("Kraken's list of assets could not be fetched: %s", error)
            self._gave_up()
            pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 10), LONGEST_PAUSE)
            self._failures += 1
            self._not_before = self._clock.monotonic() + pause
            self._look_in(pause)
            return
        self._failures = 0
        self._not_before = self._clock.monotonic() + NOT_AGAIN_FOR
        assets = {**self._shares(), **assets}
        self._learn(assets)
        self._keep(assets)
        self._look_in(OLD)

    def _shares(self) -> Mapping[str, Any]:
        """The tokenized assets, where somebody holds some; without them their rows keep the names they came with."""
        try:
            found: Mapping[str, Any] = self._fetch(ASSETS, PATIENCE, SHARES) if self._wants_shares() else {}
            return found
        except CallError as error:
            logger.info("Kraken's list of tokenized assets could not be fetched: %s", error)
            return {}

    def _keep(self, assets: Any) -> None:
        names = {
            name: {part: row[part] for part in ("altname", "aclass") if part in row}
            for name, row in assets.items()
            if isinstance(row, Mapping)
        }
        self._note(assets)
        try:
            self._store.put(ASSETS, {"fetched": self._clock.wall_ns() / 1e9, "result": names})
        except StoreError as error:
            logger.warning("Kraken's list of assets could not be kept: %s", error)

    def _note(self, assets: Mapping[str, Any]) -> None:
        """Each asset needs its ``altname``; without it the row is passed over."""
        note = self._drift.noter(ASSETS)
        for row in assets.values():
            if not isinstance(row, Mapping):
                note("row", ODD)
            elif not isinstance(row.get("altname"), str):
                note("altname", ODD if "altname" in row else MISSING)

    def _look_in(self, seconds: float) -> None:
        self._after(seconds, partial(tell_if_alive, self.actor_ref, Look()))


def read_names(directory: Path) -> AssetTable:
    """The table that a state directory knows; the shipped one where it keeps none that can be read."""
    kept = read_kept(directory / FILE_NAME)
    return AssetTable.shipped() if kept is None else AssetTable.shipped().with_assets(kept["result"])


def read_kept(path: Path) -> dict[str, Any] | None:
    """What the file holds, read-only; `None` when that is nothing, or not what we write."""
    try:
        document = read_documents(path).get(ASSETS)
    except StoreError:
        return None
    is_ours = isinstance(document, dict) and isinstance(document.get("fetched"), float) and "result" in document
    return document if is_ours else None
