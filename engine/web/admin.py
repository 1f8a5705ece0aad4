"""What only the service answers, and no engine: about its gateway's keys, and its doctor. On the Unix socket only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine.doctor import examine_running
from engine.web.web_state import WebState

_issuing = threading.Lock()  # the first key makes the root key, which is made once


def _doctor(service: WebState, account: str) -> list[dict[str, Any]]:
    """What the engine finds about one of its accounts."""
    return [each.to_dict() for each in examine_running(service.engine, account, service.settings)]


def _gateway_keys(service: WebState) -> list[dict[str, Any]]:
    return [each.to_dict() for each in service.gateway.credentials.all()]


def _issue(service: WebState, account: str, label: str, may_trade: bool) -> dict[str, Any]:
    """A gateway key; the only answer that ever shows its secret."""
    service.engine.is_available(account)  # raises for an account that is not here
    with _issuing:
        credential, secret = service.gateway.credentials.issue(account, label, may_trade=may_trade is True)
    return {**credential.to_dict(), "secret": secret.reveal()}


def _revoke(service: WebState, account: str, label: str) -> dict[str, Any]:
    with _issuing:
        return service.gateway.credentials.revoke(account, label).to_dict()


ADMIN: Mapping[str, Callable[..., Any]] = {
    "doctor": _doctor, "gateway-keys": _gateway_keys, "issue": _issue, "revoke": _revoke,
}  # fmt: skip
