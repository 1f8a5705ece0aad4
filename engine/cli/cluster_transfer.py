"""`kraken-engine cluster import` and `export`: from a state directory into a lane, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

_INTO_NODES = (
    "Start no engine on {directory} any more. When every lane is done, start the nodes (kraken-engine serve "
    "--cluster), and make the gateway's keys anew at one of them (kraken-engine gateway-key)."
)
_INTO_ENGINE = (
    "Start no node with these keys any more. When every lane is done, start the engine on {directory} (kraken-engine "
    "serve), and make the gateway's keys anew (kraken-engine gateway-key)."
)

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
    if options.json:
        document(asdict(moved))
        return Exit.DONE
    click.echo(_taken(moved, f"lane {lane}" if into_lane else str(directory)))
    for sentence in (*_skipped(moved, cluster.lanes), *_next(moved, directory, lane, cluster.lanes, into_lane)):
        click.echo(sentence)
    return Exit.DONE


def _no_lane(lane: str, named: Mapping[str, tuple[str, ...]]) -> str:
    if lane in named:
        return f"The keys of lane {lane} are not all here: its accounts are {', '.join(named[lane])}."
    return f"There is no lane {lane!r} in the configuration: it has {', '.join(named) or 'none'}."


def _taken(moved: Moved, where: str) -> str:
    if not (moved.marks or moved.limits or moved.orders or moved.switches or moved.pauses):
        return f"Nothing new was taken over into {where}."
    parts = (
        _counted(moved.marks, "nonce mark"), f"counters and lockouts of {_counted(moved.limits, 'key')}",
        _counted(moved.orders, "order"), _counted(moved.switches, "dead man's switch", "dead man's switches"),
        _counted(moved.pauses, "pause"),
    )  # fmt: skip
    return f"Taken over into {where}: {', '.join(parts)}."


def _skipped(moved: Moved, lanes: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """What was not taken over, and why."""
    if moved.same:
        yield f"Left as it was: {_counted(moved.same, 'order')}, there already."
    if moved.older:
        yield f"Left as it was: {_counted(moved.older, 'order')}, of which more is known there."
    for name in moved.left:
        lane = next((each for each, names in lanes.items() if name in names), None)
        where = "in no lane of the configuration" if lane is None else f"in lane {lane}"
        yield f"Not taken over: account {name}, which is {where}."
    yield "Not taken over: balances and their history, which are fetched anew, and the keys of the gateway."


def _next(
    moved: Moved, directory: Path, lane: str, lanes: Mapping[str, tuple[str, ...]], into_lane: bool
) -> Iterator[str]:
    """What to do now."""
    others = [each for each, names in lanes.items() if each != lane and set(names) & set(moved.left)]
    for each in others:
        yield f"Next: kraken-engine cluster {'import' if into_lane else 'export'} {directory} --lane {each}"
    if into_lane:
        yield _INTO_NODES.format(directory=directory)
    else:
        yield _INTO_ENGINE.format(directory=directory)


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def _warn(_: str, sentence: str) -> None:
    say(f"warning: {sentence}")
