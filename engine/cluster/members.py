"""Which lanes a node may take: those of which it has all the accounts, each with a key that no other lane has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engine.actors.lane.attempt import distinct
from engine.cluster.database import Database
from engine.cluster.leases import Leases
from engine.errors import ConfigError, StoreInUse
from engine.rules.cluster.spread import PRESENT_FOR
from engine.values import Account, shown

_LANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # also the name of a directory

_HELD = """
SELECT key.key_id, lane.id, lane.owner FROM kraken_engine.key JOIN kraken_engine.lane ON lane.id = key.lane
WHERE key.key_id = ANY(%s) AND lane.lease_until > clock_timestamp()
"""
_IN_TWO_LANES = (
    "The API key of account {account}, which is in lane {lane} here, is in use by lane {other}, owned by node {owner}: "
    "configure it in one lane only, or make another key."
)


def lanes_here(
    lanes: Mapping[str, Iterable[str]], accounts: Iterable[Account | tuple[str, str, str]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[Account, ...]]]:
    """The names of the accounts of every lane, and the accounts of the lanes that this node may take.

    Raises `ConfigError` for an account that is in two lanes or in none, and for what cannot be an account or a lane.
    """
    named = {lane: tuple(names) for lane, names in lanes.items()}
    known = {each.name: each for each in distinct(accounts)}
    lane_of: dict[str, str] = {}
    for lane, names in named.items():
        _check(lane, names)
        for name in names:
            if lane_of.setdefault(name, lane) != lane:
                raise ConfigError(f"Account {name} is in the lanes {lane_of[name]} and {lane}: leave it in one.")
    if left := known.keys() - lane_of.keys():
        raise ConfigError(f"Account {sorted(left)[0]} is in no lane: name it in the accounts of one.")
    here = {lane: names for lane, names in named.items() if known.keys() >= set(names)}
    return named, {lane: tuple(known[name] for name in names) for lane, names in here.items()}


def check_keys(database: Database, lanes: Mapping[str, Iterable[Account]]) -> None:
    """Raise `StoreInUse` when another lane that has an owner uses one of these keys, else `StoreError`."""
    ours = {each.key_id: (lane, each.name) for lane, accounts in lanes.items() for each in accounts}
    for key_id, other, owner in database.run(_HELD, [list(ours)]):
        lane, account = ours[key_id]
        if other != lane:
            raise StoreInUse(_IN_TWO_LANES.format(account=account, lane=lane, other=other, owner=owner))


def check_name(leases: Leases, name: str, url: str | None) -> None:
    """Raise `StoreInUse` when a node of that name is there, at another address, else `StoreError`."""
    for each in leases.nodes():
        if each.name == name and each.url != url and each.seconds_since_seen < PRESENT_FOR:
            where = "without an address" if each.url is None else f"at {each.url}"
            raise StoreInUse(f"A node {name} is in the cluster already, {where}: give each node a name of its own.")


def _check(lane: str, names: tuple[str, ...]) -> None:
    if not isinstance(lane, str) or not _LANE_NAME.fullmatch(lane):
        raise ConfigError(f"{shown(lane)} cannot be a lane's name: use letters, digits, '.', '_' and '-', 63 at most.")
    if not names or not all(isinstance(each, str) for each in names):
        raise ConfigError(f"The lane {lane} has no accounts: a lane is a list of their names.")
