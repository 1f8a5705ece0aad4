"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.config import Config
from engine.config import load as load_config
from engine.errors import ConfigError, UnknownName
from engine.ownership import owner_pid
from engine.values import Account, Settings
from engine.values.dataclass import dataclass

if TYPE_CHECKING:
    from engine.app import Engine

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Options:
    """The values of the common options."""

    config: Path | None = None
    state_dir: Path | None = None
    url: str | None = None
    live: bool = False
    json: bool = False
    verbose: bool = False

    def load(
        self, *, need_accounts: bool = True, need_token: bool = False, faults: list[str] | None = None
    ) -> Config:
        """The configuration: options first, then the environment, then the file. Raises `ConfigError`.

        `faults` takes what is wrong with single accounts, as `config.load` has it. A node needs the cluster's token.
        """
        return load_config(
            file=self.config, url=self.url, state_dir=self.state_dir, need_accounts=need_accounts,
            need_token=need_token, faults=faults,
        )  # fmt: skip

    def engine(self, found: Config, *accounts: Account, balances: tuple[str, ...] | None = None) -> Engine:
        """An engine for these accounts, or for all of them; not started. `balances` as in `Engine`.

        Raises `ConfigError` where the keys are those of a cluster, which only its nodes use.
        """
        from engine.app import Engine  # noqa: PLC0415 - takes longer than the rest of a command that asks a service

        if found.cluster is not None:
            raise ConfigError(node_needed(found, found.cluster.name))
        made = Engine(
            accounts or found.accounts,
            url=found.url, state_dir=found.state_dir, settings=found.settings, live=self.live, balances=balances,
        )  # fmt: skip
        if self.verbose:
            from engine.cli.logs import log_event  # noqa: PLC0415

            made.subscribe(log_event)
        return made


_NODE_AWAY = (
    "Node {name} is not running on this machine (nobody uses {directory}), and only nodes use the API keys of a "
    "cluster: start it with kraken-engine serve --cluster, or ask another node (kraken-engine cluster status lists "
    "them, kraken-engine help cluster-door says how)."
)
_NODE_HAS_KEYS = (
    "Node {name} (process {pid}, on {directory}) uses the API keys of the cluster, and this command cannot go through "
    "it: start the node with kraken-engine serve --cluster, or give this command a key of its own and no cluster."
)
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")  # what a shell takes in the name of a variable
SECONDS = click.FloatRange(0, 86_400, min_open=True)
TIMEOUT_DEFAULT = f"[{Settings().call_timeout:g}, or call_timeout of the file]"
pass_options = click.make_pass_decorator(Options, ensure=True)


def common(command: Decorated) -> Decorated:
    """Give a command the common options; their values are collected in `Options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def node_needed(found: Config, name: str) -> str:
    """Why nothing can be asked of the keys of a cluster from here, and what to do, in a sentence."""
    pid = owner_pid(found.state_dir)
    if pid is None:
        return _NODE_AWAY.format(name=name, directory=found.state_dir)
    return _NODE_HAS_KEYS.format(name=name, directory=found.state_dir, pid=pid or "that cannot be named")


def account_names(text: str) -> tuple[str, ...]:
    """Names of accounts with commas between. Raises `click.BadParameter`."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            hint = f"{text!r}: give different names of letters, digits and '_', with commas between."
            raise click.BadParameter(hint, param_hint="--accounts")
    return tuple(names)


def account_named(found: Config, name: str) -> Account:
    """The account of that name. Raises `UnknownName`."""
    for account in found.accounts:
        if account.name == name:
            return account
    known = ", ".join(account.name for account in found.accounts) or "none"
    raise UnknownName(f"There is no account {name!r}; configured: {known}.", account=name)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    options = context.ensure_object(Options)
    if value in ("", Path()):
        raise click.BadParameter("it is empty.", ctx=context, param=parameter)  # an unset shell variable
    if value:
        setattr(options, str(parameter.name), value)
        if parameter.name == "verbose":
            from engine.cli.logs import log_to_stderr  # noqa: PLC0415 - it knows the events, of which --help needs none

            log_to_stderr()


def _option(*names: str, **details: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, expose_value=False, callback=_remember, **details)


_OPTIONS = (
    _option("--config", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file: accounts and settings."),
    _option(
        "--state-dir", type=click.Path(path_type=Path), metavar="DIR",
        help="Where nonces and last-known balances are kept [$KRAKEN_ENGINE_STATE, else ~/.local/state/kraken-engine].",
    ),
    _option("--url", metavar="URL", help="The base URL [$KRAKEN_SPOT_URL, else https://api.kraken.com]."),
    _option("--live", is_flag=True, help="Allow calls that change something at Kraken."),
    _option("--json", is_flag=True, help="Print exactly one JSON document on stdout; everything else goes to stderr."),
    _option("--verbose", is_flag=True, help="Log to stderr what the engine does."),
)  # fmt: skip
