"""The actor that writes last-known balances and their history to disk, so that they survive a restart."""

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
from engine.rules.history import BalancePoint, appended
from engine.store import open_or_replace, read_document, read_documents
from engine.values import SYSTEM_CLOCK, Account, Clock, Settings

logger = logging.getLogger(__name__)

FILE_NAME = "balances.sqlite"
HISTORY_NAME = "history.sqlite"


class ArchiveActor(EngineActor):
    """Keeps every account's last good reply, and the points of its history. The only writer of its files.

    A write that fails is published as a warning, once until one succeeds; the balance itself lives on in memory. A
    damaged file is put aside at the start, with a warning: what is in it is lost, and fetched or begun anew. Before it
    stops it writes what it was told.
    """

    @staticmethod
    def _create_actor_inbox() -> PatientMailbox:
        return PatientMailbox()

    def __init__(self, directory: Path, *, publish: Callable[[Any], None]) -> None:
        super().__init__()
        self._publish = publish
        self._failing = False
        self._last: dict[tuple[str, str], BalancePoint] = {}
        self._store, damage = open_or_replace(directory / FILE_NAME)
        if damage is not None:
            publish(EngineWarning("balances-lost", f"The last known balances are lost: {damage}"))
        try:
            self._history, damage = open_or_replace(directory / HISTORY_NAME)
        except BaseException:
            self._store.close()
            raise
        if damage is not None:
            publish(EngineWarning("history-lost", f"The history of the balances is lost: {damage}"))

    def on_receive(self, message: Any) -> None:
        """Write one record. Runs in the actor's thread."""
        if not isinstance(message, BalanceRecord):
            super().on_receive(message)
            return
        try:
            self._store.put(message.account, _document(message))
            self._note(message)
            self._failing = False
        except StoreError as error:
            if not self._failing:
                self._publish(EngineWarning("balance-not-kept", f"A balance could not be kept: {error}"))
            self._failing = True

    def closing(self) -> None:
        """Close the files."""
        self._store.close()
        self._history.close()

    def _note(self, record: BalanceRecord) -> None:
        """Add a point to the account's history, when it says more than the last one."""
        point = None if record.snapshot is None else BalancePoint.of(record.snapshot)
        last = self._last.get((record.account, record.key_id))
        if point is None or (last is not None and not point.says_more_than(last)):
            return
        points = _points(read_document(self._history.path, record.account), record.key_id)
        if not points or point.says_more_than(points[-1]):
            kept = [each.to_dict() for each in appended(points, point)]
            self._history.put(record.account, {"key": record.key_id, "points": kept})
            points = (point,)
        self._last[record.account, record.key_id] = points[-1]


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


def read_history(directory: Path, account: str, key_id: str | None = None) -> tuple[BalancePoint, ...]:
    """The kept points of an account's history, the newest last; read-only, also while an engine owns the directory.

    With a `key_id` only what that key fetched. Raises `StoreError`.
    """
    return _points(read_document(directory / HISTORY_NAME, account), key_id)


def recorded_accounts(directory: Path) -> list[str]:
    """The accounts that a state directory has a last known balance of. Raises `StoreError`."""
    return sorted(read_documents(directory / FILE_NAME))


def _points(document: Any, key_id: str | None) -> tuple[BalancePoint, ...]:
    try:
        if document is None or key_id not in (None, document["key"]):
            return ()
        return tuple(BalancePoint.from_dict(each) for each in document["points"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        logger.warning("A kept history cannot be read; it is left out.")
        return ()


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
