"""The terminal's view of an engine: is the money safe, can the bot trade, and if not: since when, and why.

Pure: it draws values. It fits 80 columns: names are shortened, amounts never are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal

from rich.console import Group, JustifyMethod, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.actors.lane.report import KeyReport
from engine.app.status import EngineStatus
from engine.cli.output import BAD, GOOD, QUIET, seconds_in_words
from engine.rules.balance.cash import in_words
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.rules.gates.report import GateReport
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderState
from engine.values.dataclass import dataclass
from engine.web.page.absent import Absent
from engine.web.page.cell import GLYPHS
from engine.web.page.headline import headline
from engine.web.page.seen import LoggedEvent

ORDERS_AT_MOST = 12
WARNINGS_AT_MOST = 4
NAME_AT_MOST = 16  # characters
WARN = "yellow"
_KEPT = "Kept free: points of the call counter that no read takes, for cancels and for looking up orders."
_HEADLINE = {"good": f"bold {GOOD}", "warn": WARN, "bad": BAD}
_EVENTS = {"good": GOOD, "warn": WARN, "bad": BAD}
_STYLES = {BalanceState.FRESH: GOOD, BalanceState.STALE: WARN, BalanceState.UNKNOWN: BAD}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is drawn."""

    status: EngineStatus
    orders: Sequence[OrderReceipt] = ()
    """Our open and unknown orders, as far as they are known here."""
    reserved: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    """What unknown orders may take, by account and asset."""
    events: Sequence[LoggedEvent] = ()
    """The newest first."""
    absent: Absent | None = None
    """What to say of accounts of the cluster of which nothing is known."""


def screen(seen: Seen) -> RenderableType:
    """All of it, the most important first."""
    status = seen.status
    parts = [_headline(seen), _accounts(status), *_orders(seen), *_gates(status), _lane(status)]
    return Group(*parts, *_warnings(status), *_events(seen))


def _headline(seen: Seen) -> RenderableType:
    """What the dashboard says at its top."""
    status = seen.status
    told = headline(status, seen.orders, absent=seen.absent)
    text = Text(f"{GLYPHS[told.state]} {told.sentence.text}\n{told.consequence.text}", style=_HEADLINE[told.state])
    mode = "live: it may trade" if status.live else "dry run: nothing can trade"
    return Panel(text, title=f"kraken-engine · {status.url} · {mode}", title_align="left")


def _accounts(status: EngineStatus) -> RenderableType:
    counted = next((each.cash_assets for each in status.accounts), ())
    columns = ("", "Account", f"Cash {in_words(counted)}", "Available", "Held", "Age")
    made = _table(columns, [_account(each) for each in status.accounts], right=(2, 3, 4, 5))
    return Group(made, *_reasons(status.accounts))


def _account(each: BalanceSnapshot) -> Sequence[str | Text]:
    held = None if each.cash is None or each.available_cash is None else each.cash - each.available_cash
    age = Text("never" if each.age is None else seconds_in_words(each.age), _STYLES[each.state])
    mark = Text("✓", style=GOOD) if each.is_available else Text("✕", style=BAD)
    return mark, each.account, amount(each.cash), amount(each.available_cash), amount(held), age


def _reasons(snapshots: Sequence[BalanceSnapshot]) -> Iterator[RenderableType]:
    for each in snapshots:
        if each.last_error and not (each.is_available and not each.error_count):
            errors = f" ({each.error_count} in a row)" if each.error_count > 1 else ""
            yield Text(f"  {each.account}: {each.last_error}{errors}", style=BAD if not each.is_available else WARN)


def _orders(seen: Seen) -> Iterator[RenderableType]:
    found = sorted(seen.orders, key=lambda each: each.state is not OrderState.UNKNOWN)
    for account, amounts in seen.reserved.items():
        for asset, held in amounts.items():
            told = f"! {account}: what became of an order is not known; it may take {amount(held)} {asset}"
            yield Text(told, style=BAD)
    if not found:
        return
    columns = ("Account", "Order", "", "Volume", "Price", "Filled", "State")
    yield _table(columns, [_order(each) for each in found[:ORDERS_AT_MOST]], right=(3, 4, 5))
    if len(found) > ORDERS_AT_MOST:
        yield Text(f"and {len(found) - ORDERS_AT_MOST} more: kraken-engine orders lists them", style=QUIET)


