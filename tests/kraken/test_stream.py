"""What the frames of Kraken's WebSocket say, and which of them are doubt."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.stream import (
    Alive,
    ChannelAnswer,
    Doubt,
    Execution,
    Numbered,
    Pong,
    executions_of,
    read_frame,
    subscription,
    totals_of,
)

TRADE = {
    "order_id": "OK4GJX-KSTLS-7DZZO5", "exec_id": "TGBB7L-HT5LX-J3BZ4A", "exec_type": "trade", "trade_id": 62887576,
    "symbol": "BTC/USD", "side": "sell", "last_qty": 0.005, "last_price": 26599.9, "liquidity_ind": "t",
    "cost": 132.9995, "order_type": "limit", "order_status": "partially_filled", "cum_qty": 0.005,
    "cum_cost": 132.9995, "avg_price": 26599.9, "fees": [{"asset": "USD", "qty": 0.3458}],
    "timestamp": "2023-09-22T10:33:05.709993Z",
}  # fmt: skip


def frame(**parts: object) -> str:
    return json.dumps({"channel": "balances", "type": "update", "data": [], "sequence": 7} | parts)


@pytest.mark.parametrize(("text", "said"), [
    ('{"channel":"heartbeat"}', Alive()),
    ('{"channel":"status","type":"update","data":[{"system":"online"}]}', Alive()),
    ('{"channel":"weather","sequence":"three"}', Alive()),
    ('{"method":"pong","req_id":3,"time_in":"x","time_out":"x"}', Pong()),
    (
        '{"method":"subscribe","req_id":1,"result":{"channel":"balances"},"success":true}',
        ChannelAnswer("balances", None),
    ),
    (
        '{"method":"subscribe","req_id":2,"error":"EGeneral:No","success":false}',
        ChannelAnswer("executions", "EGeneral:No"),
    ),
    ('{"method":"subscribe","req_id":"2","success":false}', ChannelAnswer(None, "no reason")),
    ('{"method":"subscribe","result":{"channel":"executions"},"success":true}', ChannelAnswer("executions", None)),
    ('{"method":"subscribe","req_id":9,"result":{"channel":"weather"},"success":true}', ChannelAnswer(None, None)),
    (frame(), Numbered("balances", False, 7, [])),
    (frame(type="snapshot", sequence=1), Numbered("balances", True, 1, [])),
])  # fmt: skip
def test_what_a_frame_is(text: str, said: object) -> None:
    assert read_frame(text) == said


@pytest.mark.parametrize("message", [
    b"{}", "", "[]", '"text"', '{"channel":"balances","type":"upd', frame(sequence="7"), frame(sequence=None),
    frame(sequence=True), frame(sequence=7.5), frame(type="supplement"), frame(type=None), frame(data={}),
    frame(data=[1]), '{"channel":"balances","channel":"balances"}', '{"balance":NaN}',
])  # fmt: skip
def test_a_frame_that_is_doubt(message: str | bytes) -> None:
    with pytest.raises(Doubt):
        read_frame(message)


@given(st.text() | st.binary())
def test_any_message_is_a_frame_or_doubt(message: str | bytes) -> None:
    try:
        said = read_frame(message)
    except Doubt:
        return
    assert isinstance(said, Alive | ChannelAnswer | Numbered | Pong)


def test_a_channel_that_nobody_knows_is_noted() -> None:
    noted: list[tuple[str, str]] = []
    read_frame('{"channel":"weather"}', lambda *what: noted.append(what))
    read_frame("{}", lambda *what: noted.append(what))
    assert noted == [("weather", NEW), ("channel", MISSING)]


def test_the_totals_are_exact_and_under_plain_names() -> None:
    read = read_frame(
        '{"channel":"balances","type":"snapshot","sequence":1,"data":[{"asset":"BTC","balance":0.10000000000000000001},'
        '{"asset":"DOGE","balance":3},{"asset":"USD","balance":-1.5},{"asset":"EUR","balance":"1"},{"asset":"ETH"},'
        '{"balance":1}]}'
    )
    assert isinstance(read, Numbered)
    noted: list[tuple[str, str]] = []
    assert totals_of(read.rows, lambda *what: noted.append(what)) == {
        "XBT": Decimal("0.10000000000000000001"), "XDG": 3, "USD": Decimal("-1.5"), "EUR": None, "ETH": None,
    }  # fmt: skip
    assert noted == [("balance", ODD), ("asset", MISSING)]


def test_a_trade_as_kraken_documents_it() -> None:
    read = read_frame(json.dumps({"channel": "executions", "type": "update", "data": [TRADE], "sequence": 10}))
    assert isinstance(read, Numbered)
    (told,) = executions_of(read.rows)
    assert told == Execution(
        "OK4GJX-KSTLS-7DZZO5", exec_type="trade", status="partially_filled", exec_id="TGBB7L-HT5LX-J3BZ4A",
        filled=Decimal("0.005"), cost=Decimal("132.9995"), last=Decimal("0.005"), fee=Decimal("0.3458"),
        symbol="BTC/USD", side="sell", type="limit", opened="2023-09-22T10:33:05.709993Z",
    )  # fmt: skip
    assert not told.is_over


@pytest.mark.parametrize(("row", "state"), [
    ({"exec_type": "filled", "order_status": "filled"}, "filled"),
    ({"exec_type": "canceled"}, "canceled"),
    ({"exec_type": "expired", "order_status": "expired"}, "expired"),
    ({"exec_type": "restated", "order_status": "canceled"}, "canceled"),
    ({"exec_type": "trade", "order_status": "partially_filled"}, "partially_filled"),
    ({"exec_type": "invented"}, None),
    ({}, None),
])  # fmt: skip
def test_the_state_of_an_order(row: dict[str, str], state: str | None) -> None:
    (told,) = executions_of([{"order_id": "O1", **row}])
    assert told.state == state
    assert told.is_over is (state in ("filled", "canceled", "expired"))


def test_a_row_of_no_order_is_passed_over_and_noted() -> None:
    noted: list[tuple[str, str]] = []
    odd: dict[str, object] = {"order_id": "O1", "cum_qty": "1", "fees": "none"}
    rows: list[dict[str, object]] = [{"exec_type": "trade"}, {"order_id": 5}, odd]
    assert executions_of(rows, lambda *what: noted.append(what)) == (Execution("O1"),)
    assert noted == [("order_id", MISSING), ("order_id", MISSING), ("cum_qty", ODD)]


def test_a_volume_is_never_finer_than_the_lists_tell_it() -> None:
    (told,) = executions_of([{"order_id": "O1", "cum_qty": Decimal("0.123456789")}])
    assert told.filled == Decimal("0.12345678")


def test_a_subscription_says_everything_explicitly() -> None:
    assert json.loads(subscription("executions", "T")) == {
        "method": "subscribe", "req_id": 2,
        "params": {"channel": "executions", "token": "T", "snapshot": True, "snap_orders": True, "snap_trades": False,
                   "order_status": True},
    }  # fmt: skip
