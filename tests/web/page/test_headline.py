"""The headline is the truth of the last seconds: green needs a good reply of each account, and trouble is named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderState
from engine.web.page.accounts import account_rows
from engine.web.page.cell import Age, Moment
from engine.web.page.headline import LATE_FACTOR, LATE_GRACE, Headline, headline
from engine.web.page.mode import mode_of
from engine.web.page.seen import Seen
from engine.web.page.view import view_of
from tests.web.page.status import NOW, account_of, status_of

LATE = 5.0 * LATE_FACTOR + LATE_GRACE + 0.1


def out(name: str = "MASTER", **facts: Any) -> BalanceSnapshot:
    return account_of(name, **{"is_available": False, "standing": Standing.UNAVAILABLE, **facts})


def told(*accounts: BalanceSnapshot, orders: tuple[OrderReceipt, ...] = (), **facts: Any) -> Headline:
    return headline(status_of(*accounts, **facts), orders)


@pytest.mark.parametrize(
    ("available", "sentence", "state", "title"),
    [
        ((True,), "The account is available.", "good", "1 of 1 available"),
        ((True, True), "All accounts are available.", "good", "2 of 2 available"),
        ((True, False), "A1 is not available, without a good reply since 23:59:59 UTC (1 s).", "bad",
         "A1 not available"),
        ((False, False, False, False, True),
         "A0, A1, A2 and 1 more are not available, without a good reply since 23:59:59 UTC (1 s).", "bad",
         "A0, A1, A2 and 1 more not available"),
    ],
)  # fmt: skip
def test_it_names_who_is_not_available(available: tuple[bool, ...], sentence: str, state: str, title: str) -> None:
    accounts = [account_of(f"A{number}", is_available=is_available) for number, is_available in enumerate(available)]
    found = told(*accounts)
    assert (found.sentence.text, found.state, found.title) == (sentence, state, title)


def test_it_says_why() -> None:
    accounts = account_of("A"), out("B", last_error="Kraken refuses this key.")
    found = told(*accounts, heard={"A": 1.0})
    assert found.sentence.text == "B is not available."
    assert found.consequence.text.endswith("Kraken refuses this key.")
    row = account_rows(Seen(status_of(*accounts)))[1]
    assert row.cells[1].text == "not available", "which is told above"
    others = out("B", last_error="Kraken refuses this key."), out("C", last_error="No permission.")
    assert "Kraken refuses this key" in account_rows(Seen(status_of(*others)))[0].cells[1].text


def test_green_needs_a_good_reply_in_the_last_interval_of_each_account() -> None:
    accounts = account_of("A"), account_of("B")
    assert told(*accounts, heard={"A": 1.0, "B": LATE - 0.2}).state == "good"
    late = told(*accounts, heard={"A": 1.0, "B": LATE})
    assert (late.state, late.sentence.text) == ("warn", "No good reply for B since 23:59:50 UTC (9 s).")
    assert told(*accounts, heard={"A": 1.0}).sentence.text == "No good reply for B since the engine started."
    assert late.consequence.text.startswith("The oldest balance is 0 s old.")
    some = told(*accounts, account_of("C"), heard={"A": 1.0, "B": LATE, "C": LATE + 1})
    assert (some.title, some.sentence.text[:30]) == ("C and 1 more late", "No good reply for C and 1 more")


def test_silence_is_told_with_its_time_and_the_age_of_the_balances() -> None:
    """The first seconds are a warning; when the balances are stale it is bad, long before the account is given up."""
    first = told(heard={"MASTER": LATE}, live=True)
    assert first.state == "warn"
    old = account_of(as_of=NOW - timedelta(seconds=61))
    found = told(old, heard={"MASTER": 58.0}, live=True)
    assert (found.state, found.title) == ("bad", "Kraken silent")
    assert found.sentence.text == "Kraken has not answered since 23:59:02 UTC (58 s)."
    assert found.consequence.text == "The balance is 1 min 1 s old. Nothing is being placed."
    assert [type(each) for each in found.sentence.pieces if not isinstance(each, str)] == [Moment, Age]


def test_what_kraken_answers_is_told_as_the_cause() -> None:
    busy = "Kraken said EService:Busy"
    accounts = [out(name, last_error=busy, error_count=3) for name in ("A", "B")]
    found = told(*accounts, heard={"A": 20.0, "B": 21.0}, refusing=True)
    assert found.sentence.text.startswith("Kraken has given no good reply since 23:59:40 UTC")
    assert found.consequence.text.endswith(busy)
    assert found.title == "no good reply"
    rows = account_rows(Seen(status_of(*accounts, heard={"A": 20.0, "B": 21.0})))
    assert busy not in rows[0].cells[1].text, "the headline says it for all of them"


def test_ticks_on_stale_facts_are_grey() -> None:
    row = account_rows(Seen(status_of(heard={"MASTER": LATE})))[0]
    assert (row.cells[1].state, row.cells[1].text) == ("old", "available at the last reply")
    assert account_rows(Seen(status_of()))[0].cells[1].state == "good"


def test_before_the_first_reply_it_is_not_known() -> None:
    never = account_of(as_of=None, cash=None, is_available=False, standing=Standing.UNKNOWN)
    found = told(never, heard={})
    assert (found.state, found.sentence.text) == ("warn", "No reply of Kraken's yet.")


def test_an_unknown_order_is_no_green() -> None:
    order = Order("XBTUSD", "buy", "limit", "0.01", "30000")
    unknown = OrderReceipt("x", "MASTER", order, OrderState.UNKNOWN)
    found = headline(status_of(), (unknown,), {("MASTER", "x"): NOW - timedelta(seconds=70)})
    assert (found.state, found.title) == ("bad", "1 order is unknown")
    assert found.sentence.text == (
        "1 order is unknown (MASTER) since 23:58:50 UTC (1 min 10 s). Kraken is asked whether it has placed it."
    )
    assert "since" not in told(orders=(unknown,)).sentence.text


def test_a_pause_is_said() -> None:
    found = told(paused={"MASTER": NOW})
    assert (found.state, found.sentence.text) == ("warn", "Trading of MASTER is paused since 00:00:00 UTC.")


def test_a_stopped_engine_and_one_without_accounts() -> None:
    assert told(running=False).sentence.text == "The engine has stopped."
    assert told(accounts=()).sentence.text == "There is no account."


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Nothing can be placed: this is a dry run."),
        ({"live": True}, "Nothing is being placed."),
        ({"live": True, "waiting": {"order": 2}}, "2 orders wait to be placed."),
        ({"live": True, "under_way": ("MASTER", "AddOrder")}, "An order is being placed now."),
        ({"live": True, "under_way": ("MASTER", "NewEndpoint")}, "Nothing is being placed."),
    ],
)
def test_whether_anything_is_being_placed(facts: dict[str, Any], words: str) -> None:
    assert told(**facts).consequence.text.endswith(words)


@pytest.mark.parametrize(
    ("url", "live", "name", "word"),
    [
        ("https://api.kraken.com", True, "kraken-live", "LIVE"),
        ("https://api.kraken.com", False, "kraken-dry", "dry run"),
        ("http://127.0.0.1:8000", True, "simulator-live", "simulator"),
        ("http://localhost:8000", False, "simulator-dry", "simulator, dry run"),
        ("https://kraken.com.example.org", True, "other-live", "other host"),
    ],
)
def test_what_it_is_connected_to_is_in_the_title(url: str, live: bool, name: str, word: str) -> None:
    status = status_of(url=url, live=live)
    assert (mode_of(status).name, mode_of(status).word) == (name, word)
    assert view_of(Seen(status)).title == f"✓ 1 of 1 available · {word} · kraken-engine"
    trouble = view_of(Seen(status_of(out(), url=url, live=live)))
    assert trouble.title.startswith("✕ MASTER not available · ")
    assert trouble.state == "bad"
