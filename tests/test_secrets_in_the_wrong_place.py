"""G11: a secret that was put where it does not belong is not printed, kept in a frame, committed or shipped."""

from __future__ import annotations

import base64
import os
import random
import re
import subprocess
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from engine import Account, Engine, config
from engine.errors import ConfigError
from engine.values import shown
from tests import ROOT


def _secret() -> str:
    return base64.b64encode(random.randbytes(64)).decode()


def _frames(trace: TracebackType | None) -> list[dict[str, Any]]:
    """The locals of the engine's frames: what reports of errors show."""
    ours = f"{os.sep}engine{os.sep}"
    return [frame.f_locals for frame, _ in traceback.walk_tb(trace) if ours in frame.f_code.co_filename]


def _told(caught: pytest.ExceptionInfo[BaseException], *, environ: Any = None) -> str:
    error: BaseException | None = caught.value
    text = ""
    while error is not None:
        held = [value for each in _frames(error.__traceback__) for value in each.values() if value is not environ]
        text += f"{error}{error.args}{held}"
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize(
    "variable", ["KRAKEN_API_SECRET_FILE", "KRAKEN_API_KEY_FILE", "KRAKEN_USER_BOB_API_SECRET_FILE"]
)
def test_a_secret_for_the_name_of_its_file(tmp_path: Path, variable: str) -> None:
    secret = _secret()
    environ = {"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "c2VjcmV0", "KRAKEN_USER_BOB_API_KEY": "k2"}
    environ[variable] = secret
    environ.pop(variable.removesuffix("_FILE"), None)
    with pytest.raises(ConfigError, match=f"{variable}.*{len(str(Path(secret)))} characters") as caught:
        config.load(environ)
    assert secret not in _told(caught, environ=environ)


@pytest.mark.parametrize("part", ["key_file", "secret_file"])
def test_a_secret_for_the_name_of_its_file_in_toml(tmp_path: Path, part: str) -> None:
    secret, file = _secret(), tmp_path / "engine.toml"
    other = 'secret = "c2VjcmV0"' if part == "key_file" else 'key = "k"'
    file.write_text(f'[accounts.MASTER]\n{other}\n{part} = "{secret}"\n')
    with pytest.raises(ConfigError, match=part) as caught:
        config.load({}, file)
    assert secret not in _told(caught)


def test_an_account_that_cannot_be_keeps_nothing_secret_in_its_frames() -> None:
    secret = _secret()
    for parts in ((secret, "key", "c2VjcmV0"), ("MASTER", secret, "not base64!"), ("MASTER", "", secret),
                  ("MASTER", "kéy" + secret, secret)):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            Account(*parts)
        assert secret not in _told(caught)
    with pytest.raises(ConfigError) as caught:
        Account("MASTER", "key", "c2VjcmV0", tier=secret)
    assert secret not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Engine.from_env({}, config_file=secret)
    assert secret not in str(caught.value)


def test_repr_of_an_account_that_is_not_complete() -> None:
    assert repr(Account.__new__(Account)) == "Account(tier=None, otp=None)"
    half = Account.__new__(Account)
    object.__setattr__(half, "name", _secret())
    assert repr(half) == "Account(name=a text of 88 characters, tier=None, otp=None)"
    whole = Account("MASTER", "some key", "c2VjcmV0", otp="123")
    assert repr(whole) == "Account(name='MASTER', key=Secret(***), secret=Secret(***), tier=None, otp=Secret(***))"


def test_what_is_shown() -> None:
    assert shown("MAS TER") == "'MAS TER'"
    path = "/home/somebody/in/a/directory/that/is/rather/deep/engine.toml"
    assert shown(path) == repr(path)
    assert shown(_secret()) == "a text of 88 characters"


def _lines(ignored: str) -> list[str]:
    return [line for line in ignored.splitlines() if line and not line.startswith("#")]


def _is_in_context(name: str, lines: list[str]) -> bool:
    """Whether a build gets a file, by .dockerignore: the last line that fits decides, for a directory and all in it."""
    is_in = True
    for line in lines:
        if any(_fits(part, line.lstrip("!")) for part in _prefixes(name)):
            is_in = line.startswith("!")
    return is_in


def _prefixes(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def _fits(name: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*"), name))


PLANTED = (
    ".env", ".env.local", "secrets/key", "secrets/deep/secret", "examples/secrets/token", "engine/.env", ".env.py",
    "engine/secrets/k", "engine/secrets/k.py", "engine/web/tls.key", "engine/web/tls.pem", "engine/token", "engine/key",
    "engine/web/static/token", "engine/manual/secret.txt", "engine/id_ed25519", "engine/engine.toml", "engine/a.json",
    "engine/nonces.sqlite-wal", "state/gateway.key", "state/gateway.sqlite", "kraken.key", "notes.txt", "config.toml",
    ".git/config", ".venv/pyvenv.cfg", ".venv/lib/some.py",
)  # fmt: skip


def test_no_secret_beside_the_sources_gets_into_an_image() -> None:
    lines = _lines((ROOT / ".dockerignore").read_text())
    assert [name for name in PLANTED if _is_in_context(name, lines)] == []
    assert all(_is_in_context(name, lines) for name in ("setup.cfg", "setup.py", "README.rst", "LICENSE"))
    files = [each for each in (ROOT / "engine").rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert [each for each in files if not _is_in_context(each.relative_to(ROOT).as_posix(), lines)] == []


@pytest.mark.parametrize("ignored", ["", "**/__pycache__", "*\n!engine", "*\n!engine/**", "*\n!**/*.py\n!state"])
def test_the_scan_finds_a_secret_that_gets_in(ignored: str) -> None:
    """The test of the test."""
    assert any(_is_in_context(name, _lines(ignored)) for name in PLANTED)


def test_no_secret_beside_the_sources_is_committed(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    names = (".env", ".env.local", "secrets/key", "examples/secrets/token", "tls.key", "web/tls.pem")
    done = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", *names], check=False, capture_output=True, text=True
    )
    assert done.stdout.split() == list(names)


def test_the_recipe_gives_no_secret_to_a_layer() -> None:
    recipe = (ROOT / "examples" / "Dockerfile").read_text()
    steps = [line for line in recipe.splitlines() if line and not line.startswith("#")]
    assert not [line for line in steps if line.startswith("ARG ")]
    assert not [line for line in steps if re.search(r"(KEY|SECRET|TOKEN|PASSWORD)=", line)]
    assert not [line for line in steps if line.startswith(("COPY", "ADD")) and "secret" in line]
