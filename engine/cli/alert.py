"""`kraken-engine alert`."""

from __future__ import annotations

import click

from engine.alerts import AlertSettings
from engine.alerts.alerts import TEST, addresses
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.errors import ConfigError


@click.group()
def alert() -> None:
    """Alerts: messages to a webhook, ntfy, Telegram, e-mail and others, as [alerts] of the configuration says."""


@alert.command("test")
@common
@pass_options
def test(options: Options) -> int:
    """Send a test message to every address of [alerts], and say which accepted it."""
    table = options.load(need_accounts=False).alerts
    if table is None:
        raise ConfigError("The configuration has no [alerts]: name its file with --config, and add urls there.")
    told = {address.name: address.send(TEST) for address in addresses(AlertSettings.read(table))}
    if options.json:
        document({"addresses": [{"address": name, "accepted": accepted} for name, accepted in told.items()]})
    else:
        for name, accepted in told.items():
            click.echo(f"{name}: {'accepted' if accepted else 'NOT accepted'}")
    if not all(told.values()):
        say("An address did not accept the message: look at it, at its secret, and at the way there.")
    return Exit.DONE if all(told.values()) else Exit.REFUSED
