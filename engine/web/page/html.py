"""HTML that is escaped by construction: text stays text, and only elements are markup."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"meta", "link", "br", "input", "hr"})


class Markup(str):
    """Markup that was made here. Any other string is text, and is escaped."""

    __slots__ = ()


Child = str | None


def element(tag: str, *children: Child, **attributes: str | bool | None) -> Markup:
    """One element. In the names of attributes ``_`` stands for ``-``; `None` and `False` leave one out.

    A trailing ``_`` keeps a name clear of Python's words: ``class_``.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{named}>")
    return Markup(f"<{tag}{named}>{fragment(*children)}</{tag}>")


def fragment(*children: Child) -> Markup:
    """Several children without an element around them."""
    return Markup("".join(_child(each) for each in children if each is not None))


def _child(value: str) -> str:
    return value if isinstance(value, Markup) else escape(value)


def _attribute(name: str, value: str | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
