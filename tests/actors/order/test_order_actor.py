"""The `OrderActor` alone, with a lane and a clock that the test has in its hands (promise G9)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from engine.actors.lane.messages import CallFailed
from engine.actors.order.messages import AccountsWithOrders, CancelAllComes, LookNow
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConnectFailed,
    CounterFull,
    OrderRejected,
    PairUnsettled,
)
from engine.rules.order.holds import NOT_OPEN
from engine.rules.order.states import OrderState
from tests.actors.order.lone_actor import ABSENT, KRAKEN, SETTINGS, LoneActor, crashed, lone
from tests.stopwatch import PATIENCE

__all__ = ["lone"]  # a fixture

SETTLED_AT = SETTINGS.order_deadline + SETTINGS.settle_margin


def test_a_look_that_begins_at_the_end_of_the_margin_tells_absence(lone: LoneActor) -> None:
    """Nothing can appear from that moment on, so it takes no second look; the looks before do not count."""
    lone.lose("x")
    while lone.time.next() < SETTLED_AT:
        lone.time.turn_to(lone.time.next())
        lone.answer_looks()
        assert lone.state("x") is OrderState.UNKNOWN
    assert 3 <= lone.asked.count("OpenOrders") <= 8, "it was looked for before, and less and less often"
    lone.asked.clear()
    lone.time.turn_to(SETTLED_AT)
    lone.answer_looks()
    assert "TradesHistory" in lone.asked, "this look is a thorough one"
    assert lone.state("x") is OrderState.NOT_PLACED


@pytest.mark.parametrize(
    ("balance", "told"),
    [
        ({"ZUSD": {"balance": "5", "hold_trade": "0"}}, NOT_OPEN),
        ({"ZUSD": {"balance": "5", "hold_trade": "3"}}, "Kraken holds 3 ZUSD for open orders"),
        (CallUnknown("No answer came."), "if you do not want it."),
    ],
)
def test_where_lists_are_not_whole_a_person_is_told_what_the_balance_says(
    lone: LoneActor, balance: Any, told: str
) -> None:
    """Nothing is concluded from a balance, whatever it says."""
    lone.lose("x")
    odd = {"ClosedOrders": {"closed": {}, "count": 7}, "BalanceEx": balance}
    while not lone.warnings and lone.time.now < 100.0:
        lone.time.turn_to(lone.time.next())
        lone.answer_looks(odd)
    (warning,) = lone.warnings
    assert warning.code == "order-doubtful"
    assert told in warning.message
    assert lone.state("x") is OrderState.UNKNOWN
    assert lone.asked.count("BalanceEx") == 1
    lone.time.turn_to(lone.time.now + 100.0)
    lone.answer_looks(odd)
    assert lone.state("x") is OrderState.UNKNOWN
    assert lone.asked.count("BalanceEx") == 1


def test_a_look_that_began_before_the_end_of_the_margin_never_tells_absence(lone: LoneActor) -> None:
    """However late its answers come: they may have been made before."""
    lone.lose("x")
    lone.time.turn_to(lone.time.next())
    lone.wait()
    assert lone.calls, "it is looked for"
    lone.time.turn_to(SETTLED_AT + 1.0)
    lone.answer_looks()
    assert lone.state("x") is OrderState.UNKNOWN
    while lone.state("x") is OrderState.UNKNOWN and lone.time.now < 100.0:
        lone.time.turn_to(lone.time.next())
        lone.answer_looks()
    assert lone.state("x") is OrderState.NOT_PLACED, "the look is made again, and that one counts"


def test_a_second_placement_on_the_pair_does_not_go_out_once_the_first_is_unknown(lone: LoneActor) -> None:
    """It was planned while the first was under way, and waits in the lane: its own turn is when that counts."""
    lone.place("x")
    lone.place("y", pair="BTC/USD")
    lone.place("z", pair="ETH/USD")
    first, second, third = lone.take(), lone.take(), lone.take()
    lone.send(first)
    lone.answer(first, CallUnknown("The connection broke."))
    lone.send(third)
    with pytest.raises(PairUnsettled) as unsettled:
        lone.send(second)
    lone.answer(second, unsettled.value)
    assert lone.state("x") is OrderState.UNKNOWN
    assert lone.state("y") is OrderState.NOT_PLACED


@pytest.mark.parametrize(
    ("error", "may_go_again"),
    [
        (CallNotSent("A cancel that covers this placement came before its turn."), False),
        (ConnectFailed("There is no connection."), True),
    ],
)
def test_only_a_placement_that_no_cancel_covered_may_be_tried_again_with_its_id(
    lone: LoneActor, error: CallError, may_go_again: bool
) -> None:
    lone.place("x")
    lone.answer(lone.take(), error)
    assert lone.state("x") is OrderState.NOT_PLACED
    again = lone.place("x")
    assert [call.endpoint for call in lone.calls] == (["AddOrder"] if may_go_again else [])
    if not may_go_again:
        assert again.get(timeout=PATIENCE).state is OrderState.NOT_PLACED


def test_whoever_waits_for_a_placement_is_told_its_end_also_when_another_try_has_taken_its_id(lone: LoneActor) -> None:
    """The other try comes between the lane's answer and its news: two threads place one id (promise G5)."""
    first, go_on = lone.place("x"), threading.Event()
    lone.ref.tell(AccountsWithOrders(lambda _: cast(None, go_on.wait(PATIENCE))))
    second = lone.give("x")
    call = lone.take()
    call.reply_to.tell(CallFailed(call, CounterFull("Full.")))
    go_on.set()
    with pytest.raises(CounterFull):
        first.get(timeout=PATIENCE)
    lone.wait()
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": ["OABC"]})
    assert second.get(timeout=PATIENCE).txids == ("OABC",)


