"""`kraken-engine call`."""

from __future__ import annotations

import click

from engine.cli.engines import served_engine
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, account_named, common, pass_options
from engine.cli.output import document, say, waiting
from engine.errors import NotLive
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import is_dry_run
from engine.kraken.unlisted import CLASSES, endpoint_of


@click.command()
@common
@click.argument("account")
@click.argument("endpoint")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long it may take. {TIMEOUT_DEFAULT}")
@click.option(
    "--class", "endpoint_class", type=click.Choice(list(CLASSES)),
    help="What ENDPOINT is, for one that this program does not know.",
)
@pass_options
def call(
    options: Options, account: str, endpoint: str, parameters: tuple[str, ...], timeout: float | None,
    endpoint_class: str | None,
) -> None:  # fmt: skip
    """Make one private call and print Kraken's result as JSON, with fractional numbers as strings.

    \b
    For example:
      kraken-engine call MASTER BalanceEx
      kraken-engine call MASTER TradeBalance asset=ZUSD
      kraken-engine call MASTER AddOrder pair=XBTUSD type=buy ordertype=market volume=0.01 validate=true
      kraken-engine call MASTER SomethingNew --class read

    The engine adds the nonce, the signature and, for a key that has one, the otp. Without --live, calls that would
    change something at Kraken are refused, except with validate=true and except cancels. While a serve is running on
    the same state directory, the call goes through it.
    """
    params = _params(parameters)
    found = options.load(need_accounts=False)
    service = served_engine(found)
    if service is not None:
        _check_live(options, endpoint, params, endpoint_class)
        with service, waiting(f"{endpoint} for {account}, through the running service"):
            document(service.call(account, endpoint, params, timeout, endpoint_class=endpoint_class))
        return
    found = options.load()
    engine = options.engine(found, account_named(found, account), balances=())
    try:
        with engine, waiting(f"{endpoint} for {account}"):
            result = engine.call(account, endpoint, params, timeout, endpoint_class=endpoint_class)
    except KeyboardInterrupt:
        say("The call was interrupted: if it changes something, it may have been done.")
        raise
    finally:
        for warning in engine.status().warnings:
            say(f"warning: {warning.message}")
    document(result)


def _check_live(options: Options, name: str, params: dict[str, str], endpoint_class: str | None) -> None:
    """Raise `NotLive` for a call that can change something, unless --live was given: a live service alone is not it."""
    endpoint = endpoint_of(name, params, endpoint_class)
    if endpoint.needs_live and not is_dry_run(endpoint, settled(endpoint, params)) and not options.live:
        raise NotLive(f"{endpoint.name} can change something at Kraken: give --live.")


def _params(texts: tuple[str, ...]) -> dict[str, str]:
    params: dict[str, str] = {}
    for name, value in map(_pair, texts):
        if name in params:
            raise click.UsageError(f"{name!r} is given twice: give it once, a list with commas.")
        params[name] = value
    return params


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not a parameter: write NAME=VALUE.")
    if name == "otp":
        raise click.UsageError("An otp is a secret and is not accepted here: set it in the configuration file.")
    return name, value
