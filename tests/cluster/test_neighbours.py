"""What the other nodes do is asked of them by few, and told at once."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from engine.app.remote.codec import write
from engine.cluster.neighbours import Neighbours
from engine.cluster.node import Node
from engine.cluster.peer import Peers
from engine.values import Secret
from tests.app.remote.fake_service import FakeService
from tests.web.page.status import account_of, status_of
from tests.web.page.test_lanes import ONE, TWO, node_of


class OneNode:
    """Tells where the lanes are."""

    name = "red"

    def __init__(self, url: str) -> None:
        self._lanes = (ONE, replace(TWO, url=url))

    def status(self) -> Any:
        return node_of(*self._lanes)


def test_others_are_asked_and_the_node_itself_is_not() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    body = write({"result": status_of(account_of("ALICE"))})
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    peers = Peers(Secret("a-token-that-all-nodes-of-this-cluster-share"), 5.0)
    with FakeService(Path(), lambda *_: answer, listening) as service:
        found = Neighbours(cast(Node, OneNode(url)), peers)
        assert found.told() == []
        found.look()
        found.glance()
        assert [each.account for status in found.told() for each in status.accounts] == ["ALICE"]
        assert [question for question, _ in service.asked] == ["status"], "not again within a moment"
    peers.close()
