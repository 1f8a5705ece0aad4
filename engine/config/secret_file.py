"""Secrets in files of their own."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.errors import ConfigError
from engine.values import SECRET_FROM

LONGEST_SECRET = 10_000  # characters; a device file may never end


_LOOK = "Correct the path, or let the user who runs this read the file."
_NOT_ITSELF = "It takes the name of a file, not the secret itself."


def read_secret(path: Path, named_by: str) -> str:
    """What a file of a secret holds. Raises `ConfigError`, which does not repeat a path that may be the secret."""
    what = f"The file that {named_by} names, {_shown(path)},"
    try:
        with path.expanduser().open(encoding="ascii") as opened:
            text = opened.read(LONGEST_SECRET + 1).strip()
    except (OSError, RuntimeError, UnicodeError, ValueError) as error:
        hint = _NOT_ITSELF if len(path.name) >= SECRET_FROM else _LOOK
        raise ConfigError(f"{what} cannot be read: {cause(error)}. {hint}") from None
    if not text:
        raise ConfigError(f"{what} is empty: write the value into it, or name another file.")
    if len(text) > LONGEST_SECRET:
        raise ConfigError(f"{what} is too long to hold a key or a secret: name the file that does.")
    return text


def read_private_secret(path: Path, named_by: str) -> str:
    """The same of a file that only its owner may read. Raises `ConfigError`."""
    text = read_secret(path, named_by)
    if path.expanduser().stat().st_mode & 0o077:
        raise ConfigError(f"Others may read the file that {named_by} names: run chmod 600 on it.")
    return text


def _shown(path: Path) -> str:
    """The path as a sentence may repeat it. What could be the secret itself, or a password, is in no directory."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        directory = path.expanduser().parent
        if len(path.name) < SECRET_FROM and path.parent.name and directory.is_dir():
            return str(path)
    return f"by a text of {len(str(path))} characters that is not shown here, since it may be a secret"


def cause(error: Exception) -> str:
    """Why a file cannot be read."""
    return getattr(error, "strerror", None) or "it is not plain text"
