"""`kraken-engine init`."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from engine.cli.exits import Exit
from engine.cli.options import Options, account_names, common, pass_options
from engine.cli.output import document, say
from engine.cli.systemd_unit import KeyFiles, systemd_unit
from engine.config import load, state_directory
from engine.errors import ConfigError
from engine.kraken.assets import AssetTable
from engine.values import MASTER, Settings
from engine.values.dataclass import dataclass

T = TypeVar("T")

_ASSET = re.compile(r"[A-Za-z0-9]{2,16}")
_TIERS = ("starter", "intermediate", "pro")
_NO_UNIT = "none"


@dataclass(frozen=True)
class Answers:
    """What the configuration is written from."""

    cash: tuple[str, ...]
    accounts: tuple[str, ...]
    tier: str
    secrets: Path
    state: Path

    @property
    def keys(self) -> list[KeyFiles]:
        """Where each account's key and secret are, or are to be put."""
        return [KeyFiles(name, self.secrets / f"{name}.key", self.secrets / f"{name}.secret") for name in self.accounts]

    @property
    def toml(self) -> str:
        """The configuration file; it names the files of the secrets and holds none."""
        text = json.dumps  # a TOML text in quotes is written like one of JSON
        lines = [f"state_dir = {text(str(self.state), ensure_ascii=False)}", ""]
        for each in self.keys:
            lines += [f"[accounts.{each.account}]", f"key_file = {text(str(each.key), ensure_ascii=False)}",
                      f"secret_file = {text(str(each.secret), ensure_ascii=False)}", ""]  # fmt: skip
        cash = ", ".join(text(name) for name in self.cash)
        lines += ["[settings]", f"cash = [{cash}]", f"tier = {text(self.tier)}", ""]
        return "\n".join(lines)


def _cash(text: str) -> tuple[str, ...]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    if not names or not all(_ASSET.fullmatch(name) for name in names):
        raise click.UsageError(f"{text!r} is not a list of assets: give names with commas between, such as USD,USDT.")
    table = AssetTable.shipped()
    return tuple(dict.fromkeys(table.plain(name) or name for name in names))


def _tier(text: str) -> str:
    if text.lower() not in _TIERS:
        raise click.UsageError(f"{text!r} is not a tier of Kraken's: choose {', '.join(_TIERS)}.")
    return text.lower()


def _path(text: str) -> Path:
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except (OSError, RuntimeError, ValueError) as error:
        raise click.UsageError(f"{text!r} cannot be used as a path: {error}.") from None


def _unit(text: str) -> Path | None:
    return None if text == _NO_UNIT else _path(text)


def _answer(given: str | None, question: str, default: str, read: Callable[[str], T]) -> T:
    """What the option gives, or what the person answers; a person is asked again until the answer can be read."""
    if given is not None:
        return read(given)
    try:
        return click.prompt(question, default=default, value_proc=read, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        click.echo(err=True)  # after the question
        raise click.UsageError("init asks at a terminal; elsewhere give every answer as an option.") from None


@click.command()
@common
@click.argument("file", default="kraken-engine.toml")
@click.option("--cash", metavar="NAMES", help="The assets that count as cash, with commas between.")
@click.option("--accounts", metavar="NAMES", help="The accounts' names, with commas between.")
@click.option("--tier", metavar="TIER", help="Kraken's tier of the accounts; starter is right for a new one.")
@click.option("--secrets", metavar="DIR", help="Holds NAME.key and NAME.secret of each account; made where missing.")
@click.option("--unit", metavar="FILE", help=f"A systemd unit to write; {_NO_UNIT} for none.")
@pass_options
def init(
    options: Options, file: str, cash: str | None, accounts: str | None, tier: str | None, secrets: str | None,
    unit: str | None,
) -> int:  # fmt: skip
    """Ask a few questions, and write a configuration FILE [kraken-engine.toml] and, where wanted, a systemd unit.

    It asks which currency is your cash, which accounts there are, their tier, and where the files of the keys are; a
    question whose option is given is not asked. It asks for no secret, sends nothing, and replaces no file. At the end
    it says what is missing and what to run next.
    """
    config = _free(_path(file))
    answers = Answers(
        _answer(cash, "Which currency is your cash (several with commas)", ",".join(Settings().cash), _cash),
        _answer(accounts, "Which accounts (MASTER, and the names of users, with commas)", MASTER, account_names),
        _answer(tier, f"Kraken's tier of them ({', '.join(_TIERS)})", Settings().tier, _tier),
        _answer(secrets, "The directory of the files with the keys", "secrets", _path),
        state_directory(options.state_dir),
    )
    service = _answer(unit, "The systemd unit to write (a file, or none)", _NO_UNIT, _unit)
    if service is not None:
        _free(service)
    for directory in (answers.secrets, answers.state):
        _make_private(directory)
    _write(config, answers.toml)
    faults: list[str] = []
    load({}, config, need_accounts=False, faults=faults)  # what was written is read as every command reads it
    if service is not None:
        user = getpass.getuser()
        _write(service, systemd_unit(service, user=user, config=config, state=answers.state, keys=answers.keys))
    _report(options, config, service, answers, faults)
    return Exit.DONE


def _report(options: Options, config: Path, unit: Path | None, answers: Answers, faults: Sequence[str]) -> None:
    doctor = f"kraken-engine doctor --config {shlex.quote(str(config))}"
    missing = [path for each in answers.keys for path in (each.key, each.secret) if not path.exists()]
    if options.json:
        document({"config": str(config), "unit": unit and str(unit), "missing": [str(path) for path in missing],
                  "next": doctor})  # fmt: skip
        return
    say(f"Wrote {config}.")
    if unit is not None:
        say(f"Wrote {unit}: its first lines say how to install it.")
    if missing:
        say("Put the key and the secret, as Kraken shows them, into these files: run each line, paste, then Ctrl-D.")
        for path in missing:
            click.echo(f"install -m 600 /dev/stdin {shlex.quote(str(path))}")
    else:
        for fault in faults:
            say(fault)
    say("Next:")
    click.echo(doctor)


def _free(path: Path) -> Path:
    """The path, when nothing is there. Raises `ConfigError`."""
    if os.path.lexists(path):
        raise ConfigError(f"{path} exists already and is not replaced: move it away, or give another name.")
    return path


def _make_private(directory: Path) -> None:
    """Make a directory that only this user can enter; one that others may enter already is refused."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise ConfigError(f"The directory {directory} cannot be made: {error.strerror}.") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"Other users can write to {directory}: run chmod 700 on it, or choose another directory.")


def _write(path: Path, text: str) -> None:
    """Write a new file that only this user can read. Raises `ConfigError`, also where it exists."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
