"""Accounts and settings from arguments, the environment and a TOML file, in this order of precedence.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

from engine.config.cluster import CLUSTER, ClusterConfig, ReadToken, cluster_of, node_name, token_of
from engine.config.entries import check_entries
from engine.config.secret_file import cause, read_secret
from engine.errors import ConfigError, without_secrets
from engine.values import KRAKEN_URL, MASTER, Account, Settings, shown
from engine.values.dataclass import dataclass

_USER = re.compile(r"KRAKEN_USER_(?P<name>.+)_API_(KEY|SECRET|OTP)(_FILE)?")
_SWITCHES = {each.name for each in dataclasses.fields(Settings) if isinstance(each.default, bool)}
_NUMBERS = {each.name for each in dataclasses.fields(Settings) if type(each.default) in (int, float)}
_TEXTS = {"tier", "ws_url", "ws_public_url", "proxy", "ca_file"}
_TOP_LEVEL = {"url", "state_dir", "settings", "accounts", "alerts", "cluster", "lanes"}

__all__ = ["ClusterConfig", "Config", "load", "node_directory", "node_name", "read_secret", "served_directory",
           "state_directory"]  # fmt: skip


@dataclass(frozen=True)
class Config:
    """What an engine is built from. With a `cluster` it is a node's, and `state_dir` is private to that node."""

    accounts: tuple[Account, ...]
    url: str
    state_dir: Path
    settings: Settings
    alerts: Mapping[str, Any] | None = field(default=None, repr=False)
    """The table ``[alerts]`` as it is in the file, for `engine.alerts.AlertSettings.read`."""
    cluster: ClusterConfig | None = None

    def without_cluster(self) -> Config:
        """Itself. Raises `ConfigError` when it is a node's: one engine with a state directory must not use its keys."""
        if self.cluster is not None:
            raise ConfigError(_IS_CLUSTERS)
        return self


_IS_CLUSTERS = (
    "This configuration is of a cluster, whose nodes share its API keys by way of PostgreSQL: start a node with "
    "kraken-engine serve --cluster, or with engine.cluster.Node."
)


def load(
    environ: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    need_accounts: bool = True,
    faults: list[str] | None = None,
    node: str | None = None,
    need_token: bool = True,
) -> Config:
    """Read the configuration. Raises `ConfigError` with one sentence on the first thing that is wrong.

    `node` is the name of a node of the cluster, if there is one, in place of the file's. The token of a cluster is
    read when it is needed: only its nodes do.

    The sentence repeats no value that could be a secret in the wrong place, and the error keeps no frame with one.
    Where a list of `faults` is given, an account or a token that is set up wrongly is left out, and the sentence is
    added to it.
    """
    read_token = partial(token_of, faults=faults) if need_token else _no_token
    known = os.environ if environ is None else environ
    try:
        return _load(known, file, url, state_dir, need_accounts, faults, node, read_token)
    except ConfigError as error:
        wrong = ConfigError(str(error))
    raise wrong


def _load(
    environ: Mapping[str, str],
    file: str | os.PathLike[str] | None,
    url: str | None,
    state_dir: str | os.PathLike[str] | None,
    need_accounts: bool,
    faults: list[str] | None,
    node: str | None,
    read_token: ReadToken,
) -> Config:
    table = _read_toml(Path(file)) if file is not None else {}
    settings = _settings(table.get("settings", {}))
    if environ.get("KRAKEN_WS_URL"):
        settings = dataclasses.replace(settings, ws_url=environ["KRAKEN_WS_URL"])
    if environ.get("KRAKEN_WS_PUBLIC_URL"):
        settings = dataclasses.replace(settings, ws_public_url=environ["KRAKEN_WS_PUBLIC_URL"])
    accounts = _accounts(_file_accounts(table), environ, faults)
    if need_accounts and not accounts:
        raise ConfigError(
            "There is no account: set KRAKEN_API_KEY and KRAKEN_API_SECRET (MASTER), or "
            "KRAKEN_USER_<NAME>_API_KEY and KRAKEN_USER_<NAME>_API_SECRET, or name a file with --config."
        )
    cluster = cluster_of(table, environ, node, read_token)
    chosen = _state_named(state_dir, environ, table)
    if cluster is not None and chosen is not None:
        raise ConfigError(f"A state directory ({chosen[1]}) and a cluster are both named, and marks and journal are in "
                          "one of them only: leave out one of the two.")  # fmt: skip
    return Config(
        accounts=accounts,
        url=url or environ.get("KRAKEN_SPOT_URL") or table.get("url") or KRAKEN_URL,
        state_dir=node_directory(cluster.name, environ) if cluster else state_directory(chosen and chosen[0], environ),
        settings=settings,
        alerts=_alerts(table),
        cluster=cluster,
    )


