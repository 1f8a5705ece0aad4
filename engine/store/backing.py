"""What one engine keeps and owns, as protocols: files of one machine and a database of several implement them alike.

A backing is opened in this order: `own`, then `open_marks` and `open_documents` with that owner, then `open_journal`.
Everything that writes returns when it is durable and raises `StoreError` within about a second when that cannot be
promised. Marks and the journal ask first whether it is still owned, and raise `OwnershipLost` when it is not: nothing
was written then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.rules.order.placement import Placement
from engine.values import Clock

Warn = Callable[[str, str], None]
"""Is told a code of a warning and its sentence; any thread."""

Soon = Callable[[Callable[[], None]], object]
"""Runs a callback in another thread; raises `RuntimeError` when it cannot."""


class Owner(Protocol):
    """The hold of one engine on what it keeps, and on its API keys. Any thread.

    No two owners hold a key at a time, and every key of an engine is held before anything is sent with it.
    """

    @property
    def is_lost(self) -> bool:
        """Whether the last look found it lost; asks nobody."""
        ...

    def claim_key(self, account: str, key_id: str) -> None:
        """Take an API key, named by its hash. Raises `StoreInUse` within a second when another has it."""
        ...

    def release_key(self, key_id: str) -> None:
        """Give one key back."""
        ...

    def check(self) -> None:
        """Raise `OwnershipLost` when it may be lost. Before each call: it asks nobody and waits for nothing."""
        ...

    def verify(self, key_id: str = "") -> None:
        """Raise `OwnershipLost` unless it is held, and that key. Before each write."""
        ...

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        ...


class Marks(Protocol):
    """The durable nonce marks of API keys, named by their hashes. Any thread reads them; one at a time reserves.

    A mark is never lowered, and what `durable`, `inherited` and `renew` return is durable.
    """

    @property
    def reservations(self) -> int:
        """The number of marks made durable since the start."""
        ...

    @property
    def write_seconds(self) -> float:
        """Seconds that these writes took in total."""
        ...

    def durable(self, key_id: str) -> int:
        """The highest durable mark of a key; 0 when it has none. Other keys may share it."""
        ...

    def all_durable(self) -> dict[str, int]:
        """The highest durable mark of every key that has one."""
        ...

    def inherited(self, key_id: str) -> int:
        """The mark that a key came with: whoever had it before used no nonce above it. 0 when it has none."""
        ...

    def reserve(self, key_id: str, mark: int) -> None:
        """Return when `mark` is durable."""
        ...

    def renew(self, soon: Soon, key_id: str, mark: int, wanted: int) -> int:
        """The highest durable mark of a key, at once; while that is `mark`, `soon` reserves `wanted`."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class Documents(Protocol):
    """Documents by name, in JSON. Safe from several threads, one at a time."""

    def documents(self) -> Mapping[str, Any]:
        """Every document by name."""
        ...

    def put(self, name: str, document: Any) -> None:
        """Write one document."""
        ...

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write several documents, up to 400 of them all or none."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove documents; a missing name is ignored. Otherwise like `put_all`."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class JournalRows(Protocol):
    """The placements, pauses and dead man's switches of one engine. One thread writes at a time."""

    @property
    def live(self) -> Sequence[Placement]:
        """The placements that were live when it was opened."""
        ...

    @property
    def switches(self) -> Mapping[str, int]:
        """The dead man's switches that are armed, in seconds by account; 0: it is being disarmed."""
        ...

    @property
    def pauses(self) -> Mapping[str, float]:
        """Since when an account's trading is paused, in Unix seconds."""
        ...

    @property
    def damage(self) -> str | None:
        """A sentence on what was found damaged or lost at the opening."""
        ...

    @property
    def obstacle(self) -> str | None:
        """Why nothing may be placed now, for a person; `None` when it may."""
        ...

    def get(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name."""
        ...

    def find(self, account: str, name: str) -> Placement | None:
        """The placement of that id, `cl_ord_id` or txid."""
        ...

    def find_all(self, account: str, names: Mapping[str, str | None]) -> dict[str, Placement]:
        """Placements by the txid, with the `cl_ord_id` of each where it is known."""
        ...

    def of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """A client's placements with this name, the newest first."""
        ...

    def begin(self, row: Placement, instead_of: Placement | None) -> None:
        """Write a new placement; it takes the id from the one that is dropped."""
        ...

    def send(self, row: Placement, instead_of: Placement | None = None, along: Sequence[Placement] = ()) -> None:
        """Write a placement that goes out as soon as this returns, and others that are live, new or not.

        If it is new, it takes the id from the one that is dropped.
        """
        ...

    def keep(self, rows: Sequence[Placement]) -> None:
        """Write what is known now of placements that were written before."""
        ...

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write how long a dead man's switch is armed for."""
        ...

    def forget_switch(self, account: str) -> None:
        """A switch is disarmed."""
        ...

    def keep_pause(self, account: str, since: float) -> None:
        """Write that the account's trading is paused."""
        ...

    def forget_pause(self, account: str) -> None:
        """Write that the account's trading goes on."""
        ...

    def forget(self, now: float, at_most: int) -> None:
        """Drop placements that need not be kept any longer at `now`, in Unix seconds, no more than some at a time."""
        ...

    def verify(self) -> None:
        """Raise `OwnershipLost` when nothing more is kept."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class Backing(Protocol):
    """What one engine keeps and owns, opened at each start of that engine.

    `owner` is what `own` has returned.

    `local` is the private directory of this machine for what may be fetched again: balances, history, the catalogue of
    assets, facts. With `fences`, an owner before this one may still be sending with a key: Kraken takes that until it
    has accepted a higher nonce, so one accepted read per key comes before anything else that is sent with it.
    """

    @property
    def local(self) -> Path:
        """The private directory."""
        ...

    @property
    def fences(self) -> bool:
        """Whether each key is fenced off from an earlier owner first."""
        ...

    @property
    def is_handed_over(self) -> bool:
        """Whether another owner goes on when this engine stops.

        Then dead man's switches stay armed for it, and the call under way gets time to end, a read as well.
        """
        ...

    def own(self, keys: Iterable[tuple[str, str]], warn: Warn) -> Owner:
        """Take it, with the API keys, as account and hash of the key. `warn` is told ``ownership-lost``, once.

        Raises `StoreInUse` within a second when another has it or one of the keys; nothing is held then.
        """
        ...

    def open_marks(self, owner: Any, clock: Clock, warn: Warn) -> Marks:
        """The nonce marks. `warn` is told when they cannot be written, and what was found at the opening.

        `clock` is the one that the nonces follow.
        """
        ...

    def open_documents(self, name: str, owner: Any) -> tuple[Documents, Mapping[str, Any] | None, str | None]:
        """A group of documents, what it holds (`None` after damage: nothing of it counts), and what was damaged."""
        ...

    def open_journal(self) -> JournalRows:
        """The journal of orders. Each write asks the present owner first."""
        ...
