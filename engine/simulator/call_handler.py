"""Handles one call: applies the faults, asks the exchange, and records it in the call log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from email.utils import formatdate

from engine.simulator.api_call import ApiCall
from engine.simulator.call_log import CallLog, LogEntry
from engine.simulator.exchange import CallResult, Exchange
from engine.simulator.faults import Fault
from engine.simulator.rules import Rules
from engine.simulator.script import FaultScript, ScriptedFault
from engine.simulator.server import Link
from engine.simulator.stream_server import StreamServer
from engine.simulator.websocket import is_upgrade
from engine.simulator.wire import Ending, HttpResponse, Request


class CallHandler:
    """Serves calls, each in the thread of its connection."""

    def __init__(
        self,
        exchange: Exchange,
        script: FaultScript,
        journal: CallLog,
        rules: Rules,
        streams: StreamServer,
    ) -> None:
        self._streams = streams
        self._exchange = exchange
        self._script = script
        self._journal = journal
        self._rules = rules

    def date(self) -> str:
        """The text of a `Date` header now."""
        return formatdate(self._rules.wall(), usegmt=True)

    def serve(self, request: Request, link: Link) -> Ending:
        """Answer a request, subject to the faults in the script; one that asks for a WebSocket gets that."""
        if is_upgrade(request):
            return self._streams.serve(request, link, self.date())
        asked = ApiCall.of(request)
        account = self._exchange.owner(asked.key) if asked.private else None
        struck = self._script.take(asked.endpoint, account)
        faults = [scripted.fault for scripted in struck]
        names = "+".join(fault.name for fault in faults) or None
        with self._journal.call(asked, account, names, link.has_client) as entry:
            self._hold(struck, link, executed=False)
            answer = self._answer(asked, faults, entry)
            self._hold(struck, link, executed=True)
            reply = self._reply(answer, request)
            shapes = [fault.shape for fault in faults if fault.shape]
            plan = shapes[0](reply) if shapes else reply.plan()
            link.play(plan, entry.end)
        return plan.ending

    def _reply(self, answer: CallResult, request: Request) -> HttpResponse:
        if isinstance(answer.result, bytes):
            return HttpResponse(
                200, answer.result, self.date(), "application/octet-stream", keep_alive=request.keep_alive
            )
        reply = HttpResponse(200, _told(answer, self._rules.empty_result), self.date(), keep_alive=request.keep_alive)
        if answer.wait is None or self._rules.public_refusal == "error":
            return reply
        if self._rules.public_refusal == "empty":
            return reply._replace(body=b"")
        return reply._replace(status=429, retry_after=f"{answer.wait:.0f}")

    def _hold(self, struck: Iterable[ScriptedFault], link: Link, *, executed: bool) -> None:
        for scripted in struck:
            if scripted.fault.executed is executed:
                self._script.hold(scripted, link)

    def _answer(self, asked: ApiCall, faults: Iterable[Fault], entry: LogEntry) -> CallResult:
        if not all(fault.lets_through for fault in faults):
            return CallResult()
        errors = [fault for fault in faults if fault.kraken_error]
        late = max((fault.late for fault in faults), default=0.0)
        execute = bool(late) or all(fault.executed for fault in errors)
        answer = self._exchange.answer(asked, execute=execute, late=late)
        if errors and answer.error is None:
            answer = answer._replace(error=errors[0].kraken_error)
        entry.note(error=answer.error, executed=answer.executed)
        return answer


def _told(answer: CallResult, empty_result: bool) -> bytes:
    beside = {"result": answer.result} if answer.partial else {"result": {}} if empty_result else {}
    refused = {"error": [answer.error], **beside}
    told = refused if answer.error else {"error": [], "result": answer.result}
    return json.dumps(told, separators=(",", ":")).encode()
