"""Kraken's calls on an engine: what a client of Kraken's REST interface would get as an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.adapters.asking import Steps, ask, run, run_async
from engine.adapters.orders import orders_of
from engine.app.verbs import Verbs
from engine.errors import CallUnknown, EngineError
from engine.kraken.endpoints import CallClass, Endpoint, is_dry_run, private_endpoint
from engine.kraken.json_text import written
from engine.kraken.params import CLIENT_ID, USERREF, canonical
from engine.kraken.refusal_words import UNAVAILABLE, code_of, is_own

_LISTS = {"OpenOrders": "open", "ClosedOrders": "closed", "QueryOrders": None}  # and where their rows are
ORDER_SECONDS = 30.0
"""How long an order is waited for where the library names no time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Kraken answers: a result or errors; `sentence` says of the engine's own refusals what is wrong."""

    result: Any = None
    errors: tuple[str, ...] = ()
    sentence: str | None = None

    def text(self) -> str:
        """The body of the reply, with fractional numbers as Kraken wrote them."""
        if not self.errors:
            return f'{{"error":[],"result":{written(self.result)}}}'
        told = {"error": list(self.errors)} | ({"engine": self.sentence} if self.sentence else {})
        return json.dumps(told)


class KrakenApi:
    """The calls of one account of an `Engine` or a `RemoteEngine`, in a thread or on an event loop. Thread-safe.

    Raises `CallUnknown` where a call that writes may have been done: no answer of Kraken's says so, and each of its
    errors would make some client send it again. A cancel of unknown outcome is told as an unavailable service, since
    sending it again is harmless. Everything else is an `Answer`.
    """

    def __init__(self, engine: Verbs, account: str = "MASTER") -> None:
        self._engine, self.account = engine, account
        self._orders = orders_of(engine, account)
        self._names = self._orders.names

    def private(self, endpoint: str, params: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """One private call, in this thread."""
        return run(self._engine, self._private(endpoint, params, seconds))

    async def private_async(self, endpoint: str, params: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """One private call, on the running event loop."""
        return await run_async(self._engine, self._private(endpoint, params, seconds))

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """One public call, in this thread; not through the lane."""
        return run(self._engine, _public(endpoint, params, seconds))

    async def public_async(self, endpoint: str, params: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """One public call, on the running event loop."""
        return await run_async(self._engine, _public(endpoint, params, seconds))

    def __repr__(self) -> str:
        return f"KrakenApi({self.account})"

    def _private(self, name: str, params: Mapping[str, Any], seconds: float | None) -> Steps[Answer]:
        may_be_sent_again = False
        try:
            endpoint = private_endpoint(name).with_params(params)
            asked = canonical(endpoint, params)
            may_be_sent_again = _is_harmless(endpoint, asked)
            result = yield from self._result(endpoint, asked, seconds)
            return Answer(result)
        except CallUnknown as error:
            if not may_be_sent_again:
                raise
            return Answer(errors=(UNAVAILABLE,), sentence=str(error))
        except EngineError as error:
            return _refused(error)

    def _result(self, endpoint: Endpoint, params: Mapping[str, Any], seconds: float | None) -> Steps[Any]:
        wait = ORDER_SECONDS if seconds is None else seconds
        if not is_dry_run(endpoint, params):
            match endpoint.name:
                case "AddOrder":
                    return (yield from self._orders.place(params, wait))
                case "AddOrderBatch":
                    return (yield from self._orders.place_batch(params, wait))
                case "EditOrder":
                    return (yield from self._orders.edit(params, wait))
                case "CancelOrder":
                    return (yield from self._orders.cancel(params, wait))
                case "CancelAll":
                    return (yield from self._orders.cancel_all(wait))
            params = params if CLIENT_ID not in params else (yield from self._names.asked(params))
        if USERREF in params and endpoint.name in _LISTS:
            return (yield from self._marked(endpoint, params, seconds))
        result = yield from ask("call", self.account, endpoint.name, params, seconds)
        return (yield from self._names.told(result))

    def _marked(self, endpoint: Endpoint, params: Mapping[str, Any], seconds: float | None) -> Steps[Any]:
        """A list of orders with one userref: Kraken does not know those of the engine's placements."""
        wanted = str(params[USERREF])
        asked = {name: value for name, value in params.items() if name != USERREF}
        result = yield from self._names.told((yield from ask("call", self.account, endpoint.name, asked, seconds)))
        room = _LISTS[endpoint.name]
        rows = result if room is None else result.get(room, {})
        kept = {txid: row for txid, row in rows.items() if str(row.get(USERREF)) == wanted}
        return kept if room is None else {**result, room: kept}


def _public(name: str, params: Mapping[str, Any], seconds: float | None) -> Steps[Answer]:
    try:
        return Answer((yield from ask("public", name, params, seconds)))
    except CallUnknown as error:
        return Answer(errors=(UNAVAILABLE,), sentence=str(error))
    except EngineError as error:
        return _refused(error)


def _refused(error: EngineError) -> Answer:
    """In Kraken's words; where the engine has refused it, with a sentence."""
    return Answer(errors=(code_of(error),), sentence=str(error) if is_own(error) else None)


def _is_harmless(endpoint: Endpoint, params: Mapping[str, Any]) -> bool:
    """Whether a call may be sent again when its outcome is unknown."""
    return not endpoint.writes or endpoint.call_class is CallClass.CANCEL or is_dry_run(endpoint, params)
