"""Sends alerts by apprise; what cannot be sent is tried again for a while."""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.alerts.alarms import Alert
from engine.errors import ConfigError
from engine.rules.backoff import Backoff
from engine.values import Secret

logger = logging.getLogger("engine")

WAITING = 50
"""Alerts that wait for one address; beyond that the oldest are dropped."""
KEPT_FOR = 3600.0
"""Seconds after which an alert that could not be sent is dropped."""
PAUSES = Backoff(first=5.0, longest=120.0)
_SECONDS = 10
"""What apprise may take to connect, and to wait for an answer."""


class Address:
    """Where alerts go. It never shows more of its URL than apprise does without the secrets."""

    def __init__(self, url: Secret, number: int) -> None:
        apprise = _apprise()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # apprise loads what newer Pythons do without
            self._service = apprise.Apprise.instantiate(url.reveal(), suppress_exceptions=True)
        if self._service is None:
            raise ConfigError(f"[alerts] address {number} is not one that apprise knows: see its list of services.")
        self._service.socket_connect_timeout = self._service.socket_read_timeout = float(_SECONDS)
        self.name = f"{type(self._service).__name__.removeprefix('Notify').lower()} (address {number})"

    def send(self, alert: Alert) -> bool:
        """Send one message; whether it was accepted. May take some seconds; raises nothing."""
        try:
            return bool(self._service.notify(title=alert.title, body=alert.text))
        except Exception as error:  # noqa: BLE001 - whatever a service's plugin raises
            logger.debug("The alert for %s failed: %s", self.name, type(error).__name__)
            return False


@dataclass(slots=True)
class _Waiting:
    alerts: deque[tuple[float, Alert]]
    failures: int = 0
    due: float = 0.0


class Outbox:
    """The alerts that wait for each address. One thread at a time; time is an argument, in seconds."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._waiting = [(address, _Waiting(deque(maxlen=WAITING))) for address in addresses]

    def add(self, alert: Alert, now: float) -> None:
        """Send this to every address, as soon as it takes it."""
        for address, waiting in self._waiting:
            if len(waiting.alerts) == WAITING:
                logger.warning("alert-dropped: %s takes no alert, and too many wait for it.", address.name)
            waiting.alerts.append((now, alert))

    def work(self, now: float) -> None:
        """Send to each address what is due, one message at most."""
        for address, waiting in self._waiting:
            if waiting.alerts and now >= waiting.due:
                self._send(address, waiting, now)

    def _send(self, address: Address, waiting: _Waiting, now: float) -> None:
        since, alert = waiting.alerts[0]
        if address.send(alert):
            waiting.failures, waiting.due = 0, now
            waiting.alerts.popleft()
            return
        waiting.due = now + PAUSES.pause(waiting.failures)
        waiting.failures += 1
        if waiting.failures == 1:
            logger.warning("alert-failed: %s does not accept alerts; it is tried again.", address.name)
        if now - since > KEPT_FOR:
            logger.warning("alert-dropped: %s did not accept it: %s", address.name, alert.title)
            waiting.alerts.popleft()


def _apprise() -> Any:
    """The library. Raises `ConfigError` when it is not installed."""
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("apprise is not installed: run pip install '.[alerts]' in the clone.") from None
    logging.getLogger("apprise").addHandler(logging.NullHandler())  # its own messages could show an address
    return apprise
