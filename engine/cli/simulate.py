"""`kraken-engine simulate`."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Sequence

import click

from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.errors import ConfigError
from engine.simulator import Simulator
from engine.values import MASTER

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")  # what a shell takes in the name of a variable
REMEMBERED = 1_000  # calls; it may run for days


@click.command()
@common
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port on 127.0.0.1 [a free one].")
@click.option("--accounts", default="MASTER,ALICE,BOB", show_default=True, metavar="NAMES", help="With commas between.")
@pass_options
def simulate(options: Options, port: int, accounts: str) -> int:
    """Run the built-in simulator of Kraken until Ctrl-C, on this machine only.

    Orders rest, hold, fill and are listed as on Kraken; prices stand still, since nobody else trades there.

    Prints lines to paste into another shell: the URLs of REST and of the WebSocket, new credentials, and a state directory for trying things out
    that is removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="kraken-engine-") as state_dir:
        try:
            with Simulator(_names(accounts), port=port, remember=REMEMBERED) as simulator:
                _announce(simulator, state_dir, options.json)
                with contextlib.suppress(KeyboardInterrupt):
                    simulator.wait()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise ConfigError(f"Port {port} cannot be used: {error.strerror}.") from error
    return Exit.DONE


def _names(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            hint = f"{name!r}: give different names of letters, digits and '_', with commas between."
            raise click.BadParameter(hint, param_hint="--accounts")
    return names


def _announce(simulator: Simulator, state_dir: str, as_json: bool) -> None:
    if as_json:
        credentials = [account._asdict() for account in simulator.accounts]
        document({"url": simulator.url, "ws_url": simulator.ws_url, "state_dir": state_dir, "accounts": credentials})
    else:
        click.echo(f"export KRAKEN_SPOT_URL={simulator.url}")
        click.echo(f"export KRAKEN_WS_URL={simulator.ws_url}")
        click.echo(f"export KRAKEN_ENGINE_STATE={state_dir}")
        for account in simulator.accounts:
            prefix = "KRAKEN_API" if account.name == MASTER else f"KRAKEN_USER_{account.name}_API"
            click.echo(f"export {prefix}_KEY={account.key}")
            click.echo(f"export {prefix}_SECRET={account.secret}")
    say(f"The simulator listens at {simulator.url}; end it with Ctrl-C.")
