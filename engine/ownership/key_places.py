"""The directories in which the engines of this user lock API keys."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from engine.errors import StoreError
from engine.store import cause

OWNERS = "owners"


def places_of_keys(directory: Path) -> list[Path]:
    """Where the engines of this user claim API keys: directories of this machine, and one beside the state directory.

    A login session has directories that a service or a container lacks, so a key is claimed in all that are there. The
    one beside the state directory is what containers share whose state directories are side by side on one volume; they
    do not see each other's abstract sockets. One directory is one place, also when links or mounts give it two names.
    """
    name = f"kraken-engine-keys-{os.getuid()}"
    machine = (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}", _temporary())
    there = [each for each in machine if os.path.isabs(each) and os.path.isdir(each)]
    found: list[str] = []
    for each in map(os.path.realpath, (*there, str(directory.parent))):
        if not any(_is_one(each, other) for other in found):
            found.append(each)
    return [Path(each, name) for each in found]


def runtime_directory() -> Path:
    """A directory of this machine, for what all engines of this user share."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    usual = f"/run/user/{os.getuid()}"
    return Path(next((each for each in (given, usual) if os.path.isabs(each) and os.path.isdir(each)), _temporary()))


def files_of(place: Path) -> Path:
    """The directory of the lock files in one of the places, made with it if need be; raises as `make_private` does.

    It is one of its own: earlier versions have left a file for each key in the place.
    """
    make_private(place)
    make_private(place / OWNERS)
    return place / OWNERS


def make_private(path: Path) -> None:
    """Make a directory if need be. Raises `StoreError` for one that is not this user's alone."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {cause(error)}.") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StoreError(f"{path} is not a directory of this user alone.")


def _is_one(place: str, other: str) -> bool:
    try:
        return os.path.samefile(place, other)
    except OSError:
        return place == other


def _temporary() -> str:
    """A directory that all processes of the user share; on macOS every user has their own."""
    return os.environ.get("TMPDIR", "/tmp") if sys.platform == "darwin" else "/tmp"  # noqa: S108
