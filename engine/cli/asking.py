"""Asks for an account's orders: the running service where there is one, otherwise an engine that is started for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from engine.app import Engine
from engine.app.documents import QUESTIONS
from engine.cli.options import Options, account_named
from engine.cli.output import say, waiting
from engine.cli.served import served_engine
from engine.config import Config
from engine.values import Settings

Ask = Callable[..., Any]
"""Asks one of `engine.app.documents.QUESTIONS`, by its name and with its arguments."""

LOOKS = 30.0  # seconds for the looks at Kraken themselves, beyond the time until absence counts
STEPS, GRACE = 3, 45.0  # a service may take a few steps of the timeout's length, and so many seconds more

LEAD_AT_MOST = 2.0  # seconds

_SAID_BY_THE_COMMAND = "order-unknown"


def settle_time(settings: Settings) -> float:
    """Seconds after which it is known what became of a placement, if Kraken can be asked."""
    return settings.order_deadline + settings.settle_margin + LOOKS


@contextlib.contextmanager
def asking(
    options: Options, found: Config, what: str, account: str | None = None, *, balances: tuple[str, ...] | None = (),
) -> Iterator[Ask]:  # fmt: skip
    """The way to ask, for the length of the block; `what` is what is shown while it lasts.

    found: loaded without the need for accounts, which only an engine of our own has. account: the only one that such an
    engine has (`None`: all of them), with `balances` as in `Engine`. Raises `StoreInUse` while an engine that is no
    service owns the state directory.
    """
    service = served_engine(found.state_dir)
    if service is not None:
        patience = found.settings.call_timeout

        def through(question: str, **asked: Any) -> Any:
            seconds = patience if asked.get("timeout") is None else asked["timeout"]
            return service.ask(
                question, asked, timeout=seconds * STEPS + GRACE,
                writes=question in ("cancel", "cancel-all") or asked.get("live") is True,
            )  # fmt: skip

        with waiting(f"{what}, through the running service"):
            yield through
        return
    found = options.load()
    accounts = () if account is None else (account_named(found, account),)
    engine = options.engine(found, *accounts, balances=balances)
    try:
        with engine, waiting(what):
            yield lambda question, **asked: QUESTIONS[question](engine, **asked)
            _let_clock_pass(engine)
    finally:
        for warning in engine.status().warnings:
            if warning.code != _SAID_BY_THE_COMMAND:
                say(f"warning: {warning.message}")


def _let_clock_pass(engine: Engine) -> None:
    """Wait until the clock has passed the nonces that were used.

    Commands that follow each other closely lead it by up to a second, since each begins above the mark of the last one.
    Whoever uses the key next, a bot with a state directory of its own for instance, is then not refused for that.
    """
    lane = engine.status().lane
    lead = max((key.lead for key in lane.keys.values() if key.nonces), default=0.0) if lane else 0.0
    if lead < LEAD_AT_MOST:  # a clock that was set back is not waited for
        time.sleep(lead)
