"""The actor that writes last-known balances to disk, so that they survive a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.actors.actor import EngineActor
from engine.actors.balance import restore
from engine.actors.catalogue import read_names
from engine.actors.events import EngineWarning
from engine.actors.mailbox import PatientMailbox
from engine.actors.messages import BalanceRecord
from engine.errors import CallError, StoreError
from engine.rules.balances import BalanceSnapshot
from engine.store import open_or_replace, read_documents
from engine.values import SYSTEM_CLOCK, Account, Clock, Settings

logger = logging.getLogger(__name__)

FILE_NAME = "balances.sqlite"


class ArchiveActor(EngineActor):
    """Keeps every account's last good reply. The only writer of its file.

    A write that fails is published as a warning, once until one succeeds; the balance itself lives on in memory. A
    damaged file is put aside at the start, with a warning: the balances in it are lost, and fetched anew. Before it
    stops it writes what it was told.
    """

    @staticmethod
    def _create_actor_inbox() -> PatientMailbox:
        return PatientMailbox()

    def __init__(self, directory: Path, *, publish: Callable[[Any], None]) -> None:
        super().__init__()
        self._store, damage = open_or_replace(directory / FILE_NAME)
        self._publish = publish
        self._failing = False
        if damage is not None:
            publish(EngineWarning("balances-lost", f"The last known balances are lost: {damage}"))

    def on_receive(self, message: Any) -> None:
        """Write one record. Runs in the actor's thread."""
        if not isinstance(message, BalanceRecord):
            super().on_receive(message)
            return
        try:
            self._store.put(message.account, _document(message))
            self._failing = False
        except StoreError as error:
            if not self._failing:
                self._publish(EngineWarning("balance-not-kept", f"A balance could not be kept: {error}"))
            self._failing = True

    def closing(self) -> None:
        """Close the file."""
        self._store.close()


def read_balances(
    directory: Path, accounts: Iterable[Account] | None, settings: Settings, clock: Clock = SYSTEM_CLOCK
) -> dict[str, BalanceSnapshot]:
    """The last known balances in a state directory, by account; read-only, also while an engine owns it.

    `accounts`: only theirs, and only when they were fetched with the key that the account has now; `None`: all. A
    record that cannot be read is left out: no balance is better than a wrong one. Raises `StoreError`.
    """
    keys = None if accounts is None else {each.name: each.key_id for each in accounts}
    table = read_names(directory)
    found = {}
    for name, record in read_documents(directory / FILE_NAME).items():
        try:
            if keys is None or keys.get(name) == record["key"]:
                found[name] = restore(record, name, settings, clock, table)
        except (CallError, KeyError, TypeError, ValueError):
            logger.warning("The kept balance of account %s cannot be read; it is left out.", name)
    return found


def _document(record: BalanceRecord) -> dict[str, Any]:
    return {
        "key": record.key_id,
        "endpoint": record.endpoint,
        "result": _plain(record.result),
        "as_of": record.as_of.isoformat(),
    }


def _plain(value: Any) -> Any:
    """JSON without loss: a fractional number is kept as text."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Decimal) else value
