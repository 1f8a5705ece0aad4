"""The encoding of documents: JSON with a checksum over name and content, so that a flipped bit is noticed.

The checksum also tells the engine's documents from anything else, so that they can be found in the bytes of a file that
SQLite can no longer read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from engine.errors import StoreDamaged

_BEGINNING = re.compile(rb'\{"sum": "')
_LONGEST = 4096  # a longer document spans several of SQLite's pages, so its bytes are not contiguous
_NAME_LENGTHS = (32, *range(1, 32), *range(33, 65))  # the length of a key id first

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def encode(name: str, document: Any) -> str:
    """The text to store under `name`. Raises `TypeError` when the document is not JSON."""
    return json.dumps({"sum": _checksum(name, document), "doc": document})


def decode(name: Any, text: Any, where: object) -> tuple[str, Any]:
    """Name and document from the stored bytes (UTF-8). Raises `StoreDamaged`, which names the file `where`."""
    try:
        name = str(name, "utf-8")
        encoded = json.loads(text)
        document = encoded["doc"]
        if encoded["sum"] == _checksum(name, document):
            return name, document
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StoreDamaged(
            f"The store file {where} is damaged: it holds something that the engine did not write (it writes JSON, and "
            "reads nothing else)."
        ) from None
    raise StoreDamaged(f"The store file {where} is damaged: the checksum of {name!r} does not match.")


def encoded_in(raw: bytes) -> Iterator[tuple[str, Any]]:
    """Every name and document with a valid checksum in the bytes of a store file, older versions included."""
    for found in _BEGINNING.finditer(raw):
        text = raw[found.start() : found.start() + _LONGEST].decode("latin-1")
        try:
            encoded, _ = json.JSONDecoder().raw_decode(text)
            checksum, document = encoded["sum"], encoded["doc"]
        except (ValueError, KeyError, RecursionError):
            continue
        name = _name_before(raw, found.start(), checksum, document)
        if name is not None:
            yield name, document


def _name_before(raw: bytes, start: int, checksum: str, document: Any) -> str | None:
    """The name of a document: SQLite stores it directly before, and only the checksum tells where it begins."""
    for length in _NAME_LENGTHS:
        name = raw[max(0, start - length) : start].decode("utf-8", "replace")
        if checksum == _checksum(name, document):
            return name
    return None


def _checksum(name: str, document: Any) -> str:
    return hashlib.sha256(_canonical([name, document]).encode()).hexdigest()[:32]
