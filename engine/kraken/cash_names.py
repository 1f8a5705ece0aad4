"""The names in the setting `cash`, compared with Kraken's list of assets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.kraken.assets import AssetTable


def plain_names(cash: Iterable[str], table: AssetTable) -> tuple[str, ...]:
    """The names in the configuration as plain names, each once; a name that is not in the table stays as it is."""
    return tuple(dict.fromkeys(table.plain(name) or name for name in cash))


def unlisted(cash: Iterable[str], table: AssetTable) -> tuple[str, ...]:
    """The names in the configuration that are not in the table."""
    return tuple(name for name in cash if table.plain(name) is None)


def unlisted_sentence(names: Sequence[str], table: AssetTable) -> str:
    """The message about names in cash that Kraken does not list, with the most similar names that it lists."""
    near = dict.fromkeys(plain for name in names for plain in _near(name, table))
    hint = f"it lists {', '.join(near)}" if near else "use names such as USD, EUR or USDT"
    quoted = ", ".join(repr(name) for name in names)
    return f"The setting cash names {quoted}, and Kraken lists no such asset; {hint}."


def _near(name: str, table: AssetTable) -> list[str]:
    import difflib  # noqa: PLC0415 - only for a wrong name

    found = difflib.get_close_matches(name.upper(), table.names, 2, cutoff=0.75)
    return [table.names[each] for each in found]
