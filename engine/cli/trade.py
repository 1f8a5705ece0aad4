"""`kraken-engine trade`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from engine.cli.exits import Exit, exit_code
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, account_named, common, pass_options
from engine.cli.output import BAD, GOOD, QUIET, console, document, say, show, table, waiting
from engine.cli.served import ServedEngine, raised, served_engine
from engine.cli.words import as_options
from engine.config import Config
from engine.rules.gates.gates import describe
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateState
from engine.rules.order.order import SIDES, TYPES, Order

_STYLES = {GateState.PASSED: GOOD, GateState.DENIED: BAD, GateState.NOT_REACHED: QUIET, GateState.UNKNOWN: BAD}

Told = Mapping[str, Any]
"""A pass, as `GateReport.to_dict()` gives it."""

STEPS, PLACE_TIMEOUT = 3, 45.0  # waits for Kraken before the order, and what the rest may take, in seconds
KINDS = sorted(TYPES - {"iceberg"})  # that one needs more than is asked for here


@click.command()
@common
@click.argument("account")
@click.option("--pair", required=True, metavar="PAIR", help="The pair, by any of Kraken's names, such as XBTUSD.")
@click.option("--side", required=True, type=click.Choice(SIDES), help="Buy or sell.")
@click.option("--volume", required=True, metavar="AMOUNT", help="How much of the base asset.")
@click.option("--type", "kind", default="market", show_default=True, type=click.Choice(KINDS), help="Its type.")
@click.option("--price", metavar="PRICE", help="The limit, or the trigger.")
@click.option("--price2", metavar="PRICE", help="The limit of an order that has a trigger as well.")
@click.option("--flag", "flags", multiple=True, metavar="FLAG", help="Kraken's order flags, such as post.")
@click.option(
    "--time-in-force", default="GTC", show_default=True, type=click.Choice(["GTC", "IOC", "FOK"]),
    help="How long it may rest.",
)
@click.option("--reserve", default="0", metavar="AMOUNT", help="What is kept back of the quote asset. [0]")
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
    """
    order, limits = Order(type=kind, **parts), {"reserve": reserve, "max_spread": max_spread}
    found = options.load(need_accounts=False)
    service = served_engine(found.state_dir)
    if service is None:
        told = _here(options, account, order, limits, timeout)
    else:
        with waiting(f"{describe(order)} for {account}, through the running service"):
            told = _through(service, found, account, order, limits, timeout=timeout, live=options.live)
    if options.json:
        document(told)
    else:
        show_report(console(), told)
    return _code(told)


def _here(options: Options, account: str, order: Order, limits: Any, timeout: float | None) -> Told:
    plan = TradePlan(order=order, **limits)
    found = options.load()
    engine = options.engine(found, account_named(found, account))
    try:
        with engine, waiting(f"{describe(order)} for {account}"):
            return engine.gates(account, plan, dry=not options.live, timeout=timeout).to_dict()
    except KeyboardInterrupt:
        if options.live:
            say("The pass was interrupted: its order may have been placed; look it up.")
        raise
    finally:
        for warning in engine.status().warnings:
            say(f"warning: {warning.message}")


def _through(
    service: ServedEngine, found: Config, account: str, order: Order, limits: Any, *,
    timeout: float | None, live: bool,
) -> Told:  # fmt: skip
    asked = {"account": account, "order": order.to_dict(), **limits, "timeout": timeout, "live": live}
    seconds = found.settings.call_timeout if timeout is None else timeout
    told: Told = service.ask("trade", asked, timeout=STEPS * seconds + PLACE_TIMEOUT, writes=live)
    return told


def show_report(out: Console, told: Told) -> None:
    """Print a pass as a table that reads like the flow; `told` is `GateReport.to_dict()`."""
    word = "live" if told["live"] else "dry run"
    when = told["as_of"][:19].replace("T", " ")
    title = f"{told['account']}, {when} UTC, {word}, {float(told['seconds']):.2f} s"
    show(out, table(title, ("", "Gate", "", "What it saw, or why not"), _rows(told), fold=(3,)))
    out.print(Text(as_options(told["outcome"]), style=GOOD if told["passed"] else BAD))


def _rows(told: Told) -> Iterator[tuple[str | Text, ...]]:
    for number, each in enumerate(told["gates"]):
        first, *others = each["reasons"] or [each["seen"]]
        state = Text(each["state"], style=_STYLES[GateState(each["state"])])
        yield ("→" if number else "", each["gate"], state, as_options(first))
        yield from (("", "", "", as_options(other)) for other in others)


def _code(told: Told) -> Exit:
    if told["passed"]:
        return Exit.DONE
    return exit_code(raised(told["error"])) if told["error"] else Exit.REFUSED
