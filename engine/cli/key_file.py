"""The file in which `simulate` keeps the keys of its accounts, so that they are the same at each start."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ConfigError
from engine.simulator import SimAccount


def kept_accounts(path: Path, names: Sequence[str]) -> list[SimAccount]:
    """The accounts of these names: with the keys in the file, or with new ones, which are added to it.

    The file is JSON, ``{NAME: {"key": ..., "secret": ...}}``, and only this user can read it. Raises `ConfigError`.
    """
    known = _read(path)
    accounts = [known.get(name) or SimAccount.new(name) for name in names]
    kept = known | {account.name: account for account in accounts}
    if kept != known:
        _write(path, {name: {"key": each.key, "secret": each.secret} for name, each in kept.items()})
    return accounts


def _read(path: Path) -> dict[str, SimAccount]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {name: SimAccount.of((name, row["key"], row["secret"])) for name, row in told.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"The file of --keys {path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(f"{path} is not a file that simulate --keys has written: give another name.") from None


def _write(path: Path, document: dict[str, dict[str, str]]) -> None:
    """Replace the file as a whole: it is never seen half written."""
    new = path.with_name(path.name + ".new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            json.dump(document, opened, indent=2)
        os.replace(new, path)
    except OSError as error:
        raise ConfigError(f"The file of --keys {path} cannot be written: {error.strerror}.") from None
