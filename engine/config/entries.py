"""The entries of a table in a configuration file: one that is mistyped is named with the one that was meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.errors import ConfigError


def check_entries(where: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise `ConfigError` for entries that are not among the known ones."""
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise ConfigError(f"{where} has an unknown entry: {', '.join(unknown)}{_hint(unknown, known)}.")


def _hint(unknown: list[str], known: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

    near = [match for name in unknown for match in get_close_matches(name, known, 1)]
    return f" (did you mean {' and '.join(near)}?)" if near else ""