def _no_token(*_: object) -> None:
    """The token is not needed."""


def _state_named(
    state_dir: str | os.PathLike[str] | None, environ: Mapping[str, str], table: Mapping[str, Any]
) -> tuple[str | os.PathLike[str], str] | None:
    """The state directory that somebody names, and where."""
    places = (
        (state_dir, "--state-dir"), (environ.get("KRAKEN_ENGINE_STATE"), "KRAKEN_ENGINE_STATE"),
        (table.get("state_dir"), "state_dir in the configuration file"),
    )  # fmt: skip
    return next(((value, where) for value, where in places if value), None)


def node_directory(name: str, environ: Mapping[str, str] | None = None) -> Path:
    """The directory for what a node may keep on its machine; no mark and no order is in it."""
    known = os.environ if environ is None else environ
    environ = {key: value for key, value in known.items() if key != "KRAKEN_ENGINE_STATE"}
    usual = state_directory(None, environ)
    return usual.with_name(f"{usual.name}-nodes") / name


def served_directory(given: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Where a service of this user is looked for: as `state_directory`, or this machine's node of a cluster.

    That is where ``KRAKEN_ENGINE_CLUSTER`` is set and no directory is named.
    """
    environ = os.environ if environ is None else environ
    if given is None and not environ.get("KRAKEN_ENGINE_STATE") and environ.get(CLUSTER):
        return node_directory(node_name(), environ)
    return state_directory(given, environ)


def _alerts(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    alerts = table.get("alerts")
    if alerts is not None and not isinstance(alerts, Mapping):
        raise ConfigError("In the configuration file [alerts] is a table.")
    return alerts


def state_directory(
    given: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> Path:
    """`given`, else ``$KRAKEN_ENGINE_STATE``, ``$XDG_STATE_HOME/kraken-engine``, ``~/.local/state/kraken-engine``."""
    environ = os.environ if environ is None else environ
    chosen = given or environ.get("KRAKEN_ENGINE_STATE")
    base = environ.get("XDG_STATE_HOME")
    path = Path(chosen) if chosen else (Path(base) if base else Path("~/.local/state")) / "kraken-engine"
    if without_secrets(str(path)) != str(path) and not (path.is_absolute() and path.parent.exists()):
        raise ConfigError(f"{str(path)!r} looks like a key or a secret, not like a state directory.")
    try:
        absolute = Path(os.path.abspath(path.expanduser()))  # the host may change its directory
        os.fsencode(absolute)
        if "\0" in str(absolute):
            raise ValueError("it holds a NUL")
        return absolute
    except (OSError, RuntimeError, ValueError) as error:  # also where the working directory is gone
        raise ConfigError(f"{str(path)!r} cannot be a state directory: {error}.") from None


def _accounts(
    rows: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], faults: list[str] | None
) -> tuple[Account, ...]:
    """The accounts of both places, MASTER first; what the environment does not say of one, the file may."""
    prefixes = _prefixes(environ)
    names = sorted(rows.keys() | prefixes.keys(), key=lambda name: (name != MASTER, name))
    found = []
    for name in names:
        try:
            found.append(_account(name, rows.get(name), prefixes.get(name), environ))
        except ConfigError as error:
            if faults is None:
                raise
            faults.append(str(error))
    return tuple(found)


def _account(
    name: str, row: Mapping[str, Any] | None, prefix: str | None, environ: Mapping[str, str]
) -> Account:
    known = row or {}
    account: dict[str, Any] = {}
    for part in ("key", "secret", "otp"):
        variable = f"{prefix}{part.upper()}"
        value = _value(environ, variable) if prefix else None
        account[part] = value or _file_value(name, known, part)
        if account[part] is None and part != "otp":
            what = f"{variable} is not set" if prefix else f"[accounts.{name}] has no {part}"
            raise ConfigError(f"{what}: an account needs both its API key and its secret.")
    return Account(name, tier=known.get("tier"), **account)


def _prefixes(environ: Mapping[str, str]) -> dict[str, str]:
    """How the variables of each account begin that the environment names."""
    prefixes = {MASTER: "KRAKEN_API_"}
    for variable in environ:
        if match := _USER.fullmatch(variable):
            prefixes[match["name"]] = f"KRAKEN_USER_{match['name']}_API_"
    return {name: prefix for name, prefix in prefixes.items() if _given(environ, prefix)}


def _given(environ: Mapping[str, str], prefix: str) -> bool:
    return any(environ.get(prefix + part + suffix) for part in ("KEY", "SECRET", "OTP") for suffix in ("", "_FILE"))


def _value(environ: Mapping[str, str], variable: str) -> str | None:
    if text := environ.get(variable, "").strip():
        return text
    if path := environ.get(f"{variable}_FILE"):
        return read_secret(Path(path), f"{variable}_FILE")
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only where there is a file: it takes a twentieth of importing the engine

    try:
        table = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration file {shown(path)} cannot be read: {cause(error)}.") from None
    except (UnicodeError, tomllib.TOMLDecodeError) as error:
        # The parser's message can quote the line, and the line can be a secret's.
        raise ConfigError(f"The configuration file {path} is not valid TOML{_place(error)}.") from None
    check_entries(str(path), table, _TOP_LEVEL)
    for name in ("url", "state_dir"):
        if not isinstance(table.get(name, ""), str):
            raise ConfigError(f"In {path} {name} is a text in quotes.")
    return table


def _place(error: Exception) -> str:
    found = re.search(r"\(at line \d+, column \d+\)", str(error))
    return f" {found.group()}" if found else ""


def _file_accounts(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    rows = table.get("accounts", {})
    if not isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows.values()):
        raise ConfigError("In the configuration file each account is a table: [accounts.MASTER] with key and secret.")
    for name, row in rows.items():
        _check_file_account(name, row)
    return dict(rows)


def _check_file_account(name: str, row: Mapping[str, Any]) -> None:
    known = {"key", "secret", "otp", "key_file", "secret_file", "otp_file", "tier"}
    check_entries(f"[accounts.{name}]", row, known)
    for part in row.keys() - {"key", "secret"}:  # `Account` looks at those two itself
        if not isinstance(row[part], str):
            raise ConfigError(f"[accounts.{name}] {part} is a text in quotes.")


def _file_value(name: str, row: Mapping[str, Any], part: str) -> Any:
    """The key, the secret or the otp that the file gives or names; `None` when it says nothing of it."""
    if part not in row and f"{part}_file" in row:
        return read_secret(Path(row[f"{part}_file"]), f"[accounts.{name}] {part}_file")
    return row.get(part)


def _settings(table: Any) -> Settings:
    if not isinstance(table, Mapping):
        raise ConfigError("In the configuration file [settings] is a table.")
    check_entries("[settings]", table, {each.name for each in dataclasses.fields(Settings)})
    for name, value in table.items():
        _check_type(name, value)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    return Settings(**values)


def _check_type(name: str, value: Any) -> None:
    """A switch that is a text in quotes would count as on; how large a number may be is judged by `Settings`."""
    if name in _SWITCHES and not isinstance(value, bool):
        raise ConfigError(f"[settings] {name} is true or false, without quotes.")
    if name in _NUMBERS and isinstance(value, str):
        raise ConfigError(f"[settings] {name} is a number, without quotes.")
    if name in _TEXTS and not isinstance(value, str):
        raise ConfigError(f"[settings] {name} is a text in quotes.")
    if name == "cash" and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ConfigError('[settings] cash is a list of texts, such as ["USD", "USDT"].')
