"""`kraken-engine status`."""

from __future__ import annotations

import click

from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import console, document
from engine.cli.watch import screen, status_source


@click.command()
@common
@pass_options
def status(options: Options) -> int:
    """Show once what the engine is doing: accounts, keys, the call under way, warnings, and whether it is live.

    While a serve is running on the same state directory, that engine is shown; otherwise one is started here, which is
    not live.
    """
    found = options.load(need_accounts=False)
    with status_source(options, found) as look:
        told = look()
    if options.json:
        document(told)
    else:
        console().print(screen(told))
    return Exit.DONE
