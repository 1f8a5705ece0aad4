"""New processes: an import, and a whole command against the built-in simulator, over `import requests`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tests.benchmarks.findings import Finding, Sizes, alternate, finding, ratios

PEER = "import requests"
IMPORT = "from engine import Engine"
COMMAND = "kraken-engine balances"


def cold(sizes: Sizes) -> Iterator[Finding]:
    """Elapsed time and CPU of each, alternating; the state directory has been used once, as a user's has."""
    with simulator() as environment:
        commands = {
            **{each: (sys.executable, "-c", each) for each in (PEER, IMPORT)},
            COMMAND: (sys.executable, "-m", "engine", "balances"),
        }
        cpu: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            _run(command, environment, [])
        found = alternate(
            sizes.rounds, {name: partial(_run, command, environment, cpu[name]) for name, command in commands.items()}
        )
    for name in commands:
        yield finding("cold", name, "ms", [1000 * each for each in found[name]])
        yield finding("cold", f"{name}, CPU", "ms", [1000 * each for each in cpu[name]])
    for name, at_most in ((IMPORT, 1.5), (COMMAND, 2.0)):
        for seconds, what in ((found, "elapsed"), (cpu, "CPU")):
            times = ratios(seconds[PEER], seconds[name])
            yield finding("cold", f"{name} over {PEER}, {what}", "×", times, at_most=at_most)


@contextlib.contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """The environment of a command that uses a simulator in another process, and a state directory."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "engine", "simulate", "--json", "--port", "0"]
    with (
        tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process,
    ):
        try:
            told = _document(process)
            environment |= {"KRAKEN_SPOT_URL": told["url"], "KRAKEN_ENGINE_STATE": f"{folder}/state"}
            for account in told["accounts"]:
                prefix = "KRAKEN_API" if account["name"] == "MASTER" else f"KRAKEN_USER_{account['name']}_API"
                environment |= {f"{prefix}_KEY": account["key"], f"{prefix}_SECRET": account["secret"]}
            yield environment
        finally:
            process.terminate()


def _document(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        with contextlib.suppress(ValueError):
            told: dict[str, Any] = json.loads(text)
            return told
    raise RuntimeError("The simulator ended.")


def _run(command: Sequence[str], environment: Mapping[str, str], cpu: list[float]) -> float:
    """Seconds that a process took; those of its CPU go to `cpu`."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment))
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    cpu.append(used.ru_utime + used.ru_stime)
    return elapsed
