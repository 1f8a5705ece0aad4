"""What the dashboard says, as a value: every text for people, every state with a word, everything escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.events import AvailabilityChanged, CallFinished, EngineWarning, KeyChanged
from engine.actors.lane.report import KeyReport, LaneReport
from engine.app.status import EngineStatus
from engine.errors import CallUnknown, MarketUnavailable, Outcome
from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import AssetBalance, BalanceRow, Bucket
from engine.web.feed import Feed
from engine.web.health import not_available, troubles
from engine.web.html import Markup, element
from engine.web.pages import page, span
from engine.web.view import amount, view_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def account_of(name: str = "MASTER", **facts: Any) -> BalanceSnapshot:
    usual = {"as_of": NOW, "cash": Decimal("1.50"), "is_available": True, "standing": Standing.AVAILABLE}
    return BalanceSnapshot(name, **{**usual, **facts})


def status_of(*accounts: BalanceSnapshot, **facts: Any) -> EngineStatus:
    accounts = accounts or (account_of(),)
    keys = {each.account: KeyReport(1.0, 15.0, 3, 0.0, 5) for each in accounts}
    usual = {
        "running": True, "live": False, "url": "https://api.kraken.com", "state_dir": Path("/state"), "pid": 1,
        "as_of": NOW, "accounts": accounts, "under_way": None, "waiting": {}, "refresh_intervals": {}, "keys": {},
        "warnings": (), "lane": LaneReport(keys, None, 0, 0.0),
    }  # fmt: skip
    return EngineStatus(**{**usual, **facts})


@pytest.mark.parametrize(
    ("available", "verdict", "state"),
    [
        ((True,), "The account is available", "good"),
        ((True, True), "All accounts are available", "good"),
        ((True, False), "A1 is not available", "bad"),
        ((False, False, False, False, True), "A0, A1, A2 and 1 more are not available", "bad"),
    ],
)
def test_the_verdict_names_who_is_not_available(available: tuple[bool, ...], verdict: str, state: str) -> None:
    accounts = [account_of(f"A{number}", is_available=is_available) for number, is_available in enumerate(available)]
    cells = view_of(status_of(*accounts), [], {}, []).cells
    assert (cells["verdict"].text, cells["verdict"].state) == (verdict, state)


def test_the_verdict_says_since_when_kraken_is_silent() -> None:
    out = account_of(is_available=False, standing=Standing.UNAVAILABLE)
    cells = view_of(status_of(out, silent_since=NOW), [], {}, []).cells
    verdict = cells["verdict"]
    assert (verdict.text, verdict.state) == ("Kraken is silent: no good reply since 00:00:00 UTC", "bad")


def test_cash_names_its_assets_and_what_it_does_not_count() -> None:
    asset = AssetBalance(Decimal(5000), Decimal(5000), Decimal(0), (BalanceRow("ZEUR", Bucket.SPOT, Decimal(5000)),))
    status = status_of(account_of(cash=Decimal(0), cash_assets=("USD", "USDT"), assets={"EUR": asset}))
    view = view_of(status, [], {}, [])
    assert view.cells["a-MASTER-elsewhere"].text == 'EUR not counted; to count it, configure cash = ["EUR"]'
    assert "Cash USD + USDT" in page(status, view)
    assert view_of(status_of(), [], {}, []).cells["a-MASTER-elsewhere"].text == ""


def test_an_unknown_balance_is_not_a_number() -> None:
    """G6, on the page."""
    cells = view_of(status_of(account_of(cash=None, as_of=None, standing=Standing.UNKNOWN)), [], {}, []).cells
    assert cells["a-MASTER-cash"].text == "unknown"
    assert cells["a-MASTER-age"].text == "never"
    assert cells["a-MASTER-state"].text == "unknown"


def test_a_stopped_engine_has_no_available_account() -> None:
    status = status_of(running=False)
    assert view_of(status, [], {}, []).cells["verdict"].text == "The engine has stopped"
    assert list(not_available(status)) == ["MASTER"]
    assert troubles(status) == ["The engine is not running."]


def test_health_is_a_matter_of_threads_and_of_the_call_under_way() -> None:
    assert troubles(status_of(account_of(is_available=False, standing=Standing.UNAVAILABLE))) == []
    assert troubles(status_of(under_way_left=-0.9)) == []
    assert troubles(status_of(under_way_left=-1.1)) == ["The call under way is 1.1 s past its deadline."]
    assert troubles(status_of(dead=("private",))) == ["The thread private is dead."]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_an_amount_keeps_every_digit(value: Decimal) -> None:
    """G12."""
    assert amount(value).replace(",", "") == format(value, "f")
    assert re.fullmatch(r"-?\d{1,3}(,\d{3})*(\.\d+)?", amount(value))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc"))))
def test_whatever_a_text_holds_it_stays_text(evil: str) -> None:
    asset = AssetBalance(Decimal(1), Decimal(1), Decimal(0))
    status = status_of(account_of(last_error=f"<script>{evil}", assets={f"<b>{evil}": asset}), url=f"'\"><{evil}")
    event = {"time": "t", "state": "bad", "kind": "k", "text": f"</table><img src={evil}>"}
    plain, read = _Reader(), _Reader()
    harmless = status_of(account_of(assets={"x": asset}))
    plain.feed(page(harmless, view_of(harmless, [event], {}, [])))
    read.feed(page(status, view_of(status, [event], {}, [])))
    assert read.tags == plain.tags
    assert f"<script>{evil}" in read.text


def test_markup_is_only_what_was_made_here() -> None:
    assert element("p", "<b>", element("b", "&"), title='"', hidden=True, id=None) == (
        '<p title="&quot;" hidden>&lt;b&gt;<b>&amp;</b></p>'
    )
    assert isinstance(element("br"), Markup)


def test_messages_bring_only_what_has_changed_and_let_ages_tick() -> None:
    first = view_of(status_of(account_of().at(NOW)), [], {}, [])
    later = status_of(account_of().at(NOW.replace(second=1)), as_of=NOW.replace(second=1))
    assert view_of(later, [], {}, []).changes(first)["cells"] == {}, "an age that only ticked is not told again"
    renewed = view_of(status_of(account_of(cash=Decimal(2)).at(NOW)), [], {}, [])
    assert set(renewed.changes(first)["cells"]) == {"a-MASTER-cash"} | (
        {"a-MASTER-age"} if not renewed.cells["a-MASTER-age"].looks_like(first.cells["a-MASTER-age"]) else set()
    )


def test_events_tell_what_matters_and_count_what_comes_again() -> None:
    feed = Feed(status_of)
    refused = MarketUnavailable("Kraken refused it.")
    for event in (
        AvailabilityChanged("MASTER", False, "Kraken refused it."),
        CallFinished("MASTER", "Balance", Outcome.DONE, None, 0.0, 0.1),
        CallFinished("MASTER", "AddOrder", Outcome.DONE, None, 0.0, 0.1, "order"),
        CallFinished("MASTER", "AddOrder", Outcome.UNKNOWN, CallUnknown("No answer."), 0.0, 0.1, "order"),
        CallFinished("MASTER", "Balance", Outcome.REFUSED, refused, 0.0, 0.1),
        EngineWarning("code", "Look at the disk."),
        KeyChanged("MASTER", "key-refused", "Kraken refuses this key."),
        CallFinished("MASTER", "Balance", Outcome.REFUSED, refused, 0.0, 0.1),
    ):
        feed(event)
    assert [(each[1], each[3]) for each in feed.view.rows["events"]] == [
        ("warn", "MASTER Balance: refused. Kraken refused it. (2 times)"),
        ("bad", "MASTER: Kraken refuses this key."),
        ("warn", "Look at the disk."),
        ("bad", "MASTER AddOrder: unknown. No answer."),
        ("plain", "MASTER AddOrder: done in 100 ms."),
        ("bad", "MASTER is not available: Kraken refused it."),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
)
def test_spans_are_for_people(seconds: float, words: str) -> None:
    assert span(seconds) == words
