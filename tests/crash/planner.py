"""Places orders in a journal, in a process of its own that a test may watch.

``python -m tests.crash.planner DIRECTORY`` obeys one word a line from stdin and answers each with a line of JSON: under
``sent`` the number of a placement that may go out now.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.actors.backing.journal_file import JournalFile
from engine.actors.order.journal import Journal
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent
from engine.store import Store
from tests.crash.issuer import open_loose

ORDER = Order("XBTUSD", "buy", "limit", "0.01", "30000")


def placement(number: int) -> Placement:
    """One that shares its market with no other."""
    return Placement(
        account="MASTER", id=f"id{number}", cl_ord_id=f"{number:032x}", key_id="k", order=ORDER, fitted=ORDER,
        pair=f"PAIR{number}", params={"pair": f"PAIR{number}"}, reserved=("ZUSD", Decimal(300)),
        times={"planned": float(number)},
    )  # fmt: skip


class Planner:
    """What the words do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._journal: Journal | None = None
        self._number = 0

    @property
    def journal(self) -> Journal:
        assert self._journal is not None
        return self._journal

    def open(self, open_store: Callable[..., Store] = Store) -> None:
        self._journal = Journal(JournalFile(self._directory, open_store), wall=lambda: 1000.0)

    def loose(self) -> None:
        self.open(open_loose)

    def plan(self) -> None:
        self._number += 1
        self.journal.plan(placement(self._number))

    def send(self) -> int:
        self.journal.send(f"{self._number:032x}", 50.0)
        return self._number

    def fill(self) -> None:
        name = f"{self._number:032x}"
        self.journal.note(name, OrderEvent.ACCEPTED, txids=(f"TX{self._number}",))
        self.journal.note(name, OrderEvent.FOUND_CLOSED)
        self.journal.save()

    def close(self) -> None:
        self.journal.close()

    def obey(self, word: str) -> dict[str, Any]:
        return {"word": word, "sent": getattr(self, word)()}


if __name__ == "__main__":
    planner = Planner(Path(sys.argv[1]))
    for line in sys.stdin:
        os.write(1, json.dumps(planner.obey(line.strip())).encode() + b"\n")
