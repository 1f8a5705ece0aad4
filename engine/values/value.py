"""Frozen dataclasses that hold read-only mappings."""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType
from typing import Any, Self


class Value:
    """A base of frozen dataclasses with read-only mappings in them, which can be neither pickled nor copied as such.

    They are pickled with plain dicts and read-only again when they are read; a copy is the value itself.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        parts = self._parts()
        plain = {name: dict(part) for name, part in parts.items() if isinstance(part, MappingProxyType)}
        return _read_back, (type(self), parts | plain, tuple(plain))

    def _parts(self) -> dict[str, Any]:
        """The fields that go into a pickle."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]


def _read_back(kind: type[Any], parts: dict[str, Any], read_only: tuple[str, ...]) -> Any:
    return kind(**{name: MappingProxyType(part) if name in read_only else part for name, part in parts.items()})
