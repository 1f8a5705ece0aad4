"""The decorator `dataclass` of the standard library, made for a program that has a hundred and fifty of them.

The standard one compiles six methods of each class from text, which was a third of the time that importing the engine
took. Here only ``__init__`` is compiled, when it is first needed; the other methods are the same functions for all
classes, each with the names of one. What it makes is a dataclass to `fields`, `replace`, pickle, pattern matching and
dataclasses below it.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False, eq=True, init=True):
        """`dataclasses.dataclass` with these of its options."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, slots=slots, kw_only=kw_only, eq=eq, init=init)
        if any(map(dataclasses.is_dataclass, cls.__mro__[1:])):  # few are, and what they inherit has rules of its own
            return dataclasses.dataclass(frozen=frozen, slots=slots, kw_only=kw_only, eq=eq, init=init)(cls)
        return _made(cls, frozen=frozen, slots=slots, kw_only=kw_only, eq=eq, init=init)


_DEFAULT, _MAKE, _FACTORY = "_default_of_", "_make_", "_factory"  # names in the text of an ``__init__``


class _LateInit:
    """An ``__init__`` that is compiled when somebody looks for it: no program makes values of all the classes."""

    def __init__(self, made: type[Any], compiled: Callable[[], Any]) -> None:
        self._made, self._compiled = made, compiled

    def __get__(self, value: Any, kind: type[Any] | None = None) -> Any:
        method = self._compiled()
        method.__qualname__ = f"{self._made.__qualname__}.__init__"
        self._made.__init__ = method
        return method.__get__(value, kind)


class _Factory:
    """The default of a parameter that a factory makes."""

    def __repr__(self) -> str:
        return "<factory>"


def _made(cls: type[Any], *, frozen: bool, slots: bool, kw_only: bool, eq: bool, init: bool) -> type[Any]:
    own = frozenset(vars(cls))
    cls.__doc__ = cls.__doc__ or cls.__name__
    made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
    fields = dataclasses.fields(made)
    methods = {"__repr__": _repr(fields)}
    if init and "__init__" not in own:
        made.__init__ = _LateInit(made, partial(_init, made, fields, frozen=frozen))
    if eq:
        methods |= _comparison(fields, frozen="__hash__" not in own and frozen)
    if frozen:
        methods |= _unchanging(made, fields, pickled=slots)
    for name, method in methods.items():
        if name not in own:
            method.__qualname__ = f"{made.__qualname__}.{name}"
            setattr(made, name, method)
    if eq and not frozen and "__hash__" not in own:
        made.__hash__ = None  # type: ignore[assignment]
    told = made.__dataclass_params__
    told.init, told.repr, told.eq, told.frozen = init, True, eq, frozen
    return made


def _init(made: type[Any], fields: tuple[dataclasses.Field[Any], ...], *, frozen: bool) -> Any:
    """``__init__`` sets each field by its slot, or past the ``__setattr__`` that refuses to."""
    scope: dict[str, Any] = {"_set": object.__setattr__, _FACTORY: _Factory()}
    by_place = [_parameter(field) for field in fields if field.init and not field.kw_only]
    by_name = [_parameter(field) for field in fields if field.init and field.kw_only]
    lines = []
    for field in fields:
        scope[_DEFAULT + field.name] = field.default
        scope[_MAKE + field.name] = field.default_factory
        if field.init or field.default is not field.default_factory:  # the only two that are `MISSING` at once
            lines.append(_assignment(made, field.name, _value(field), scope, frozen=frozen))
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    head = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else ())])
    exec("\n ".join([f"def __init__({head}):", *(lines or ["pass"])]), scope)  # noqa: S102 - the names of fields
    made_init = scope["__init__"]
    made_init.__annotations__ = {field.name: field.type for field in fields if field.init} | {"return": None}
    made_init.__module__ = made.__module__
    return made_init


def _parameter(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"{field.name}={_FACTORY}"
    return field.name if field.default is dataclasses.MISSING else f"{field.name}={_DEFAULT}{field.name}"


def _value(field: dataclasses.Field[Any]) -> str:
    """The expression for what a field becomes."""
    name = field.name
    if field.default_factory is not dataclasses.MISSING:
        return f"{_MAKE}{name}() if {name} is {_FACTORY} else {name}" if field.init else f"{_MAKE}{name}()"
    return name if field.init else _DEFAULT + name


def _assignment(made: type[Any], name: str, value: str, scope: dict[str, Any], *, frozen: bool) -> str:
    if not frozen:
        return f"self.{name} = {value}"
    slot = vars(made).get(name)
    if type(slot) is not _SLOT:
        return f"_set(self, {name!r}, {value})"
    scope["_set_" + name] = slot.__set__
    return f"_set_{name}(self, {value})"


class _Slotted:
    __slots__ = ("one",)


_SLOT = type(vars(_Slotted)["one"])


def _parts(names: list[str]) -> Callable[[Any], Any]:
    """What takes those attributes of a value as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _repr(fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    names = [field.name for field in fields if field.repr]

    @reprlib.recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _comparison(fields: tuple[dataclasses.Field[Any], ...], *, frozen: bool) -> dict[str, Any]:
    parts = _parts([field.name for field in fields if field.compare])

    def __eq__(self: Any, other: object) -> Any:
        return parts(self) == parts(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(parts(self))

    return {"__eq__": __eq__, "__hash__": __hash__} if frozen else {"__eq__": __eq__}


def _unchanging(made: type[Any], fields: tuple[dataclasses.Field[Any], ...], *, pickled: bool) -> dict[str, Any]:
    names = frozenset(field.name for field in fields)
    in_order = tuple(field.name for field in fields)

    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(made, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(made, self).__delattr__(name)

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in in_order]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(in_order, state, strict=True):
            object.__setattr__(self, name, value)

    whole = {"__setattr__": __setattr__, "__delattr__": __delattr__}
    return whole | {"__getstate__": __getstate__, "__setstate__": __setstate__} if pickled else whole
