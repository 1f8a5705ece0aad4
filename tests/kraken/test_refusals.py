"""What Kraken refuses, from the reply to the caller, to the limits and to the drift (promises G5, G7, G14)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Settings
from engine.errors import CallError, CallRefused, CallUnknown, CounterFull, NoResult, RateLimited
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE
from tests.transport.test_transport import answering, reply, serve

__all__ = ["serve"]

WORD = "sesame kfj28"


@pytest.fixture
def limited(tmp_path: Path) -> Any:
    """Engines before a server that says of every call that it came too soon."""

    def start(serve: Any, settings: Settings) -> Engine:
        server = serve(answering(reply(b"", "429 Too Many Requests", "Retry-After: 37")))
        accounts = [("MASTER", os.urandom(8).hex(), "c2VjcmV0")]
        return Engine(
            accounts, url=f"http://127.0.0.1:{server.port}", state_dir=tmp_path, settings=settings, live=True,
            balances=(),
        )  # fmt: skip

    return start


@pytest.mark.parametrize(
    ("endpoint", "error", "field"),
    [("EditOrder", CallUnknown, "error.EOrder"), ("ClosedOrders", CallRefused, "error.EOrder")],
)
def test_an_unknown_error_is_reported(
    sim: Simulator, tmp_path: Path, endpoint: str, error: type[CallError], field: str
) -> None:
    """Doubt for a write, a refusal of a read, and told once as something new; the text is in the error alone."""
    sim.fault(Fault.error(f"EOrder:{WORD}", endpoint=endpoint))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True, balances=()) as engine:
        for _ in range(2):
            with pytest.raises(error, match=WORD):
                engine.call("MASTER", endpoint, {"txid": "OAAAAA-BBBBB-CCCCCC", "pair": "XBTUSD", "price": "2"})
        status = engine.status()
    assert [(each.endpoint, each.field, each.count) for each in status.drift] == [(endpoint, field, 2)]
    assert [each.code for each in status.warnings].count("kraken-changed") == 1
    assert WORD not in str(status.drift)
    assert WORD not in str(status.warnings)


def test_an_unknown_error_of_a_public_call_is_reported(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.error(f"EQuery:{WORD}", endpoint="Depth"))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, balances=()) as engine:
        with pytest.raises(CallRefused, match=WORD):
            engine.public("Depth", {"pair": "XBTUSD"})
        assert [(each.endpoint, each.field) for each in engine.status().drift] == [("Depth", "error.EQuery")]


def test_http_429_reaches_the_caller_with_its_time(serve: Any, limited: Any) -> None:
    with limited(serve, QUICK) as engine:
        with pytest.raises(RateLimited) as read:
            engine.call("MASTER", "Ledgers", timeout=PATIENCE)
        with pytest.raises(CallUnknown) as write:
            engine.call("MASTER", "CancelAll", timeout=PATIENCE)
        with pytest.raises(RateLimited) as public:
            engine.public("Depth", {"pair": "XBTUSD"}, PATIENCE)
    assert {each.value.retry_after for each in (read, write, public)} == {37.0}


def test_http_429_holds_back_what_is_no_cancel(serve: Any, limited: Any) -> None:
    """The time that Kraken, or a server in between, asks for is kept by all calls of the key; a cancel may go."""
    with limited(serve, Settings(call_timeout=PATIENCE)) as engine:
        with pytest.raises(RateLimited):
            engine.call("MASTER", "GetWebSocketsToken", timeout=PATIENCE)
        with pytest.raises(CounterFull, match="asked for a pause"):
            engine.call("MASTER", "TradeBalance", timeout=1)
        with pytest.raises(CallUnknown):
            engine.call("MASTER", "CancelAll", timeout=PATIENCE)


def test_no_result_is_named_in_the_balance(sim: Simulator, tmp_path: Path) -> None:
    """G6: an account that was never funded, or a fault of Kraken's; no amount is made of it."""
    sim.fault(Fault.body(b'{"error":[]}', endpoint="BalanceEx"))
    sim.fault(Fault.body(b'{"error":[]}', endpoint="Balance"))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        found = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert found.cash is None
        assert "never funded" in (found.last_error or "")
        with pytest.raises(NoResult):
            engine.call("MASTER", "Balance", timeout=1)
