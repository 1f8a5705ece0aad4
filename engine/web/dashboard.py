"""The handler of the dashboard's page."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from engine.rules.balance.cash import currency_of
from engine.rules.balance.valuation import CURRENCIES
from engine.web.page.document import Viewer, page
from engine.web.web_state import WebState

COOKIE = "currency"
YEAR = 366 * 86_400


async def dashboard(request: Request) -> Response:
    """The page as it is now. A chosen currency is kept in a cookie, so that it needs no script."""
    service: WebState = request.app.state.service
    service.feed.looked_at()
    chosen, kept = request.query_params.get(COOKIE, ""), request.cookies.get(COOKIE, "")
    # In a thread: with a thousand accounts it takes a while, and the gateway's clients would wait for it.
    may_act = getattr(request.state, "may_act", None)  # `None` where there is no guard, and no way to act
    text, currency = await run_in_threadpool(_rendered, service, may_act, chosen, kept)
    answer = HTMLResponse(text)
    if chosen == currency:
        answer.set_cookie(COOKIE, chosen, max_age=YEAR, samesite="strict", httponly=True)
    return answer


def _rendered(service: WebState, may_act: bool | None, chosen: str, kept: str) -> tuple[str, str]:
    """The document, and the currency in which it shows totals."""
    status = service.engine.status()
    usual = currency_of(next((each.cash_assets for each in status.accounts), ()))
    currency = next((each for each in (chosen, kept, usual) if each in CURRENCIES), CURRENCIES[0])
    viewer = Viewer(currency, may_act is True, may_log_in=service.may_act and may_act is False)
    return page(status, service.feed.view, viewer), currency
