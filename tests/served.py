"""A real `kraken-engine serve` in a process of its own, before a simulator in this one."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from engine.simulator import Simulator
from tests.programs import end_process
from tests.stopwatch import PATIENCE


class ServiceReply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Served:
    """What a test sees of the service: its address, its answers, its log, and how it ends."""

    def __init__(self, process: subprocess.Popen[str], port: int, state: Path, environment: dict[str, str]) -> None:
        self.process, self.port, self.state, self.environment = process, port, state, environment
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> ServiceReply:
        """One request; ``_`` in the name of a header stands for ``-``. A `host` replaces the real one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return ServiceReply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command line of the same user, on the same state directory."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "engine", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; its exit code and what it logged."""
        self.process.send_signal(how)
        _, told = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, told


FAST = '[settings]\nrefresh_every = 0.3\nmax_age = 5.0\nlocal_limits = false\n'


@contextmanager
def served(
    sim: Simulator, tmp_path: Path, *options: str, settings: str = FAST, directory: Path | None = None
) -> Iterator[Served]:
    """Start it, in a working `directory`, and end it when the test has not."""
    config = tmp_path / "engine.toml"
    config.write_text(settings, encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRAKEN")},
        "HOME": str(tmp_path), "KRAKEN_SPOT_URL": sim.url, "KRAKEN_ENGINE_STATE": str(tmp_path / "state"),
    }  # fmt: skip
    for account in sim.accounts:
        prefix = "KRAKEN_API" if account.name == "MASTER" else f"KRAKEN_USER_{account.name}_API"
        environment |= {f"{prefix}_KEY": account.key, f"{prefix}_SECRET": account.secret}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "engine", "serve", "--json", "--port", "0",
         "--config", str(config), *options],
        env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, f"it did not start: {process.communicate(timeout=PATIENCE)[1]}"
            told += line
        assert "url" in json.loads(told), f"it did not start: {process.communicate(timeout=PATIENCE)[1]}"
        port = int(json.loads(told)["url"].rstrip("/").rpartition(":")[2])
        yield Served(process, port, tmp_path / "state", environment)
    finally:
        end_process(process)


def texts(row: Any) -> list[str]:
    """The cells of a row of the page's state, without what ticks in them."""
    return ["".join(piece for piece in cell["p"] if isinstance(piece, str)) for cell in row["c"]]


def until(look: Any, seconds: float = PATIENCE) -> Any:
    """What `look` gives once it is true; asked again and again, since another process has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
