"""The gateway's credentials: API keys named ``ACCOUNT.label``, whose secrets are derived and never stored.

A secret is HMAC-SHA512 of the key's name and its generation under the root key, which is the one secret on disk.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import ConfigError, StoreError
from engine.store import Store, open_or_replace
from engine.values import Secret

FILE_NAME = "gateway.sqlite"
ROOT_NAME = "gateway.key"
ROOT_BYTES = 32

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY, _MARK = "key ", "mark "


@dataclass(frozen=True, slots=True)
class Credential:
    """One of the gateway's API keys. `generation` changes whenever the key is issued, and with it the secret."""

    account: str
    label: str
    generation: str
    may_trade: bool
    is_revoked: bool = False

    @property
    def name(self) -> str:
        """The API key itself."""
        return f"{self.account}.{self.label}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; nothing of it is secret."""
        return {"key": self.name, "account": self.account, "label": self.label, "may_trade": self.may_trade,
                "is_revoked": self.is_revoked}  # fmt: skip


class Credentials:
    """The gateway's keys and their nonce marks, in a store of their own.

    Only the owner of the state directory opens it. Raises `StoreError`. Changes are durable before they take effect.
    """

    def __init__(self, directory: Path) -> None:
        self._root_path = directory / ROOT_NAME
        self._root = _read_root(self._root_path)
        self._store: Store
        self._store, self.damage = open_or_replace(directory / FILE_NAME)
        try:
            self._known, self._marks = _read(self._store)
        except BaseException:
            self._store.close()
            raise

    def issue(self, account: str, label: str, *, may_trade: bool) -> tuple[Credential, Secret]:
        """A new key, or a new secret for an existing key, whose old secret is void from now on.

        Raises `ConfigError` for an invalid label, and `StoreError`.
        """
        if not _LABEL.fullmatch(label):
            raise ConfigError(f"{label!r} is not a valid label: use 1 to 64 letters, digits, '-' or '_'.")
        credential = Credential(account, label, secrets.token_hex(8), may_trade)
        if self._root is None:
            self._root = _make_root(self._root_path)
        self._keep(credential)
        return credential, self.secret(credential)

    def revoke(self, account: str, label: str) -> Credential:
        """Revoke a key for good. Raises `ConfigError` if there is no such key, and `StoreError`."""
        known = self._known.get(f"{account}.{label}")
        if known is None:
            raise ConfigError(f"There is no gateway key {account}.{label}.")
        revoked = replace(known, is_revoked=True)
        self._keep(revoked)
        return revoked

    def find(self, key: str) -> Credential | None:
        """The valid key of that name, if any."""
        known = self._known.get(key)
        return None if known is None or known.is_revoked or self._root is None else known

    def all(self) -> list[Credential]:
        """Every key ever issued, by name."""
        return [self._known[name] for name in sorted(self._known)]

    def secret(self, credential: Credential) -> Secret:
        """The secret of a key, in base64 as Kraken's are."""
        if self._root is None:
            raise StoreError(f"The root key {self._root_path} is missing: issue the gateway keys anew.")
        derived = hmac.digest(self._root, f"{credential.name}\0{credential.generation}".encode(), "sha512")
        return Secret(base64.b64encode(derived).decode())

    def mark(self, credential: Credential) -> int:
        """The upper bound of this key's nonces seen so far; 0 for a new key."""
        return self._marks.get(_line(credential), 0)

    def keep_mark(self, credential: Credential, mark: int) -> None:
        """Store the mark; returns when it is durable. Raises `StoreError`."""
        self._store.put(_MARK + _line(credential), {"mark": str(mark)})
        self._marks[_line(credential)] = mark

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _keep(self, credential: Credential) -> None:
        document = {
            "account": credential.account, "label": credential.label, "generation": credential.generation,
            "may_trade": credential.may_trade, "is_revoked": credential.is_revoked,
        }  # fmt: skip
        self._store.put(_KEY + credential.name, document)
        self._known[credential.name] = credential


def _line(credential: Credential) -> str:
    return f"{credential.name} {credential.generation}"


def _read(store: Store) -> tuple[dict[str, Credential], dict[str, int]]:
    """The keys by name, and the marks of their nonces."""
    documents = store.documents()
    known = {each.name: each for each in map(_credential, *_parts(documents, _KEY)) if each is not None}
    return known, {name: int(each["mark"]) for name, each in zip(*_parts(documents, _MARK), strict=True)}


def _parts(documents: Mapping[str, Any], kind: str) -> tuple[list[str], list[Any]]:
    """Names and documents of one kind."""
    names = [name for name in documents if name.startswith(kind)]
    return [name.removeprefix(kind) for name in names], [documents[name] for name in names]


def _credential(name: str, document: Any) -> Credential | None:
    try:
        return Credential(**document)
    except TypeError:
        return None  # written by a later version: an unknown credential grants nothing


def _read_root(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"The gateway's root key {path} cannot be read: {error.strerror}.") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        os.close(descriptor)
        raise StoreError(f"The gateway's root key {path} is not a regular file: move it away.")
    with os.fdopen(descriptor, "rb") as opened:
        root = opened.read(ROOT_BYTES + 1)
    if mode & 0o077:
        raise StoreError(f"Others may read the gateway's root key {path}: run 'chmod 600 {path}'.")
    if len(root) != ROOT_BYTES:
        raise StoreError(f"The gateway's root key {path} is damaged: move it away and issue its keys anew.")
    return root


def _make_root(path: Path) -> bytes:
    """A new root key, durable before any secret is derived from it."""
    root = secrets.token_bytes(ROOT_BYTES)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(root)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(beside, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StoreError(f"The gateway's root key {path} cannot be written: {error.strerror}.") from error
    return root
