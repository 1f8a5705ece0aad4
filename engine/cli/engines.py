"""The engine that a command uses: that of the running service where there is one, else one that is started for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.app import documents
from engine.app.remote.connect import connect
from engine.app.verbs import Verbs
from engine.cli.options import Options, account_named
from engine.cli.output import say, waiting
from engine.config import Config
from engine.errors import EngineStopped, StoreInUse
from engine.values import Settings

if TYPE_CHECKING:
    from engine.app import Engine
    from engine.app.remote.remote_engine import RemoteEngine

LOOKS = 30.0  # seconds for the looks at Kraken themselves, beyond the time until absence counts
LEAD_AT_MOST = 2.0  # seconds

_SAID_BY_THE_COMMAND = "order-unknown"


def settle_time(settings: Settings) -> float:
    """Seconds after which it is known what became of a placement, if Kraken can be asked."""
    return settings.order_deadline + settings.settle_margin + LOOKS


def served_engine(found: Config) -> RemoteEngine | None:
    """The engine of the service that runs on the state directory, or `None` when there is none."""
    try:
        return connect(found.state_dir)
    except (EngineStopped, StoreInUse):
        return None


def all_accounts(engine: Verbs, found: Config) -> list[str]:
    """The names of the accounts: in a cluster also of those that the node tells nothing of now."""
    told = documents.accounts(engine)
    lanes = {} if found.cluster is None else found.cluster.lanes
    named = [name for accounts in lanes.values() for name in accounts]
    if not told and not named:
        say("The service tells of no account now.")
    return [*told, *(name for name in named if name not in told)]


@contextlib.contextmanager
def an_engine(
    options: Options, found: Config, what: str, account: str | None = None, *, balances: tuple[str, ...] | None = (),
) -> Iterator[Verbs]:  # fmt: skip
    """The engine to ask, for the length of the block; `what` is what is shown while it lasts.

    found: loaded without the need for accounts, which only an engine of our own has. account: the only one that such an
    engine has (`None`: all of them), with `balances` as in `Engine`. Raises `StoreInUse` while an engine that is not
    served owns the state directory.
    """
    service = served_engine(found)
    if service is not None:
        with service, waiting(f"{what}, through the running service"):
            yield service
        return
    found = options.load()
    accounts = () if account is None else (account_named(found, account),)
    engine = options.engine(found, *accounts, balances=balances)
    try:
        with engine, waiting(what):
            yield engine
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
