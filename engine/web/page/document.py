"""The dashboard's page as a document, readable before any script runs. Everything on it comes from a `View`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.app.status import EngineStatus
from engine.rules.balance.valuation import CURRENCIES
from engine.version import __version__
from engine.web.page import tables
from engine.web.page.accounts import cash_title
from engine.web.page.html import Child, Markup, element
from engine.web.page.lane import CLASSES
from engine.web.page.mode import mode_of
from engine.web.page.tables import Table
from engine.web.page.view import View

_CHARTS = (
    ("latency", "Call latency", "milliseconds under way: mean and worst of each second"),
    ("queue", "Queue depth", "private calls that wait"),
    ("errors", "Errors", "private calls not done, each second"),
)
_SPANS = (("1", "Day"), ("7", "Week"), ("31", "Month"))
MANY = 30  # accounts with which tables are scrolled by themselves, and what says nothing is left out
_NOBODY = (
    "No account is configured: give the keys in the environment or with --config FILE (kraken-engine help first-hour), "
    "or call Engine.add_account."
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: in which currency totals are shown, and whether actions are offered, or a way to log in for them."""

    currency: str = "USD"
    may_act: bool = False
    may_log_in: bool = False


def page(status: EngineStatus, view: View, viewer: Viewer = Viewer()) -> str:
    """The document. Every text is escaped by `element`."""
    names = [each.account for each in status.accounts]
    parts = _Parts(view, viewer)
    body = element(
        "body",
        element("a", "Skip to the accounts", class_="skip", href="#accounts"),
        element("p", id="connection", role="alert", hidden=True),
        _header(status, viewer),
        element(
            "main",
            _headline(parts),
            _accounts(status, parts),
            parts.section("orders", "Open orders", parts.sum("orders-sum"),
                          parts.table("orders", tables.orders_table(acts=viewer.may_act))),
            parts.section("unknown", "Unknown orders", parts.sum("unknown-sum"),
                          parts.table("unknown", tables.unknown_table(acts=viewer.may_act))),
            parts.section("lanes", "The lanes of the cluster", parts.sum("lanes-sum"),
                          parts.table("lanes", tables.LANES)) if view.rows["lanes"] else None,
            _lane(parts),
            _gates(names, parts) if names else None,
            _charts(status),
            _assets(names, parts) if names else None,
            _push(parts) if view.rows["push"] else None,
            parts.section("drift", "Changes in Kraken's replies", parts.sum("drift-sum"),
                          parts.table("drift", tables.DRIFT)),
            _events(names, parts),
        ),
        element("footer", f"kraken-engine {__version__} · ",
                element("span", "times are UTC", id="clock")),
        data_shape=view.shape, data_mode=mode_of(status).name, data_currency=viewer.currency, data_state=view.state,
    )  # fmt: skip
    return document(view.title, view.state, body)


