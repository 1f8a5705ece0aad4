"""What those who watch cost: a scrape of ``/metrics``, and the streams of a hundred dashboards.

``python -m tests.benchmarks.page URL ACCOUNTS SECONDS`` is the engine with its service, in a process of its own; it
asks for each balance every so many seconds. It prints its address once every balance is known, and the processor time
that it has used for each line that it reads.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.benchmarks.findings import Finding, Sizes, all_cpus, finding
from tests.benchmarks.reading import running
from tests.benchmarks.server import Elsewhere, ExchangeProcess

DASHBOARDS = 100
FEW = 3  # accounts
SPELLS = 10  # of `Sizes.spell`: a dashboard is told something once a second
REFRESH = 5.0  # seconds, as the engine does it unless it is told otherwise
FOR_EVER = 3600.0


class PageProcess:
    """The engine with its service."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._in, self._out = process.stdin, process.stdout
        self.url: str = json.loads(self._out.readline())["url"]

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        self._in.write("\n")
        self._in.flush()
        return float(self._out.readline())


def watching(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """Scrapes with the most accounts, and streams with a few and with the most."""
    exchange.pin(all_cpus())
    most = max(sizes.accounts)
    with serving(exchange.url, most, FOR_EVER) as service:
        taken = [_scrape(service) for _ in range(sizes.rounds)]
        what = f"a scrape of /metrics, {most} accounts"
        yield finding("page", what, "ms", [1e3 * each for each in taken], at_most=30)
    for accounts, goal in ((FEW, 1.0), (most, None)):
        with serving(exchange.url, accounts, REFRESH) as service:
            used = [_streams(service, 0, sizes), _streams(service, DASHBOARDS, sizes)]
            what = f"processor time of {DASHBOARDS} dashboards' streams, {accounts} accounts"
            yield finding("page", what, "% of a CPU", [100 * (used[1] - used[0])], at_most=goal)


@contextmanager
def serving(url: str, accounts: int, refresh: float) -> Iterator[PageProcess]:
    """The engine with its service, in another process."""
    command = [sys.executable, "-m", __name__, url, str(accounts), str(refresh)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield PageProcess(process)
        finally:
            process.communicate()


def _scrape(service: PageProcess) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"{service.url}metrics") as reply:
        reply.read()
    return time.perf_counter() - began


def _streams(service: PageProcess, count: int, sizes: Sizes) -> float:
    """The part of a CPU that the service uses while so many dashboards listen."""
    with contextlib.ExitStack() as undo:
        clients = [_listen(service, undo) for _ in range(count)]
        _hear(clients, 2.0 * sizes.spell)  # the page as a whole, and what it asks for once somebody looks
        used = service.cpu()
        took = _hear(clients, SPELLS * sizes.spell)
        return (service.cpu() - used) / took


def _listen(service: PageProcess, undo: contextlib.ExitStack) -> socket.socket:
    host = urllib.parse.urlsplit(service.url)
    client = undo.enter_context(socket.create_connection((host.hostname, host.port)))
    client.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def _hear(clients: Sequence[socket.socket], seconds: float) -> float:
    """Read what comes; returns how long that took."""
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each, selectors.EVENT_READ)
        while (left := began + seconds - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                assert key.fileobj.recv(1 << 20), "the service has ended a stream"
    return time.monotonic() - began


def main(url: str, accounts: str, refresh: str) -> None:
    """Serve until standard input ends."""
    with running(Elsewhere(url), int(accounts), balances=True, refresh=float(refresh)) as engine:
        for name in engine.balances:
            while engine.balance(name).as_of is None:
                time.sleep(0.01)
        with engine.serve(port=0) as service:
            print(json.dumps({"url": service.url}), flush=True)
            for _ in sys.stdin:
                print(time.process_time(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
