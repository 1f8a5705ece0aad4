"""Two processes that want the same lane, again and again: one has it at a time, and every mark is above the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine.cluster.leases import Leases
from tests.stopwatch import LONG

ROUNDS = 50
PROGRAM = """
import sys
from engine.cluster.database import Database
from engine.cluster.leases import Leases
from engine.errors import OwnershipLost

dsn, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
leases = Leases(Database(dsn, patience=30), ttl=0.02)
leases.attend(name, None, ["one"])
while len(leases.nodes()) < 2:
    pass
won = 0
while won < rounds:
    lease = leases.claim("one", name, None, [])
    if lease is None:
        continue
    won += 1
    inherited = lease.mark
    try:
        for step in range(1, 4):
            lease.reserve(inherited + step)
        if won % 2:
            lease.release()
    except OwnershipLost:
        pass
    print(lease.epoch, inherited, lease.mark)
"""


def test_of_two_processes_one_has_the_lane_at_a_time(leases: Leases, dsn: str) -> None:
    root = Path(__file__).parents[2]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, dsn, name, str(ROUNDS)], stdout=subprocess.PIPE, text=True, cwd=root
        )
        for name in "ab"
    ]
    lines = [line.split() for each in racers for line in each.communicate(timeout=LONG)[0].splitlines()]
    assert [each.returncode for each in racers] == [0, 0]
    turns = sorted((int(epoch), int(inherited), int(mark)) for epoch, inherited, mark in lines)
    assert len(turns) == 2 * ROUNDS
    epochs = [epoch for epoch, _, _ in turns]
    assert len(set(epochs)) == len(epochs), "no epoch was given twice"
    highest = 0
    for _, inherited, mark in turns:
        assert inherited >= highest, "a mark of an earlier owner is known to every later one"
        highest = max(highest, mark)
    assert leases.lanes()[0].epoch >= epochs[-1]
