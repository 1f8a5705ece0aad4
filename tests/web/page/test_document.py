"""The page as a document: every part in its order, readable without a script, and whatever it shows stays text."""

from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.balance.availability import Standing
from engine.rules.gates.report import GateReport, GateResult, GateState
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderState
from engine.web.health import not_available, troubles
from engine.web.page.cell import Age, Due, Link, Moment, Number, Strong, cell, span, words
from engine.web.page.document import Viewer, page
from engine.web.page.html import Markup, element
from engine.web.page.quotes import Quotes
from engine.web.page.seen import LoggedEvent, Seen
from engine.web.page.tables import piece
from engine.web.page.view import view_of
from tests.web.page.status import NOW, account_of, status_of
from tests.web.page.test_accounts import holds


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(seen: Seen, viewer: Viewer = Viewer()) -> _Reader:  # noqa: B008 - frozen
    reader = _Reader()
    reader.feed(page(seen.status, view_of(seen), viewer))
    return reader


def test_what_matters_comes_first() -> None:
    found = read(Seen(status_of()))
    sections = ("accounts", "orders", "unknown", "lane", "gates", "charts", "assets", "drift", "events")
    assert [each for each in found.ids if each in sections] == list(sections)
    assert found.tags.index("h1") < found.tags.index("table")
    assert len(found.ids) == len(set(found.ids)), "no id is there twice"


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc"))))
def test_whatever_a_text_holds_it_stays_text(evil: str) -> None:
    order = OpenOrder("MASTER", f"<{evil}", False, description=f"<i>{evil}", pair=f"<u>{evil}")
    receipt = OrderReceipt("<b>", "MASTER", Order("<a>", "buy", "market", "1"), OrderState.UNKNOWN, reason=f"<{evil}")
    event = LoggedEvent(1, NOW, "<k>", "bad", "", f"</table><img src={evil}>")
    assets = {f"<b>{evil}": holds("1")}
    status = status_of(account_of(last_error=f"<script>{evil}|", assets=assets), url="http://127.0.0.1:1")
    viewer = Viewer(may_act=True)
    found = read(Seen(status, [event], [receipt], [order], may_act=True), viewer)
    harmless = OrderReceipt("x", "MASTER", Order("x", "buy", "market", "1"), OrderState.UNKNOWN)
    plain = read(
        Seen(status_of(account_of(assets={"x": holds("1")}), url="http://127.0.0.1:1"),
             [LoggedEvent(1, NOW, "k", "bad", "", "x")], [harmless], [OpenOrder("MASTER", "x", False)], may_act=True),
        viewer,
    )  # fmt: skip
    assert found.tags == plain.tags
    assert f"<script>{evil}|" in found.text


def test_markup_is_only_what_was_made_here() -> None:
    assert element("p", "<b>", element("b", "&"), title='"', hidden=True, id=None) == (
        '<p title="&quot;" hidden>&lt;b&gt;<b>&amp;</b></p>'
    )
    assert isinstance(element("br"), Markup)


def test_each_piece_is_readable_without_a_script() -> None:
    made = [piece(each, "USD") for each in (
        "<", Age(61), Due(3), Moment(NOW), Number("1.50", "1.5000"), Strong("x"),
        Link("Cancel", "/act?a=1&b=2", "Cancel x"),
    )]  # fmt: skip
    assert made == [
        "<", '<span data-age="61">1 min 1 s</span>', '<span data-due="3">in 3 s</span>',
        '<time datetime="2026-01-01T00:00:00.000+00:00" title="2026-01-01 00:00:00 UTC">00:00:00 UTC</time>',
        '<data value="1.5000" title="1.5000">1.50</data>', "<strong>x</strong>",
        '<a href="/act?a=1&amp;b=2" class="act" aria-label="Cancel x">Cancel</a>',
    ]  # fmt: skip


def test_messages_bring_only_what_has_changed_and_let_ages_tick() -> None:
    first = view_of(Seen(status_of(account_of().at(NOW))))
    second = NOW.replace(second=1)
    later = status_of(account_of().at(second), as_of=second)
    changed = view_of(Seen(later)).changes(first)
    told = (changed["cells"], changed["rows"], changed["changed"])
    assert told == ({}, {}, {}), "an age that only ticked is not told again"
    renewed = view_of(Seen(status_of(account_of(cash=None)))).changes(first)
    assert (renewed["rows"], set(renewed["changed"])) == ({}, {"accounts"})


