"""A Kraken account: a name and one API key with its secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import field, fields
from functools import cached_property

from engine.errors import ConfigError
from engine.values.dataclass import dataclass
from engine.values.secret import Secret, shown

MASTER = "MASTER"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Account:
    """One Kraken account: a name of yours and one API key with its secret.

    `key` and `secret` may be given as strings; they are kept as `Secret`. `tier` is the account's rate-limit
    tier (`None`: that of `Settings`). `otp` is the static two-factor password of a key that has one.

    Raises `ConfigError` when a part is missing or the secret is not base64.
    """

    name: str
    key: Secret
    secret: Secret
    tier: str | None = field(default=None, kw_only=True)
    otp: Secret | None = field(default=None, kw_only=True)

    def __init__(
        self,
        name: str,
        key: str | Secret,
        secret: str | Secret,
        *,
        tier: str | None = None,
        otp: str | Secret | None = None,
    ) -> None:
        wrong = _wrong_with(name, key, secret, otp)
        if wrong is not None:
            del name, key, secret, otp  # reports of errors show the locals of frames
            raise ConfigError(wrong)
        set_field = object.__setattr__
        set_field(self, "name", name)
        set_field(self, "key", _secret(key))
        set_field(self, "secret", _secret(secret))
        set_field(self, "tier", None if tier is None else check_tier(tier))
        set_field(self, "otp", None if otp is None else _secret(otp))

    def __repr__(self) -> str:
        """Without the key, the secret and the otp; also of one that is not complete, as a broken subclass makes."""
        known = {each.name: getattr(self, each.name) for each in fields(self) if hasattr(self, each.name)}
        return f"{type(self).__name__}({', '.join(f'{name}={_printed(known[name])}' for name in known)})"

    @classmethod
    def of(cls, value: Account | Sequence[str]) -> Account:
        """An `Account` as it is, or one made from a ``(name, key, secret)`` sequence."""
        if isinstance(value, Account):
            return value
        if isinstance(value, str) or len(value) != 3:
            raise ConfigError("An account is an Account, or a (name, key, secret) triple.")
        return cls(*value)

    @cached_property
    def key_id(self) -> str:
        """A name for the API key that is safe to write down: a hash, the same on every machine."""
        return hashlib.sha256(b"kraken-engine api key\0" + self.key.reveal().encode()).hexdigest()[:32]


def check_tier(tier: str) -> str:
    """Return the tier. Raises `ConfigError` if Kraken has no such tier."""
    if tier not in ("starter", "intermediate", "pro"):
        raise ConfigError(f"invalid tier {shown(tier)}: use starter, intermediate or pro.")
    return tier


def _wrong_with(name: object, key: object, secret: object, otp: object) -> str | None:
    """What is wrong with the parts of an account, in a sentence that repeats none of them."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{shown(name)} cannot name an account: use 1 to 64 letters, digits, '-' or '_'."
    for part, value in (("API key", key), ("API secret", secret)):
        if not isinstance(value, str | Secret) or not _secret(value).reveal():
            return f"Account {name} has no {part}: give both the key and its secret."
    if not isinstance(otp, str | Secret | None):
        return f"The otp of account {name} has to be a text."
    assert isinstance(key, str | Secret)
    assert isinstance(secret, str | Secret)
    text = _secret(key).reveal()
    if not text.isascii() or not text.isprintable():
        return f"The API key of account {name} has invalid characters: copy it again."
    try:
        decoded = base64.b64decode(_secret(secret).reveal(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return None if decoded else (
        f"The API secret of account {name} is not base64: copy it again as Kraken showed it."
    )


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value.strip())


def _printed(part: object) -> str:
    return repr(part) if isinstance(part, Secret | None) else shown(part)