def _order(receipt: OrderReceipt) -> Sequence[str | Text]:
    order = receipt.sent or receipt.order
    state = Text(receipt.state.value, style=BAD if receipt.state is OrderState.UNKNOWN else "")
    what = f"{order.side} {order.pair}"
    return receipt.account, _short(receipt.id), what, amount(order.volume), _price(order), amount(receipt.filled), state


def _gates(status: EngineStatus) -> Iterator[RenderableType]:
    """One line for each account that went through its gates: what stopped it, or that nothing did."""
    for account, report in status.passes.items():
        yield _gate_line(account, report)


def _gate_line(account: str, report: GateReport) -> Text:
    at = f"{report.as_of:%H:%M:%S} UTC"
    if report.passed:
        return Text(f"✓ {account} passed its gates at {at}: {report.outcome}", style=GOOD)
    return Text(f"! {account} at {at}: {report.outcome} {' '.join(report.reasons)}".rstrip(), style=WARN)


def _lane(status: EngineStatus) -> RenderableType:
    waiting = ", ".join(f"{number} {name}" for name, number in status.waiting.items() if number) or "nothing"
    under_way = " ".join(status.under_way or ("nothing",))
    facts = Text.assemble(("Under way: ", QUIET), under_way, ("   Waiting: ", QUIET), waiting)
    keys = status.lane.keys if status.lane else {}
    columns = ("Account", "Key", "Counter", "For reads", "Kept free", "Nonces", "Nonce lead")
    made = _table(columns, [_key(status, name, key) for name, key in keys.items()], right=(2, 3, 4, 5, 6))
    return Group(facts, made, *([Text(_KEPT, style=QUIET)] if any(key.kept for key in keys.values()) else []))


def _key(status: EngineStatus, name: str, key: KeyReport) -> Sequence[str | Text]:
    state = status.keys[name].state if name in status.keys else "open"
    told = Text("✓ accepted", style=GOOD) if state == "open" else Text(f"✕ {state}", style=BAD)
    lead = seconds_in_words(key.lead) if key.lead else "none"
    counter = f"{key.level:.0f} of {key.limit:g}"
    return name, told, counter, f"{key.left:.0f}", f"{key.kept:g}", f"{key.nonces:,}", lead


def _warnings(status: EngineStatus) -> Iterator[RenderableType]:
    for each in status.warnings[-WARNINGS_AT_MOST:]:
        yield Text(f"! {each.message}", style=WARN)


def _events(seen: Seen) -> Iterator[RenderableType]:
    for each in seen.events:
        times = f" ({each.times} times)" if each.times > 1 else ""
        told = (each.text + times, _EVENTS.get(each.state, ""))
        yield Text.assemble((f"{each.at:%H:%M:%S} ", QUIET), told, no_wrap=True, overflow="ellipsis")


def amount(value: Decimal | None) -> str:
    """All digits of an amount in groups of three, without the zeros at its end."""
    if value is None:
        return "unknown"
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{'-' if text.startswith('-') else ''}{abs(int(whole)):,}" + (f".{fraction}" if fraction else "")


def _price(order: Order) -> str:
    if order.price is None:
        return "market"
    return order.price if isinstance(order.price, str) else amount(order.price)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Sequence[int] = ()) -> Table:
    """A table in which nothing is cut; the columns in `right` are numbers."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    needed = sum(widths) + len(widths) - 1  # rich would leave out whole columns where the terminal has less
    made = Table(box=None, header_style=QUIET, pad_edge=False, padding=(0, 1, 0, 0), width=needed)
    for number, column in enumerate(columns):
        justify: JustifyMethod = "right" if number in right else "left"
        made.add_column(column, justify=justify, no_wrap=True, min_width=widths[number])
    for row in rows:
        made.add_row(*row)
    return made


def _short(name: str) -> str:
    """A name that leaves room for the amounts beside it."""
    return name if len(name) <= NAME_AT_MOST else f"{name[: NAME_AT_MOST - 1]}…"
