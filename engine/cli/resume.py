"""`kraken-engine resume`."""

from __future__ import annotations

import click

from engine.app import documents
from engine.cli.engines import an_engine
from engine.cli.exits import Exit
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, common, pass_options
from engine.cli.output import document


@click.command()
@common
@click.argument("account")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long to wait. {TIMEOUT_DEFAULT}")
@pass_options
def resume(options: Options, account: str, timeout: float | None) -> int:
    """Say that the key of ACCOUNT is fixed: its calls go again at once, and its balance is fetched.

    A lockout by Kraken stays until its time is over, since each call would prolong it. Without a running serve nothing
    is held back but a lockout, and the key is only tried.

    The exit code is 0 when the account is available, else 1.
    """
    found = options.load(need_accounts=False)
    with an_engine(options, found, f"Resume {account}", account, balances=(account,)) as engine:
        seconds = found.settings.call_timeout if timeout is None else timeout
        told = documents.resume(engine, account=account, timeout=seconds)
    if options.json:
        document(told)
    elif told["is_available"]:
        click.echo(f"Account {account} is available.")
    else:
        click.echo(f"Account {account} is not available: {told['last_error'] or 'there was no answer in time'}")
    return Exit.DONE if told["is_available"] else Exit.REFUSED
