"""Takes in lockouts of many keys, in a process of its own that a test may watch.

``python -m tests.crash.lockouts DIRECTORY`` reads one word a line from stdin. For each it lets Kraken lock the next key
out and answers, when that is durable, with a line of JSON: under ``locked`` the number of keys that are locked out.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from engine.actors.lane.limits import Limits
from engine.errors import TemporaryLockout
from engine.kraken.endpoints import private_endpoint
from engine.store import open_or_replace
from engine.values import SYSTEM_CLOCK, Account, Settings

ACCOUNTS = tuple(Account(f"A{number}", f"key {number}", "c2VjcmV0") for number in range(12))


def main(directory: Path) -> None:
    kept, _ = open_or_replace(directory / "limits.sqlite")
    limits = Limits(
        kept, kept.documents(), ACCOUNTS, settings=Settings(), live=True, clock=SYSTEM_CLOCK,
        publish=lambda event: None, soon=lambda write: write(),
    )  # fmt: skip
    for number, _ in enumerate(sys.stdin):
        locked = TemporaryLockout("locked out", kraken_code="EGeneral:Temporary lockout")
        limits.after(ACCOUNTS[number].name, private_endpoint("Balance"), {}, locked)
        os.write(1, json.dumps({"locked": number + 1}).encode() + b"\n")  # in one call


if __name__ == "__main__":
    main(Path(sys.argv[1]))