@pytest.mark.parametrize("error", [CounterFull("Full."), ConnectFailed("There is no connection."), None])
def test_an_id_is_used_up_by_a_cancel_before_its_turn_whatever_else_holds_it_back(
    lone: LoneActor, error: CallError | None
) -> None:
    """Also where the engine ends (`None`) before the lane has answered."""
    lone.place("x")
    lone.ref.ask(CancelAllComes("MASTER"))
    call = lone.take()
    if error is not None:
        lone.answer(call, error)
        again = lone.place("x")
        assert again.get(timeout=PATIENCE).state is OrderState.NOT_PLACED
        assert not lone.calls
        return
    with crashed(lone) as next_one:
        again = next_one.place("x")
        assert again.get(timeout=PATIENCE).state is OrderState.NOT_PLACED
        assert not next_one.calls


def test_whatever_is_said_of_a_placement_whose_turn_never_came_it_was_not_sent(lone: LoneActor) -> None:
    """A defect in the lane before the call goes out is told as unknown; here it is known that nothing went out."""
    for name, how in (("x", CallUnknown("The engine failed during the call.")), ("y", {"txid": ["OABC"]})):
        lone.place(name)
        lone.answer(lone.take(), how)
        assert lone.state(name) is OrderState.NOT_PLACED
    assert not lone.calls, "and it is not looked for"


