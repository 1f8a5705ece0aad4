"""Calls of clients through the gateway: how many of eight at once, and how much longer one takes.

``python -m tests.benchmarks.gateway URL FOLDER`` is the engine with its gateway, in a process of its own. It prints its
address and the clients' keys, and the processor time that it has used for each line that it reads.
"""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine import Secret
from engine.kraken.signing import Signer
from engine.web.gateway.credentials import Credentials
from tests.benchmarks.findings import Finding, Sizes, all_cpus, alternate, finding, quantile
from tests.benchmarks.remote import NAME, started
from tests.benchmarks.server import ExchangeProcess

CLIENTS = 8
PATH = "/0/private/BalanceEx"
CONTENT = "application/x-www-form-urlencoded"


class GatewayProcess:
    """The engine with its gateway, and a connection for each client."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._process, self._in, self._out = process, process.stdin, process.stdout
        told = json.loads(self._out.readline())
        self.clients = [Client(told["url"], *key) for key in told["keys"]]

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        self._in.write("\n")
        self._in.flush()
        return float(self._out.readline())


class Client:
    """One client with a key and a connection of its own."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        host = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
        self._key, self._signer = key, Signer(Secret(secret))
        self._numbers = itertools.count()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, *, is_equal: bool = True) -> float:
        """Seconds that one call took; with `is_equal` all clients ask for the same."""
        nonce = time.time_ns()
        body = f"nonce={nonce}" + ("" if is_equal else f"&of={self._key}-{next(self._numbers)}")
        headers = {"API-Key": self._key, "API-Sign": self._signer.sign(PATH, body.encode(), nonce),
                   "Content-Type": CONTENT}  # fmt: skip
        began = time.perf_counter()
        self._connection.request("POST", PATH, body, headers)
        told = json.loads(self._connection.getresponse().read())
        assert told["error"] == [], told
        return time.perf_counter() - began


def gateway_calls(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """Eight clients at an exchange that takes no time, and then one alone."""
    exchange.pin(all_cpus())
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder, serving(
        exchange.url, folder
    ) as gateway:
        used: dict[str, list[float]] = {"equal": [], "different": []}
        rounds: dict[str, Callable[[], float]] = {
            kind: partial(_together, gateway, sizes.calls, cpus, is_equal=kind == "equal")
            for kind, cpus in used.items()
        }
        for kind, rates in alternate(sizes.rounds, rounds).items():
            what = f"{CLIENTS} clients, {kind} reads"
            yield finding("gateway", f"calls/s, {what}", "/s", rates, at_least=1500)
            yield finding("gateway", f"processor time of a call, {what}", "ms", [1e3 * each for each in used[kind]])
        alone = [gateway.clients[0].call(is_equal=False) for _ in range(sizes.calls)]
        yield finding("gateway", "a call of one client, median", "ms", [1e3 * quantile(alone, 0.5)], at_most=3)
        yield finding("gateway", "the same, p99", "ms", [1e3 * quantile(alone, 0.99)], at_most=15)


@contextmanager
def serving(url: str, folder: str) -> Iterator[GatewayProcess]:
    """The engine with its gateway, in another process."""
    command = [sys.executable, "-m", __name__, url, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        gateway = GatewayProcess(process)
        try:
            yield gateway
        finally:
            for client in gateway.clients:
                client.close()
            process.communicate()


def _together(gateway: GatewayProcess, count: int, cpus: list[float], *, is_equal: bool) -> float:
    """Calls a second of all clients together; `cpus` gets the processor time that the service took for each."""

    def work(client: Client) -> None:
        for _ in range(count):
            client.call(is_equal=is_equal)

    threads = [threading.Thread(target=work, args=(client,)) for client in gateway.clients]
    used, began = gateway.cpu(), time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    took, calls = time.perf_counter() - began, count * len(threads)
    cpus.append((gateway.cpu() - used) / calls)
    return calls / took


def main(url: str, folder: str) -> None:
    """Serve until standard input ends."""
    with started(url, folder) as engine:
        credentials = Credentials(Path(folder))
        issued = [credentials.issue(NAME, f"client-{number}", may_trade=False) for number in range(CLIENTS)]
        credentials.close()
        keys: list[Any] = [(credential.name, secret.reveal()) for credential, secret in issued]
        with engine.serve(port=0) as service:
            print(json.dumps({"url": service.url, "keys": keys}), flush=True)
            for _ in sys.stdin:
                print(time.process_time(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
