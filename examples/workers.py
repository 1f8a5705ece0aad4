"""Four worker processes that trade through one engine: it has the key, the lane and the journal, they have none of it.

Runs on the built-in simulator; no key is needed. For real Kraken the engine is a ``kraken-engine serve --live``, and
the workers are those of Celery, Django or uvicorn.
"""

from __future__ import annotations

import multiprocessing
import tempfile

from engine import Engine, Order, Settings
from engine.simulator import Simulator

WORKERS, ORDERS = 4, 3


def work(state_dir: str, name: str) -> None:
    """One worker. The `id` names the order: whoever asks for it again, a restarted worker too, gets the same one."""
    with Engine.connect(state_dir) as engine:
        for number in range(ORDERS):
            order = Order("XBTUSD", "buy", "limit", "0.0002", str(20_000 + 100 * number))
            engine.place("MASTER", order, id=f"{name}-{number}")
            engine.place("MASTER", order, id=f"{name}-{number}")  # places nothing


def main() -> None:
    """The engine is served in this process; any process of the same user reaches it by its state directory."""
    with Simulator() as kraken, tempfile.TemporaryDirectory() as directory:
        settings = Settings(tier="pro")
        engine = Engine(kraken.accounts, url=kraken.url, state_dir=directory, settings=settings, live=True)
        with engine, engine.serve(port=0):
            processes = multiprocessing.get_context("spawn")
            workers = [processes.Process(target=work, args=(directory, f"worker-{n}")) for n in range(WORKERS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        print(f"{WORKERS} workers: {len(kraken.placements('MASTER'))} orders on the exchange")
        print(f"{kraken.refused_nonces} nonces refused, {kraken.highest_in_flight} call at a time")


if __name__ == "__main__":
    main()
