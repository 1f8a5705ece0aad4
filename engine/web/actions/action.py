"""The actions of the page: what each does, in words and in fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.app.documents import cancel
from engine.app.served import ServedEngine

SWITCH_SECONDS = 60
CANCEL_PATIENCE = 20.0  # seconds for one cancel, which is repeated until Kraken has answered it

Do = Callable[[ServedEngine, str, str], str]


@dataclass(frozen=True, slots=True)
class Action:
    """`words`: for titles and events. `meaning`: what it does, for whoever confirms it. `do`: does it.

    `do` gets the engine, the account and the order (empty for actions on an account), and returns what came of it in a
    sentence. It waits for Kraken and raises an `EngineError`.
    """

    words: str
    meaning: str
    do: Do
    is_on_order: bool = False


def _cancel(engine: ServedEngine, account: str, order: str) -> str:
    found = cancel(engine, account=account, name=order, timeout=CANCEL_PATIENCE)
    filled = f", with {found['filled']} filled" if found.get("filled") else ""
    note = f" {found['note']}" if found.get("note") else ""
    return f"Order {order} is {found['state']}{filled}.{note}"


def _cancel_all(engine: ServedEngine, account: str, _: str) -> str:
    count = engine.cancel_all(account, CANCEL_PATIENCE)
    return f"Kraken counts {count} canceled {'order' if count == 1 else 'orders'}."


def _pause(engine: ServedEngine, account: str, _: str) -> str:
    engine.pause_trading(account)
    return "Its trading is paused: nothing is placed until it is resumed, also after a restart."


def _resume_trading(engine: ServedEngine, account: str, _: str) -> str:
    engine.resume_trading(account)
    return "Its trading goes on."


def _resume_key(engine: ServedEngine, account: str, _: str) -> str:
    engine.resume(account)
    return "The calls of its key go out again; the next balance tells whether Kraken takes it."


def _arm(engine: ServedEngine, account: str, _: str) -> str:
    engine.arm(account, SWITCH_SECONDS)
    return f"Its dead man's switch is armed with {SWITCH_SECONDS} s and renewed from now on."


def _disarm(engine: ServedEngine, account: str, _: str) -> str:
    engine.disarm(account)
    return "Its dead man's switch is disarmed."


ACTIONS: Mapping[str, Action] = MappingProxyType({
    "cancel": Action(
        "cancel an order",
        "Cancels this order at Kraken, whoever has placed it. What was filled of it stays filled.",
        _cancel, is_on_order=True,
    ),
    "cancel-all": Action(
        "cancel all orders",
        "Cancels every open order of the account at Kraken, also those placed by hand or by other programs.",
        _cancel_all,
    ),
    "pause-trading": Action(
        "pause trading",
        "Keeps every new order and every change of one back, also after a restart, until trading is resumed. Open "
        "orders stay open; cancels go on.",
        _pause,
    ),
    "resume-trading": Action("resume trading", "Lets orders go out again.", _resume_trading),
    "resume-key": Action(
        "resume the key",
        "Lets the calls of the account's key go out again at once, because what Kraken refused it for has been fixed.",
        _resume_key,
    ),
    "arm": Action(
        "arm the dead man's switch",
        "Kraken cancels all orders of the account, also those of other programs, when this engine is not heard of for "
        f"{SWITCH_SECONDS} seconds.",
        _arm,
    ),
    "disarm": Action(
        "disarm the dead man's switch",
        "Kraken no longer cancels the account's orders when this engine is not heard of.",
        _disarm,
    ),
})  # fmt: skip
