"""An account that is configured in another lane than before: its orders and limits come along from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.actors.backing import journal_rows as layout
from engine.actors.backing.placement_rows import PlacementRows
from engine.actors.lane.limits import NAME as LIMITS
from engine.cluster.documents import LaneDocuments
from engine.cluster.journal_rows import FILE as ORDERS
from engine.cluster.lease import Lease
from engine.rules.order.placement import Placement

AT_ONCE = 100  # placements

_ELSEWHERE = """
, added AS (
    INSERT INTO kraken_engine.account (name, lane) SELECT asked.name, fence.id
    FROM fence, unnest(%(names)s::text[]) AS asked (name)
    ON CONFLICT (name) DO NOTHING
)
SELECT (SELECT count(*) FROM fence), (
    SELECT jsonb_object_agg(account.name, account.lane) FROM kraken_engine.account
    WHERE account.name = ANY(%(names)s) AND account.lane <> %(lane)s
)
"""
_HERE = """
, moved AS (
    UPDATE kraken_engine.account SET lane = fence.id FROM fence WHERE account.name = %(name)s
)
SELECT count(*) FROM fence
"""


def bring_along(lease: Lease, keys: Iterable[tuple[str, str]]) -> None:
    """Copy what other lanes keep of these accounts, given as account and hash of the key, into this one.

    Otherwise an id that was placed there would be placed again here. Done once for each move, before the lane is
    served; what was not done to the end is done again. Raises `OwnershipLost` or `StoreError`.
    """
    key_ids = dict(keys)
    (elsewhere,) = lease.write(_ELSEWHERE, {"names": [*key_ids]})
    for account, lane in (elsewhere or {}).items():
        _copy_limits(lease, lane, key_ids[account])
        _copy_orders(lease, lane, account)
        lease.write(_HERE, {"name": account})


def _copy_limits(lease: Lease, lane: str, key_id: str) -> None:
    found = LaneDocuments(lease, LIMITS, lane).named([key_id])
    LaneDocuments(lease, LIMITS).put_all(found)


def _copy_orders(lease: Lease, lane: str, account: str) -> None:
    there, here = LaneDocuments(lease, ORDERS, lane), LaneDocuments(lease, ORDERS)
    rows = PlacementRows(here, f"The journal of lane {lease.lane}")
    here.put_all(there.named([layout.SWITCH + account, layout.PAUSE + account]))
    for part in _placements(there, lane, account):
        rows.adopt(part)


def _placements(documents: LaneDocuments, lane: str, account: str) -> Iterator[list[Placement]]:
    """The placements of an account, some at a time."""
    rows = PlacementRows(documents, f"The journal of lane {lane}")
    leads = (documents.between(f"{kind}/{account}/", f"{kind}/{account}0") for kind in ("id", "txid"))
    live = [mark.removeprefix(layout.LIVE) for mark in documents.names(layout.LIVE, f"{layout.LIVE}~")]
    names = list(dict.fromkeys([*live, *(str(name) for found in leads for name in found.values())]))
    for at in range(0, len(names), AT_ONCE):
        found = rows.rows(names[at : at + AT_ONCE]).values()
        yield [row for row in found if row.account == account]
