"""The handlers of actions. The `Guard` lets nobody come here without a token that may act.

A POST comes from a page of ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from engine.actors.events import OperatorActed
from engine.errors import EngineError
from engine.rules.order.order import OrderReceipt
from engine.web.actions.action import ACTIONS, Action
from engine.web.actions.confirmation import confirmation, result
from engine.web.actions.form_token import FormTokens
from engine.web.page.orders import described
from engine.web.security import name_in
from engine.web.web_state import WebState

LONGEST_NAME = 40
FIELDS_AT_MOST = 10
SAYS_ORIGIN = {"referrer-policy": "same-origin"}  # with no-referrer a browser sends a form with the origin "null"

_OLD = "This form is too old, or is not one of this service's. Look again at what it does, and confirm it once more."
_MISTYPED = "That is not the name of the account."


class _Asked(NamedTuple):
    name: str
    action: Action
    account: str
    order: str

    @property
    def parts(self) -> tuple[str, str, str]:
        """What the form's token is for."""
        return self.name, self.account, self.order


class ActionPages:
    """Shows what an action would do, and does it once it is confirmed."""

    def __init__(self) -> None:
        self._tokens = FormTokens()

    async def show(self, request: Request) -> Response:
        """The form to confirm an action; without one, back to the page, which offers them to whoever came this far."""
        if not request.query_params:
            return RedirectResponse("/", 303)
        service: WebState = request.app.state.service
        asked = _asked(service, request.query_params)
        return _unknown() if asked is None else await self._form(service, asked)

    async def act(self, request: Request) -> Response:
        """Do a confirmed action. It goes on when the browser goes away."""
        service: WebState = request.app.state.service
        fields = _fields(await request.body())
        asked = _asked(service, fields)
        if asked is None:
            return _unknown()
        if not self._tokens.is_good(fields.get("token", ""), *asked.parts):
            return await self._form(service, asked, _OLD)
        if fields.get("confirm", "").strip() != asked.account:
            return await self._form(service, asked, _MISTYPED)
        event = await run_in_threadpool(_do, service, asked, _who(request))
        page = result(service.engine.status(), asked.action.words, asked.account, event.sentence, is_done=event.is_done)
        return HTMLResponse(page, 200 if event.is_done else 409)

    async def _form(self, service: WebState, asked: _Asked, wrong: str = "") -> Response:
        told = await run_in_threadpool(_order_in_words, service, asked) if asked.order else ""
        page = confirmation(
            service.engine.status(), asked.name, asked.action, asked.account, asked.order,
            told=told, token=self._tokens.issue(*asked.parts), wrong=wrong,
        )  # fmt: skip
        return HTMLResponse(page, 400 if wrong else 200, SAYS_ORIGIN)


def _order_in_words(service: WebState, asked: _Asked) -> str:
    """The order as the journal has it, or else as it was seen at Kraken; no call is made."""
    ours: list[OrderReceipt] = []
    with contextlib.suppress(EngineError):
        ours.append(service.engine.order(asked.account, asked.order))
    return described(asked.account, asked.order, ours, service.feed.others.orders())


def _do(service: WebState, asked: _Asked, who: str) -> OperatorActed:
    """Do it, and tell everybody who did."""
    try:
        sentence, is_done = asked.action.do(service.engine, asked.account, asked.order), True
    except EngineError as error:
        sentence, is_done = str(error), False
    words = f"{asked.action.words} ({asked.order})" if asked.order else asked.action.words
    event = OperatorActed(asked.account, words, who, is_done, sentence)
    service.engine.announce(event)
    return event


def _asked(service: WebState, fields: Mapping[str, str]) -> _Asked | None:
    """The action that is asked for, if there is such a one and such an account."""
    name, account, order = (fields.get(each, "") for each in ("action", "account", "order"))
    action = ACTIONS.get(name)
    accounts = {each.account for each in service.engine.status().accounts}
    if action is None or account not in accounts or action.is_on_order != bool(order):
        return None
    return _Asked(name, action, account, order)


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=FIELDS_AT_MOST))
    except ValueError:  # also what is no ASCII, as no form is sent
        return {}


def _who(request: Request) -> str:
    """The name that a browser's user gave beside the token, which nobody has verified, and the address."""
    given = "".join(each for each in name_in(request.headers) if each.isprintable())[:LONGEST_NAME].strip()
    address = request.client.host if request.client is not None else "an unknown address"
    return f"{given or 'somebody'} at {address}"


def _unknown() -> Response:
    return PlainTextResponse("There is no such action, account or order.\n", 404)
