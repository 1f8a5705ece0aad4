"""A process that places a few named orders and, if told so, kills itself at a named step of placing.

Its arguments are one JSON document: ``url``, ``state``, ``account``, ``step`` (a number or ``null``), ``ids``.
It prints one JSON document: what became of each id.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from engine import CallError, Engine, Order, OrderUnknown, PairUnsettled, Settings
from engine.store import Store

SETTINGS = Settings(
    refresh_every=60.0, call_timeout=30.0, local_limits=False, order_deadline=2.0, settle_margin=0.3, follow_every=0.2
)
PAIRS = (("XBTUSD", "30000"), ("ETHUSD", "1000"), ("XBTUSDT", "30000"))


def order_of(number: int) -> Order:
    """The order of an id; its volume names it, so that the exchange can tell how many there are."""
    pair, price = PAIRS[number % len(PAIRS)]
    volume = f"0.0{1000 + number}"
    if number % 2:
        return Order(pair, "buy", "market", volume)
    return Order(pair, "buy", "limit", volume, price)


def die_at(step: int) -> None:
    """Die by kill -9 right before or right after the n-th write of the journal or its witness: two steps for each."""
    steps = itertools.count()

    def deadly(write: Callable[..., None]) -> Callable[..., None]:
        def instead(store: Store, *args: Any) -> None:
            is_journal = store.path.name in ("orders.sqlite", "generations.sqlite")
            if is_journal and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            write(store, *args)
            if is_journal and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        return instead

    Store.put_all = deadly(Store.put_all)  # type: ignore[method-assign]


def settled(engine: Engine, number: int) -> dict[str, Any]:
    """Place it, again under the same id, until its end is known."""
    while True:
        try:
            return engine.place("MASTER", order_of(number), id=f"o{number}", timeout=5.0).to_dict()
        except (OrderUnknown, PairUnsettled):
            time.sleep(0.1)
        except CallError as error:
            return {"error": str(error)}


def main() -> None:
    asked = json.loads(sys.argv[1])
    if asked["step"] is not None:
        die_at(asked["step"])
    with Engine(
        [tuple(asked["account"])], url=asked["url"], state_dir=asked["state"], settings=SETTINGS, live=True
    ) as engine:  # fmt: skip
        ends = {f"o{number}": settled(engine, number) for number in asked["ids"]}
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
