"""A service that an engine runs beside itself: its address, and its end."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.errors import ConfigError

STOP_PATIENCE = 10.0


class Service(NamedTuple):
    """What `Engine.serve` returns: dashboard, metrics, health and gateway of that engine, in a thread of their own.

    Use it as a context manager, or call `stop`; the engine's own `stop` ends it as well.
    """

    url: str
    """Where it listens, such as ``http://127.0.0.1:8710/``."""
    close_door: Callable[[], None]
    """Take no new request from now on. Returns at once."""
    stop_within: Callable[[float], bool]

    def stop(self, timeout: float = STOP_PATIENCE) -> bool:
        """End the service; whether it has ended within `timeout` seconds. The engine goes on. Harmless when repeated.

        A request under way is answered first, as long as `timeout` lasts.
        """
        return self.stop_within(timeout)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_service(engine: Any, **options: Any) -> Service:
    """Start the web face for an engine that runs. Raises `ConfigError`, also when what it needs is not installed.

    The face is found by name, when it is asked for: it stands above this room, and its libraries are an extra.
    """
    try:
        embedded = importlib.import_module("engine.web.embedded")
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'kraken-engine[web]' from the clone.") from None
    service: Service = embedded.start(engine, **options)
    return service
