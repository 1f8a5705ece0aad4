"""`kraken-engine watch`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.cli.engines import served_engine
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import BAD, GOOD, QUIET, console, document, seconds_in_words
from engine.config import Config
from engine.rules.balance.cash import in_words
from engine.rules.balance.silence import SILENT

Status = Mapping[str, Any]

EVERY = 1.0  # seconds
_FIRST = 2.0  # seconds that an engine started here gets for each first balance
_STYLES = {"fresh": GOOD, "stale": "yellow", "unknown": BAD}


@click.command()
@common
@pass_options
def watch(options: Options) -> int:
    """Show live in the terminal what the engine is doing, until Ctrl-C.

    While a serve is running on the same state directory, that engine is watched; otherwise one is started here, which
    is not live. Where the output is not a terminal, or with --json, it is shown once.
    """
    found = options.load(need_accounts=False)
    with status_source(options, found) as look:
        out = console()
        if options.json:
            document(look())
        elif out.is_terminal:
            _show_live(out, look)
        else:
            out.print(screen(look()))
    return Exit.DONE


@contextlib.contextmanager
def status_source(options: Options, found: Config) -> Iterator[Callable[[], Status]]:
    """A function that returns the engine's current status, usable within the block."""
    service = served_engine(found)
    if service is not None:
        with service:
            yield lambda: service.status().to_dict()
        return
    engine = options.engine(options.load())
    with engine:
        for account in engine.status().accounts:
            engine.balance(account.account, 0.0, _FIRST)
        yield lambda: engine.status().to_dict()


def _show_live(out: Console, look: Callable[[], Status]) -> None:
    with contextlib.suppress(KeyboardInterrupt), Live(screen(look()), console=out, screen=True) as live:
        while True:
            time.sleep(EVERY)
            live.update(screen(look()), refresh=True)


def screen(status: Status) -> RenderableType:
    """Everything, from `EngineStatus.to_dict()`."""
    return Group(_verdict(status), _accounts(status), _lane(status), _warnings(status["warnings"]))


def _verdict(status: Status) -> RenderableType:
    out = [each["account"] for each in status["accounts"] if not each["is_available"]]
    since = status.get("silent_since")
    if not status["running"]:
        text = Text("✕ The engine has stopped", style=BAD)
    elif since and out:
        text = Text(f"✕ {SILENT}: no good reply since {since[11:19]} UTC", style=BAD)
    elif out:
        text = Text(f"✕ {', '.join(out)} {'is' if len(out) == 1 else 'are'} not available", style=BAD)
    else:
        text = Text("✓ All accounts are available", style=f"bold {GOOD}")
    mode = "live: calls may trade" if status["live"] else "dry run: nothing can trade"
    return Panel(text, title=f"kraken-engine · {status['url']} · {mode}", title_align="left")


def _accounts(status: Status) -> RenderableType:
    counted = next((each["cash_assets"] for each in status["accounts"]), ())
    made = _table("Account", "Status", f"Cash {in_words(counted)}", "Available cash", "Balance", "Errors", "Last error")
    for each in status["accounts"]:
        mark = Text("✓ available", style=GOOD) if each["is_available"] else Text("✕ not available", style=BAD)
        age = "never" if each["age_seconds"] is None else f"{seconds_in_words(each['age_seconds'])} old"
        made.add_row(
            each["account"], mark, each["cash"] or "unknown", each["available_cash"] or "unknown",
            Text(f"{each['state']}, {age}", style=_STYLES[each["state"]]),
            Text(str(each["error_count"]), style=BAD if each["error_count"] else ""), Text(each["last_error"] or ""),
        )  # fmt: skip
    return made


def _lane(status: Status) -> RenderableType:
    waiting = ", ".join(f"{number} {name}" for name, number in status["waiting"].items())
    under_way = " ".join(status["under_way"] or ("nothing",))
    made = _table("Account", "Key", "Free of the call counter", "", "Nonces", "Nonce lead")
    for name, key in (status["lane"] or {"keys": {}})["keys"].items():
        state = status["keys"].get(name, {}).get("state", "open")
        free = max(0.0, key["limit"] - key["level"])
        made.add_row(
            name, Text("✓ taken", style=GOOD) if state == "open" else Text(f"✕ {state}", style=BAD),
            ProgressBar(total=key["limit"], completed=free, width=20), f"{free:.0f} of {key['limit']:g}",
            str(key["nonces"]), f"{key['lead']:.1f} s" if key["lead"] else "follows the clock",
        )  # fmt: skip
    facts = Text.assemble(("Under way: ", QUIET), under_way, ("   Waiting: ", QUIET), waiting)
    return Group(facts, made)


def _warnings(warnings: Sequence[Mapping[str, str]]) -> RenderableType:
    lines = [Text(f"! {each['message']}", style="yellow") for each in warnings[-5:]]
    return Group(*lines)


def _table(*columns: str) -> Table:
    made = Table(expand=True, header_style=QUIET, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
