"""Talks to a running `serve` of this user over its Unix socket in the state directory."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine import errors
from engine.errors import CallError, CallUnknown, EngineError, StoreError
from engine.web.unix_socket import socket_address

CONNECT_PATIENCE = 2.0
GRACE = 5.0  # seconds on top of what the service itself may take


class ServedEngine:
    """A client of the service that owns a state directory. Its methods raise what the engine there raised."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def call(self, asked: dict[str, Any], *, timeout: float, writes: bool) -> Any:
        """One private call: Kraken's result, fractional numbers as `Decimal`. Raises `CallUnknown` for no answer."""
        return self.ask("call", asked, timeout=timeout, writes=writes, number=Decimal)

    def ask(
        self, what: str, asked: dict[str, Any] | None = None, *, timeout: float = 10.0, writes: bool = False,
        number: Callable[[str], Any] = float,
    ) -> Any:  # fmt: skip
        """Send one request. When no answer comes, raises `CallUnknown` if it `writes`, else `StoreError`."""
        link = _Link(self._directory, timeout + GRACE)
        with contextlib.closing(link):
            try:
                link.request("POST", f"/admin/{what}", json.dumps(asked or {}))
                told = json.loads(link.getresponse().read(), parse_float=number)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if writes:
                    raise CallUnknown("The service gave no answer: look up what became of the call.") from error
                raise StoreError(f"The service on {self._directory} gives no answer: {error}.") from error
        if "error" in told:
            raise raised(told["error"])
        return told["result"]


def served_engine(directory: Path) -> ServedEngine | None:
    """The service that runs on a state directory, or `None` when none answers there."""
    link = _Link(directory, CONNECT_PATIENCE)
    try:
        link.connect()
    except OSError:
        return None
    link.close()
    return ServedEngine(directory)


class _Link(http.client.HTTPConnection):
    """HTTP over the socket."""

    def __init__(self, directory: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._directory = directory

    def connect(self) -> None:
        """Connect. Raises `OSError`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            with socket_address(self._directory) as address:
                self.sock.connect(address)
        except BaseException:
            self.sock.close()
            self.sock = None
            raise


def raised(told: dict[str, Any]) -> EngineError:
    """The error as the engine raised it."""
    kind = getattr(errors, str(told.get("type")), EngineError)
    message = str(told.get("message"))
    if not (isinstance(kind, type) and issubclass(kind, EngineError)):
        return EngineError(message)
    if not issubclass(kind, CallError):
        return kind(message)
    retry_after = told.get("retry_after")
    return kind(
        message, account=told.get("account"), endpoint=told.get("endpoint"), kraken_code=told.get("kraken_code"),
        retry_after=None if retry_after is None else float(retry_after),
    )  # fmt: skip
