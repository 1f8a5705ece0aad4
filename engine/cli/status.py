"""`kraken-engine status`."""

from __future__ import annotations

import click

from engine.cli.drawing import drawing
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.cli.screen import screen
from engine.cli.watch import look, watched

_WHERE = "kraken-engine cluster status says who has each lane, and kraken-engine doctor what is wrong."


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
    if seen.absent is not None and seen.absent.state != "good":
        said = f"{seen.absent.sentence} {_WHERE}" if options.json else _WHERE
        say(said)
    if options.json:
        document(seen.status.to_dict())
    else:
        drawing().print(screen(seen), crop=False)  # what is cut off at the edge of an amount looks like a smaller one
    return Exit.DONE
