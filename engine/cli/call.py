"""`kraken-engine call`."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, account_named, common, pass_options
from engine.cli.output import document, say, waiting
from engine.cli.served import ServedEngine, served_engine
from engine.config import Config
from engine.kraken.endpoints import private_endpoint


@click.command()
@common
@click.argument("account")
@click.argument("endpoint")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long it may take. {TIMEOUT_DEFAULT}")
@pass_options
def call(options: Options, account: str, endpoint: str, parameters: tuple[str, ...], timeout: float | None) -> None:
    """Make one private call and print Kraken's result as JSON, with fractional numbers as strings.

    \b
    For example:
      kraken-engine call MASTER BalanceEx
      kraken-engine call MASTER TradeBalance asset=ZUSD
      kraken-engine call MASTER AddOrder pair=XBTUSD type=buy ordertype=market volume=0.01 validate=true

    The engine adds the nonce, the signature and, for a key that has one, the otp. Without --live, calls that would
    change something at Kraken are refused, except with validate=true and except cancels. While a serve is running on
    the same state directory, the call goes through it.
    """
    params = _params(parameters)
    found = options.load(need_accounts=False)
    service = served_engine(found.state_dir)
    if service is not None:
        with waiting(f"{endpoint} for {account}, through the running service"):
            document(_through(service, found, account, endpoint, params, timeout=timeout, live=options.live))
        return
    found = options.load()
    engine = options.engine(found, account_named(found, account), balances=())
    try:
        with engine, waiting(f"{endpoint} for {account}"):
            result = engine.call(account, endpoint, params, timeout)
    except KeyboardInterrupt:
        say("The call was interrupted: if it changes something, it may have been done.")
        raise
    finally:
        for warning in engine.status().warnings:
            say(f"warning: {warning.message}")
    document(result)


def _through(
    service: ServedEngine, found: Config, account: str, endpoint: str, params: dict[str, str], *,
    timeout: float | None, live: bool,
) -> Any:  # fmt: skip
    asked = {"account": account, "endpoint": endpoint, "params": params, "timeout": timeout, "live": live}
    patience = found.settings.call_timeout if timeout is None else timeout
    return service.call(asked, timeout=patience, writes=private_endpoint(endpoint).writes)


def _params(texts: tuple[str, ...]) -> dict[str, str]:
    params: dict[str, str] = {}
    for name, value in map(_pair, texts):
        if name in params:
            raise click.UsageError(f"{name!r} is given twice: give each parameter once, a list with commas between.")
        params[name] = value
    return params


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is no parameter: write NAME=VALUE.")
    if name == "otp":
        raise click.UsageError("An otp is a secret and never given here: set it in the configuration file.")
    return name, value
