"""What Kraken says about an API key, and whether orders may be placed with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.kraken.endpoints import PRIVATE
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """The reply of `GetApiKeyInfo`, in the spelling of Kraken's documentation or the older one; `None`: missing.

    Needed to place orders: `permissions` and `window`. Safe bound: an unreadable date of the history range counts as a
    limit. All other fields are only shown, and may be missing or odd.
    """

    name: str | None
    permissions: frozenset[str] | None
    window: int | None
    valid_until: int | None
    """Unix seconds; 0 is for ever."""
    addresses: int | None
    """How many addresses may use the key; 0 is any."""
    nonce: int | None
    """The highest nonce that Kraken has seen."""
    query_from: int | None = None
    """Unix seconds before which the key sees no history; 0 means that there is no such limit."""
    query_until: int | None = None
    """The same for the end."""
    owner: str | None = None
    """To which account at Kraken it belongs: a hash of the account's ``iban``, the same for all its keys."""

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> KeyInfo:
        """Read a reply. Never raises; what cannot be read is `None`."""

        def value(camel: str, snake: str) -> Any:
            told = result.get(camel)
            return result.get(snake) if told is None else told

        permissions, addresses = value("permissions", "permissions"), value("ipAllowlist", "ip_allowlist")
        return cls(
            name=_one_line(value("apiKeyName", "api_key_name")),
            permissions=frozenset(map(str, permissions)) if isinstance(permissions, list) else None,
            window=_number(value("nonceWindow", "nonce_window")),
            valid_until=_number(value("validUntil", "valid_until")),
            addresses=len(addresses) if isinstance(addresses, list) else None,
            nonce=_number(value("nonce", "nonce")),
            query_from=_limit(value("queryFrom", "query_from")),
            query_until=_limit(value("queryTo", "query_to")),
            owner=_owner(value("iban", "iban")),
        )

    @property
    def order_obstacle(self) -> tuple[str, str] | None:
        """Why no order may be placed with the key, and the remedy; `None` if orders may be placed.

        It must be possible to find out the fate of every order. That takes both query permissions, the whole history,
        and a nonce window of 0, since otherwise a lost request may be executed after a later one. A missing field
        counts as wrong, except the range of the history, which few keys have.
        """
        needed = [PRIVATE[name] for name in ("AddOrder", "OpenOrders", "ClosedOrders")]
        if self.permissions is None or self.window is None:
            return "Kraken does not say what it may do", "Look it up"
        missing = [each.permission_text for each in needed if not each.allowed(self.permissions)]
        if missing:
            return f"it lacks the permission {' and '.join(missing)}", "Give it that permission"
        if self.query_from or self.query_until:
            return "it sees only a part of the history", "Take the dates of its history away"
        if self.window:
            return f"its nonce window is {self.window}, so that an order can be doubled", "Set the window to 0"
        return None


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    text = format(value, "f").partition(".")[0] if isinstance(value, Decimal) and value % 1 == 0 else str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _limit(value: object) -> int | None:
    """A date; an unreadable one counts as a limit."""
    return None if value in (None, "") else _UNREADABLE if (date := _number(value)) is None else date


_UNREADABLE = 1


def _owner(iban: object) -> str | None:
    if not isinstance(iban, str) or not iban.strip():
        return None
    return hashlib.sha256(b"kraken-engine account\0" + "".join(iban.split()).encode()).hexdigest()[:32]


def _one_line(value: object, longest: int = 60) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    line = "".join(c if c.isprintable() else "?" for c in " ".join(value.split()))
    return line if len(line) <= longest else line[:longest] + "…"