def document(title: str, state: str, body: Markup, *, live: bool = True) -> str:
    """A whole page of the service. Only a `live` one is kept up to date."""
    scripts = (
        element("script", src="/static/uPlot.iife.min.js", defer=True),
        element("script", src="/static/page.js", type="module"),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", id="icon", href=f"/static/icon-{state}.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/uPlot.min.css") if live else None,
        element("link", rel="stylesheet", href="/static/page.css"),
        element("noscript", element("meta", http_equiv="refresh", content="5")) if live else None,
        *(scripts if live else ()),
    )
    return f"<!doctype html>{element('html', head, body, lang='en')}"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What several sections are made of."""

    view: View
    viewer: Viewer

    def cell(self, name: str, *, mark: bool = False) -> Markup:
        """One cell that later messages change. With `mark` a sign precedes it."""
        found = self.view.cells[name]
        inside = tables.content(found, self.viewer.currency, marked=mark)
        return element("span", inside, class_="cell", data_cell=name, data_state=found.state)

    def sum(self, name: str) -> Markup:
        """One sentence above a table."""
        return element("p", self.cell(name, mark=True), class_="sum")

    def table(self, name: str, shape: Table) -> Markup:
        """A table that later messages change; one that is wider than the screen is scrolled by itself."""
        made = tables.table(shape, self.view.rows[name], name, self.viewer.currency)
        class_ = "scroll many" if name != "events" and len(self.view.rows[name]) > MANY else "scroll"
        return element("div", made, class_=class_, tabindex="0", role="group", aria_labelledby=f"{name}-title")

    def section(self, name: str, title: str, *children: Child, **attributes: str | bool | None) -> Markup:
        """A section with its heading."""
        heading = element("h2", title, id=f"{name}-title")
        return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title", **attributes)


def _header(status: EngineStatus, viewer: Viewer) -> Markup:
    mode = mode_of(status)
    options = (element("option", each, value=each, selected=each == viewer.currency) for each in CURRENCIES)
    currency = element(
        "form",
        element("label", "Totals in ", element("select", *options, name="currency", id="currency")),
        element("button", "Show", type="submit"),
        method="get", action="/", id="choose",
    )  # fmt: skip
    alarms = element(
        "span",
        element("button", "Sound", type="button", id="sound", aria_pressed="false",
                title="A sound when the headline turns bad"),
        element("button", "Notify", type="button", id="notify", aria_pressed="false",
                title="A notification of the browser when the headline turns bad"),
        class_="alarms needs-script",
    )  # fmt: skip
    return element(
        "header",
        element("p", "kraken-engine", class_="brand"),
        element("p", mode.sentence, class_="badge"),
        element("p", f"{status.url} · process {status.pid}", class_="where"),
        currency,
        element("a", "Log in to act", href="/act") if viewer.may_log_in else None,
        alarms,
        element("p", "renewed every 5 seconds", id="link", class_="link", data_link="static"),
    )


def _headline(parts: _Parts) -> Markup:
    return element(
        "section",
        element("h1", element("span", parts.cell("headline", mark=True), role="status")),
        element("p", parts.cell("consequence")),
        class_="headline", data_follows="headline", data_state=parts.view.state, aria_label="Headline",
    )  # fmt: skip


def _accounts(status: EngineStatus, parts: _Parts) -> Markup:
    if not status.accounts:
        nobody = None if parts.view.rows["lanes"] else element("p", _NOBODY)
        return parts.section("accounts", "Accounts", nobody, tabindex="-1")
    shape = tables.accounts_table(cash_title(status), acts=parts.viewer.may_act)
    return parts.section("accounts", "Accounts", parts.table("accounts", shape), tabindex="-1")


def _lane(parts: _Parts) -> Markup:
    waiting = (
        element("div", element("dt", f"Waiting: {name}s"), element("dd", parts.cell(f"waiting-{name}")))
        for name in CLASSES
    )
    facts = element(
        "dl",
        element("div", element("dt", "Under way"), element("dd", parts.cell("under-way")), class_="wide"),
        *waiting,
        element("div", element("dt", "Hung calls cut"), element("dd", parts.cell("cuts"))),
        element("div", element("dt", "This clock"), element("dd", parts.cell("skew")), class_="wide"),
        class_="facts",
    )
    keys = element("div", element("h3", "Keys and counters", id="keys-title"), parts.table("keys", tables.KEYS))
    if not parts.view.rows["keys"]:
        return parts.section("lane", "The private lane", facts)
    return parts.section("lane", "The private lane", facts, keys)


def _gates(names: Sequence[str], parts: _Parts) -> Markup:
    folded = (
        element(
            "details",
            element("summary", parts.cell(f"gates-{name}", mark=True), id=f"gates-{name}-title"),
            parts.table(f"gates-{name}", tables.GATES),
            open=parts.view.cells[f"gates-{name}"].state == "warn", data_opens=f"gates-{name}",
        )
        for name in names
    )
    left_out = element("p", "Accounts without a pass are left out.", class_="told") if len(names) > MANY else None
    class_ = "many" if len(names) > MANY else None
    return parts.section("gates", "Gates of the last pass", left_out, *folded, class_=class_)


def _charts(status: EngineStatus) -> Markup:
    cash = cash_title(status)
    buttons = (
        element("button", title, type="button", data_days=days, aria_pressed="true" if days == "1" else "false")
        for days, title in _SPANS
    )
    balance = element(
        "figure",
        element("figcaption", element("strong", cash), " ",
                element("span", "of each account; outages are shaded, orders and fills are marked"), " ",
                element("span", *buttons, class_="spans", role="group", aria_label="Time span")),
        element("div", class_="chart", data_chart="balance", role="img", aria_label=f"{cash} over time"),
        element("p", id="balance-told", class_="told"),
        class_="wide",
    )  # fmt: skip
    figures = (
        element("figure", element("figcaption", element("strong", title), " ", element("span", told)),
                element("div", class_="chart", data_chart=name, role="img", aria_label=f"{title}: {told}"))
        for name, title, told in _CHARTS
    )  # fmt: skip
    heading = element("h2", "Charts", id="charts-title")
    grid = element("div", balance, *figures, class_="charts")
    return element("section", heading, grid, id="charts", aria_labelledby="charts-title", class_="needs-script")


def _assets(names: Sequence[str], parts: _Parts) -> Markup:
    folded = (
        element("details", element("summary", name, id=f"assets-{name}-title"),
                parts.table(f"assets-{name}", tables.ASSETS))
        for name in names
    )  # fmt: skip
    if len(names) <= MANY:
        return parts.section("assets", "Assets", *folded)
    return parts.section("assets", "Assets", element("details", element("summary", f"{len(names)} accounts"), *folded))


def _push(parts: _Parts) -> Markup:
    return parts.section("push", "Push: each account's stream", parts.sum("push-sum"), parts.table("push", tables.PUSH))


def _events(names: Sequence[str], parts: _Parts) -> Markup:
    accounts = (element("option", name, value=name) for name in names)
    chosen = element(
        "form",
        element("label", "Account ", element("select", element("option", "all", value=""), *accounts, name="account")),
        element("label", "Kind ", element("select", element("option", "all", value=""), name="kind")),
        element("label", "Search ", element("input", type="search", name="search")),
        element("span", id="events-told", role="status"),
        class_="filter needs-script", id="filter", role="search", aria_label="Filter the events",
    )  # fmt: skip
    download = element("p", element("a", "Download the log", href="/api/log", download="kraken-engine.log"))
    return parts.section("events", "Events", chosen, parts.table("events", tables.EVENTS), download)
