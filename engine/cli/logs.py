"""Logs to stderr, as text or as one JSON document per line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from engine.actors.events import AvailabilityChanged, BalanceChanged, CallFinished, KeyChanged, OperatorActed
from engine.rules.lane.key_state import KeyState

logger = logging.getLogger("engine")

_OTHERS = ("uvicorn.error", "asyncio")
"""Loggers of libraries whose errors go to the same log."""


class _Stderr(logging.StreamHandler[Any]):
    """The handler of this program; there is at most one."""


class _Json(logging.Formatter):
    """Writes a record as one line of JSON; the fields of an event are members of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def log_to_stderr(log_format: str = "text", *, verbose: bool = True) -> None:
    """Log the engine's warnings and changes from now on, with `verbose` every call."""
    text = logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", "%H:%M:%S")
    handler = next((each for each in logger.handlers if isinstance(each, _Stderr)), None)
    if handler is None:
        handler = _Stderr()
        logger.addHandler(handler)
    for name in _OTHERS:
        if handler not in (other := logging.getLogger(name)).handlers:
            other.addHandler(handler)
            other.setLevel(logging.ERROR)  # below that they log every malformed request
    handler.setFormatter(_Json() if log_format == "json" else text)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def log_changes(event: Any) -> None:
    """Log an event, unless it is a call that succeeded."""
    if not isinstance(event, CallFinished) or event.error is not None:
        log_event(event)


def log_event(event: Any) -> None:
    """Log an event: what is well again at INFO, what is wrong at WARNING. Warnings are logged by the engine itself."""
    match event:
        case CallFinished():
            why = f": {event.error}" if event.error else ""
            facts = {"event": "call", "account": event.account, "endpoint": event.endpoint,
                     "outcome": event.outcome.value, "seconds": round(event.seconds, 6),
                     "waited": round(event.waited, 6)}  # fmt: skip
            logger.info(
                "%s %s %s, %.3f s, after %.3f s in the queue%s",
                event.account, event.endpoint, event.outcome.value, event.seconds, event.waited, why,
                extra={"facts": facts},
            )  # fmt: skip
        case AvailabilityChanged():
            word = "available" if event.is_available else f"not available: {event.reason}"
            facts = {"event": "availability", "account": event.account, "is_available": event.is_available}
            logger.log(_level(event.is_available), "%s is %s", event.account, word, extra={"facts": facts})
        case KeyChanged():
            facts = {"event": "key", "account": event.account, "state": event.state}
            level = _level(event.state == KeyState.ACCEPTED.value)
            logger.log(level, "%s key %s: %s", event.account, event.state, event.sentence, extra={"facts": facts})
        case OperatorActed():
            facts = {"event": "action", "account": event.account, "action": event.action, "who": event.who,
                     "is_done": event.is_done}  # fmt: skip
            logger.info("%s: %s, by %s: %s", event.account, event.action, event.who, event.sentence,
                        extra={"facts": facts})  # fmt: skip
        case BalanceChanged():
            logger.debug("%s has another balance", event.account, extra={"facts": {"event": "balance"}})


def _level(well: bool) -> int:
    return logging.INFO if well else logging.WARNING
