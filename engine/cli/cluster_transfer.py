"""`kraken-engine cluster import` and `export`: from a state directory into a lane, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.cluster_database import cluster_of, opened
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document, say
from engine.errors import ConfigError

if TYPE_CHECKING:
    from engine.cluster.transfer import Moved

PATIENCE = 30.0  # seconds for one statement; a person waits longer than a node may

_directory = click.argument("directory", type=click.Path(path_type=Path), metavar="STATE_DIR")
_lane = click.option("--lane", required=True, metavar="NAME", help="One of the [lanes] of the configuration.")


@click.command("import")
@common
@_directory
@_lane
@pass_options
def import_(options: Options, directory: Path, lane: str) -> int:
    """Take what STATE_DIR has of a lane's accounts into the lane: nonce marks, lockouts and counters, orders.

    Refused while an engine owns the directory or a node the lane. Orders keep their ids, and a mark is never lowered,
    so it may be done again. The directory stays as it is: start no engine on it any more.
    """
    return _transfer(options, directory, lane, into_lane=True)


@click.command("export")
@common
@_directory
@_lane
@pass_options
def export(options: Options, directory: Path, lane: str) -> int:
    """Take what a lane has of its accounts into STATE_DIR, which is made unless it is there.

    Refused while an engine owns the directory or a node the lane. The lane stays as it is: start no node with its keys
    any more.
    """
    return _transfer(options, directory, lane, into_lane=False)


def _transfer(options: Options, directory: Path, lane: str, *, into_lane: bool) -> int:
    found = options.load()
    cluster = cluster_of(found)
    with opened(cluster, PATIENCE) as database:
        from engine.cluster.durability import check_durable  # noqa: PLC0415 - an extra
        from engine.cluster.leases import Leases  # noqa: PLC0415
        from engine.cluster.members import lanes_here  # noqa: PLC0415
        from engine.cluster.transfer import export_state, import_state  # noqa: PLC0415

        named, here = lanes_here(cluster.lanes, found.accounts)
        if lane not in here:
            raise ConfigError(_no_lane(lane, named))
        check_durable(database)
        leases = Leases(database)
        leases.prepare()
        move = import_state if into_lane else export_state
        moved = move(directory.absolute(), leases, lane, here[lane], _warn)
    return _tell(options, moved, f"lane {lane}" if into_lane else str(directory))


def _no_lane(lane: str, named: Mapping[str, tuple[str, ...]]) -> str:
    if lane in named:
        return f"The keys of lane {lane} are not all here: its accounts are {', '.join(named[lane])}."
    return f"There is no lane {lane!r} in the configuration: it has {', '.join(named) or 'none'}."


def _tell(options: Options, moved: Moved, where: str) -> int:
    if options.json:
        document(asdict(moved))
        return Exit.DONE
    click.echo(f"Taken over into {where}: {moved.marks} nonce marks, the limits of {moved.limits} keys, "
               f"{moved.orders} orders.")  # fmt: skip
    if moved.older:
        click.echo(f"{moved.older} orders stay as they are there: what is known of them there is newer.")
    if moved.left:
        click.echo(f"Not taken over, as they are not in this lane: the accounts {', '.join(moved.left)}.")
    return Exit.DONE


def _warn(_: str, sentence: str) -> None:
    say(f"warning: {sentence}")
