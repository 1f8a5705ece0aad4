"""What only the service answers, and no engine: its gateway's keys, doctor and cluster. On the Unix socket only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine.doctor import examine_running
from engine.errors import LaneElsewhere
from engine.web.page.absent import absent_accounts
from engine.web.web_state import WebState

DOCTOR_PATIENCE = 90.0  # seconds

_issuing = threading.Lock()  # the first key makes the root key, which is made once


def doctor_here(service: WebState, account: str) -> list[dict[str, Any]]:
    """What the engine finds about one of its accounts. Raises `LaneElsewhere` for another node's."""
    return [each.to_dict() for each in examine_running(service.subject.own(account), account, service.settings)]


def _doctor(service: WebState, account: str) -> list[dict[str, Any]]:
    """The same, where the account is."""
    cluster = service.subject.cluster
    try:
        return doctor_here(service, account)
    except LaneElsewhere:
        if cluster is None:
            raise
    found: list[dict[str, Any]] = cluster.elsewhere(account).service("doctor", DOCTOR_PATIENCE, account=account)
    return found


def _absent(service: WebState) -> list[str] | None:
    """What to say of the accounts of the cluster of which nothing is known, as the page says it: an `Absent`."""
    cluster = service.subject.cluster
    if cluster is None:
        return None
    found = absent_accounts(service.engine.status(), cluster.status(), asks_others=cluster.token is not None)
    return None if found is None else list(found)


def _gateway_keys(service: WebState) -> list[dict[str, Any]]:
    return [each.to_dict() for each in service.gateway.credentials.all()]


def _issue(service: WebState, account: str, label: str, may_trade: bool) -> dict[str, Any]:
    """A gateway key; the only answer that ever shows its secret."""
    service.engine.check_account(account)
    with _issuing:
        credential, secret = service.gateway.credentials.issue(account, label, may_trade=may_trade is True)
    return {**credential.to_dict(), "secret": secret.reveal()}


def _revoke(service: WebState, account: str, label: str) -> dict[str, Any]:
    with _issuing:
        return service.gateway.credentials.revoke(account, label).to_dict()


ADMIN: Mapping[str, Callable[..., Any]] = {
    "absent": _absent, "doctor": _doctor, "gateway-keys": _gateway_keys, "issue": _issue, "revoke": _revoke,
}  # fmt: skip
