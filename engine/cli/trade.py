"""`kraken-engine trade`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from engine.app import documents
from engine.app.verbs import Verbs
from engine.cli.engines import an_engine, settle_time
from engine.cli.exits import Exit, exit_code
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, common, pass_options
from engine.cli.orders import sentence
from engine.cli.output import BAD, GOOD, QUIET, console, document, say, table
from engine.cli.table import Cell, Styled
from engine.cli.terminal import Terminal
from engine.errors import EngineError
from engine.rules.gates.gates import describe
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport, GateState
from engine.rules.order.order import SIDES, TYPES, Order
from engine.values.span import span

_STYLES = {GateState.PASSED: GOOD, GateState.DENIED: BAD, GateState.NOT_REACHED: QUIET, GateState.UNKNOWN: BAD}

Told = dict[str, Any]
"""A pass, as `GateReport.to_dict()` gives it."""

FILLED_WITHIN = 3.0  # seconds in which a market order is usually filled, and its trades are listed
_FOLLOWED = ("state", "is_final", "txids", "filled", "cost", "fee", "reason")
KINDS = sorted(TYPES - {"iceberg"})  # that one needs more than is asked for here


@click.command()
@common
@click.argument("account")
@click.option("--pair", required=True, metavar="PAIR", help="The pair, by any of Kraken's names, such as XBTUSD.")
@click.option("--side", required=True, type=click.Choice(SIDES), help="Buy or sell.")
@click.option("--volume", required=True, metavar="AMOUNT", help="How much of the base asset to trade.")
@click.option("--type", "kind", default="market", show_default=True, type=click.Choice(KINDS), help="Its type.")
@click.option("--price", metavar="PRICE", help="The limit, or the trigger.")
@click.option("--price2", metavar="PRICE", help="The limit of an order that has a trigger as well.")
@click.option("--flag", "flags", multiple=True, metavar="FLAG", help="Kraken's order flags, such as post.")
@click.option(
    "--time-in-force", default="GTC", show_default=True, type=click.Choice(["GTC", "IOC", "FOK"]),
    help="How long it may stay open.",
)
@click.option("--reserve", default="0", metavar="AMOUNT", help="How much of the quote asset to keep back. [0]")
@click.option("--max-spread", default="0.5", metavar="PERCENT", help="The widest spread. [0.5]")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long each step may take. {TIMEOUT_DEFAULT}")
@pass_options
def trade(
    options: Options, /, account: str, reserve: str, max_spread: str, timeout: float | None, kind: str, **parts: Any
) -> int:
    """Take one order through the five gates, and say gate by gate what passed, what stopped it, and why.

    \b
    Balance fetch -> Health check -> Capital validation -> Market scan -> Signal execution

    \b
    For example:
      kraken-engine trade MASTER --pair XBTUSD --side buy --volume 0.001
      kraken-engine trade MASTER --pair XBTUSD --side buy --volume 0.001 --type limit --price 30000 --live

    When every gate allows, Kraken checks the order and places nothing (validate). Only with --live it is placed. The
    exit code is 0 when it passed, 1 when a gate or Kraken stopped it, 5 when it may have been placed. While a serve is
    running on the same state directory, the order goes through it.

    With --live, an order of the account whose outcome is still unknown is looked up first, at most for
    order_deadline + settle_margin + 30 seconds, or --timeout; while one is unknown, the gates deny.
    """
    order = Order(type=kind, **parts)
    plan = TradePlan(order=order, reserve=reserve, max_spread=max_spread)
    found = options.load(need_accounts=False)
    with an_engine(options, found, f"{describe(order)} for {account}", account, balances=(account,)) as engine:
        if options.live:
            _settle(engine, account, settle_time(found.settings) if timeout is None else timeout)
        report = _passed(engine, account, plan, timeout=timeout, live=options.live)
        told = report.to_dict()
        placed = _followed(engine, told)
    if options.json:
        document(told)
    else:
        show_report(console(), told)
        if placed is not None:
            click.echo(sentence(placed))
    return _code(report, placed)


def _settle(engine: Verbs, account: str, seconds: float) -> None:
    """Wait until it is known what became of earlier orders, and say what is waited for and what became of it.

    The looks have taken room from the key's call counter, so the balance is waited for as well.
    """
    unknown = documents.unsettled(engine, account=account)
    for each in unknown:
        say(f"Order {each['id']} on {each['pair']} is unknown: it is looked up first, for at most {span(seconds)}.")
    deadline = time.monotonic() + seconds
    for each in unknown:
        left = max(0.0, deadline - time.monotonic())
        say(sentence(documents.order(engine, account=account, name=each["cl_ord_id"], timeout=left)))
    if unknown:
        say("The balance is fetched, as soon as the key's call counter has room after that.")
        engine.balance(account, 0.0, max(0.0, deadline - time.monotonic()))


def _passed(engine: Verbs, account: str, plan: TradePlan, *, timeout: float | None, live: bool) -> GateReport:
    try:
        return documents.trade(engine, account=account, plan=plan, timeout=timeout, live=live)
    except KeyboardInterrupt:
        if live:
            say(f"The pass was interrupted, and its order may have been placed: run kraken-engine orders {account}.")
        raise


def _followed(engine: Verbs, told: Told) -> dict[str, Any] | None:
    """The order that was placed, after a look at what was filled of it; `None` without one."""
    receipt = told["receipt"]
    if receipt is None or not receipt["live"]:
        return None
    name, at_once = receipt["cl_ord_id"], receipt["order"]["type"] == "market"
    try:
        placed = documents.order(
            engine, account=told["account"], name=name, timeout=FILLED_WITHIN, until_over=at_once
        )
    except EngineError as error:  # the order is placed all the same, and the report has its txid
        say(f"What was filled could not be read: {error}")
        return None
    receipt |= {part: placed[part] for part in _FOLLOWED}
    if not placed["is_settled"]:
        say(f"kraken-engine order {told['account']} {name} looks it up, and says what became of it.")
    return placed


def show_report(out: Terminal, told: Told) -> None:
    """Print a pass as a table with one row for each gate; `told` is `GateReport.to_dict()`."""
    word = "live" if told["live"] else "dry run"
    when = told["as_of"][:19].replace("T", " ")
    title = f"{told['account']}, {when} UTC, {word}, {float(told['seconds']):.2f} s"
    out.show(table(title, ("", "Gate", "", "What it saw, or why not"), _rows(told), fold=(3,)))
    out.print(Styled(told["outcome"], GOOD if told["passed"] else BAD))


def _rows(told: Told) -> Iterator[tuple[Cell, ...]]:
    for number, each in enumerate(told["gates"]):
        first, *others = each["reasons"] or [each["seen"]]
        state = Styled(each["state"], _STYLES[GateState(each["state"])])
        yield ("→" if number else "", each["gate"], state, first)
        yield from (("", "", "", other) for other in others)


def _code(report: GateReport, placed: dict[str, Any] | None) -> Exit:
    """The code of the pass, unless a look at its order has found out more."""
    if report.passed or (placed is not None and placed["txids"]):
        return Exit.DONE
    if placed is not None and placed["is_settled"]:
        return Exit.NOT_SENT
    return exit_code(report.error) if report.error else Exit.REFUSED