def test_a_placement_that_is_settled_never_goes_out(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.answer(call, CallNotSent("A cancel that covers this placement came before its turn."))
    with pytest.raises(CallNotSent, match="not sent again"):
        lone.send(call)
    lone.place("y")
    call = lone.take()
    lone.send(call)
    lone.answer(call, CallUnknown("The connection broke."))
    with pytest.raises(CallNotSent, match="not sent again"):
        lone.send(call)


def test_a_placement_that_is_signed_again_keeps_its_first_deadline(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    assert call.deadline_in == SETTINGS.order_deadline
    first = call.reply_to.sending(KRAKEN)
    assert call.reply_to.sending(KRAKEN + 3.0) == first
    assert replace(call).params["cl_ord_id"] == f"{1:032x}"


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"txid": ["OABCDE-FGHIJ-KLMNOP"]}, OrderState.PLACED),
        (OrderRejected("Kraken said no.", kraken_code="EOrder:Insufficient funds"), OrderState.REFUSED),
        (CallUnknown("The connection broke."), OrderState.UNKNOWN),
    ],
)
def test_the_answer_is_durable_when_it_is_told(lone: LoneActor, how: CallError | Any, state: OrderState) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.UNKNOWN, "what was sent and not answered is not known"
    lone.answer(call, how)
    assert lone.state("x") is state
    with crashed(lone) as again:
        assert again.kept("x") is state


def test_what_was_never_sent_is_not_placed_after_a_crash_and_may_be_tried_again(lone: LoneActor) -> None:
    lone.place("x")
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.NOT_PLACED
        again.place("x", number=2)
        assert again.take().endpoint == "AddOrder"


def test_what_was_sent_is_looked_for_after_a_crash_and_never_sent_again(lone: LoneActor) -> None:
    lone.place("x")
    lone.send(lone.take())
    with crashed(lone) as again:
        assert "order-unknown" in again.warned
        answer = again.place("x", number=2)
        again.time.turn_to(SETTLED_AT)
        again.answer_looks()
        assert "AddOrder" not in again.asked
        assert answer.get(timeout=PATIENCE).state is OrderState.NOT_PLACED


def test_what_a_look_has_found_is_durable_when_it_is_told(lone: LoneActor) -> None:
    lone.lose("x")
    lone.time.turn_to(SETTLED_AT)
    lone.answer_looks()
    assert lone.state("x") is OrderState.NOT_PLACED
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.NOT_PLACED


def test_a_stop_answers_whoever_waits_for_a_placement(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    waiting = lone.place("x")
    lone.send(call)
    lone.answer(call, CallUnknown("The connection broke."))
    lone.end()
    assert waiting.get(timeout=PATIENCE).state is OrderState.UNKNOWN


TXID = "OABCDE-FGHIJ-KLMNOP"


def row(status: str, filled: str) -> dict[str, Any]:
    """An order's row as Kraken's lists have it."""
    return {
        "status": status, "cl_ord_id": f"{1:032x}", "opentm": KRAKEN, "vol": "1", "vol_exec": filled,
        "cost": str(30_000 * Decimal(filled)), "fee": "0", "price": "30000", "userref": None, "refid": None,
        "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "price2": "0",
                  "leverage": "none", "order": "buy 1 XBTUSD @ limit 30000", "aclass": "forex"},
    }  # fmt: skip


