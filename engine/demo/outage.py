"""The part of the demo in which Kraken first hangs, then is gone, then comes back."""

from __future__ import annotations

import time
from decimal import Decimal

from engine.app import Engine
from engine.demo.scene import CASH, PATIENCE, ROWS, TICK, Scene, Watch, is_well
from engine.errors import CallError, Outcome
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.simulator import Fault

HUNG_FOR = 0.5  # seconds of reading while a call hangs
READS = 100  # at least; a machine that stands still slows one or two of them, a read that waits for Kraken all
NEW_CASH = Decimal("345.25")  # what BOB has after the outage


def outage(scene: Scene, engine: Engine) -> None:
    """Kraken hangs, then refuses connections, until every account is unavailable."""
    scene.act("outage")
    watch = Watch(engine, CASH)
    if not watch.until(lambda all_: all(map(is_well, all_))):
        raise TimeoutError("the balances did not become fresh before the outage")
    before = Watch(engine, CASH)
    _hang(scene, engine, before)
    scene.simulator.stop()
    scene.simulator.clear_faults()
    scene.step("Kraken is gone: connections are refused")
    down = before.until(lambda all_: all(map(_is_down, all_)))
    after = before.look()
    scene.balances("During the outage", after)
    _judge(scene, before, after, down)
    _call_meanwhile(scene, engine)


def recovery(scene: Scene, engine: Engine) -> Watch:
    """Kraken is back, and everything recovers by itself."""
    scene.act("recovery")
    scene.simulator.set_balance("BOB", {**ROWS["BOB"], "ZUSD": str(NEW_CASH - 80)})
    scene.simulator.start()
    started = time.monotonic()
    watch = Watch(engine, {**CASH, "BOB": NEW_CASH})
    well = watch.until(lambda all_: all(map(is_well, all_)) and _cash(all_, "BOB") == NEW_CASH)
    seconds = time.monotonic() - started
    after = watch.look()
    scene.balances("After the outage", after)
    available = sum(map(is_well, after))
    scene.check(
        "Every account is available and fresh again by itself, its error count back at 0",
        well, f"{available} of {len(after)} accounts, {seconds:.1f} s after Kraken was back",
    )  # fmt: skip
    scene.check(
        "The balances are Kraken's of now: BOB's changed during the outage",
        all(each.cash == {**CASH, "BOB": NEW_CASH}[each.account] for each in after),
        f"BOB had {CASH['BOB']}, has {_cash(after, 'BOB')}",
    )
    refused = scene.simulator.refused_nonces
    scene.check("Kraken refused no nonce in all this", refused == 0, f"{refused} refused")
    return watch


def _hang(scene: Scene, engine: Engine, watch: Watch) -> None:
    scene.step("Kraken hangs: it takes calls and does not answer")
    hang = scene.simulator.fault(Fault.hang(endpoint="BalanceEx"))
    end = time.monotonic() + PATIENCE
    while not hang.used:
        if time.monotonic() > end:
            raise TimeoutError("no call came to hang")
        time.sleep(TICK)
    hung_from = time.monotonic()
    watch.until(lambda _: time.monotonic() - hung_from > HUNG_FOR and watch.reads > READS)
    still = engine.status().under_way is not None
    scene.check(
        "Reading a balance does not wait for Kraken, not even while a call hangs",
        still and watch.reads > READS and watch.slow < watch.reads / 20,
        f"{watch.reads} reads, the slowest {watch.slowest * 1000:.2f} ms, while a call hung for {HUNG_FOR} s",
    )


def _judge(scene: Scene, watch: Watch, after: list[BalanceSnapshot], down: bool) -> None:
    scene.check(
        "Balances stay at the last known and never become 0",
        not watch.wrong and watch.reads > 0,
        f"{watch.reads} reads, {len(watch.wrong)} of them other than the last known",
    )
    ages = {each.account: each.age or 0.0 for each in after}
    grown = min(ages[name] - watch.youngest[name] for name in ages)
    scene.check(
        "Their age grows and they are labelled stale",
        grown > 0 and all(each.state is BalanceState.STALE for each in after),
        f"all stale, at least {grown:.1f} s older" if down else "not all stale in time",
    )
    counts = {name: max(seen) for name, seen in watch.counts.items()}
    scene.check(
        "Failures are counted; the account is available after one and two, and unavailable after three",
        down and not watch.early_or_late,
        ", ".join(f"{name} {count}" for name, count in counts.items()) + " failures; all unavailable"
        if down else "not all unavailable in time",
    )  # fmt: skip


def _call_meanwhile(scene: Scene, engine: Engine) -> None:
    try:
        engine.call("MASTER", "Balance", timeout=1.0)
        outcome = Outcome.DONE
    except CallError as error:
        outcome = error.outcome
    scene.check(
        "A call that fails says how: here, that nothing reached Kraken", outcome is Outcome.NOT_SENT, outcome.value
    )


def _is_down(snapshot: BalanceSnapshot) -> bool:
    return snapshot.state is BalanceState.STALE and not snapshot.is_available


def _cash(snapshots: list[BalanceSnapshot], account: str) -> Decimal | None:
    return next(each.cash for each in snapshots if each.account == account)
