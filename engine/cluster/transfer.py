"""Takes what an engine keeps from a state directory into a lane, and back: nonce marks, limits, journal of orders.

Nothing is taken away on the one side, a mark is never lowered, and an order has the same id on both. Of an order, of
which both sides know, the newer row counts; where neither is newer by its times, that of the lane. A dead man's switch
that is armed and an account that is paused on either side are so on both. So the same may be done twice.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.actors.backing.file_backing import FileBacking
from engine.actors.backing.placement_rows import PlacementRows
from engine.actors.lane.limits import NAME as LIMITS
from engine.cluster.backing import LaneBacking
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.errors import ConfigError, StoreError, StoreInUse
from engine.rules.order.placement import Placement
from engine.store import nonces
from engine.store.backing import Documents, Marks, Warn
from engine.values import SYSTEM_CLOCK, Account

AT_ONCE = 100  # placements

_SERVED = (
    "Lane {lane} is served by node {owner}: stop the nodes that have its keys first, and try again."
)
_NOTHING = "There is no engine's state in {directory}: it has no {file}."


@dataclass(frozen=True)
class Moved:
    """What was taken over: nonce marks, the limits of keys, orders, dead man's switches and pauses that were not there.

    `same`: orders that were there already, as they are. `older`: orders of which the other side knew more. `left`:
    accounts that were not asked for.
    """

    marks: int
    limits: int
    orders: int
    older: int
    left: tuple[str, ...]
    same: int = 0
    switches: int = 0
    pauses: int = 0


def import_state(directory: Path, leases: Leases, lane: str, accounts: Sequence[Account], warn: Warn) -> Moved:
    """Take what a state directory has of these accounts into a lane.

    Raises `StoreInUse` while an engine owns the directory or one of the keys, or a node the lane; `ConfigError` when
    there is no such directory; `StoreError` when a journal is damaged or PostgreSQL does not answer. What was taken
    over until then stays.
    """
    if not (directory / nonces.FILE_NAME).is_file():
        raise ConfigError(_NOTHING.format(directory=directory, file=nonces.FILE_NAME))
    with _both(directory, leases, lane, accounts, warn) as (files, rows, renew):
        return _Transfer(files, rows, accounts, renew, wins_ties=False).run()


def export_state(directory: Path, leases: Leases, lane: str, accounts: Sequence[Account], warn: Warn) -> Moved:
    """Take what a lane has of these accounts into a state directory, which is made unless it is there.

    Raises the same as `import_state`.
    """
    with _both(directory, leases, lane, accounts, warn) as (files, rows, renew):
        return _Transfer(rows, files, accounts, renew, wins_ties=True).run()


class _Side(NamedTuple):
    """What is kept on one side, opened."""

    marks: Marks
    limits: Documents
    saved: Mapping[str, Any]
    journal: PlacementRows


class _Transfer:
    """From one side to the other."""

    def __init__(
        self, source: _Side, target: _Side, accounts: Sequence[Account], renew: Callable[[], None], *, wins_ties: bool
    ) -> None:
        self._source, self._target, self._renew, self._wins_ties = source, target, renew, wins_ties
        self._keys = [account.key_id for account in accounts]
        self._names = {account.name for account in accounts}
        self._left: set[str] = set()

    def run(self) -> Moved:
        """Marks first: with them alone, an engine that starts there is never refused a nonce."""
        marks, limits = self._take_marks(), self._take_limits()
        switches, pauses = self._take_safeguards()
        orders = Counter[str]()
        for part in self._source.journal.parts():
            for at in range(0, len(part), AT_ONCE):
                self._renew()
                orders += self._take_orders(part[at : at + AT_ONCE])
        left = tuple(sorted(self._left))
        return Moved(marks, limits, orders["taken"], orders["older"], left, orders["same"], switches, pauses)

    def _take_marks(self) -> int:
        count = 0
        for key_id in self._keys:
            mark = self._source.marks.durable(key_id)
            count += mark > self._target.marks.durable(key_id)
            self._target.marks.reserve(key_id, mark)
        return count

    def _take_limits(self) -> int:
        found = {key_id: self._source.saved[key_id] for key_id in self._keys if key_id in self._source.saved}
        there = self._target.saved
        wanted = {key_id: _merged(there.get(key_id), each) for key_id, each in found.items()}
        changed = {key_id: each for key_id, each in wanted.items() if each != there.get(key_id)}
        if changed:
            self._target.limits.put_all(changed)
        return len(changed)

    def _take_safeguards(self) -> tuple[int, int]:
        """How many dead man's switches and pauses were not there."""
        source, target = self._source.journal, self._target.journal
        self._left.update({*source.switches, *source.pauses} - self._names)
        switches = self._names & (source.switches.keys() - target.switches.keys())
        for account in switches:
            target.keep_switch(account, source.switches[account])
        pauses = self._names & (source.pauses.keys() - target.pauses.keys())
        for account in pauses:
            target.keep_pause(account, source.pauses[account])
        return len(switches), len(pauses)

    def _take_orders(self, part: Sequence[Placement]) -> Counter[str]:
        """How many were taken over, are older than those that are there, and are the same there."""
        self._left.update({row.account for row in part} - self._names)
        rows = [row for row in part if row.account in self._names]
        there = self._target.journal.rows([row.cl_ord_id for row in rows])
        different = [row for row in rows if there.get(row.cl_ord_id) != row]
        taken = [row for row in different if self._counts(row, there.get(row.cl_ord_id))]
        if taken:
            self._target.journal.adopt(taken)
        return Counter(taken=len(taken), older=len(different) - len(taken), same=len(rows) - len(different))

    def _counts(self, row: Placement, other: Placement | None) -> bool:
        if other is None:
            return True
        here, there = _last(row), _last(other)
        return here > there or (here == there and self._wins_ties)


