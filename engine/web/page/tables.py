"""The tables of the page: their columns, and their rows as HTML. `static/page.js` makes the same of later rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.web.page.cell import GLYPHS, Age, Cell, Due, Link, Moment, Number, Piece, Row, Strong, Worth, words
from engine.web.page.html import Markup, element, fragment


@dataclass(frozen=True, slots=True)
class Column:
    """`class_`: how it looks. `heads`: its cell names the row. `marked`: a sign shows the state of the cell."""

    title: str
    class_: str | None = None
    heads: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`class_`: ``cards`` makes one card of each row on a phone."""

    columns: tuple[Column, ...]
    class_: str = "cards"


def accounts_table(cash: str, *, acts: bool) -> Table:
    """The accounts; `cash` names what counts as cash."""
    actions = (Column("Actions", "actions"),) if acts else ()
    return Table((
        Column("Account", heads=True), Column("Status", "standing", marked=True), Column("Total", "number"),
        Column(cash, "number"), Column("Available", "number"), Column("Held", "number"),
        Column("Balance age", "number"), Column("24 h change", "number"), *actions,
    ), "cards accounts")  # fmt: skip


def orders_table(*, acts: bool) -> Table:
    """The open orders."""
    return Table((
        Column("Account", heads=True), Column("Placed here as", "id", marked=True), Column("Pair"),
        Column("Side"), Column("Volume", "number"), Column("Type"), Column("Price", "number"),
        Column("Filled", "number"), Column("Age", "number"), Column("From the price", "number"),
        Column("Kraken's name", "id"), *((Column("Actions", "actions"),) if acts else ()),
    ), "cards orders")  # fmt: skip


def unknown_table(*, acts: bool) -> Table:
    """The orders that are not settled."""
    return Table((
        Column("Account", heads=True), Column("Placed here as", "id"), Column("State", marked=True),
        Column("Since"), Column("Order"), Column("What is being done", "text"),
        *((Column("Actions", "actions"),) if acts else ()),
    ), "cards unknown")  # fmt: skip


KEYS = Table((
    Column("Account", heads=True), Column("Kraken takes its key", marked=True), Column("Call counter"),
    Column("Nonces", "number"), Column("Nonce lead"),
), "cards keys")  # fmt: skip
GATES = Table((Column("State", marked=True), Column("Gate", heads=True), Column("What it saw, or why not", "text")))
ASSETS = Table((
    Column("Asset", heads=True), Column("Total", "number"), Column("Available", "number"), Column("Held", "number"),
), "assets")  # fmt: skip
DRIFT = Table((
    Column("Change", marked=True), Column("Endpoint"), Column("Field", heads=True), Column("Times", "number"),
    Column("Since"),
))  # fmt: skip
PUSH = Table((
    Column("Account", heads=True), Column("Stream", marked=True), Column("Since"), Column("Frames", "number"),
    Column("Gaps", "number"), Column("Connections", "number"), Column("Why not", "text"),
))  # fmt: skip
LANES = Table((
    Column("Lane", heads=True), Column("Owner", marked=True), Column("Epoch", "number"), Column("Its lease ends"),
    Column("State", "text"), Column("Accounts", "text"), Column("Wanted at"), Column("Taken by this node", "text"),
    Column("Its gateway"),
), "cards lanes")  # fmt: skip
EVENTS = Table((
    Column("Time", "time"), Column("Kind", "kind", marked=True), Column("Account"), Column("What", "text"),
), "cards events")  # fmt: skip


def table(shape: Table, rows: Sequence[Row], name: str, currency: str) -> Markup:
    """A table whose roles are spelled out, because a phone shows it as blocks, which would take its meaning away."""
    head = element("tr", *map(_head, shape.columns), role="row")
    body = (_row(shape, each, currency) for each in rows)
    return element(
        "table",
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup", data_rows=name),
        role="table", class_=shape.class_, aria_labelledby=f"{name}-title",
    )  # fmt: skip


def content(cell: Cell, currency: str, *, marked: bool = False) -> Markup:
    """A cell's pieces, with the sign of its state before them where the column is marked."""
    glyph = element("span", GLYPHS[cell.state], class_="glyph", aria_hidden="true") if marked else None
    text = element("span", *(piece(each, currency) for each in cell.pieces), class_="text")
    return fragment(glyph, text)


def piece(value: Piece, currency: str) -> str:
    """One piece; text stays text."""
    match value:
        case Age():
            hidden = "true" if value.is_silent else None
            return element("span", words(value), data_age=f"{value.seconds:g}", aria_hidden=hidden)
        case Due():
            return element("span", words(value), data_due=f"{value.seconds:g}")
        case Moment():
            title = f"{value.at:%Y-%m-%d %H:%M:%S} UTC"
            return element("time", words(value), datetime=value.at.isoformat(timespec="milliseconds"), title=title)
        case Number():
            return element("data", value.text, value=value.exact, title=value.exact)
        case Worth():
            chosen = value.by_currency[currency]
            text = f"{chosen.text} {currency}"
            return element("data", text, value=chosen.exact, title=f"{chosen.exact} {currency}")
        case Strong():
            return element("strong", value.text)
        case Link():
            return element("a", value.text, href=value.path, class_="act", aria_label=value.label)
    return value


def _head(column: Column) -> Markup:
    return element("th", column.title, scope="col", role="columnheader", class_=column.class_,
                   data_heads=column.heads, data_marked=column.marked)  # fmt: skip


def _row(shape: Table, row: Row, currency: str) -> Markup:
    cells = (_cell(column, each, currency) for column, each in zip(shape.columns, row.cells, strict=False))
    tags = {f"data_{name}": value for name, value in row.tags.items()}
    return element("tr", *cells, role="row", data_state=row.state, data_key=row.key, **tags)


def _cell(column: Column, cell: Cell, currency: str) -> Markup:
    bar = None if cell.part is None else element(
        "meter", min="0", max="1", low="0.1", high="0.3", optimum="1", value=f"{cell.part:g}", aria_label=cell.text
    )  # fmt: skip
    inside = fragment(bar, content(cell, currency, marked=column.marked))
    common = {"class_": column.class_, "data_state": cell.state, "data_label": column.title}
    if column.heads:
        return element("th", inside, scope="row", role="rowheader", **common)
    return element("td", inside, role="cell", **common)
