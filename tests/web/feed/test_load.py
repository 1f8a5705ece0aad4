"""Many dashboards at once: all are told, and the lane goes on."""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
from contextlib import ExitStack
from pathlib import Path

from engine.simulator import Simulator
from engine.web.feed.feed import BEHIND_AT_MOST, CLIENTS_AT_MOST, Feed
from tests.served import Served, served, until
from tests.stopwatch import PATIENCE
from tests.web.page.status import status_of

DASHBOARDS = 200


def listen(service: Served, clients: ExitStack) -> socket.socket:
    """One dashboard that listens."""
    client = clients.enter_context(socket.create_connection(("127.0.0.1", service.port), PATIENCE))
    client.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def heard(clients: list[socket.socket], marks: int) -> bool:
    """Whether every client hears `marks` messages in time."""
    left = dict.fromkeys(clients, marks)
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each, selectors.EVENT_READ)
        while left:
            ready = selector.select(PATIENCE)
            if not ready:
                return False
            for key, _ in ready:
                client: socket.socket = key.fileobj  # type: ignore[assignment]
                left[client] -= client.recv(1 << 16).count(b"data: ")
                if left[client] <= 0:
                    selector.unregister(client)
                    del left[client]
    return True


def test_two_hundred_dashboards_hear_everything_and_the_lane_goes_on(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service, ExitStack() as clients:
        until(lambda: service.ask("/readyz").status == 200)
        dashboards = [listen(service, clients) for _ in range(DASHBOARDS)]
        assert heard(dashboards, 3)
        before = len(sim.calls)
        assert "kraken_engine_dashboard_clients 200.0" in service.ask("/metrics").text
        until(lambda: len(sim.calls) > before + 6)
        assert service.ask("/healthz").status == 200
        assert json.loads(service.command("watch", "--json").stdout)["dead"] == []
        more = [listen(service, clients) for _ in range(CLIENTS_AT_MOST - DASHBOARDS + 1)]
        assert heard(more[:-1], 1)
        assert b" 503 " in more[-1].recv(100)
        clients.close()
        until(lambda: "kraken_engine_dashboard_clients 0.0" in service.ask("/metrics").text)
        assert service.stop()[0] == 0


def test_a_dashboard_that_does_not_read_is_dropped(sim: Simulator, tmp_path: Path) -> None:
    """What is told is bounded, so a client that hangs cannot fill the memory."""


    async def told() -> list[bytes | None]:
        feed = Feed(status_of)
        client = feed.join()
        assert client is not None
        for _ in range(BEHIND_AT_MOST + 1):
            feed.tick()
        assert feed.clients == 0
        return [client.get_nowait()]

    assert asyncio.run(told()) == [None]
