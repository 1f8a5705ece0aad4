"""`kraken-engine serve`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from engine.alerts import Alerts, AlertSettings
from engine.cli.exits import Exit
from engine.cli.logs import log_changes, log_to_stderr
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.cli.plans import plans_of
from engine.cli.serve_node import node_subject
from engine.config import Config
from engine.errors import ConfigError
from engine.rules.gates.plan import TradePlan
from engine.values import Secret
from engine.web.subject import Subject

TOKEN = "KRAKEN_ENGINE_TOKEN"  # noqa: S105 - the name of a variable
ACTING_TOKEN = "KRAKEN_ENGINE_ACTING_TOKEN"  # noqa: S105 - likewise
DEFAULT_PORT = 8710


@click.command()
@common
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True, help="0: a free one.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further host name of it. May be repeated.")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE",
              help=f"Holds the token that every client has to send [${TOKEN}]; mandatory off loopback.")  # fmt: skip
@click.option("--allow-actions", is_flag=True,
              help="Let whoever has the token cancel orders, pause trading and so on from the page.")
@click.option("--acting-token-file", type=click.Path(path_type=Path), metavar="FILE",
              help=f"Holds the token that actions need [${ACTING_TOKEN}]; else that of --token-file.")  # fmt: skip
@click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Certificate chain, in PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key, in PEM.")
@click.option("--plain-http", is_flag=True, help="No TLS off loopback, because a proxy in front ends TLS.")
@click.option("--cluster", is_flag=True, help="Run a node of the cluster that the configuration names (help cluster).")
@click.option("--trade", "trades", multiple=True, metavar="ACCOUNT=MODULE:PLAN",
              help="Let ACCOUNT trade by a TradePlan of a module of yours. May be repeated.")  # fmt: skip
@click.option("--push", is_flag=True, help="Hear of changes from Kraken's WebSocket as well (help push).")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@pass_options
def serve(
    options: Options, host: str, port: int, allow_host: tuple[str, ...], token_file: Path | None,
    allow_actions: bool, acting_token_file: Path | None, tls_cert: Path | None, tls_key: Path | None, plain_http: bool,
    cluster: bool, trades: tuple[str, ...], push: bool, log_format: str,
) -> int:  # fmt: skip
    """Run the engine as a service until SIGTERM or Ctrl-C: dashboard, /metrics, /healthz, /readyz, and a gateway.

    The gateway speaks Kraken's own protocol under /0/private/ and /0/public/: any client can share the lane with
    another URL and the credentials that gateway-key makes.

    With --trade an account trades by a plan of yours, which a module in the working directory holds: --trade
    MASTER=my_bot:plan takes the TradePlan `plan` of my_bot.py. Without --live Kraken only checks its orders.

    With --cluster it is a node, which takes lanes of a cluster, and answers for all of its accounts.

    While it runs, balances, call, trade, status, orders, order, cancel, pause-trading, resume-trading, resume, doctor,
    watch and gateway-key go through it, by a Unix socket in the state directory that only this user can open.
    """
    web = _web()
    found = options.load(need_token=True)
    if push:
        found = replace(found, settings=replace(found.settings, push=True))
    shown = web.options.WebOptions(
        host=host, port=port, names=allow_host, token=_token(token_file, TOKEN, "--token-file"), certificate=tls_cert,
        key=tls_key, plain=plain_http, allow_actions=allow_actions,
        acting_token=_acting_token(acting_token_file, allow_actions=allow_actions),
    )  # fmt: skip
    plans = plans_of(trades, [account.name for account in found.accounts])
    log_to_stderr(log_format, verbose=options.verbose)
    if cluster and plans:
        raise ConfigError("--trade is for one engine: in a cluster, let a program of yours call gates().")
    subject = node_subject(options, found, shown) if cluster else _subject(web, options, found)
    engine = subject.engine
    alerts = None if found.alerts is None else Alerts(engine, AlertSettings.read(found.alerts))
    if not options.verbose:
        engine.subscribe(log_changes)  # as --verbose has done already

    def ready(url: str) -> None:
        if options.json:
            document({"url": url, "pid": os.getpid(), "state_dir": str(found.state_dir)})
        say(f"The dashboard is at {url} - end it with Ctrl-C.")
        for account, plan in plans.items():
            say(_trades(account, plan, live=options.live))

    def started() -> None:
        for account, plan in plans.items():
            subject.own(account).start_trading(account, plan)

    with contextlib.ExitStack() as undo:
        if alerts is not None:
            undo.callback(alerts.stop)
            alerts.start()
        web.serving.serve(subject, shown, ready=ready, started=started)
    return Exit.DONE


def _subject(web: Any, options: Options, found: Config) -> Subject:
    """One engine."""
    subject: Subject = web.subject.subject_of(options.engine(found), found.state_dir, found.settings)
    return subject


def _trades(account: str, plan: TradePlan, *, live: bool) -> str:
    """How an account trades from now on."""
    word = "its orders are placed" if live else "Kraken only checks its orders, since --live was not given"
    when = "only when it is asked to, since its plan has no interval" if plan.interval is None else (
        f"with a pass every {plan.interval:g} s"
    )
    return f"{account} trades by its plan, {when}; {word}."


def _web() -> Any:
    """The web package. Raises `ConfigError` when a library that it needs is not installed."""
    try:
        import engine.web.options  # noqa: PLC0415 - an extra
        import engine.web.serving  # noqa: PLC0415
        import engine.web.subject  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: run pip install '.[web]' in the clone.") from None
    return engine.web


def _acting_token(file: Path | None, *, allow_actions: bool) -> Secret | None:
    """The variable alone allows nothing."""
    return _token(file, ACTING_TOKEN, "--acting-token-file") if allow_actions or file is not None else None


def _token(file: Path | None, variable: str, option: str) -> Secret | None:
    if file is None:
        text = os.environ.get(variable, "")
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or "it is not plain text"
            raise ConfigError(f"The file that {option} names cannot be read: {cause}. It takes the name of a file, "
                              "not the token itself.") from None  # fmt: skip
    line = text.partition("\n")[0].strip()
    if file is not None and not line:
        raise ConfigError(f"The file that {option} names is empty.")
    return Secret(line) if line else None
