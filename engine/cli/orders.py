"""`kraken-engine orders`, `order` and `cancel`: an account's orders at Kraken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from engine.app import documents
from engine.cli.engines import all_accounts, an_engine, settle_time
from engine.cli.exits import Exit, exit_code, failure
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, common, pass_options
from engine.cli.output import BAD, GOOD, QUIET, console, document, say, table
from engine.cli.table import Cell, Styled
from engine.errors import EngineError

Told = Mapping[str, Any]
"""One order, as `engine.app.documents` tells it."""

_COLUMNS = ("Account", "Id", "Kraken's txid", "Pair", "Side", "Type", "Volume", "Price", "Filled", "State")
_NOT_OURS = "(not ours)"
_STYLES = {"unknown": BAD, "placed": GOOD}


@click.command()
@common
@click.argument("account", required=False)
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long each call may take. {TIMEOUT_DEFAULT}")
@pass_options
def orders(options: Options, account: str | None, timeout: float | None) -> int:
    """List the open orders at Kraken of ACCOUNT, or of every account.

    Orders that were placed with this state directory are listed with their ids, also those whose outcome is unknown.
    Orders that somebody else placed, by hand or with another program, are marked as not ours.

    Works through a running serve, and without one.
    """
    found = options.load(need_accounts=False)
    code = Exit.DONE
    told: list[dict[str, Any]] = []
    with an_engine(options, found, "Open orders", account) as engine:
        names = [account] if account is not None else all_accounts(engine, found)
        for name in names:
            try:
                told.append({"account": name, "orders": documents.open_orders(engine, account=name, timeout=timeout)})
            except EngineError as error:
                if account is not None:
                    raise
                say(f"{name}: {error}")
                code = exit_code(error)
                told.append({"account": name, "orders": None, **failure(error, str(error))})
    if options.json:
        document({"accounts": told})
    else:
        known = [each for each in told if each["orders"] is not None]
        _show([each for account in known for each in account["orders"]], [each["account"] for each in known])
    return code


@click.command()
@common
@click.argument("account")
@click.argument("name", metavar="ID|TXID")
@click.option("--timeout", type=SECONDS, metavar="SECONDS",
              help="How long to wait for an unknown outcome. [order_deadline + settle_margin + 30]")  # fmt: skip
@pass_options
def order(options: Options, account: str, name: str, timeout: float | None) -> int:
    """Say what became of one order of ACCOUNT, after a look at Kraken.

    The order is named by the id that it was placed with, or by Kraken's txid. One whose outcome is unknown, because
    its reply was lost, is looked up until it is known: that nothing was placed is certain only when Kraken can no
    longer take the order, by default 70 seconds after the first look.

    The exit code is 0 when it is known what became of the order, and 5 while it is not.
    """
    found = options.load(need_accounts=False)
    seconds = settle_time(found.settings) if timeout is None else timeout
    with an_engine(options, found, f"Order {name} of {account}", account) as engine:
        told = documents.order(engine, account=account, name=name, timeout=seconds)
    if not told["is_settled"]:
        say("It is not known yet whether Kraken has this order: do not place it again, and run the same command later.")
    return _end(options, told, is_done=told["is_settled"])


@click.command()
@common
@click.argument("account")
@click.argument("name", metavar="[ID|TXID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Cancel every open order of the account.")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long it may take. {TIMEOUT_DEFAULT}")
@pass_options
def cancel(options: Options, account: str, name: str | None, everything: bool, timeout: float | None) -> int:
    """Cancel one order of ACCOUNT, named by its id or by Kraken's txid, or with --all every open order.

    Orders that somebody else placed are canceled too. Needs no --live. A cancel may be sent again without harm.

    The exit code is 0 when the order is over, or every order is canceled; 5 when that is not certain: run it again.
    """
    if (name is None) == (not everything):
        raise click.UsageError("Name one order by its id or txid, or give --all.")
    found = options.load(need_accounts=False)
    with an_engine(options, found, f"Cancel {name or 'all orders'} of {account}", account) as engine, _interruptible():
        seconds = found.settings.call_timeout if timeout is None else timeout
        if name is not None:
            told = documents.cancel(engine, account=account, name=name, timeout=seconds)
            return _end(options, told, is_done=told["is_over"])
        told = documents.cancel_all(engine, account=account, timeout=seconds)
    if options.json:
        document(told)
    else:
        click.echo(f"{told['count']} {'order' if told['count'] == 1 else 'orders'} of {account} canceled.")
    return Exit.DONE


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """After Ctrl-C it is said that an order may still be open."""
    try:
        yield
    except KeyboardInterrupt:
        say("The cancel was interrupted, and an order may still be open: run the same command again.")
        raise


def sentence(told: Told) -> str:
    """What is known of an order, for a person."""
    name = told["id"] if told["is_ours"] else _NOT_OURS
    where = ", ".join(told["txids"]) or "no txid"
    asked = " ".join(str(told[part]) for part in ("side", "volume", "pair", "type", "price") if told[part])
    filled = f"filled {told['filled'] or 'unknown'}" + ("" if told["is_final"] or not told["is_over"] else " so far")
    if told["average_price"]:
        filled += f" at {told['average_price']}, cost {told['cost']}, fee {told['fee']}"
    why = f" {told['reason']}" if told["reason"] else ""
    return f"{name}: {told['state']}, {where}; {asked}; {filled}.{why}"


def _end(options: Options, told: Told, *, is_done: bool) -> int:
    if told.get("note"):
        say(told["note"])
    if options.json:
        document(told)
    else:
        click.echo(sentence(told))
    return Exit.DONE if is_done else Exit.UNKNOWN


def _show(told: Sequence[Told], accounts: Sequence[str]) -> None:
    if not told:
        if accounts:
            click.echo(f"No open order: {', '.join(accounts)}.")
        return
    out, made = console(), table("Open orders", _COLUMNS, map(_cells, told), right=(6, 7, 8))
    if made.needed_width <= out.width:
        out.show(made)
        return
    out.print(Styled("Open orders", "bold"))
    for each in told:
        out.print(*_lines(_cells(each)))


def _lines(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """One order for a terminal in which a line of the table has no room."""
    account, name, txid, pair, side, kind, volume, price, filled, state = cells
    at = "" if str(price) == "-" else f" at {price}"
    what = f"\n  {side} {kind} {volume} {pair}{at}, filled {filled}\n  {txid}"
    return account, "  ", name, "  ", state, what


def _cells(each: Told) -> tuple[Cell, ...]:
    price = "/".join(each[part] for part in ("price", "price2") if each[part])
    name = each["id"] if each["is_ours"] else Styled(_NOT_OURS, QUIET)
    return (
        each["account"], name, each["txid"] or "-",
        each["pair"] or "-", each["side"] or "-", each["type"] or "-", each["volume"] or "-", price or "-",
        each["filled"] or "-", Styled(each["state"], _STYLES.get(each["state"], "")),
    )  # fmt: skip
