"""`kraken-engine nonce`: marks per key, and taking over the counter of another program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from engine.cli.cluster_database import opened
from engine.cli.exits import Exit
from engine.cli.options import Options, account_named, common, pass_options
from engine.cli.output import console, document, say, seconds_in_words, table
from engine.cli.owner import directory_owner
from engine.cli.units import unit_of
from engine.config import ClusterConfig, Config
from engine.errors import ConfigError, StoreError
from engine.ownership import Ownership
from engine.rules.lane.nonce import HIGHEST
from engine.store.nonces import Nonces, file_nonces, read_marks
from engine.values import MASTER, SYSTEM_CLOCK, Account

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
LONGEST_FILE = 100
PATIENCE = 5.0  # seconds for one statement to PostgreSQL

_IN_CLUSTER = (
    "The marks of a cluster are in its PostgreSQL: raise the mark in a state directory, without the cluster, and take "
    "it over with kraken-engine cluster import STATE_DIR --lane NAME."
)

yes = click.option("--yes", is_flag=True, help="Accept a number more than a day ahead of the clock.")


@click.group()
@common
def nonce() -> None:
    """Show the nonces' marks, and take over the counter of another program.

    A nonce is max(last + 1, now) in nanoseconds, per API key. The mark of a key is a number on disk: no nonce exceeds
    it before a higher mark is durable, and after a crash the next nonce starts above it. A mark is never lowered.
    """


@nonce.command("show")
@common
@pass_options
def show_(options: Options) -> int:
    """Print the mark of every key, and by how much it is ahead of the clock. Makes no call.

    In a cluster the marks are those that PostgreSQL has.
    """
    found = options.load(need_accounts=False)
    if found.cluster is not None:
        _show(options, found, "PostgreSQL", _cluster_marks(found.cluster))
        return Exit.DONE
    if found.state_dir.exists() and not found.state_dir.is_dir():
        raise StoreError(f"The state directory {found.state_dir} is a file: name a directory, or move the file.")
    owner = directory_owner(found.state_dir)
    if owner is not None:
        say(f"{owner} The marks are read from its store.")
    _show(options, found, str(found.state_dir), read_marks(found.state_dir))
    return Exit.DONE


def _show(options: Options, found: Config, where: str, marks: Mapping[str, int]) -> None:
    rows = list(_rows(found, marks))
    if options.json:
        document({"state_dir": None if found.cluster else where, "keys": rows})
    elif rows:
        console().show(table(f"Nonces in {where}", _COLUMNS, map(_cells, rows), right=(2,), fold=(1,)))
    else:
        click.echo(f"There is no mark in {where}, and no account is configured.")


def _cluster_marks(cluster: ClusterConfig) -> Mapping[str, int]:
    with opened(cluster, PATIENCE) as database:
        from engine.cluster import schema  # noqa: PLC0415 - an extra
        from engine.cluster.marks import marks_of  # noqa: PLC0415

        return marks_of(database) if schema.version(database) else {}


@nonce.command("import")
@common
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--account", default=MASTER, show_default=True, metavar="NAME", help="The account of the key.")
@yes
@pass_options
def import_(options: Options, file: Path, account: str, yes: bool) -> int:
    """Take over the counter that another program kept in FILE: a text file that holds one number.

    The number may be in seconds, milliseconds, microseconds or nanoseconds; it is taken as it is. A number below the
    mark changes nothing. This engine counts in nanoseconds, and that cannot be undone: Kraken keeps the highest nonce
    of a key for ever, so a program that counts in a larger unit cannot use the key afterwards. End that program first.
    """
    number = _read_number(file)
    return _raise_mark(options, account, number, yes, source=str(file))


@nonce.command("raise")
@common
@click.argument("account")
@click.argument("number", type=int, metavar="N")
@yes
@pass_options
def raise_(options: Options, account: str, number: int, yes: bool) -> int:
    """Let the next nonce of ACCOUNT's key be above N. A number below the mark changes nothing.

    This cannot be undone: Kraken keeps a number far ahead of the clock as the lower bound of the key for ever.
    """
    return _raise_mark(options, account, number, yes, source=None)


def _raise_mark(options: Options, name: str, number: int, yes: bool, *, source: str | None) -> int:
    found = options.load()
    if found.cluster is not None:
        raise ConfigError(_IN_CLUSTER)
    account = account_named(found, name)
    if not 0 <= number < HIGHEST:
        raise ConfigError(f"{number} cannot be a nonce: use a whole number from 0 to 2**63 - 2.")
    now = SYSTEM_CLOCK.wall_ns()
    if number > now + DAY and not yes:
        raise ConfigError(
            f"{number} is {seconds_in_words((number - now) / SECOND)} ahead of the clock in nanoseconds, and a nonce "
            "never goes back: add --yes if Kraken has really seen it for this key."
        )
    with _opened(found, account) as nonces:
        before = nonces.mark(account.key_id)
        nonces.skip_to(account.key_id, number)
        after = nonces.mark(account.key_id)
    told = {
        "account": account.name, "key_id": account.key_id, "number": str(number), "unit": unit_of(number, now),
        "mark_before": str(before) if before else None, "mark": str(after) if after else None,
        "lead_seconds": _lead(after), "changed": after > before,
    }  # fmt: skip
    if options.json:
        document(told)
    else:
        click.echo("\n".join(_sentences(told, source)))
    return Exit.DONE


@contextlib.contextmanager
def _opened(found: Config, account: Account) -> Iterator[Nonces]:
    """The nonces, with the directory and the key owned, so that no engine uses them at the same time."""
    ownership = Ownership(found.state_dir, [(account.name, account.key_id)])
    try:
        with contextlib.closing(file_nonces(ownership.directory, warn=_warn)) as nonces:
            yield nonces
    finally:
        ownership.release()


def _warn(_: str, sentence: str) -> None:
    say(f"warning: {sentence}")


def _read_number(file: Path) -> int:
    try:
        with file.open("rb") as opened:
            text = opened.read(LONGEST_FILE).strip()
    except OSError as error:
        raise ConfigError(f"The file {file} cannot be read: {error.strerror}.") from error
    if not text.isdigit():
        raise ConfigError(f"The file {file} does not hold one whole number and nothing else.")
    return int(text)


def _sentences(told: dict[str, Any], source: str | None) -> Iterator[str]:
    unit = f"looks like {told['unit']}" if told["unit"] else "looks like no clock's time in any unit"
    yield f"{told['number']}{f' from {source}' if source else ''} {unit}."
    if told["changed"]:
        yield f"The next nonce of account {told['account']} is above {told['mark']}."
    else:
        yield f"Nothing changed: account {told['account']}'s mark is {told['mark'] or 0} already, and never falls."
    if int(told["number"]) < SYSTEM_CLOCK.wall_ns():
        yield "This engine counts in nanoseconds by the clock, so its nonces are higher anyway."
    yield (
        "The move to nanoseconds is one-way: once this engine has used the key, a program that counts in a larger "
        "unit cannot use it any more."
    )


_COLUMNS = ("Account", "Key (a hash of it)", "Mark", "Relative to\nthe clock")


def _rows(found: Config, marks: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    names = {account.key_id: account.name for account in found.accounts}
    for key_id in [*names, *sorted(marks.keys() - names.keys())]:
        mark = marks.get(key_id, 0)
        yield {
            "account": names.get(key_id), "key_id": key_id, "mark": str(mark) if mark else None,
            "lead_seconds": _lead(mark),
        }  # fmt: skip


def _lead(mark: int) -> float | None:
    return round((mark - SYSTEM_CLOCK.wall_ns()) / SECOND, 3) if mark else None


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    lead = row["lead_seconds"]
    where = "-" if lead is None else f"{seconds_in_words(abs(lead))} {'ahead' if lead > 0 else 'behind'}"
    return row["account"] or "(not configured)", row["key_id"], row["mark"] or "none yet", where
