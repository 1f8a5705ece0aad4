"""Kraken's list of assets: what its balance rows are called, fetched beside the lane and kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from engine.actors.actor import EngineActor, tell_if_alive
from engine.actors.drift_log import DriftLog
from engine.errors import CallError, StoreError
from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.store import open_or_replace, read_documents
from engine.values import AssetBalance, Clock

logger = logging.getLogger(__name__)

FILE_NAME = "catalogue.sqlite"
ASSETS = "Assets"
PATIENCE = 10.0  # seconds for one fetch
NOT_AGAIN_FOR = 3600.0  # seconds after a good one: a name that Kraken itself does not list would ask for ever
OLD = 86_400.0  # seconds after which a kept list is fetched anew
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds after failures

Fetch = Callable[[str, float], Any]


def _nobody() -> None:
    pass


class AssetNames:
    """The asset table that all accounts share, swapped whole when Kraken tells more; any thread may use it.

    `look` is called when a balance row has a name that the table does not know; it must not wait.
    """

    def __init__(self, table: AssetTable | None = None, look: Callable[[], None] = _nobody) -> None:
        self.table = table or AssetTable.shipped()
        self._look = look

    def learn(self, assets: object) -> None:
        """Take in the result of Kraken's Assets."""
        self.table = self.table.with_assets(assets)

    def read(self, endpoint: str, result: Any) -> Mapping[str, AssetBalance]:
        """The assets of a balance reply. Raises `CallUnknown` when it cannot be read."""
        table = self.table
        assets = read_rows(endpoint, result, table)
        if not all(name in table.names for name in assets):
            self._look()
        return assets


class Look:
    """Tells the `CatalogueActor` that a name was met which is not in the list, or that the list has become old."""


class CatalogueActor(EngineActor):
    """Fetches Kraken's Assets when they are needed and gives them to `learn`. The only writer of its file.

    Nothing is fetched before a balance row has an unknown name; then at most once an hour, and daily while the engine
    runs. Without Kraken the names of the file, or those shipped, go on. `fetch(endpoint, seconds)` is a public call
    that whoever stops the engine can cut.
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
    ) -> None:
        super().__init__()
        self._store, damage = open_or_replace(directory / FILE_NAME)
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
            pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 10), LONGEST_PAUSE)
            self._failures += 1
            self._not_before = self._clock.monotonic() + pause
            self._look_in(pause)
            return
        self._failures = 0
        self._not_before = self._clock.monotonic() + NOT_AGAIN_FOR
        self._learn(assets)
        self._keep(assets)
        self._look_in(OLD)

    def _keep(self, assets: Any) -> None:
        names = {name: {"altname": row.get("altname")} for name, row in assets.items() if isinstance(row, Mapping)}
        try:
            self._store.put(ASSETS, {"fetched": self._clock.wall_ns() / 1e9, "result": names})
        except StoreError as error:
            logger.warning("Kraken's list of assets could not be kept: %s", error)

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
