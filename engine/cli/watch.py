"""`kraken-engine watch`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from engine.app.remote.remote_engine import RemoteEngine
from engine.cli.drawing import drawing
from engine.cli.engines import served_engine
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import document
from engine.cli.screen import Seen, screen
from engine.config import Config
from engine.errors import EngineError
from engine.web.feed.event_log import EventLog
from engine.web.feed.orders import OpenOrders
from engine.web.page.absent import Absent

if TYPE_CHECKING:
    from engine.app import Engine

EVERY = 1.0  # seconds
EVENTS_SHOWN = 8
_FIRST = 2.0  # seconds that an engine started here gets for each first balance


@click.command()
@common
@pass_options
def watch(options: Options) -> int:
    """Show live in the terminal what the engine is doing, until Ctrl-C.

    Accounts, our open orders, the gates, the lane, warnings and the newest events. While a serve is running on the same
    state directory, that engine is watched; otherwise one is started here, which is not live. Where the output is not a
    terminal, or with --json, it is shown once.
    """
    with watched(options, options.load(need_accounts=False)) as engine:
        out = drawing()
        if options.json:
            document(engine.status().to_dict())
        elif out.is_terminal:
            _show_live(out, engine)
        else:
            out.print(screen(look(engine)))
    return Exit.DONE


@contextlib.contextmanager
def watched(options: Options, found: Config) -> Iterator[Engine | RemoteEngine]:
    """The engine that runs on the state directory, or one that is started for the block."""
    service = served_engine(found)
    if service is not None:
        with service:
            yield service
        return
    with options.engine(options.load()) as engine:
        for account in engine.status().accounts:
            engine.balance(account.account, 0.0, _FIRST)
        yield engine


class WatchedEvents:
    """Collects the events worth showing, and our open orders; a subscriber."""

    def __init__(self) -> None:
        self.log, self.orders = EventLog(), OpenOrders()

    def __call__(self, event: Any) -> None:
        """Take in an event; called in a thread for subscribers."""
        self.log.add(event, datetime.now(UTC))
        self.orders(event)


def look(engine: Engine | RemoteEngine, listener: WatchedEvents | None = None) -> Seen:
    """What there is to see now. Asks nothing of Kraken."""
    status, reserved = engine.status(), {}
    for each in status.accounts:
        with contextlib.suppress(EngineError):
            reserved[each.account] = engine.reserved(each.account)
    if listener is None:
        return Seen(status, (), reserved, absent=_absent(engine))
    return Seen(status, listener.orders.receipts(), reserved, listener.log.newest(EVENTS_SHOWN), _absent(engine))


def _absent(engine: Engine | RemoteEngine) -> Absent | None:
    """What a node says of the accounts of its cluster of which it knows nothing; an engine without one says nothing."""
    told = engine.service("absent") if isinstance(engine, RemoteEngine) else None
    return None if told is None else Absent(*told)


def _show_live(out: Console, engine: Engine | RemoteEngine) -> None:
    from rich.live import Live  # noqa: PLC0415 - not for a look

    listener, wait = WatchedEvents(), threading.Event()
    engine.subscribe(listener)
    # Kraken is asked once for what was open before, and may be slow to answer.
    threading.Thread(target=listener.orders.learn, args=(engine,), name="kraken-engine orders", daemon=True).start()
    try:
        with contextlib.suppress(KeyboardInterrupt), Live(screen(look(engine)), console=out, screen=True) as live:
            while not wait.wait(EVERY):
                live.update(screen(look(engine, listener)), refresh=True)
    finally:
        engine.unsubscribe(listener)
