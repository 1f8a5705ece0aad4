"""The dashboard's page, readable before any script runs. Everything on it comes from a `View`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from engine.app.status import EngineStatus
from engine.rules.balance.cash import in_words
from engine.version import __version__
from engine.web.html import Child, Markup, element, fragment
from engine.web.push_view import COLUMNS
from engine.web.view import CLASSES, GLYPHS, Cell, View
from engine.web.web_state import WebState

_CHARTS = (
    ("latency", "Call latency", "milliseconds under way: mean and worst of each second"),
    ("queue", "Queue depth", "private calls that wait"),
    ("errors", "Errors", "private calls not done, each second"),
)


async def dashboard(request: Request) -> Response:
    """The page as it is now."""
    service: WebState = request.app.state.service
    return HTMLResponse(page(service.engine.status(), service.feed.view))


def page(status: EngineStatus, view: View) -> str:
    """The document. Every text is escaped by `element`."""
    names = [each.account for each in status.accounts]
    cash = f"Cash {in_words(next((each.cash_assets for each in status.accounts), ()))}"
    body = element(
        "body",
        element("a", "Skip to the accounts", class_="skip", href="#accounts"),
        element("p", id="connection", role="alert", hidden=True),
        _header(status),
        element(
            "main",
            _verdict(view),
            _accounts(names, cash, view),
            _lane(names, view),
            _gates(view),
            _orders(view),
            _charts(cash),
            _assets(names, view),
            *([_push(view)] if view.rows["push"] else []),
            _drift(view),
            _events(view),
        ),
        element("footer", f"kraken-engine {__version__} · times are this browser's"),
        data_shape=view.shape,
    )
    return f"<!doctype html>{element('html', _head(), body, lang='en')}"


def _head() -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "kraken-engine"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/uPlot.min.css"),
        element("link", rel="stylesheet", href="/static/dashboard.css"),
        element("noscript", element("meta", http_equiv="refresh", content="5")),
        element("script", src="/static/uPlot.iife.min.js", defer=True),
        element("script", src="/static/dashboard.js", type="module"),
    )


def _header(status: EngineStatus) -> Markup:
    live = ("Live: calls may trade", "live") if status.live else ("Dry run: nothing can trade", "dry")
    return element(
        "header",
        element("p", "kraken-engine", class_="brand"),
        element("p", live[0], class_="badge", data_mode=live[1]),
        element("p", f"{status.url} · process {status.pid}", class_="where"),
        element("p", "renewed every 5 seconds", id="link", class_="link", data_link="static"),
    )


def _verdict(view: View) -> Markup:
    return element(
        "section",
        element("h1", _cell("verdict", view, mark=True)),
        element("p", _cell("verdict-count", view)),
        class_="verdict", data_follows="verdict", data_state=view.cells["verdict"].state, aria_live="polite",
    )  # fmt: skip


def _accounts(names: Sequence[str], cash: str, view: View) -> Markup:
    columns = ("Account", "Status", cash, "Available cash", "Balance", "Errors in a row", "Next attempt")
    rows = (
        _row(
            element("th", name, scope="row", role="rowheader"),
            _data("Status", _cell(f"a-{name}-standing", view, mark=True),
                  element("p", _cell(f"a-{name}-error", view), class_="why"), class_="standing"),
            _data(cash, _cell(f"a-{name}-cash", view),
                  element("p", _cell(f"a-{name}-elsewhere", view), class_="why"), class_="number big"),
            _data("Available cash", _cell(f"a-{name}-available-cash", view), class_="number"),
            _data("Balance", _cell(f"a-{name}-state", view, mark=True), " ", _cell(f"a-{name}-age", view, old=True)),
            _data("Errors in a row", _cell(f"a-{name}-errors", view), class_="number"),
            _data("Next attempt", _cell(f"a-{name}-next", view)),
        )
        for name in names
    )  # fmt: skip
    return _section("accounts", "Accounts", _table(columns, rows, class_="accounts"), tabindex="-1")


def _lane(names: Sequence[str], view: View) -> Markup:
    waiting = (
        element("div", element("dt", f"Waiting: {name}s"), element("dd", _cell(f"waiting-{name}", view)))
        for name in CLASSES
    )
    facts = element(
        "dl",
        element("div", element("dt", "Under way"), element("dd", _cell("under-way", view)), class_="wide"),
        *waiting,
        element("div", element("dt", "Hung calls cut"), element("dd", _cell("cuts", view))),
        element("div", element("dt", "This clock"), element("dd", _cell("skew", view)), class_="wide"),
        class_="facts",
    )
    columns = ("Account", "Kraken takes its key", "Call counter", "Nonces", "Nonce lead")
    rows = (
        _row(
            element("th", name, scope="row", role="rowheader"),
            _data("Key", _cell(f"k-{name}-state", view, mark=True)),
            _data("Call counter", _meter(f"k-{name}-room", view, f"Free points of {name}")),
            _data("Nonces", _cell(f"k-{name}-rate", view), class_="number"),
            _data("Nonce lead", _cell(f"k-{name}-lead", view)),
        )
        for name in names
        if f"k-{name}-state" in view.cells
    )
    return _section("lane", "The private lane", facts, _table(columns, rows, class_="keys"))


def _gates(view: View) -> Markup:
    columns = ("State", "Account", "Gate", "What it saw, or why not", "When")
    return _marked("gates", "Gates of the last pass", columns, view)


def _orders(view: View) -> Markup:
    columns = ("State", "Account", "Id", "Order", "Filled", "Kraken's name")
    return _marked("orders", "Open and unsettled orders, also those placed elsewhere", columns, view)


def _push(view: View) -> Markup:
    return _marked("push", "Push: each account's stream", COLUMNS, view)


def _drift(view: View) -> Markup:
    columns = ("Change", "Endpoint", "Field", "Times", "Since")
    return _marked("drift", "Changes in Kraken's replies", columns, view)


def _marked(name: str, title: str, columns: Sequence[str], view: View) -> Markup:
    """A table whose rows begin with a state and its word, and a sentence above it."""
    rows = (
        _row(
            element("td", element("span", GLYPHS[state], class_="glyph", aria_hidden="true"), word,
                    role="cell", class_="kind"),
            *(element("td", each, role="cell") for each in texts),
            state=state,
        )
        for state, word, *texts in view.rows[name]
    )  # fmt: skip
    table = _table(columns, rows, class_="marked", rows=name)
    return _section(name, title, element("p", _cell(f"{name}-count", view, mark=True), class_="sum"), table)


def _charts(cash: str) -> Markup:
    figures = (
        element("figure", element("figcaption", element("strong", title), " ", element("span", told)),
                element("div", class_="chart", data_chart=name, role="img", aria_label=f"{title}: {told}"))
        for name, title, told in (*_CHARTS, ("cash", cash, "last known cash of each account"))
    )  # fmt: skip
    grid = element("div", *figures, class_="charts")
    return _section("charts", "The last 15 minutes", grid, class_="needs-script")


def _assets(names: Sequence[str], view: View) -> Markup:
    tables = (
        element(
            "details",
            element("summary", name),
            _table(("Asset", "Total", "Available", "Held"),
                   (_asset(each) for each in view.rows[f"a-{name}-assets"]),
                   class_="assets", rows=f"a-{name}-assets"),
        )
        for name in names
    )  # fmt: skip
    return _section("assets", "Assets", *tables)


def _events(view: View) -> Markup:
    rows = (
        _row(
            element("td", when, role="cell", class_="time"),
            element("td", element("span", GLYPHS.get(state, ""), class_="glyph", aria_hidden="true"), kind,
                    role="cell", class_="kind"),
            element("td", text, role="cell", class_="text"),
            state=state,
        )
        for when, state, kind, text in view.rows["events"]
    )  # fmt: skip
    return _section("events", "Recent events", _table(("Time", "Kind", "What"), rows, class_="events", rows="events"))


def _section(name: str, title: str, *children: Child, **attributes: str | bool | None) -> Markup:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title", **attributes)


def _table(columns: Iterable[str], body: Iterable[Markup], *, class_: str, rows: str | None = None) -> Markup:
    """A table whose roles are spelled out, because a phone shows it as blocks, which would take its meaning away."""
    head = element("tr", *(element("th", each, scope="col", role="columnheader") for each in columns), role="row")
    return element(
        "table",
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup", data_rows=rows),
        role="table", class_=class_,
    )  # fmt: skip


def _row(*cells: Markup, state: str | None = None) -> Markup:
    return element("tr", *cells, role="row", data_state=state)


def _data(label: str, *children: Child, class_: str | None = None) -> Markup:
    return element("td", *children, role="cell", class_=class_, data_label=label)


def _asset(row: Sequence[str]) -> Markup:
    name, *amounts = row
    cells = (element("td", each, role="cell", class_="number") for each in amounts)
    return _row(element("th", name, scope="row", role="rowheader"), *cells)


def _cell(name: str, view: View, *, mark: bool = False, old: bool = False) -> Markup:
    """One cell. With `mark` a sign precedes its text, so that its state does not depend on colour alone."""
    cell = view.cells[name]
    glyph = element("span", GLYPHS[cell.state], class_="glyph", aria_hidden="true") if mark else None
    return element(
        "span",
        glyph,
        element("span", _text(cell, old=old), class_="text"),
        class_="cell", data_cell=name, data_state=cell.state, data_old=old,
        data_age=_number(cell.age), data_due=_number(cell.due),
    )  # fmt: skip


def _meter(name: str, view: View, label: str) -> Markup:
    cell = view.cells[name]
    bar = element("meter", min="0", max="1", low="0.1", high="0.3", optimum="1", value=_number(cell.part),
                  aria_label=label)  # fmt: skip
    return fragment(bar, " ", _cell(name, view))


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _text(cell: Cell, *, old: bool) -> str:
    if cell.age is not None:
        return " ".join(filter(None, (cell.text, span(cell.age), "old" if old else "")))
    if cell.due is not None:
        return f"in {span(cell.due)}" if cell.due >= 1 else "now"
    return cell.text


def span(seconds: float) -> str:
    """A span of time as the page writes it; `dashboard.js` writes the same."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
