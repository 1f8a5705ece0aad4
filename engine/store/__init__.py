"""Durable files of JSON documents in SQLite, which survive kill -9 and power loss.

Writes go through sqlitedict (`writer`), reads through a read-only connection of their own (`reader`): a damaged page
met while reading would end sqlitedict's writer thread and hang its caller. Each document carries a checksum over its
name and content, since a flipped bit in a value is invisible to SQLite. What is damaged is put aside under another
name (`files`), never deleted. Whether a file is the newest of its kind, another one knows (`generations`).
"""

from engine.store.descriptors import MORE_FILES, check_room, is_shortage, most_files
from engine.store.files import cause, held_by, prepare_directory, put_aside
from engine.store.reader import (
    TABLE,
    check_names,
    check_outline,
    read_documents,
    read_group,
    read_named,
    read_range,
    salvage,
)
from engine.store.writer import AT_ONCE, Store, open_or_replace

__all__ = [
    "AT_ONCE",
    "MORE_FILES",
    "TABLE",
    "Store",
    "cause",
    "check_names",
    "check_outline",
    "check_room",
    "held_by",
    "is_shortage",
    "most_files",
    "open_or_replace",
    "prepare_directory",
    "put_aside",
    "read_documents",
    "read_group",
    "read_named",
    "read_range",
    "salvage",
]