def test_an_open_order_is_followed_over_failed_looks_until_it_is_over(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": [TXID], "descr": {"order": "buy 1 XBTUSD @ limit 30000"}})
    lone.invalidated.clear()
    answers: list[dict[str, Any]] = [
        {},  # a look that fails
        {"OpenOrders": {"open": {TXID: row("open", "0.25")}}},
        {"OpenOrders": {"open": {TXID: row("open", "0.25")}}},
        {"OpenOrders": {"open": {}}, "QueryOrders": {TXID: row("closed", "1")}},
    ]
    seen = []
    for each in answers:
        while not lone.calls:
            lone.time.turn_to(lone.time.next())
            lone.wait()
        while lone.calls:
            call = lone.take()
            lone.answer(call, each.get(call.endpoint, CallUnknown("The connection broke.")))
        seen.append((lone.state("x"), lone.receipt("x").filled, lone.receipt("x").cost, len(lone.invalidated)))
    assert seen == [
        (OrderState.PLACED, 0, 0, 0),
        (OrderState.PLACED, Decimal("0.25"), 7500, 1),
        (OrderState.PLACED, Decimal("0.25"), 7500, 1),
        (OrderState.CLOSED, 1, 30_000, 2),
    ], "what was filled is told, and makes the balance old once each time"
    lone.time.turn_to(lone.time.now + 10 * SETTINGS.follow_every)
    lone.wait()
    assert not lone.calls, "it is not looked at any more"


def test_a_caller_whose_time_is_over_waits_a_second_more_for_the_answer_that_is_due(lone: LoneActor) -> None:
    """The lane's answer is due at the same time as his: it says more than that it is not known."""
    waiting = lone.place("x")  # for a thousand seconds
    call = lone.take()
    lone.send(call)
    lone.time.turn_to(1000.0)
    lone.wait()
    lone.answer(call, {"txid": [TXID]})
    assert waiting.get(timeout=PATIENCE).state is OrderState.PLACED


def test_a_caller_is_answered_a_second_after_his_time_whatever_became_of_it(lone: LoneActor) -> None:
    waiting = lone.place("x")
    lone.send(lone.take())
    for seconds in (1000.0, 1001.5):
        lone.time.turn_to(seconds)
        lone.wait()
    assert waiting.get(timeout=PATIENCE).state is OrderState.SENT


@pytest.mark.parametrize(
    "result", [{}, {"txid": None}, {"txid": ""}, {"txid": []}, {"txid": [""]}, {"txid": [7]}, {"txid": {TXID: "1"}}]
)
def test_an_answer_that_names_no_order_is_no_answer(lone: LoneActor, result: Any) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, result)
    assert lone.state("x") is OrderState.UNKNOWN
    assert lone.receipt("x").txids == ()


@pytest.mark.parametrize("txid", [TXID, [TXID]])
def test_an_answer_names_its_order_as_a_text_or_in_a_list(lone: LoneActor, txid: Any) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": txid, "descr": {"order": "buy 1 XBTUSD @ limit 30000"}})
    assert (lone.state("x"), lone.receipt("x").txids) == (OrderState.PLACED, (TXID,))
    assert lone.receipt("x").description == "buy 1 XBTUSD @ limit 30000"


