"""Health endpoints: a failing `/healthz` means "restart it", a failing `/readyz` "send no traffic"."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.app.status import EngineStatus
from engine.web.subject import Cluster
from engine.web.web_state import WebState

LOST = "Nothing is sent: the state directory or a key is not this engine's any more. Restart the engine."
GRACE = 1.0  # seconds after its deadline by which a call has ended (promise G5)


def troubles(status: EngineStatus) -> list[str]:
    """What is wrong with this process, in sentences. An outage of the exchange does not count."""
    found = []
    if not status.running:
        found.append("The engine is not running.")
    if _is_lost(status):
        found.append(LOST)
    found += [f"The thread {name} is dead." for name in status.dead]
    if status.under_way_left is not None and status.under_way_left < -GRACE:
        found.append(f"The call under way is {-status.under_way_left:.1f} s past its deadline.")
    return found


def not_available(status: EngineStatus) -> dict[str, str | None]:
    """The accounts that are not available, and why."""
    return {
        each.account: each.last_error or "No balance has come yet."
        for each in status.accounts
        if not each.is_available or not status.running
    }


async def healthz(request: Request) -> Response:
    """Whether this process does its work: its threads live, and the call under way is not long past its deadline."""
    found = troubles(_status(request))
    told: dict[str, Any] = {"status": "ok" if not found else "failing"}
    if _is_trusted(request):
        told["troubles"] = found
    return JSONResponse(told, 200 if not found else 503)


def no_work(status: EngineStatus, cluster: Cluster | None) -> str | None:
    """Why nobody is served here at all, whatever the accounts here say; `None` where somebody is.

    A node without an account of its own serves those of the others, which it asks with the token of the cluster.
    """
    if not status.running:
        return "The engine is not running."
    if _is_lost(status):
        return LOST
    if cluster is None:
        return None if status.accounts else "There is no account."
    trouble = cluster.status().trouble
    if trouble is not None:
        return trouble
    return None if status.accounts or cluster.token is not None else _ALONE


_ALONE = (
    "No account is served here now, and this node cannot ask the others: it has no token of the cluster (token_file in "
    "[cluster], or KRAKEN_ENGINE_CLUSTER_TOKEN)."
)


async def readyz(request: Request) -> Response:
    """Whether every account here is available; a trusted client also gets the list of those that are not, and why.

    A node is not ready without PostgreSQL.
    """
    status = _status(request)
    out = not_available(status)
    service: WebState = request.app.state.service
    why = no_work(status, service.subject.cluster)
    is_ready = why is None and not out
    told: dict[str, Any] = {"status": "ok" if is_ready else "not ready"}
    if _is_trusted(request):
        told |= {"available": [each.account for each in status.accounts if each.account not in out],
                 "not_available": out} | ({} if why is None else {"reason": why})  # fmt: skip
    return JSONResponse(told, 200 if is_ready else 503)


def _is_lost(status: EngineStatus) -> bool:
    """Not of a node: it stops the engine of a lane that is another's by now, and goes on with its other lanes."""
    return status.lane is not None and status.lane.is_lost


def _status(request: Request) -> EngineStatus:
    service: WebState = request.app.state.service
    return service.subject.own_status()


def _is_trusted(request: Request) -> bool:
    return bool(getattr(request.state, "is_trusted", True))
