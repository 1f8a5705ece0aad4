"""The process that the demo kills: a real engine that makes one call after another.

Reads one line of JSON from stdin when it is to begin; ends by itself only when stdin is closed.
"""

from __future__ import annotations

import contextlib
import json
import select
import sys

from engine.app import Engine
from engine.demo.scene import QUICK
from engine.errors import CallError

READY = "ready"
ENDPOINT = "TradeBalance"


def main() -> None:
    """Say that everything is loaded, wait for the signal to start, then call until killed."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if line:
        told = json.loads(line)
        with Engine(told["accounts"], url=told["url"], state_dir=told["state_dir"], settings=QUICK) as engine:
            _call_for_ever(engine, [name for name, _, _ in told["accounts"]])


def _call_for_ever(engine: Engine, names: list[str]) -> None:
    while True:
        for name in names:
            if select.select([sys.stdin], [], [], 0)[0]:
                return  # the demo has gone
            with contextlib.suppress(CallError):
                engine.call(name, ENDPOINT)


if __name__ == "__main__":
    main()