def _last(row: Placement) -> float:
    return max(row.times.values(), default=0.0)


def _merged(one: Any, other: Any) -> Any:
    """What is known of a key's limits by two documents: the later count, and the lockout that lasts longer."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one or other
    later, earlier = sorted((one, other), key=lambda each: _number(each.get("calls"), "at"), reverse=True)
    guard = max(later.get("guard", {}), earlier.get("guard", {}), key=lambda each: _number(each, "locked_until"))
    return {**later, "guard": guard, "accepted": bool(one.get("accepted") or other.get("accepted"))}


def _number(document: Any, name: str) -> float:
    found = document.get(name) if isinstance(document, dict) else None
    return float(found) if isinstance(found, int | float) else 0.0


@contextlib.contextmanager
def _both(
    directory: Path, leases: Leases, lane: str, accounts: Sequence[Account], warn: Warn
) -> Iterator[tuple[_Side, _Side, Callable[[], None]]]:
    """The directory and the lane, both owned, and what keeps the lease of the lane."""
    keys = [(account.name, account.key_id) for account in accounts]
    with contextlib.ExitStack() as undo:
        files = _opened(FileBacking(directory), keys, warn, undo)
        lease = _claimed(leases, lane, [account.name for account in accounts])
        undo.callback(lease.release)
        rows = _opened(LaneBacking(lease, directory), keys, warn, undo)
        yield files, rows, lambda: _renew(lease)


def _opened(
    backing: FileBacking | LaneBacking, keys: list[tuple[str, str]], warn: Warn, undo: contextlib.ExitStack
) -> _Side:
    owner: Any = backing.own(keys, warn)
    undo.callback(owner.release)
    marks = backing.open_marks(owner, SYSTEM_CLOCK, warn)
    undo.callback(marks.close)
    limits, saved, damage = backing.open_documents(LIMITS, owner)
    undo.callback(limits.close)
    if damage is not None:
        warn("limits-lost", damage)
    journal = backing.open_journal()
    undo.callback(journal.close)
    if journal.obstacle is not None:
        raise StoreError(journal.obstacle)
    return _Side(marks, limits, saved or {}, journal)


def _claimed(leases: Leases, lane: str, accounts: Sequence[str]) -> Lease:
    lease = leases.claim(lane, "kraken-engine cluster", None, accounts)
    if lease is None:
        owner = next((row.owner for row in leases.lanes() if row.id == lane), None)
        raise StoreInUse(_SERVED.format(lane=lane, owner=owner or "of another one"))
    return lease


def _renew(lease: Lease) -> None:
    lease.renew()
    lease.check_held()
