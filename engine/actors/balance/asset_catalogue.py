"""Kraken's list of assets: fetched as a public call, beside the lane, and kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.actors.balance.asset_names import PROVES_FOR
from engine.actors.drift_log import DriftLog
from engine.actors.runtime.actor import EngineActor, Telling
from engine.errors import CallError, StoreError
from engine.kraken.assets import AssetTable
from engine.kraken.drift import MISSING, ODD
from engine.rules.backoff import Backoff
from engine.store import open_or_replace, read_documents
from engine.values import Clock

logger = logging.getLogger(__name__)

FILE_NAME = "catalogue.sqlite"
ASSETS = "Assets"
PATIENCE = 10.0  # seconds for one fetch
AT_MOST_EVERY = PROVES_FOR  # between good fetches: a name that Kraken itself does not list would cause one each time
OLD = 86_400.0  # seconds after which a kept list is fetched anew
BACKOFF = Backoff(first=5.0, longest=600.0)

SHARES = {"aclass": "tokenized_asset"}  # Kraken lists these only on request, by its changelog of August 2025

Fetch = Callable[..., Any]


def _ignore() -> None:
    pass


class LookForAssets:
    """Tells the `CatalogueActor` that a name is not in the list, or that the list is old."""


class CatalogueActor(EngineActor):
    """Fetches Kraken's Assets when they are needed and hands them to `learn`. The only writer of its file.

    Nothing is fetched until a balance or the configuration has an unknown name; then at most once an hour, and daily
    while the engine runs. When a fetch fails, the names in the file, or those shipped, stay in use, and `gave_up` is
    called. `fetch(endpoint, seconds, params)` is a public call that stopping the engine can cut. `wants_shares` says
    whether tokenized assets are fetched too.
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
        gave_up: Callable[[], None] = _ignore,
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
        """Schedule the fetch that replaces a kept list when it is old."""
        kept = read_kept(self._store.path)
        if kept is not None:
            age = self._clock.wall_ns() / 1e9 - kept["fetched"]
            self._look_in(min(max(0.0, OLD - age), OLD))

    def on_receive(self, message: Any) -> None:
        """Fetch, unless it is too early. Runs in the actor's thread, which waits for Kraken; no caller waits for it."""
        if not isinstance(message, LookForAssets):
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
            pause = BACKOFF.pause(self._failures)
            self._failures += 1
            self._not_before = self._clock.monotonic() + pause
            self._look_in(pause)
            return
        self._failures = 0
        self._not_before = self._clock.monotonic() + AT_MOST_EVERY
        assets = {**self._shares(), **assets}
        self._learn(assets)
        self._keep(assets)
        self._look_in(OLD)

    def _shares(self) -> Mapping[str, Any]:
        """The tokenized assets, when an account holds some; without them their rows keep Kraken's names."""
        try:
            shares: Mapping[str, Any] = self._fetch(ASSETS, PATIENCE, SHARES) if self._wants_shares() else {}
            return shares
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
        """Report the rows without an ``altname``: they are left out."""
        note = self._drift.noter(ASSETS)
        for row in assets.values():
            if not isinstance(row, Mapping):
                note("row", ODD)
            elif not isinstance(row.get("altname"), str):
                note("altname", ODD if "altname" in row else MISSING)

    def _look_in(self, seconds: float) -> None:
        self._after(seconds, Telling(self.actor_ref, LookForAssets()))


def read_names(directory: Path) -> AssetTable:
    """The asset table kept in a state directory; the shipped one when it keeps none that can be read."""
    kept = read_kept(directory / FILE_NAME)
    return AssetTable.shipped() if kept is None else AssetTable.shipped().with_assets(kept["result"])


def read_kept(path: Path) -> dict[str, Any] | None:
    """The document in the file, read-only; `None` when there is none, or when the engine did not write it."""
    try:
        document = read_documents(path).get(ASSETS)
    except StoreError:
        return None
    is_ours = isinstance(document, dict) and isinstance(document.get("fetched"), float) and "result" in document
    return document if is_ours else None
