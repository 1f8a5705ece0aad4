"""The two backings as one: what tests do to an engine's files and to its lane in PostgreSQL alike."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from engine.actors.backing.file_backing import FileBacking
from engine.cluster.backing import LaneBacking
from engine.cluster.leases import Leases
from engine.store.backing import Backing, Owner
from engine.store.files import beside
from tests.cluster.lanes import taken_over
from tests.crash.torture import Warnings

_numbers = itertools.count(1)


class Home(ABC):
    """Where one engine after another keeps the same things. Each `open` is a new life."""

    def __init__(self) -> None:
        self.warnings = Warnings()
        self.backing: Backing
        self.owner: Owner

    def open(self, keys: Iterable[tuple[str, str]] = ()) -> Backing:
        """The next engine takes it over; whoever had it before is gone, or stopped without knowing."""
        self.backing = self._next()
        self.owner = self.backing.own(keys, self.warnings)
        return self.backing

    @abstractmethod
    def elsewhere(self) -> Home:
        """Another home, in the same world: what is owned there is not owned here."""

    @abstractmethod
    def damage(self, name: str) -> None:
        """Let no document of the group be as it was written."""

    @abstractmethod
    def end(self) -> None:
        """Its engine has ended in order."""

    @abstractmethod
    def _next(self) -> Backing: ...


class Files(Home):
    """A state directory. An engine that stopped without knowing holds it, so the last owner gives it back."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._place = place
        self.directory = place / f"state{next(_numbers)}"

    def elsewhere(self) -> Home:
        return Files(self._place)

    def damage(self, name: str) -> None:
        path = self.directory / f"{name}.sqlite"
        path.write_bytes(b"x" * path.stat().st_size)
        beside(path, "-wal").unlink(missing_ok=True)

    def end(self) -> None:
        self.owner.release()

    def _next(self) -> Backing:
        if hasattr(self, "owner"):
            self.owner.release()
        return FileBacking(self.directory)


class Lanes(Home):
    """A lane. Its last owner's lease is over, and it does not know."""

    def __init__(self, leases: Leases, place: Path) -> None:
        super().__init__()
        self._leases, self._place = leases, place
        self._lane = f"lane{next(_numbers)}"

    def elsewhere(self) -> Home:
        return Lanes(self._leases, self._place)

    def damage(self, name: str) -> None:
        statement = "UPDATE kraken_engine.document SET body = 'x' || body WHERE lane = %s AND file = %s"
        self._leases.database.run(statement, [self._lane, name])

    def end(self) -> None:
        assert isinstance(self.backing, LaneBacking)
        self.backing.lease.release()

    def _next(self) -> Backing:
        return LaneBacking(taken_over(self._leases, f"node {next(_numbers)}", self._lane), self._place)
