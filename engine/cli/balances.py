"""`kraken-engine balances`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from engine.actors.balance.archive import read_balances, recorded_accounts
from engine.actors.balance.history_file import read_history
from engine.app.verbs import Verbs
from engine.cli.engines import all_accounts, served_engine
from engine.cli.exits import Exit
from engine.cli.options import SECONDS, TIMEOUT_DEFAULT, Options, common, pass_options
from engine.cli.output import BAD, GOOD, console, document, say, seconds_in_words, show, table, waiting
from engine.cli.owner import directory_owner
from engine.config import Config
from engine.errors import CallError, EngineError, LaneElsewhere, StoreInUse
from engine.kraken.assets import AssetTable
from engine.kraken.cash_names import plain_names
from engine.rules.balance.cash import elsewhere, elsewhere_sentence, in_words
from engine.rules.balance.snapshot import BalanceSnapshot

_NOT_IN_JSON = "cash_assets"  # the table shows it; the keys of the JSON document are fixed
_HEADING_AT_MOST = 14  # letters in a line
ANSWERED_WITHIN = 0.5  # seconds after the end of a call, so that its failure is known when its balance is read
_STATE_STYLES = {"fresh": GOOD, "stale": "yellow", "unknown": BAD}

Row = Mapping[str, Any]


@click.command()
@common
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help=f"How long to wait. {TIMEOUT_DEFAULT}")
@click.option("--assets", is_flag=True, help="Print every asset as well.")
@click.option("--history", is_flag=True, help="Print the earlier balances that the store keeps; makes no call.")
@pass_options
def balances(options: Options, timeout: float | None, assets: bool, history: bool) -> int:
    """Print every account's balance, how old it is, and whether the account is available.

    Each account is asked once, all at the same time. A balance that cannot be fetched is the last known one (stale), or
    unknown when there never was a good reply: a failure is never shown as 0.

    While a serve is running on the same state directory, it is asked. While another engine is running there, the
    balances that it last stored are printed, and stderr says so; only that engine knows whether an account is
    available, so the exit code is 1.
    """
    found = options.load(need_accounts=False)
    if history:
        _print_history(found, options.json)
        return Exit.DONE
    service, is_whole = served_engine(found), True
    if service is not None:
        with service:
            rows, is_whole = _through(service, found, timeout)
    elif not found.accounts and directory_owner(found.state_dir) is not None:
        rows = _stored(found)
    else:
        rows = _fetched(options, options.load(), timeout)
    _print(rows, options.json, assets)
    for row in rows:
        _warn_uncounted(row)
    return Exit.DONE if is_whole and all(row["is_available"] for row in rows) else Exit.REFUSED


def _fetched(options: Options, found: Config, timeout: float | None) -> list[Row]:
    seconds = found.settings.call_timeout if timeout is None else timeout
    found = replace(found, settings=replace(found.settings, call_timeout=seconds))
    engine = options.engine(found)
    try:
        with engine, waiting("Asking Kraken"):
            names = [account.name for account in found.accounts]
            rows = _fetch(engine, names, found.settings.max_age, seconds + ANSWERED_WITHIN)
    except StoreInUse:
        if directory_owner(found.state_dir) is None:
            raise  # a key is in use by an engine with another state directory
        rows = _stored(found)
    for warning in engine.status().warnings:
        if warning.code != "cash-elsewhere":  # reported from the rows, whatever their source
            say(f"warning: {warning.message}")
    return rows


def _through(service: Verbs, found: Config, timeout: float | None) -> tuple[list[Row], bool]:
    """The balances, and whether they are all: no node serves the accounts of a lane that moves."""
    seconds = found.settings.call_timeout if timeout is None else timeout
    say("The running service is asked.")
    with waiting("Asking the service"):
        names = all_accounts(service, found)
        lost: dict[str, EngineError] = {}
        rows = _fetch(service, names, found.settings.max_age, seconds, lost)
    if lost and not rows:
        raise next(iter(lost.values()))
    for name, error in lost.items():
        say(f"{name}: {error}")
    return rows, bool(rows) and not lost


def _fetch(
    engine: Verbs, names: list[str], max_age: float, timeout: float, lost: dict[str, EngineError] | None = None
) -> list[Row]:
    """The balances. `lost` takes why a node cannot tell that of an account; without it, that is raised."""
    rows: list[Row] = []
    pool = ThreadPoolExecutor(max(1, len(names)))
    try:
        asked = {name: pool.submit(engine.balance, name, max_age, timeout) for name in names}
        for name, each in asked.items():
            try:
                rows.append(each.result().to_dict())
            except (CallError, LaneElsewhere) as error:
                if lost is None:
                    raise
                lost[name] = error
        return rows
    finally:
        pool.shutdown(wait=False)  # after Ctrl-C the engine's stop answers the callers that still wait


def _stored(found: Config) -> list[Row]:
    """The balances that the owner of the directory last wrote: of the configured accounts, or of all."""
    owner = directory_owner(found.state_dir)
    say(f"{owner} The balances are read from its store, so they may be older than what that engine knows.")
    known = read_balances(found.state_dir, found.accounts or None, found.settings)
    names = [account.name for account in found.accounts] or sorted(known)
    counted = plain_names(found.settings.cash, AssetTable.shipped())
    return [known.get(name, BalanceSnapshot(name, cash_assets=counted)).to_dict() for name in names]


def _warn_uncounted(row: Row) -> None:
    """Warn on stderr of money that does not count as cash, with the line to configure."""
    amounts = {name: _spendable(each) for name, each in row["assets"].items()}
    found = elsewhere(amounts, row["cash_assets"])
    if found:
        say(f"warning: {elsewhere_sentence(row['account'], found, row['cash_assets'])}")


def _spendable(asset: Mapping[str, str | None]) -> Decimal:
    """What orders can use or hold already; the total where holds are unknown."""
    free, held, total = (Decimal(asset[part] or 0) for part in ("available", "held", "total"))
    return total if asset["available"] is None else free + held


def _print(rows: list[Row], as_json: bool, assets: bool) -> None:
    if as_json:
        document({"accounts": [{k: v for k, v in row.items() if k != _NOT_IN_JSON} for row in rows]})
        return
    out = console()
    show_balances(out, "Balances", rows)
    if assets:
        held = [(row["account"], name, each) for row in rows for name, each in row["assets"].items()]
        cells = [(account, name, *_amounts(each, "total", "available", "held")) for account, name, each in held]
        show(out, table("Assets", ("Account", "Asset", "Total", "Available", "Held"), cells, right=(2, 3, 4)))


def _print_history(found: Config, as_json: bool) -> None:
    """The stored points of the configured accounts, or of all accounts in the directory."""
    keys: dict[str, str | None] = {each.name: each.key_id for each in found.accounts}
    keys = keys or dict.fromkeys(recorded_accounts(found.state_dir))
    points = {name: [each.to_dict() for each in read_history(found.state_dir, name, key)] for name, key in keys.items()}
    if as_json:
        document({"accounts": [{"account": name, "history": each} for name, each in points.items()]})
        return
    cells = [
        (name, each["as_of"][:19].replace("T", " "), *_amounts(each, "cash", "available_cash"),
         in_words(each["cash_assets"]) if each["cash_assets"] else "")
        for name, kept in points.items()
        for each in kept
    ]  # fmt: skip
    columns = ("Account", "As of (UTC)", "Cash", "Available\ncash", "Cash is")
    show(console(), table("History", columns, cells, right=(2, 3)))


def show_balances(out: Console, title: str, rows: Sequence[Row]) -> None:
    """Print the accounts as a table, and below it their last errors; rows are `BalanceSnapshot.to_dict()`."""
    show(out, table(title, _columns(rows), [_cells(row) for row in rows], right=(2, 4, 5, 6)))
    for row in rows:
        if row["last_error"]:
            out.print(Text.assemble((f"{row['account']}: ", "bold"), row["last_error"]))


def _columns(rows: Sequence[Row]) -> tuple[str, ...]:
    names = next((row["cash_assets"] for row in rows if row.get("cash_assets")), ())
    told = in_words(names) if names else ""
    lines = told if len(told) <= _HEADING_AT_MOST else told.replace("+ ", "+\n")
    return ("Account", "State", "Age", "Available", f"Cash\n{lines}".rstrip(), "Available\ncash", "Errors")


def _cells(row: Row) -> tuple[str | Text, ...]:
    return (
        row["account"],
        Text(row["state"].upper(), style=_STATE_STYLES[row["state"]]),
        seconds_in_words(row["age_seconds"]),
        Text("yes", style=GOOD) if row["is_available"] else Text("no", style=BAD),
        *_amounts(row, "cash", "available_cash"),
        str(row["error_count"]),
    )


def _amounts(row: Row, *names: str) -> tuple[str, ...]:
    return tuple("unknown" if row[name] is None else row[name] for name in names)
