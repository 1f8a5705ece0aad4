"""Several placements that go out as one AddOrderBatch: each has its own row in the journal and its own end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from engine.actors.lane.messages import CallDone, CallFailed
from engine.actors.lane.queued_call import QuickReply
from engine.actors.order.submission import Submission
from engine.errors import CallError, CallUnknown
from engine.kraken.params import CLOSE, CLOSE_PARTS, ORDERS
from engine.kraken.refusals import UNLISTED, Effect, meaning_of
from engine.rules.order.placement import Placement

Ended = Placement | CallError
"""How one of the placements ended: the placement as it is known, or the error in its place."""


class BatchSubmission(QuickReply):
    """The placements of one batch on their way through the lane: `parts` in the order in which they are sent."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Submission]) -> None:
        self._parts = tuple(parts)

    def sending(self, deadline: float | None) -> float | None:
        """Their turn has come: each is durably *sent* from here on. Raises `CallNotSent`: then none of them is."""
        rows = self._parts[0].journal.send_all({part.name: part.due(deadline) for part in self._parts})
        return min((row.deadline for row in rows if row.deadline is not None), default=deadline)

    def tell(self, message: CallDone | CallFailed) -> None:
        """The answer is there: each takes its part of it."""
        for part, told in zip(self._parts, _split(message, len(self._parts)), strict=True):
            part.tell(told)


def batch_params(plans: Sequence[Placement]) -> dict[str, Any]:
    """The parameters of AddOrderBatch for these placements, which are on one pair."""
    shared = {name: plans[0].params[name] for name in ("pair", "asset_class") if name in plans[0].params}
    return {**shared, ORDERS: [_row(plan) for plan in plans]}


def gathered(waiting: Sequence[Placement | Future[Placement]]) -> Future[list[Ended]]:
    """How all of them have ended, as soon as the last has."""
    answer: Future[list[Ended]] = Future()
    futures = [each for each in waiting if isinstance(each, Future)]
    left = len(futures)

    def one_more(_: Future[Placement]) -> None:
        nonlocal left
        left -= 1
        if not left:
            answer.set_result([_ended(each) for each in waiting])

    for each in futures:
        each.add_done_callback(one_more)
    if not futures:
        answer.set_result([_ended(each) for each in waiting])
    return answer


def _ended(each: Placement | Future[Placement]) -> Ended:
    if isinstance(each, Placement):
        return each
    error = each.exception()
    if error is not None and not isinstance(error, CallError):
        raise error
    return each.result() if error is None else error


def _row(plan: Placement) -> dict[str, Any]:
    row = {name: value for name, value in plan.params.items() if name not in ("pair", "asset_class")}
    close = {part: row.pop(f"close[{part}]") for part in CLOSE_PARTS if f"close[{part}]" in row}
    return {**row, **({CLOSE: close} if close else {}), **plan.kraken_name.filter()}


def _split(message: CallDone | CallFailed, many: int) -> Iterator[CallDone | CallFailed]:
    """The answer for each of the orders; rows match by their place."""
    if isinstance(message, CallFailed):
        yield from (message for _ in range(many))
        return
    told = message.result.get(ORDERS) if isinstance(message.result, Mapping) else None
    rows = told if isinstance(told, list) and len(told) == many else [None] * many
    for row in rows:
        if isinstance(row, Mapping) and row.get("txid"):
            yield CallDone(message.call, _result(row))
        else:
            yield CallFailed(message.call, _error(row))


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the result of AddOrder, which has the close beside the order."""
    descr = row.get("descr")
    return {"txid": row.get("txid"), "descr": {**(descr if isinstance(descr, Mapping) else {}), CLOSE: row.get(CLOSE)}}


def _error(row: Any) -> CallError:
    if not isinstance(row, Mapping):
        return CallUnknown("Kraken's answer to the batch does not tell what became of this order: it is looked up.")
    told = row.get("error")
    code = str(told[0] if isinstance(told, list) and told else told or "")
    meaning = meaning_of(code) or UNLISTED
    if not code or meaning.effect is not Effect.NONE:
        return CallUnknown(f"Kraken's answer to one order of the batch is {code!r}: it is looked up.", kraken_code=code)
    return meaning.error(f"Kraken refused the order: {code}.", kraken_code=code)
