"""`kraken-engine pause-trading` and `resume-trading`."""

from __future__ import annotations

import click

from engine.app import documents
from engine.cli.engines import an_engine
from engine.cli.exits import Exit
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, common, pass_options
from engine.cli.output import document

_TIMEOUT = click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long to wait. {TIMEOUT_DEFAULT}")


@click.command()
@common
@click.argument("account")
@_TIMEOUT
@pass_options
def pause_trading(options: Options, account: str, timeout: float | None) -> int:
    """Let no order of ACCOUNT go out until resume-trading, also after a restart.

    Whatever would place or change an order is kept back: plans, calls and the gateway. Open orders stay open, and
    cancels go on. Without a running serve it holds for the next engine on the state directory.
    """
    found = options.load(need_accounts=False)
    with an_engine(options, found, f"Pause {account}", account) as engine:
        told = documents.pause_trading(engine, account=account, timeout=timeout)
    if options.json:
        document(told)
    else:
        click.echo(f"Trading of {account} is paused since {told['paused_since']}. Open orders stay open.")
    return Exit.DONE


@click.command()
@common
@click.argument("account")
@_TIMEOUT
@pass_options
def resume_trading(options: Options, account: str, timeout: float | None) -> int:
    """Let the orders of ACCOUNT go out again after pause-trading. (resume is about a key that Kraken refused.)"""
    found = options.load(need_accounts=False)
    with an_engine(options, found, f"Resume the trading of {account}", account) as engine:
        told = documents.resume_trading(engine, account=account, timeout=timeout)
    if options.json:
        document(told)
    else:
        click.echo(f"Trading of {account} is not paused.")
    return Exit.DONE
