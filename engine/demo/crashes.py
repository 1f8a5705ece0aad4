"""The part of the demo in which a process is killed with SIGKILL, again and again."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import engine
from engine.demo.scene import PATIENCE, TICK, Scene
from engine.demo.worker import ENDPOINT, READY
from engine.simulator import Call, Fault

KILLS = 6
CALLS_PER_LIFE = 9
LEAD = 1.0
"""Seconds: a successor that calls within them draws its nonces while the mark of the dead one is ahead of the clock."""
PACKAGE_ROOT = Path(engine.__file__).parent.parent


class Worker:
    """One process of `engine.demo.worker`, loaded and waiting for the word to begin.

    It is loaded ahead so that the restart takes milliseconds: the sooner after the crash, the harder for the nonce.
    """

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
        paths = (str(PACKAGE_ROOT), environment.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.demo.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def wait_ready(self) -> None:
        """Wait until it is loaded. Raises `RuntimeError` when that fails."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY:
            raise RuntimeError("the process to be killed did not start")

    def begin(self, scene: Scene) -> None:
        """Let it start its engine."""
        assert self._process.stdin is not None
        accounts = [list(account) for account in scene.simulator.accounts]
        order = {"accounts": accounts, "url": scene.simulator.url, "state_dir": str(scene.state_dir)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def kill(self) -> int:
        """SIGKILL; how the process ended."""
        self._process.kill()
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it in any case."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def crashes(scene: Scene) -> None:
    """Kill a running engine in the middle of a call and start the next one at once, several times."""
    scene.act("kill -9")
    first_call = len(_private(scene))
    with contextlib.ExitStack() as stack:
        workers = [_prepared(stack)]
        workers[0].wait_ready()
        workers[0].begin(scene)
        endings, gaps = [], []
        for turn in range(1, KILLS + 1):
            workers.append(_prepared(stack))
            ending, gap = _kill_and_restart(scene, workers[-2], workers[-1])
            endings.append(ending)
            gaps.append(gap)
            scene.step(f"kill {turn} of {KILLS}: the next engine's first call came {gap * 1000:.0f} ms later")
        _wait_for_more(scene, CALLS_PER_LIFE)
    _judge(scene, endings, gaps, _private(scene)[first_call:])


def _prepared(stack: contextlib.ExitStack) -> Worker:
    worker = Worker()
    stack.callback(worker.close)
    return worker


def _kill_and_restart(scene: Scene, running: Worker, successor: Worker) -> tuple[int, float]:
    """How the running one ended, and the seconds from its death to the successor's first call."""
    _wait_for_more(scene, CALLS_PER_LIFE)
    successor.wait_ready()
    # Executed and never answered: Kraken has seen the nonce and the dying process does not learn it.
    hung = scene.simulator.fault(Fault.hang(executed=True, times=1, endpoint=ENDPOINT))
    _wait_until(lambda: any(map(_is_hung, _private(scene))), "no call came to be cut off")
    ending = running.kill()
    killed = time.monotonic()
    before = len(_private(scene))
    hung.remove()
    successor.begin(scene)
    _wait_until(lambda: len(_private(scene)) > before, "the next engine made no call")
    return ending, _private(scene)[before].started - killed


def _wait_for_more(scene: Scene, number: int) -> None:
    wanted = len(_private(scene)) + number
    _wait_until(lambda: len(_private(scene)) >= wanted, "the running engine makes no calls")


def _wait_until(happened: Callable[[], bool], else_: str) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(else_)
        time.sleep(TICK)


def _private(scene: Scene) -> list[Call]:
    return [call for call in scene.simulator.calls if call.private]


def _is_hung(call: Call) -> bool:
    return call.fault == "hang" and call.executed and call.ended is None


def _judge(scene: Scene, endings: list[int], gaps: list[float], calls: list[Call]) -> None:
    killed = sum(ending == -signal.SIGKILL for ending in endings)
    scene.check(
        "An engine is killed with SIGKILL during a call, and another is started at once on its state directory",
        killed == KILLS,
        f"{killed} kills; {restarts(gaps)}",
    )
    refused = scene.simulator.refused_nonces
    scene.check("Kraken refuses no nonce", refused == 0 and bool(calls), f"{refused} of {len(calls)} calls refused")
    keys = {call.account for call in calls}
    falls = sum(_falls(call.nonce or 0 for call in calls if call.account == key) for key in keys)
    scene.check(
        "The nonces of every key only rise, over all these processes, by a clock that nobody moved",
        falls == 0 and len(keys) == len(scene.simulator.accounts),
        f"{len(keys)} keys, {falls} nonces that did not rise",
    )
    awaited = scene.simulator.highest_awaited
    scene.check("Never two private calls at once", awaited == 1, f"{awaited} at most")


def restarts(gaps: Sequence[float]) -> str:
    """How soon the next engine called. A slow machine is no fault of the engine's; it only makes the test easier."""
    told = f"the next engine's first call came {min(gaps) * 1000:.0f} to {max(gaps) * 1000:.0f} ms later"
    late = sum(gap > LEAD for gap in gaps)
    return f"{told}; {late} of them too late to test the nonces hard, as this machine is busy" if late else told


def _falls(nonces: Iterable[int]) -> int:
    """How many are not above the one before."""
    seen = list(nonces)
    return sum(later <= earlier for earlier, later in itertools.pairwise(seen))
