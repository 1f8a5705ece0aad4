"""The alerts of one engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from engine.alerts.alarms import Alarms, Alert
from engine.alerts.kinds import news
from engine.alerts.outbox import Address, Outbox
from engine.alerts.settings import AlertSettings
from engine.app.verbs import Verbs

logger = logging.getLogger("engine")

TICK = 1.0  # seconds
TEST = Alert("test", "kraken-engine: a test", "If you can read this, alerts arrive.")


class Alerts:
    """Tells people of an engine's troubles, from `start` to `stop`. Raises `ConfigError` for an unusable address.

    A subscriber of the engine: events are taken in at once in its thread, and messages are sent in a thread of their
    own, so that a hung receiver delays neither calls nor events.
    """

    def __init__(
        self, engine: Verbs, settings: AlertSettings, *,
        clock: Callable[[], float] = time.monotonic, tick: float = TICK,
    ) -> None:  # fmt: skip
        self._engine, self._kinds, self._clock, self._tick = engine, frozenset(settings.kinds), clock, tick
        self._outbox = Outbox(addresses(settings))
        self._alarms = Alarms(settings)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kraken-engine alerts", daemon=True)

    def __call__(self, event: Any) -> None:
        """Take in an event; called in the engine's thread for subscribers."""
        with self._lock:
            for each in news(event):
                if each.subject.kind in self._kinds:
                    self._alarms.take(each, self._clock())

    def start(self) -> None:
        """Listen and send from now on. The engine may be started before or after."""
        self._engine.subscribe(self)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Listen no more, and wait for a message that is under way."""
        self._engine.unsubscribe(self)
        self._stopped.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._work()
            except Exception:
                logger.exception("The alerts failed; they go on.")
            self._stopped.wait(self._tick)

    def _work(self) -> None:
        now = self._clock()
        with self._lock:
            due = self._alarms.due(now)
        for alert in due:
            logger.info("alert %s: %s", alert.kind, alert.title)
            self._outbox.add(alert, now)
        self._outbox.work(now)


def addresses(settings: AlertSettings) -> list[Address]:
    """The addresses of the settings, in their order. Raises `ConfigError`."""
    return [Address(url, number) for number, url in enumerate(settings.urls, 1)]
