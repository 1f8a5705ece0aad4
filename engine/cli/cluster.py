"""`kraken-engine cluster`: who owns which lane, and where it is wanted, from the database alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from engine.cli.cluster_database import cluster_of, opened
from engine.cli.cluster_transfer import export, import_
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import console, document, say, seconds_in_words, show, table
from engine.errors import StoreError
from engine.rules.cluster.spread import PRESENT_FOR

if TYPE_CHECKING:
    from engine.cluster.leases import LaneRow, Leases, NodeRow

PATIENCE = 5.0  # seconds for one statement; a person waits longer than a node may

_LANES = ("Lane", "Owner", "Epoch", "Lease", "Wanted at", "Accounts", "Its gateway")
_NODES = ("Node", "Seen", "Takes lanes", "Has the keys of", "Its gateway")
_NONE = "-"
_NO_TABLES = "The database has no tables of a cluster yet: the first node that starts makes them."


@click.group()
def cluster() -> None:
    """Who owns which lane of a cluster, and where it is wanted.

    Asks and tells the database alone, so that it works with all nodes dead too. The nodes look there four times a
    second.
    """


@cluster.command()
@common
@pass_options
def status(options: Options) -> int:
    """Show the lanes with their owners, epochs and leases, and the nodes."""
    with _leases(options) as leases:
        lanes, nodes = leases.lanes(), leases.nodes()
    for each in lanes:
        if each.seconds_left <= 0 and not _takers(each, nodes):
            say(f"No node that is there now takes lane {each.id}: start one that has the keys of all of its accounts.")
    if options.json:
        document({"lanes": [_lane(each) for each in lanes], "nodes": [_node(each) for each in nodes]})
        return Exit.DONE
    out = console()
    show(out, table("Lanes", _LANES, map(_lane_line, lanes), right=(2,), fold=(5,)))
    show(out, table("Nodes", _NODES, map(_node_line, nodes), fold=(3,)))
    return Exit.DONE


@cluster.command()
@common
@click.argument("lane")
@click.argument("node", required=False)
@click.option("--anywhere", is_flag=True, help="Let the lane be at any node again.")
@pass_options
def move(options: Options, lane: str, node: str | None, anywhere: bool) -> int:
    """Have LANE served by NODE from now on, as long as NODE is there and has its keys.

    Its owner stops it in order and gives it back: calls that wait end as not sent, and open orders stay at Kraken.
    """
    if (node is None) != anywhere:
        raise click.UsageError("Say where the lane is wanted: cluster move LANE NODE, or cluster move LANE --anywhere.")
    with _leases(options) as leases:
        leases.move(lane, node)
        known = {each.name: each for each in leases.nodes()}
    if node is not None and node not in known:
        say(f"No node {node!r} has started yet, or it has left (there {'is' if len(known) == 1 else 'are'} "
            f"{', '.join(known) or 'none'}): the lane stays where it is until a node of that name starts.")  # fmt: skip
    elif node is not None and lane not in known[node].lanes:
        say(f"Node {node} has not the keys of lane {lane}: the lane stays where it is until that node was started "
            "with the keys of all of its accounts.")  # fmt: skip
    elif node is not None and known[node].draining:
        say(f"Node {node} is draining: the lane stays where it is until that is undone (cluster drain {node} --undo).")
    elif node is not None and known[node].seconds_since_seen >= PRESENT_FOR:
        say(f"Node {node} was seen {_seen(known[node])}: the lane stays where it is until it is there again.")
    told = "may be at any node again" if node is None else f"is wanted at {node}"
    return _done(options, f"Lane {lane} {told}.", {"lane": lane, "wanted": node})


@cluster.command()
@common
@click.argument("node")
@click.option("--undo", is_flag=True, help="Let the node take lanes again.")
@pass_options
def drain(options: Options, node: str, undo: bool) -> int:
    """Have NODE hand over all of its lanes and take no other, also after it was started anew.

    A lane that no other node has the keys of stays where it is.
    """
    with _leases(options) as leases:
        (leases.undrain if undo else leases.drain)(node)
        gone = [each for each in leases.nodes() if each.name == node and each.seconds_since_seen >= PRESENT_FOR]
    if gone:
        say(f"Node {node} was seen {_seen(gone[0])}: that is for when it is there again.")
    told = f"Node {node} takes lanes again." if undo else f"Node {node} hands over its lanes and takes no other."
    return _done(options, told, {"node": node, "draining": not undo})


for command in (import_, export):
    cluster.add_command(command)


def _done(options: Options, sentence: str, told: dict[str, Any]) -> int:
    if options.json:
        document(told)
    else:
        click.echo(sentence)
    return Exit.DONE


@contextlib.contextmanager
def _leases(options: Options) -> Iterator[Leases]:
    """The lanes of the cluster that the configuration names. Raises `ConfigError` or `StoreError`."""
    found = options.load(need_accounts=False, faults=[])  # keys are not needed, so neither are their files
    with opened(cluster_of(found), PATIENCE) as database:
        from engine.cluster import schema  # noqa: PLC0415 - an extra
        from engine.cluster.leases import Leases  # noqa: PLC0415

        if not schema.version(database):
            raise StoreError(_NO_TABLES)
        yield Leases(database)


def _takers(lane: LaneRow, nodes: Iterable[NodeRow]) -> list[str]:
    """The nodes that are there and may take a lane."""
    present = [each for each in nodes if each.seconds_since_seen < PRESENT_FOR and not each.draining]
    return [each.name for each in present if lane.id in each.lanes]


def _lane(row: LaneRow) -> dict[str, Any]:
    owner, url = (row.owner, row.url) if row.seconds_left > 0 else (None, None)
    return {
        "lane": row.id, "epoch": row.epoch, "owner": owner, "last_owner": row.owner, "url": url,
        "seconds_left": round(row.seconds_left, 3), "accounts": list(row.accounts), "wanted": row.wanted,
        "claimed_at": row.claimed_at.isoformat(),
    }  # fmt: skip


def _node(row: NodeRow) -> dict[str, Any]:
    return {
        "node": row.name, "url": row.url, "lanes": list(row.lanes),
        "seconds_since_seen": round(row.seconds_since_seen, 3), "draining": row.draining,
    }  # fmt: skip


def _lane_line(row: LaneRow) -> tuple[str, ...]:
    if row.owner is None:
        owner, lease = "nobody", "given back"
    elif row.seconds_left > 0:
        owner, lease = row.owner, f"{row.seconds_left:.1f} s left"
    else:
        owner, lease = f"nobody, before {row.owner}", "ran out"
    return (row.id, owner, str(row.epoch), lease, row.wanted or _NONE, ", ".join(row.accounts), row.url or _NONE)


def _node_line(row: NodeRow) -> tuple[str, ...]:
    takes = "no, it is draining" if row.draining else "yes"
    return (row.name, _seen(row), takes, ", ".join(row.lanes), row.url or _NONE)


def _seen(row: NodeRow) -> str:
    return f"{seconds_in_words(row.seconds_since_seen)} ago"