def test_an_order_that_was_open_before_a_crash_is_followed_after_it(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": [TXID]})
    with crashed(lone) as again:
        again.time.turn_to(10.0)
        again.wait()
        assert [call.endpoint for call in again.calls] == ["OpenOrders"]


def test_who_asks_for_a_look_is_told_when_it_fails(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": [TXID]})
    for fails in (True, False):
        asked = lone.ref.ask(LookNow("MASTER"), block=False)
        lone.wait()
        while lone.calls:
            call = lone.take()
            lone.answer(call, CallUnknown("The connection broke.") if fails else {"open": {TXID: row("open", "0")}})
        if fails:
            with pytest.raises(CallUnknown):
                asked.get(timeout=PATIENCE)
        else:
            assert [each.id for each in asked.get(timeout=PATIENCE)] == ["x"]


def test_a_decisive_look_that_has_to_wait_goes_on_where_it_was(lone: LoneActor) -> None:
    """Our own counter holds its second list back: the first one is not asked for again."""
    lone.lose("x")
    with crashed(lone) as again:
        again.time.turn_to(SETTLED_AT)
        again.wait()
        call = again.take()
        while call.endpoint != "ClosedOrders":
            again.answer(call, ABSENT[call.endpoint])
            call = again.take()
        again.answer(call, CounterFull("The call counter is nearly full.", retry_after=2.0))
        assert not again.calls
        again.time.turn_to(SETTLED_AT + 1.99)
        again.wait()
        assert not again.calls
        again.time.turn_to(SETTLED_AT + 2.0)
        again.answer_looks()
        assert again.asked[0] == "ClosedOrders"
        assert "OpenOrders" not in again.asked
        assert again.kept("x") is OrderState.NOT_PLACED


def test_with_another_key_an_order_is_neither_looked_for_nor_absent(lone: LoneActor) -> None:
    """Another account's lists say nothing of it; with its own key again it is looked for."""
    lone.lose("x")
    with crashed(lone, key="other") as other:
        for _ in range(20):
            other.time.turn_to(other.time.now + 10.0)
            other.wait()
        assert not [call for call in other.calls if call.endpoint in ABSENT]
        assert other.kept("x") is OrderState.UNKNOWN
    with crashed(lone) as again:
        again.time.turn_to(SETTLED_AT)
        again.answer_looks()
        assert again.kept("x") is OrderState.NOT_PLACED


@contextmanager
def journal_away(lone: LoneActor) -> Iterator[None]:
    """The journal can be neither read nor written meanwhile."""
    journal, away = lone.directory / "orders.sqlite", lone.directory.with_name("away")
    journal.rename(away)
    yield
    away.rename(journal)


def test_what_cannot_be_kept_is_warned_of_once_and_kept_as_soon_as_that_is_possible(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    with journal_away(lone):
        lone.answer(call, {"txid": [TXID]})
        assert lone.state("x") is OrderState.PLACED, "it is told all the same"
        for seconds in range(10, 60, 10):
            lone.time.turn_to(float(seconds))
            lone.wait()
        assert lone.warned == ["order-not-kept"]
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.UNKNOWN, "nothing was written yet"
    lone.time.turn_to(70.0)
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.PLACED


def test_what_a_look_finds_is_taken_in_while_the_journal_cannot_be_read(lone: LoneActor) -> None:
    lone.lose("x")
    with journal_away(lone):
        lone.time.turn_to(lone.time.next())
        lone.wait()
        call = lone.take()
        assert call.endpoint == "OpenOrders"
        lone.answer(call, {"open": {TXID: row("open", "0")}})
        assert (lone.state("x"), lone.receipt("x").txids) == (OrderState.PLACED, (TXID,))


def test_an_order_is_followed_on_after_a_look_at_which_the_journal_could_not_be_read(lone: LoneActor) -> None:
    """It is canceled, and an order without a name stands in its place: whether that is ours, only the journal knows."""
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": [TXID]})
    canceled = {**row("canceled", "0"), "reason": "Order replaced", "closetm": KRAKEN + 1}
    newer = {**row("open", "0"), "cl_ord_id": None, "opentm": KRAKEN + 1}
    looks = {"OpenOrders": {"open": {"ONEWER-FGHIJ-KLMNOP": newer}}, "QueryOrders": {TXID: canceled}}
    for is_there in (False, True):
        while not lone.calls:
            lone.time.turn_to(lone.time.next())
            lone.wait()
        with contextlib.nullcontext() if is_there else journal_away(lone):
            while lone.calls:
                call = lone.take()
                lone.answer(call, looks[call.endpoint])
        if not is_there:
            assert lone.state("x") is OrderState.PLACED, "in doubt nothing is over"
    assert lone.state("x") is not OrderState.PLACED or lone.receipt("x").txids != (TXID,)


def test_of_one_order_that_is_found_nothing_is_warned(lone: LoneActor) -> None:
    lone.lose("x")
    row = {"status": "open", "cl_ord_id": f"{1:032x}", "vol_exec": "0", "cost": "0"}
    lone.time.turn_to(lone.time.next())
    lone.answer_looks({"OpenOrders": {"open": {"O1": row}}})
    assert lone.state("x") is OrderState.PLACED
    assert lone.warned == []


def test_two_orders_of_one_placement_are_warned_of(lone: LoneActor) -> None:
    lone.lose("x")
    row = {"status": "open", "cl_ord_id": f"{1:032x}", "vol_exec": "0", "cost": "0"}
    lone.time.turn_to(lone.time.next())
    lone.answer_looks({"OpenOrders": {"open": {"O1": row, "O2": row}}})
    assert lone.receipt("x").txids == ("O1", "O2")
    assert lone.warned == ["order-doubled"]
