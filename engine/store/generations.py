"""How far a store file had come, kept in another one: a file that was lost or put back does not notice it itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import StoreDamaged
from engine.store.reader import read_documents
from engine.store.writer import open_or_replace

FILE_NAME = "generations.sqlite"


class Generation(NamedTuple):
    """A state of a store file: which file it is, wherever it is moved, and how often it was written since it began."""

    file: str
    number: int

    def to_dict(self) -> dict[str, Any]:
        """JSON. `from_dict` reads it."""
        return {"file": self.file, "number": self.number}

    @classmethod
    def from_dict(cls, document: Any) -> Generation:
        """The generation of `to_dict`. Raises `TypeError`, `KeyError` or `ValueError` for what is none."""
        return cls(str(document["file"]), int(document["number"]))


class Witness:
    """Knows the newest generation of one store file. The only writer of ``generations.sqlite``.

    Its file is written after the other one has that generation durably, and before anything relies on it. So no crash
    leaves it ahead of the other; when it is ahead, the other was lost, or an older one was put in its place.

    `generation` is the newest it knows, `None` when it knows none. `damage` says what was wrong with its own file.
    Raises `StoreError` when that cannot be used for another reason than damage.
    """

    def __init__(self, directory: Path, of: str) -> None:
        self._of = of
        self._store, self.damage = open_or_replace(directory / FILE_NAME, check=_generations, guards_log=True)
        try:
            self.generation = _generations(self._store.path).get(of)
        except BaseException:
            self._store.close()
            raise

    def keep(self, generation: Generation) -> None:
        """Return when the generation is durable here. Raises `StoreError`."""
        self._store.put(self._of, generation.to_dict())
        self.generation = generation

    def close(self) -> None:
        """Close its file. A second call does nothing."""
        self._store.close()


def _generations(path: Path) -> Mapping[str, Generation]:
    try:
        return {name: Generation.from_dict(document) for name, document in read_documents(path).items()}
    except (TypeError, KeyError, ValueError):
        raise StoreDamaged(f"The store file {path} holds an invalid generation.") from None
