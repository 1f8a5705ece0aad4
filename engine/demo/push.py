"""The part of the demo with push: a change is known at once, and a stream that missed something is not believed."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from engine.app import Engine
from engine.demo.scene import PATIENCE, QUICK, TICK, Scene
from engine.rules.balance.snapshot import BalanceState
from engine.rules.stream.subscription import StreamState
from engine.simulator import StreamFault

ACCOUNT = "BOB"
RARELY = 60.0  # seconds between two polls: what comes sooner has come from the stream


def push(scene: Scene) -> None:
    """Changes that the stream tells of, then one that it withholds together with its number."""
    scene.act("push")
    if importlib.util.find_spec("websockets") is None:
        scene.step("left out: it needs pip install '.[push]'")
        return
    settings = replace(QUICK, push=True, ws_url=scene.simulator.ws_url, refresh_every=RARELY, max_age=RARELY)
    with Engine(
        scene.simulator.accounts, url=scene.simulator.url, state_dir=scene.state_dir, settings=settings
    ) as engine:
        _change(scene, engine)
        _gap(scene, engine)


def _change(scene: Scene, engine: Engine) -> None:
    """A balance changes, and the stream tells of it."""
    live = _until(lambda: _is_live(engine))
    _until(lambda: engine.balance(ACCOUNT).state is BalanceState.FRESH)
    began = time.monotonic()
    scene.simulator.set_balance(ACCOUNT, {"ZUSD": "400.0000"})
    known = live and _until(lambda: engine.balance(ACCOUNT).cash == Decimal("400.0000"))
    scene.check(
        "A changed balance is known when it changes, not with the next poll",
        known, f"known {time.monotonic() - began:.2f} s later; the next poll is due after {RARELY:.0f} s",
    )


def _gap(scene: Scene, engine: Engine) -> None:
    """A balance changes, and the frame that tells of it is lost."""
    scene.step("frames of the stream are lost")
    before = _gaps(engine)
    _until(lambda: _is_live(engine))
    scene.simulator.streams.state.add(StreamFault.GAP, ACCOUNT)
    for dollars in ("500.0000", "600.0000"):
        scene.simulator.set_balance(ACCOUNT, {"ZUSD": dollars})
    found = _until(lambda: engine.balance(ACCOUNT).cash == Decimal("600.0000") and _gaps(engine) > before)
    gaps = _gaps(engine) - before
    scene.check(
        "A stream that has missed something is not believed: the balance is fetched as without it",
        found, f"{gaps} gap seen, and the balance is {engine.balance(ACCOUNT).cash}",
    )


def _is_live(engine: Engine) -> bool:
    return any(each.account == ACCOUNT and each.state is StreamState.LIVE for each in engine.status().push)


def _gaps(engine: Engine) -> int:
    return sum(each.gaps for each in engine.status().push if each.account == ACCOUNT)


def _until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(TICK)
    return True
