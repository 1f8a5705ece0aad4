"""The handle of a service that runs beside an engine: its address, and its stop."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.errors import ConfigError

STOP_PATIENCE = 10.0


class Service(NamedTuple):
    """The result of `Engine.serve`: dashboard, metrics, health and gateway of that engine, in their own thread.

    Use it as a context manager, or call `stop`; the engine's own `stop` ends it as well.
    """

    url: str
    """Where it listens, such as ``http://127.0.0.1:8710/``."""
    stop_accepting: Callable[[], None]
    """Accept no new requests from now on. Returns at once."""
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
    """Start the web service for a running engine. Raises `ConfigError`, also when what it needs is not installed.

    It is imported by name, on demand: it belongs to a higher layer, and its libraries are an extra.
    """
    try:
        embedded = importlib.import_module("engine.web.embedded")
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: run pip install '.[web]' in the clone.") from None
    service: Service = embedded.start(engine, **options)
    return service