def test_of_a_row_only_the_cells_that_have_changed_are_told_and_the_order_when_it_has() -> None:
    first = view_of(Seen(status_of(account_of("A"), account_of("B"))))
    second = NOW.replace(second=1)
    later = [account_of("A").at(second), account_of("B", available_cash=Decimal(1)).at(second)]
    told = view_of(Seen(status_of(*later, as_of=second))).changes(first)["changed"]["accounts"]
    assert "keys" not in told, "the same rows in the same order"
    (row,) = told["rows"]
    places = [place for place, each in enumerate(row["c"]) if each is not None]
    assert (row["k"], places) == ("B", [4, 5]), "available and held"
    moved = view_of(Seen(status_of(account_of("B").at(second), account_of("C"), as_of=second))).changes(first)
    assert moved["shape"] != first.shape, "the page is loaded anew"
    table = moved["changed"]["accounts"]
    assert (table["keys"], [each["k"] for each in table["rows"]]) == (["B", "C"], ["C"])
    assert None not in table["rows"][0]["c"], "a row that is not known is told in full"


def test_open_orders_say_whose_they_are_and_how_far_from_the_price() -> None:
    ours = OrderReceipt("signal-42", "MASTER", Order("XBTUSD", "buy", "limit", "0.0100", "30000"), OrderState.PLACED,
                        ("OX",), "c1")  # fmt: skip
    theirs = OpenOrder("MASTER", "OY", False, pair="XBTUSD", side="sell", type="limit", volume=Decimal("2.50"),
                       price=Decimal(90000), filled=Decimal("0.5"), opened=NOW)  # fmt: skip
    quotes = Quotes(last={"XBTUSD": Decimal(60000)})
    seen = Seen(status_of(), (), [ours], [theirs], ["MASTER"], {("MASTER", "OX"): NOW}, quotes=quotes)
    view = view_of(seen)
    assert [[each.text for each in row.cells[:-1]] for row in view.rows["orders"]] == [
        ["MASTER", "signal-42", "XBTUSD", "buy", "0.01", "limit", "30,000", "0", "0 s", "50.00 % below", "OX"],
        ["MASTER", "not ours, as last seen", "XBTUSD", "sell", "2.5", "limit", "90,000", "0.5", "0 s",
         "50.00 % above", "OY"],
    ]  # fmt: skip
    assert view.cells["orders-sum"].state == "warn"
    assert [row.cells[-1].pieces for row in view.rows["orders"]] == [(), ()]
    acting = view_of(Seen(status_of(), (), [ours], [theirs], may_act=True))
    (link,) = acting.rows["orders"][0].cells[-1].pieces
    assert isinstance(link, Link)
    assert link.path == "/act?action=cancel&account=MASTER&order=signal-42"


@pytest.mark.parametrize(
    ("state", "words_of_it"),
    [
        (OrderState.PLANNED, "has not been sent"), (OrderState.SENT, "is waited for"),
        (OrderState.UNKNOWN, "Do not place it again under another id"),
    ],
)  # fmt: skip
def test_what_is_being_done_about_an_unknown_order_is_said(state: OrderState, words_of_it: str) -> None:
    receipt = OrderReceipt("x", "MASTER", Order("XBTUSD", "buy", "limit", "0.01", "30000"), state)
    view = view_of(Seen(status_of(), (), [receipt], unsettled={("MASTER", "x"): NOW}))
    (row,) = view.rows["unknown"]
    assert words_of_it in row.cells[5].text
    assert row.cells[3].text == "00:00:00 UTC (0 s)"
    assert view.rows["orders"] == []
    assert ("unknown" in view.cells["unknown-sum"].text) == (state is OrderState.UNKNOWN)


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.9, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
)
def test_spans_are_for_people(seconds: float, written: str) -> None:
    assert span(seconds) == words(Age(seconds)) == written


def test_an_empty_text_is_no_piece() -> None:
    assert cell("", "x", "").pieces == ("x",)


def test_a_stopped_engine_has_no_available_account() -> None:
    status = status_of(running=False)
    assert list(not_available(status)) == ["MASTER"]
    assert troubles(status) == ["The engine is not running."]


def test_health_is_a_matter_of_threads_and_of_the_call_under_way() -> None:
    assert troubles(status_of(account_of(is_available=False, standing=Standing.UNAVAILABLE))) == []
    assert troubles(status_of(under_way_left=-0.9)) == []
    assert troubles(status_of(under_way_left=-1.1)) == ["The call under way is 1.1 s past its deadline."]
    assert troubles(status_of(dead=("private",))) == ["The thread private is dead."]


def test_gates_are_folded_to_a_line_when_all_have_passed() -> None:
    passed = GateReport("MASTER", NOW, True, (GateResult("health", GateState.PASSED, seen="fine"),),
                        receipt=OrderReceipt("x", "MASTER", Order("X", "buy", "market", "1"), OrderState.PLACED))
    denied = GateReport("MASTER", NOW, True, (GateResult("health", GateState.DENIED, ("No.",)),))
    for report, opened, line in (
        (passed, False, "MASTER: all 1 gates passed, 00:00:00 UTC, live"),
        (denied, True, "MASTER: not passed (health), 00:00:00 UTC, live"),
    ):
        status = status_of(passes={"MASTER": report})
        view = view_of(Seen(status))
        assert view.cells["gates-MASTER"].text == line
        assert ('<details open data-opens="gates-MASTER">' in page(status, view)) is opened
