"""G11: a secret in the place of any argument, option, variable or entry of the file is repeated nowhere."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from engine import Settings
from engine.cli import main
from engine.cli.program import program
from engine.errors import without_secrets

# As long as a secret of Kraken's, as one of its keys, and as a token of the dashboard.
SECRETS = [
    base64.b64encode(random.Random(1).randbytes(64)).decode(),
    base64.b64encode(random.Random(2).randbytes(42)).decode(),
    random.Random(3).randbytes(32).hex(),
]
ORDER = {"pair": "XBTUSD", "side": "buy", "volume": "1"}
COMMON = ("config", "state_dir", "url")


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is taken, so that whatever would listen ends at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        yield taken.getsockname()[1]


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account at an exchange that cannot be reached."""
    for name in [name for name in os.environ if name.startswith("KRAKEN")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nobody answers what a command asks
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KRAKEN_ENGINE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("KRAKEN_SPOT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KRAKEN_API_KEY", os.urandom(8).hex())
    monkeypatch.setenv("KRAKEN_API_SECRET", "c2VjcmV0")


def _check(arguments: list[str], secret: str, capfd: pytest.CaptureFixture[str], directory: Path) -> None:
    assert main([*arguments, "--verbose"]) not in (0, 70)
    out, err = capfd.readouterr()
    for part in (secret, secret[:24], secret[-24:]):
        assert part not in out + err, arguments
        assert not [path for path in directory.rglob("*") if part in str(path)], "no file has that name"


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _places() -> Iterator[tuple[str, ...]]:
    """Every command with each of its parameters that takes a text; the common ones with one command."""
    for path, command in _commands(program):
        for parameter in command.params:
            is_common = parameter.name in COMMON
            if not getattr(parameter, "is_flag", False) and (path == ("balances",) or not is_common):
                yield (*path, str(parameter.name))


def _line(place: tuple[str, ...], secret: str, port: int) -> list[str]:
    """The command line with the secret in that place, and with all that is mandatory besides."""
    *path, target = place
    command: click.Command = program
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    line, last = list(path), []
    for parameter in command.params:
        value = secret if parameter.name == target else ORDER.get(str(parameter.name), "MASTER")
        if isinstance(parameter, click.Argument):
            last.append("5" if parameter.name == "number" and value != secret else value)
        elif value == secret or parameter.required:
            line += [parameter.opts[0], value]
        elif parameter.name in ("timeout", "port"):
            line += [parameter.opts[0], "0.2" if parameter.name == "timeout" else str(port)]
    return [*line, *last]


@pytest.mark.parametrize("place", list(_places()), ids=".".join)
def test_in_place_of_an_argument_or_option(
    place: tuple[str, ...], port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, secret in enumerate(SECRETS):
        if number == 0 or place[0] in ("balances", "call", "serve"):
            _check(_line(place, secret, port), secret, capfd, tmp_path)
            _check([*_line(place, secret, port), "--json"], secret, capfd, tmp_path)


@pytest.mark.parametrize(
    "line", [["{}"], ["nonce", "{}"], ["balances", "--{}"], ["balances", "--timeout={}"], ["call", "MASTER", "{}=1"],
             ["call", "MASTER", "Balance", "{}", "--timeout", "0.2"], ["status", "{}"],
             ["call", "MASTER", "Balance", "{}=1", "--timeout", "0.2"]],
)  # fmt: skip
def test_in_any_other_place_of_a_line(line: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for secret in SECRETS:
        _check([each.format(secret) for each in line], secret, capfd, tmp_path)


VARIABLES = (
    "KRAKEN_SPOT_URL", "KRAKEN_ENGINE_STATE", "XDG_STATE_HOME", "KRAKEN_API_KEY", "KRAKEN_API_SECRET", "KRAKEN_API_OTP",
    "KRAKEN_API_KEY_FILE", "KRAKEN_API_SECRET_FILE", "KRAKEN_API_OTP_FILE", "KRAKEN_USER_BOB_API_KEY",
    "KRAKEN_USER_BOB_API_SECRET_FILE", "XDG_RUNTIME_DIR",
)  # fmt: skip


@pytest.mark.parametrize("variable", VARIABLES)
def test_in_a_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for secret in SECRETS:
        if variable == "XDG_STATE_HOME":
            monkeypatch.delenv("KRAKEN_ENGINE_STATE", raising=False)
        monkeypatch.delenv(variable.removesuffix("_FILE"), raising=False)
        monkeypatch.setenv(variable, secret)
        _check(["balances", "--timeout", "0.2"], secret, capfd, tmp_path)


ACCOUNT = '[accounts.BOB]\nkey = "k"\nsecret = "c2VjcmV0"\n'
ENTRIES = (
    'url = "{}"', 'state_dir = "{}"', '"{}" = 1', '[settings]\n"{}" = 1', '[accounts."{}"]\nkey = "k"', '"{}"',
    'accounts = "{}"', 'settings = "{}"', '[accounts]\nBOB = "{}"', '[accounts]\nBOB = ["{}"]',
    ACCOUNT + '"{}" = 1', ACCOUNT + 'tier = "{}"', ACCOUNT + 'otp_file = "{}"', ACCOUNT + 'key_file = ["{}"]',
    '[accounts.BOB]\nkey = "k"\nsecret_file = "{}"', '[accounts.BOB]\nkey_file = "{}"\nsecret = "c2VjcmV0"',
    '[accounts.BOB]\nkey = ["{}"]\nsecret = "c2VjcmV0"', '[accounts.BOB]\nkey = "k"\nsecret = {}',
    *(f"[settings]\n{field.name} = {value}" for field in dataclasses.fields(Settings) for value in ('"{}"', '["{}"]')),
)  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_in_the_file(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("KRAKEN_SPOT_URL", "KRAKEN_ENGINE_STATE"):
        if name[7:].lower() in entry or entry.startswith(("url", "state")):
            monkeypatch.delenv(name)
    file = tmp_path / "engine.toml"
    for secret in SECRETS:
        file.write_text(entry.replace("{}", secret))
        _check(["balances", "--timeout", "0.2", "--config", str(file)], secret, capfd, tmp_path)


def test_what_an_error_may_repeat() -> None:
    for secret in SECRETS:
        assert without_secrets(f"It is '{secret}'.") == f"It is '(a text of {len(secret)} characters)'."
    for text in (
        "/home/somebody/.local/state/kraken-engine/in/a/rather/deep/directory/of/Some1/engine.toml",
        "OQCLML-BW3P3-BUCMWZ,OQCLML-BW3P3-BUCMWZ,OQCLML-BW3P3-BUCMWZ", "6cf19fd3c6044f29bbc4e4e83e2292e3",
        "6cf19fd3-c604-4f29-bbc4-e4e83e2292e3", "https://api.kraken.com/0/private/AddOrderBatch", "1" * 39,
    ):  # fmt: skip
        assert without_secrets(text) == text
