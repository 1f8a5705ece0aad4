"""An asyncio bot: it places ten orders at once, hears of each, and cancels them, while its loop goes on.

Runs on the built-in simulator; no key is needed.
"""

from __future__ import annotations

import asyncio
import tempfile

from engine import Engine, Order, OrderChanged, OrderState, Settings
from engine.simulator import Simulator

PRICES = range(20_000, 21_000, 100)


async def listen(engine: Engine, wanted: int) -> None:
    """Until so many orders were placed."""
    placed = set()
    async for event in engine.aio.events():
        if isinstance(event, OrderChanged) and event.receipt.state is OrderState.PLACED:
            placed.add(event.receipt.id)
        if len(placed) == wanted:
            print(f"Heard of {wanted} orders.")
            return


async def trade(engine: Engine) -> None:
    """Place, listen and cancel; an `id` makes it safe to ask again after a task was cancelled."""
    aio = engine.aio
    print(f"Cash: {(await aio.balance('MASTER', max_age=5, timeout=10)).cash}")
    listening = asyncio.create_task(listen(engine, len(PRICES)))
    await asyncio.sleep(0)  # it listens before the first order
    orders = [Order("XBTUSD", "buy", "limit", "0.0002", str(price)) for price in PRICES]
    placing = [aio.place("MASTER", order, id=f"grid-{number}") for number, order in enumerate(orders)]
    receipts = await asyncio.gather(*placing)
    await listening
    over = await asyncio.gather(*(aio.cancel("MASTER", receipt) for receipt in receipts))
    print(f"Cancelled: {sum(each.state is OrderState.CANCELED for each in over)} of {len(over)}")


def main() -> None:
    """The engine has its own threads; the loop is the bot's."""
    with Simulator() as kraken, tempfile.TemporaryDirectory() as directory:
        settings = Settings(tier="pro")
        with Engine(kraken.accounts, url=kraken.url, state_dir=directory, settings=settings, live=True) as engine:
            asyncio.run(trade(engine))


if __name__ == "__main__":
    main()
