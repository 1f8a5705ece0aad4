"""What is asked again when an answer is lost, and what never is (promises G5, G9)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import BalanceSnapshot, Order, OrderReceipt, OrderState, TradePlan
from engine.app.remote.remote_engine import RemoteEngine
from engine.errors import CallNotSent, CallUnknown, ConfigError, EngineStopped, MailboxFull, OrderUnknown
from tests.app.remote.fake_service import FakeService, result
from tests.stopwatch import LONG, PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
RECEIPT = OrderReceipt("signal", "MASTER", ORDER, OrderState.PLACED, ("OABCDE-FGHIJ-KLMNOP",), "name")
WRITE = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.001", "price": "20000"}

Ask = Callable[[RemoteEngine], Any]


def lose(question: str, asked: Any) -> None:
    """The service dies under the question."""


ONCE: dict[str, Ask] = {
    "call": lambda client: client.call("MASTER", "AddOrder", WRITE),
    "submit": lambda client: client.submit("MASTER", "TradeBalance").result(PATIENCE),
    "amend": lambda client: client.amend("MASTER", RECEIPT, price="1"),
    "gates": lambda client: client.gates("MASTER", TradePlan(order=ORDER), dry=False),
    "issue": lambda client: client.service("issue", account="MASTER", label="x", may_trade=True),
}
AGAIN: dict[str, tuple[Callable[[RemoteEngine, float], Any], Any]] = {
    "place": (lambda client, time: client.place("MASTER", ORDER, timeout=time), RECEIPT),
    "cancel": (lambda client, time: client.cancel("MASTER", RECEIPT, time), RECEIPT),
    "cancel_all": (lambda client, time: client.cancel_all("MASTER", time), 3),
    "call": (lambda client, time: client.call("MASTER", "CancelOrder", {"txid": "OABCDE-FGHIJ-KLMNOP"}, time), {}),
    "balance": (lambda client, time: client.balance("MASTER", 0, time), BalanceSnapshot("MASTER")),
    "open_orders": (lambda client, time: client.open_orders("MASTER", time), (RECEIPT,)),
}


@pytest.mark.parametrize("question", ONCE)
def test_a_write_is_asked_once_and_its_outcome_is_unknown(question: str, tmp_path: Path) -> None:
    with FakeService(tmp_path, lose) as service, RemoteEngine(tmp_path) as client:
        with pytest.raises(CallUnknown, match="look up"):
            ONCE[question](client)
        assert len(service.questions(question)) == 1


@pytest.mark.parametrize("question", AGAIN)
def test_what_can_do_no_harm_is_asked_again_and_only_within_the_time(question: str, tmp_path: Path) -> None:
    ask, told = AGAIN[question]
    answers = iter([None, None, result(told), None])
    with FakeService(tmp_path, lambda *_: next(answers)) as service, RemoteEngine(tmp_path) as client:
        assert ask(client, PATIENCE) == told
        asked = service.questions(question)
        assert len(asked) == 3
        assert len({each.get("id") for each in asked}) == 1, "a placement keeps its name"
        with pytest.raises(CallUnknown):
            ask(client, 0.0)
        assert len(service.questions(question)) == 4


def test_g9_a_lost_placement_has_a_receipt_to_ask_by(tmp_path: Path) -> None:
    with FakeService(tmp_path, lose) as service, RemoteEngine(tmp_path) as client:
        with pytest.raises(OrderUnknown, match="under the same id") as unknown:
            client.place("MASTER", ORDER, timeout=0.0)
        receipt = unknown.value.receipt
        assert (receipt.id, receipt.order, receipt.state) == (service.questions("place")[0]["id"], ORDER,
                                                              OrderState.UNKNOWN)  # fmt: skip
        with pytest.raises(OrderUnknown):
            client.cancel("MASTER", receipt, timeout=0.0)
        assert service.questions("cancel")[0]["receipt"] == receipt.id


def test_an_answer_after_a_lost_one_counts(tmp_path: Path) -> None:
    answers = iter([None, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"res", result(RECEIPT)])
    with FakeService(tmp_path, lambda question, asked: next(answers)) as service, RemoteEngine(tmp_path) as client:
        assert client.place("MASTER", ORDER, id="signal", timeout=30) == RECEIPT
        times = [each["timeout"] for each in service.questions("place")]
        assert times[0] == 30
        assert times[0] > times[1] > times[2], "the time that is left goes with each"


@pytest.mark.parametrize(
    ("status", "error"),
    [("503 Busy", MailboxFull), ("413 Large", ConfigError), ("404 Not Found", CallNotSent)],
)
def test_what_the_service_does_not_take_was_not_sent(status: str, error: type[Exception], tmp_path: Path) -> None:
    service = FakeService(tmp_path, lambda question, asked: result(None, status))
    with service, RemoteEngine(tmp_path) as client, pytest.raises(error):
        client.place("MASTER", ORDER)


@pytest.mark.parametrize("said", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", b"\x00" * 100])
def test_an_answer_that_cannot_be_read_is_a_lost_one(said: bytes, tmp_path: Path) -> None:
    service = FakeService(tmp_path, lambda question, asked: said)
    with service, RemoteEngine(tmp_path) as client, pytest.raises(CallUnknown):
        client.call("MASTER", "AddOrder", WRITE)


def test_g5_a_service_that_does_not_answer_is_not_waited_for_longer_than_the_caller_wants(tmp_path: Path) -> None:
    """It is stopped by a signal, or stands still: a few seconds after the caller's time the call ends as unknown."""
    ended = threading.Event()

    def wait(question: str, asked: Any) -> None:
        assert ended.wait(LONG)

    with FakeService(tmp_path, wait), RemoteEngine(tmp_path) as client:
        try:
            with pytest.raises(OrderUnknown):
                client.place("MASTER", ORDER, timeout=0.0)
        finally:
            ended.set()


def test_when_the_service_is_gone_nothing_was_sent(tmp_path: Path) -> None:
    with FakeService(tmp_path, lose):
        client = RemoteEngine(tmp_path)
    with client, pytest.raises(EngineStopped, match="nothing was sent"):
        client.place("MASTER", ORDER)
    assert (tmp_path / "serve.sock").exists(), "as a killed service leaves it"
    assert not client.is_available("MASTER")
