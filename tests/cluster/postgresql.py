"""A private PostgreSQL server for tests: in a temporary directory, on a free port of loopback, without a service."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from engine.errors import StoreError
from tests.stopwatch import PATIENCE

T = TypeVar("T")

PROGRAMS = ("initdb", "pg_ctl", "pg_basebackup", "pg_dump")
START_PATIENCE = 120  # seconds; `pg_ctl` waits for the server itself


def programs() -> Path | None:
    """The directory of PostgreSQL's programs, which Debian keeps off the PATH; the newest version counts."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
    found = shutil.which("initdb")
    places = [*reversed(debian), *([Path(found).resolve().parent] if found else [])]
    return next((each for each in places if all((each / name).exists() for name in PROGRAMS)), None)


WHY_SKIPPED = "no PostgreSQL server programs (Debian: apt-get install postgresql)"


class Server:
    """One PostgreSQL server. Not started by itself; `stop` removes nothing."""

    def __init__(self, bin_directory: Path, directory: Path, *, port: int | None = None) -> None:
        self.bin_directory, self.directory = bin_directory, directory
        self.data = directory / "data"
        self.port = port or free_port()

    @property
    def dsn(self) -> str:
        """Where it listens, for the superuser."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """Where one of its databases is."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def create(self, *settings: str) -> None:
        """Make its data directory, with these lines in its configuration."""
        self.program("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        self.configure(*settings)

    def create_as_standby_of(self, primary: Server, name: str) -> None:
        """Make its data directory a copy of the primary's, and follow that under this name."""
        self.program(
            "pg_basebackup", "-D", str(self.data), "-R", "--checkpoint=fast", "--no-sync",
            "-d", f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}",
        )  # fmt: skip

    def configure(self, *settings: str) -> None:
        """Add lines to its configuration; the last one of a name counts."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in settings)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.directory}"
        self.program(
            "pg_ctl", "-D", str(self.data), "-w", "-t", str(START_PATIENCE), "-l", str(self.directory / "log"),
            "-o", options, "start",
        )  # fmt: skip

    def reload(self) -> None:
        """Have it read its configuration again."""
        self.program("pg_ctl", "-D", str(self.data), "reload")

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self.program("pg_ctl", "-D", str(self.data), "-w", "-t", str(START_PATIENCE), "promote")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self.thaw()
        with contextlib.suppress(subprocess.CalledProcessError):  # it is down already
            self.program("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def freeze(self) -> None:
        """Let all its processes stand still; the kernel goes on taking in connections and bytes."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them run again."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def sql(self, *statements: str) -> None:
        """Run statements as the superuser, each by itself."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for each in statements:
                connection.execute(each)

    def program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as the user that the server has; its output."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self.bin_directory / name), *arguments], capture_output=True, text=True, timeout=START_PATIENCE * 2,
            cwd=self.directory, check=False, stdin=subprocess.DEVNULL, **as_user(),
        )  # fmt: skip
        if done.returncode:
            print(done.stdout, done.stderr)
            done.check_returncode()
        return done.stdout

    def _pids(self) -> list[int]:
        """The postmaster first, so that it starts no other meanwhile."""
        try:
            postmaster = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return []
        return [postmaster, *_children(postmaster)]


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """The server stands still meanwhile."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


def eventually(ask: Callable[[], T]) -> T:
    """The first answer that is no `StoreError` and not false."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            answer = ask()
            if answer or time.monotonic() > end:
                return answer
        except StoreError:
            if time.monotonic() > end:
                raise


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory for servers that their user owns, with a path short enough for a Unix socket."""
    made = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        account = _account()
        if account is not None:
            os.chown(made, account.pw_uid, account.pw_gid)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """The user for a server: PostgreSQL refuses root."""
    if os.geteuid():
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def as_user() -> dict[str, Any]:
    """How to start a process as the user that servers have."""
    account = _account()
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(each) for each, parent in map(str.split, listed.splitlines()) if int(parent) == pid]


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
