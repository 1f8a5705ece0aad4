"""What the configuration says about alerts: `[alerts]`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.alerts.kinds import Kind
from engine.config import read_secret
from engine.config.entries import check_entries
from engine.errors import ConfigError
from engine.values import Secret

_LONGEST = 30 * 86_400.0


@dataclass(frozen=True)
class AlertSettings:
    """Where alerts go, and when. Seconds. Raises `ConfigError`.

    urls: addresses as apprise writes them, such as ``json://host/path`` (a webhook), ``ntfys://ntfy.sh/topic``,
        ``tgram://token/chat`` and ``mailtos://user:password@host``. They are kept as `Secret`: most hold one.
    kinds: what to tell of: ``unavailable``, ``silence``, ``unknown-order``, ``nonce``, ``key``, ``drift``, ``disk``.
    after: a condition that is over sooner than this is not told.
    unknown_after: how long an order may be unknown before that is told.
    repeat_after: a condition that still holds, or something that happens again, is told again after this.
    at_most_per_hour: more messages than this are held back; what was held back is counted in a message.
    """

    urls: tuple[Secret, ...]
    kinds: tuple[Kind, ...] = tuple(Kind)
    after: float = 10.0
    unknown_after: float = 300.0
    repeat_after: float = 3600.0
    at_most_per_hour: int = 30

    def __post_init__(self) -> None:
        if not self.urls:
            raise ConfigError("[alerts] has no address: give urls, or urls_file with one address in a line.")
        for name in ("after", "unknown_after", "repeat_after"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= _LONGEST:
                raise ConfigError(f"[alerts] {name} is a number of seconds from 0 to {_LONGEST:.0f}.")
        if self.repeat_after < 1:
            raise ConfigError("[alerts] repeat_after is at least 1 second.")
        if type(self.at_most_per_hour) is not int or not 1 <= self.at_most_per_hour <= 1000:
            raise ConfigError("[alerts] at_most_per_hour is a whole number from 1 to 1000.")

    def patience(self, kind: Kind) -> float:
        """How long a condition of a kind has to last before it is told."""
        return self.unknown_after if kind is Kind.UNKNOWN_ORDER else self.after

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> AlertSettings:
        """From the table `[alerts]` of a configuration file. Raises `ConfigError`, which repeats no address."""
        rest = dict(table)
        urls = _texts(rest.pop("urls", []), "urls")
        if (path := rest.pop("urls_file", None)) is not None:
            if not isinstance(path, str):
                raise ConfigError("[alerts] urls_file is a text in quotes: the name of a file.")
            urls += [line.strip() for line in read_secret(Path(path), "[alerts] urls_file").splitlines()]
        kinds = [_kind(name) for name in _texts(rest.pop("kinds", [each.value for each in Kind]), "kinds")]
        check_entries("[alerts]", rest, {each.name for each in fields(cls)})
        return cls(tuple(Secret(url) for url in urls if url and not url.startswith("#")), tuple(kinds), **rest)


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"[alerts] {name} is a list of texts in quotes.")
    return list(value)


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        raise ConfigError(f"[alerts] kinds takes {', '.join(each.value for each in Kind)}; one is another.") from None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
