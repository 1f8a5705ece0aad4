"""How placements are laid out in the journal's file: each under its `cl_ord_id`, with small documents that lead to it.

- ``id/ACCOUNT/ID`` and ``txid/ACCOUNT/TXID`` hold the `cl_ord_id`; the second kind is for placements that are not live.
- ``live/CL_ORD_ID`` is there for each placement that is live (`Placement.is_live`).
- ``client/ACCOUNT/CLIENT/PARAMETER/HEX/SECOND/CL_ORD_ID`` is there for each name that a client has given: its
  `cl_ord_id` and its `userref`, in hexadecimal digits, with the second in which it was planned. CLIENT is empty for an
  order that was placed in the process.
- ``over/SECOND/CL_ORD_ID`` is there for the others: from that Unix second on they need not be kept.

So what is live is found without a look at the others, and everything by its name, however much there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.errors import ConfigError, StoreDamaged
from engine.rules.order.own_name import same
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState

LIVE, OVER, CLIENT = "live/", "over/", "client/"
SWITCH, PAUSE = "dead man's switch ", "paused "  # before the account
GENERATION = "generation"

_LEADS = ("id/", "txid/", LIVE, OVER, CLIENT)
_CL_ORD_ID = re.compile(r"[0-9a-f]{32}")


def is_name(text: str) -> bool:
    """Whether a placement can be kept under this name."""
    return _CL_ORD_ID.fullmatch(text) is not None


def leads(account: str, name: str) -> tuple[str, str]:
    """Under which names it is told which placement has this id, and which one this txid."""
    return f"id/{account}/{name}", f"txid/{account}/{name}"


def live_mark(row: Placement) -> str:
    """The document that is there while the placement is live."""
    return LIVE + row.cl_ord_id


def over_before(now: float) -> str:
    """The name before which the marks come of placements that need not be kept at `now`, in Unix seconds."""
    return f"{OVER}{int(now):012d}"


def new_documents(row: Placement) -> dict[str, Any]:
    """Everything that is written of a new placement."""
    lead = {leads(row.account, row.id)[0]: row.cl_ord_id} if row.named else {}
    return {**documents(row), **lead, **dict.fromkeys(_client_marks(row))}


def of_client(account: str, client: str | None, param: str, value: str | int) -> str:
    """How the names of the documents begin that tell of a client's orders with this `cl_ord_id` or `userref`."""
    return f"{CLIENT}{account}/{client or ''}/{param}/{same(str(value)).encode().hex()}/"


def _client_marks(row: Placement) -> list[str]:
    given = {"cl_ord_id": row.client_id, "userref": row.order.userref}
    end = f"{int(row.times.get(OrderState.PLANNED.value, 0.0)):012d}/{row.cl_ord_id}"
    names = ((name, value) for name, value in given.items() if value is not None)
    return [of_client(row.account, row.client, name, value) + end for name, value in names]


def documents(row: Placement) -> dict[str, Any]:
    """What is written of a placement that was written before."""
    if row.is_live:
        return {row.cl_ord_id: row.to_dict(), live_mark(row): None}
    found = {leads(row.account, name)[1]: row.cl_ord_id for name in row.names if name != row.cl_ord_id}
    return {row.cl_ord_id: row.to_dict(), **found, f"{over_before(row.kept_until)}/{row.cl_ord_id}": None}


def names(row: Placement) -> list[str]:
    """Every document of a placement but the one under its id, which may lead to a later one."""
    return [row.cl_ord_id, *(documents(row).keys() - {row.cl_ord_id}), live_mark(row), *_client_marks(row)]


def placement(document: Any, where: object) -> Placement:
    """The placement that a document holds. Raises `StoreDamaged`, naming `where`."""
    try:
        return Placement.from_dict(document)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, ConfigError):
        raise StoreDamaged(f"{where} holds a row that this version cannot read.") from None


def upgraded(found: Mapping[str, Any], where: object) -> Iterator[dict[str, Any]]:
    """What has to be added to a file in which placements lie alone, as earlier versions wrote it, in small parts.

    `found` is all it holds. Raises `StoreDamaged` for a document that is not ours.
    """
    rows = [placement(each, where) for name, each in found.items() if not name.startswith((SWITCH, PAUSE, *_LEADS))]
    for row in sorted(rows, key=claim):
        yield new_documents(row)


def doubted(name: str, document: Any, where: object) -> tuple[str, Any]:
    """A document of a journal that is too old, as it is to be taken over: what it tells as not sent may have been sent.

    So that is looked up, and no id may be used again.
    """
    if not is_name(name):
        return name, document
    row = replace(placement(document, where), may_repeat=False)
    return name, (replace(row, state=OrderState.SENT) if row.state is OrderState.PLANNED else row).to_dict()


def switches(found: Mapping[str, Any]) -> dict[str, int]:
    """Seconds by account, from the documents of the dead man's switches."""
    return {name.removeprefix(SWITCH): each for name, each in found.items() if isinstance(each, int)}


def pauses(found: Mapping[str, Any]) -> dict[str, float]:
    """Since when each account is paused, in Unix seconds, from the documents of the pauses."""
    return {name.removeprefix(PAUSE): float(each) for name, each in found.items() if isinstance(each, int | float)}


def lost_leads(rows: Iterable[Placement], held: Mapping[str, Any]) -> list[str]:
    """The documents under the ids of placements that lead to just these; `held` is what the documents hold now."""
    ids = ((leads(row.account, row.id)[0], row) for row in rows)
    return [lead for lead, row in ids if held.get(lead) == row.cl_ord_id]


def claim(row: Placement) -> tuple[bool, float]:
    """Of several placements, the highest has their id: the latest, but one that may be tried again gives way."""
    return not row.may_repeat, min(row.times.values(), default=0.0)
