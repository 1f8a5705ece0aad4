"""`kraken-engine simulate`."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import click

from engine.cli.exits import Exit
from engine.cli.fault_words import fault_of
from engine.cli.key_file import kept_accounts
from engine.cli.options import Options, account_names, common, pass_options
from engine.cli.output import document, say
from engine.cli.simulator_console import SimulatorConsole, read_lines
from engine.errors import ConfigError
from engine.simulator import Simulator
from engine.values import MASTER

REMEMBERED = 1_000  # calls; it may run for days


@click.command()
@common
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port on 127.0.0.1 [a free one].")
@click.option("--accounts", default="MASTER,ALICE,BOB", show_default=True, metavar="NAMES", help="With commas between.")
@click.option("--keys", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keeps the keys, so that they are the same at each start; made where missing.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="FAULT",
              help="A fault from the start: 502, 'endpoint=AddOrder executed hang'. May be repeated.")  # fmt: skip
@pass_options
def simulate(options: Options, port: int, accounts: str, keys: Path | None, faults: tuple[str, ...]) -> int:
    """Run the built-in simulator of Kraken until Ctrl-C, on this machine only.

    Orders rest, hold, fill and are listed as on Kraken; prices stand still, since nobody else trades there.

    Prints lines to paste into another shell: the URLs, credentials, and a state directory for trying things out. That
    is --state-dir, or one that is removed at the end. While it runs, type faults and events to rehearse an outage: help
    lists them.
    """
    names = account_names(accounts)
    started = [fault_of(each, names) for each in faults]
    with contextlib.ExitStack() as undo:
        state_dir = options.state_dir or undo.enter_context(tempfile.TemporaryDirectory(prefix="kraken-engine-"))
        simulator = Simulator(names if keys is None else kept_accounts(keys, names), port=port, remember=REMEMBERED)
        try:
            undo.enter_context(simulator)
        except OSError as error:
            raise ConfigError(f"Port {port} cannot be used: {error.strerror}.") from error
        for fault in started:
            simulator.fault(fault)
        _announce(simulator, str(state_dir), options.json)
        read_lines(SimulatorConsole(simulator))
        with contextlib.suppress(KeyboardInterrupt):
            simulator.wait()
    return Exit.DONE


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
    say(f"The simulator listens at {simulator.url}; type help for faults to rehearse; end it with Ctrl-C.")
