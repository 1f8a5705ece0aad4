"""`kraken-engine status`."""

from __future__ import annotations

import click

from engine.cli.drawing import drawing
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.cli.screen import screen
from engine.cli.watch import look, watched


@click.command()
@common
@pass_options
def status(options: Options) -> int:
    """Show once what the engine is doing: accounts, keys, the call under way, warnings, and whether it is live.

    While a serve is running on the same state directory, that engine is shown; otherwise one is started here, which is
    not live.
    """
    found = options.load(need_accounts=False)
    with watched(options, found) as engine:
        seen = look(engine)
    told = {each.account for each in seen.status.accounts}
    for lane, accounts in ({} if found.cluster is None else found.cluster.lanes).items():
        missing = [name for name in accounts if name not in told]
        if missing:
            names = ", ".join(missing)
            say(f"No node tells of {names} in lane {lane} now; kraken-engine cluster status says who has it, and "
                "kraken-engine doctor what is wrong.")  # fmt: skip
    if options.json:
        document(seen.status.to_dict())
    else:
        drawing().print(screen(seen), crop=False)  # what is cut off at the edge of an amount looks like a smaller one
    return Exit.DONE
