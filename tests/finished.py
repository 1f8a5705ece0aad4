"""A state directory in which many placements are over, as a bot leaves it that places one a minute for a month."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

from engine.actors.backing.journal_file import FILE_NAME, JournalFile
from engine.actors.backing.journal_rows import GENERATION, new_documents
from engine.actors.order.journal import Journal
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.store import AT_ONCE, Store
from engine.store.generations import Generation

MONTH = 50_000  # placements
ORDER = Order("XBTUSD", "buy", "market", "0.0001")


def finished(number: int, account: str, now: float) -> Placement:
    """One that was filled some minutes ago."""
    then = now - 40.0 * number
    return Placement(
        account=account, id=f"signal-{number}", cl_ord_id=f"{number:032x}", key_id="0123456789abcdef" * 2,
        order=ORDER, fitted=ORDER, pair="XBT/USD", state=OrderState.CLOSED, deadline=then + 12.0,
        params={"pair": "XXBTZUSD", "type": "buy", "ordertype": "market", "volume": "0.0001"},
        reserved=("ZUSD", Decimal("6.5")), description="buy 0.00010000 XBTUSD @ market",
        times={"planned": then, "sent": then + 0.01, "placed": then + 0.1, "closed": then + 1.0},
        txids=(f"O{number:05}-AAAAA-AAAAAA",), filled=Decimal("0.0001"), cost=Decimal(6), fee=Decimal("0.024"),
    )  # fmt: skip


def fill(directory: Path, count: int = MONTH, account: str = "MASTER") -> None:
    """Write so many into the journal of a directory that has none yet."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    store, now = Store(directory / FILE_NAME), time.time()
    for start in range(0, count, AT_ONCE):
        rows = [finished(number, account, now) for number in range(start, min(start + AT_ONCE, count))]
        store.put_all({name: each for row in rows for name, each in new_documents(row).items()})
    store.put(GENERATION, Generation("a file of this test", 1).to_dict())
    store.close()
    journal = Journal(JournalFile(directory), wall=time.time)
    assert (journal.find(account, "signal-0") is not None) == (count > 0)
    journal.close()

