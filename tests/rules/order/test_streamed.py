"""What Kraken's stream means for a placement: trades once, an end that stays, and nothing more than it says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.stream import Execution
from engine.rules.order.order import Order
from engine.rules.order.placement import Part, Placement
from engine.rules.order.states import OrderState
from engine.rules.order.streamed import is_of, merged, news

ORDER = Order("XBTUSD", "buy", "limit", "1", "30000")
SENT = Placement(
    account="MASTER", id="a", cl_ord_id="0" * 31 + "1", key_id="k", order=ORDER, fitted=ORDER, pair="XBT/USD",
    params={"pair": "XBTUSD"}, reserved=("ZUSD", Decimal(30_000)), times={}, state=OrderState.SENT,
)  # fmt: skip
PLACED = replace(SENT, state=OrderState.PLACED, txids=("O1",))
NAMED = Execution("O1", "00000000-0000-0000-0000-000000000001", "new", "new")


def trade(filled: str, last: str | None, exec_id: str = "T1") -> Execution:
    return Execution(
        "O1", exec_type="trade", status="partially_filled", exec_id=exec_id, filled=Decimal(filled),
        cost=Decimal(filled) * 30_000, last=None if last is None else Decimal(last), fee=Decimal(3),
    )  # fmt: skip


def taken(row: Placement, told: Execution) -> Placement:
    """The placement after what the stream has told."""
    found = news(row, told)
    return row if found is None else row.after(found.event, 1.0, **found.changes)


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.UNKNOWN])
@pytest.mark.parametrize(("status", "after"), [
    ("new", OrderState.PLACED), ("pending_new", OrderState.PLACED), ("partially_filled", OrderState.PLACED),
    ("filled", OrderState.CLOSED), ("canceled", OrderState.CANCELED), ("expired", OrderState.CANCELED),
    ("invented", OrderState.PLACED), (None, OrderState.PLACED),
])  # fmt: skip
def test_whatever_it_tells_of_an_order_it_is_there(state: OrderState, status: str | None, after: OrderState) -> None:
    row = taken(replace(SENT, state=state), replace(NAMED, exec_type=None, status=status))
    assert (row.state, row.txids) == (after, ("O1",))
    assert not (row.state.is_over and row.is_final), "final amounts come from a list"


@pytest.mark.parametrize("state", [each for each in OrderState if each.is_over or each is OrderState.PLANNED])
@pytest.mark.parametrize("status", ["new", "partially_filled", "filled", "canceled"])
def test_what_is_over_or_was_not_sent_stays_so(state: OrderState, status: str) -> None:
    assert news(replace(PLACED, state=state), replace(NAMED, exec_type=None, status=status)) is None


def test_its_name_may_have_dashes() -> None:
    assert is_of(SENT, NAMED)
    assert not is_of(SENT, replace(NAMED, cl_ord_id=None))
    assert is_of(PLACED, replace(NAMED, cl_ord_id=None))
    assert not is_of(PLACED, replace(NAMED, txid="O2")), "another order of that name is for the lists to explain"


def test_a_cancel_that_may_be_an_edit_is_for_the_lists() -> None:
    told = replace(NAMED, exec_type="canceled", status="canceled")
    assert news(PLACED, told) is None
    assert taken(replace(PLACED, cancel_wanted=True), told).state is OrderState.CANCELED
    assert news(replace(PLACED, former={"O0": Part(Decimal(1), Decimal(1), Decimal(1))}), NAMED) is None


def test_a_trade_is_named_only_where_it_is_exactly_what_is_new() -> None:
    first = news(PLACED, trade("0.3", "0.3"))
    assert first is not None
    assert (first.exec_id, first.changes["filled"], first.changes["fee"]) == ("T1", Decimal("0.3"), 3)
    skipped = news(PLACED, trade("0.5", "0.2"))
    assert skipped is not None
    assert (skipped.exec_id, skipped.changes["filled"], skipped.changes["fee"]) == (None, Decimal("0.5"), 0)
    vague = news(PLACED, replace(trade("0.5", "0.2"), cost=None))
    assert vague is not None
    assert "filled" not in vague.changes


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.data())
def test_trades_in_any_order_and_number_add_up_once(parts: list[int], data: st.DataObject) -> None:
    """Kraken adds up; whatever is told again, late or not at all, no amount counts twice."""
    total, frames = 0, []
    for number, part in enumerate(parts):
        total += part
        frames.append(trade(str(Decimal(total) / 1000), str(Decimal(part) / 1000), f"T{number}"))
    heard = data.draw(st.lists(st.sampled_from(frames), max_size=20))
    row, named = PLACED, []
    for frame in heard:
        found = news(row, frame)
        assert found is not None
        named += [found.exec_id] if found.exec_id else []
        before, row = row, taken(row, frame)
        assert row.filled >= before.filled
    assert row.filled == max((frame.filled or Decimal(0) for frame in heard), default=Decimal(0))
    assert len(named) == len(set(named))


def test_a_row_tells_only_what_has_changed() -> None:
    first = merged(None, replace(NAMED, symbol="BTC/USD", volume=Decimal(1)))
    then = merged(first, trade("0.3", "0.3"))
    assert (then.cl_ord_id, then.symbol, then.exec_id) == (NAMED.cl_ord_id, "BTC/USD", "T1")
    later = merged(then, Execution("O1", exec_type="filled", status="filled"))
    assert (later.exec_id, later.last, later.filled, later.is_over) == (None, None, Decimal("0.3"), True)
