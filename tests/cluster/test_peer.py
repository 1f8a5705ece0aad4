"""Another node is asked once: no connection is *not sent*, no answer is *unknown*."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from engine import Order, OrderReceipt, OrderState
from engine.actors.lane.queued_call import FutureReply
from engine.app.remote.codec import write
from engine.cluster.peer import PeerEngine, Peers
from engine.errors import CallNotSent, CallUnknown, ConfigError, ConnectFailed, LaneElsewhere, OrderUnknown
from engine.values import Secret
from tests.app.remote.fake_service import FakeService, result
from tests.stopwatch import PATIENCE
from tests.transport.test_tls import Authority

TOKEN = Secret("a-token-that-all-nodes-of-this-cluster-share")
ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
RECEIPT = OrderReceipt("signal", "ALICE", ORDER, OrderState.PLACED, ("OABCDE-FGHIJ-KLMNOP",), "name")

Answer = Callable[[str, Any], bytes | None]


def attempt(node: PeerEngine) -> Any:
    """A call as the gateway makes it."""
    future: Future[Any] = Future()
    node.submit_to(FutureReply(future, with_warnings=True), "ALICE", "CancelOrder", {"txid": "T"}, PATIENCE)
    return future.result(PATIENCE)


QUESTIONS: dict[str, Callable[[PeerEngine], Any]] = {
    "call": lambda node: node.call("ALICE", "Balance", timeout=PATIENCE),
    "place": lambda node: node.place("ALICE", ORDER, id="signal", timeout=PATIENCE),
    "place_for": lambda node: node.place_for("ALICE.bot", "mine", "ALICE", ORDER, PATIENCE),
    "place_batch_for": lambda node: node.place_batch_for("ALICE.bot", [(ORDER, None)], "ALICE", PATIENCE),
    "cancel": lambda node: node.cancel("ALICE", RECEIPT, PATIENCE),
    "cancel_all": lambda node: node.cancel_all("ALICE", PATIENCE),
    "balance": lambda node: node.balance("ALICE", 0, PATIENCE),
    "placements": lambda node: node.placements("ALICE", {}),
    "pause_trading": lambda node: node.pause_trading("ALICE", PATIENCE),
    "arm": lambda node: node.arm("ALICE", 60, PATIENCE),
    "history": lambda node: node.history("ALICE"),
    "attempt": attempt,
}


class Node:
    """A stand-in for another node."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None, **options: Any) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if context is not None:
            listening = context.wrap_socket(listening, server_side=True)
        self.service = FakeService(Path(), answer, listening)
        self.peers = Peers(TOKEN, PATIENCE, **options)
        self.engine = self.peers.at("blue", f"{'http' if context is None else 'https'}://127.0.0.1:{port}")

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.peers.close()
        self.service.__exit__()


@pytest.fixture
def nobody() -> Iterator[PeerEngine]:
    """A node that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    peers = Peers(TOKEN, PATIENCE)
    yield peers.at("blue", f"http://127.0.0.1:{port}")
    peers.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_answer_is_unknown_and_is_not_asked_for_again(question: str) -> None:
    with Node(lambda *_: None) as node:
        with pytest.raises(CallUnknown):
            QUESTIONS[question](node.engine)
        assert len(node.service.asked) == 1


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_connection_is_not_sent(question: str, nobody: PeerEngine) -> None:
    with pytest.raises(ConnectFailed, match=r"Node blue cannot be reached .* so nothing was sent"):
        QUESTIONS[question](nobody)


def test_a_lost_placement_names_the_order() -> None:
    with Node(lambda *_: None) as node, pytest.raises(OrderUnknown) as lost:
        node.engine.place("ALICE", ORDER, id="signal", timeout=PATIENCE)
    assert lost.value.receipt.id == "signal"


def test_what_the_other_node_raises_is_raised() -> None:
    error = LaneElsewhere("It moved.", "two", "green", "http://127.0.0.1:1", "EAPI:Invalid key")
    with Node(lambda *_: _whole(write({"error": error}))) as node, pytest.raises(LaneElsewhere) as raised:
        node.engine.call("ALICE", "Balance")
    assert (raised.value.lane, raised.value.owner, raised.value.url) == ("two", "green", "http://127.0.0.1:1")
    assert raised.value.kraken_word == "EAPI:Invalid key"
    assert len(node.service.asked) == 1


def test_a_call_brings_its_warnings() -> None:
    with Node(lambda *_: result(({"count": 1}, ["WGeneral:Danger"]))) as node:
        done = attempt(node.engine)
    assert (done.result, done.warnings) == ({"count": 1}, ("WGeneral:Danger",))
    assert node.service.authorizations == [f"Bearer {TOKEN.reveal()}"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", CallNotSent), ("404 Not Found", CallNotSent), ("405 Not Allowed", CallNotSent),
        ("503 Busy", CallUnknown), ("502 Bad Gateway", CallUnknown), ("504 Late", CallUnknown),
    ],
)  # fmt: skip
def test_a_proxy_in_between_may_have_passed_on_what_it_says_it_has_not(status: str, error: type[Exception]) -> None:
    with Node(lambda *_: _whole(b"busy", status)) as node, pytest.raises(error):
        node.engine.call("ALICE", "AddOrder", {}, PATIENCE)


def test_over_tls_the_certificate_has_to_fit(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Another Authority")
    with Node(lambda *_: result(3), authority.server("127.0.0.1"), ca_file=authority.file) as node:
        assert node.engine.cancel_all("ALICE") == 3
    with Node(lambda *_: result(3), other.server("127.0.0.1"), ca_file=authority.file) as node:
        with pytest.raises(ConnectFailed):
            node.engine.cancel_all("ALICE")
        assert node.service.asked == []


def test_the_token_goes_over_no_plain_network() -> None:
    with pytest.raises(ConfigError, match="Plain http would show the cluster's token on the way to node-b"):
        Peers(TOKEN, 1.0).at("b", "http://node-b:8710")
    assert Peers(TOKEN, 1.0, plain=True).at("b", "http://node-b:8710")
    assert Peers(TOKEN, 1.0).at("b", "https://node-b:8710")


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than 32 characters"):
        Peers(Secret("short"), 1.0)


def test_the_way_to_a_node_is_not_pickled(nobody: PeerEngine) -> None:
    with pytest.raises(TypeError, match="token"):
        nobody.__reduce__()
    assert TOKEN.reveal() not in repr(vars(nobody))


def _whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
