"""What Kraken's balance rows are called, shared by all accounts of an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.errors import CallUnknown, ConfigError
from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.kraken.cash_names import plain_names, unlisted, unlisted_sentence
from engine.kraken.drift import Note, unnoted
from engine.values import AssetBalance

PROVES_FOR = 3600.0
"""Seconds: an older list is fetched anew when a name is unknown, and proves nothing against it."""


def _nobody() -> None:
    pass


class AssetNames:
    """The asset table that all accounts share, replaced as a whole when Kraken lists more. Any thread may use it.

    `look` is called for a name that the table does not know; it must not wait. `cash` is what the configuration counts
    as cash.
    """

    def __init__(self, look: Callable[[], None] = _nobody, cash: Iterable[str] = ()) -> None:
        self.table = AssetTable.shipped()
        self._look = look
        self._asked = tuple(cash)
        self._is_listed = False
        self._has_looked = threading.Event()
        self._wants_shares = False
        self._held: frozenset[str] = frozenset()  # names in cash that a balance has had a row of

    @property
    def wants_shares(self) -> bool:
        """Whether a balance has tokenized assets: only their names have lower-case letters."""
        return self._wants_shares

    @property
    def cash(self) -> tuple[str, ...]:
        """The plain names of what counts as cash."""
        return plain_names(self._asked, self.table)

    def learn(self, assets: object) -> None:
        """Take in the result of Kraken's Assets."""
        self.table = self.table.with_assets(assets)
        self._is_listed = self._is_listed or self._is_whole(assets)
        self._has_looked.set()

    def gave_up(self) -> None:
        """Kraken's Assets cannot be fetched now: `check_cash` waits no longer."""
        self._has_looked.set()

    def start(self, kept: Mapping[str, Any] | None, now: float) -> None:
        """Take in the list that an earlier run kept, if any. Raises `ConfigError` for a name in cash that it disproves.

        `now` in Unix seconds: an old list proves nothing against a name.
        """
        if kept is not None:
            self.table = self.table.with_assets(kept["result"])
            self._is_listed = 0 <= now - kept["fetched"] < PROVES_FOR and self._is_whole(kept["result"])
            self.check_cash()
        if unlisted(self._asked, self.table):
            self._look()

    def check_cash(self, timeout: float = 0.0) -> None:
        """Raise `ConfigError` for a name in cash that Kraken does not list.

        Waits at most `timeout` seconds for the list when a name is in doubt; without the list every name passes.
        """
        if unlisted(self._asked, self.table):
            self._has_looked.wait(timeout)
        trouble = self.cash_trouble()
        if trouble is not None:
            raise ConfigError(trouble)

    def _is_whole(self, assets: object) -> bool:
        """Whether a list may prove that Kraken has no such asset: without dollars or bitcoin it is incomplete."""
        listed = assets if isinstance(assets, Mapping) else {}
        return {"USD", "XBT"} <= {self.table.names.get(name) for name in listed}

    def cash_trouble(self) -> str | None:
        """What is known to be wrong with the names in cash; `None`: nothing."""
        found = tuple(name for name in unlisted(self._asked, self.table) if self._is_listed and name not in self._held)
        return unlisted_sentence(found, self.table) if found else None

    def read(self, endpoint: str, result: Any, note: Note = unnoted) -> Mapping[str, AssetBalance]:
        """The assets of a balance reply. Raises `CallUnknown` when they, or the sum of cash, cannot be read from it."""
        table = self.table
        if isinstance(result, Mapping):
            self._held |= {table.locate(name).asset for name in result}.intersection(self._asked)
        trouble = self.cash_trouble()
        if trouble is not None:
            raise CallUnknown(trouble)
        assets = read_rows(endpoint, result, table, needed=plain_names(self._asked, table), note=note)
        unknown = [name for name in assets if name not in table.names]
        if unknown:
            self._wants_shares = self._wants_shares or not all(map(str.isupper, unknown))
            self._look()
        return assets
