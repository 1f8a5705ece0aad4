"""Power loss after every step. No mark of a nonce, no placement and no lockout that was said is lost.

None of it is damage.

With synchronous=OFF some are lost; of the journal, that is noticed.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.actors.backing.journal_file import JournalFile
from engine.actors.order.journal import Journal
from engine.errors import CallNotSent, StoreError
from engine.rules.order.states import OrderState
from engine.store import read_documents
from engine.store.nonces import file_nonces, read_marks
from tests.crash.issuer import KEY, LateClock
from tests.crash.lockouts import ACCOUNTS
from tests.crash.powerloss import Disk, Step, record
from tests.crash.torture import Warnings, chance, needs_strace

LIFE = "{open} issue issue issue cancel close {open} issue issue close {open} issue issue"
ORDERS = "{open} plan send fill plan send close {open} plan send fill close {open} plan send plan"
LOCKOUTS = " ".join(["lock"] * len(ACCOUNTS))
CUTS, IMAGES = 25, 4


class Laboratory:
    """Loses the power in a recorded life of a program and looks at what is left.

    `loss` is given a directory and the last number that was said; what it tells is lost.
    """

    def __init__(self, directory: Path, life: str, module: str, loss: Callable[[Path, int], str]) -> None:
        needs_strace()
        self._dice = chance()
        self._disk = directory / "disk"
        self._disk.mkdir()
        self._loss = loss
        self.steps = record(self._disk, life, module)
        said = sum(life.count(word) for word in ("issue", "cancel", "send", "lock"))
        assert sum(isinstance(step, int) for step in self.steps) == said

    def lost(self, cuts: int) -> list[str]:
        """What was lost over so many cuts, each with nothing, all and random parts of the unsynced surviving."""
        moments = set(self._dice.sample(range(1, len(self.steps)), min(cuts, len(self.steps) - 1)))
        disk, last, lost = Disk(), 0, []
        for moment, step in enumerate(self.steps):
            if isinstance(step, Step):
                disk.do(step)
            else:
                last = step
            if moment in moments:
                lost += [f"step {moment}: {each}" for each in self._losses(disk, last)]
        print(f"{len(moments)} cuts in {len(self.steps)} steps, {2 + IMAGES} images each: {len(lost)} lost")
        return lost

    def _losses(self, disk: Disk, last: int) -> list[str]:
        choices = [lambda: False, lambda: True, *[lambda: self._dice.random() < 0.5] * IMAGES]
        found = (self._look(disk.after_power_loss(survives), last) for survives in choices)
        return [loss for loss in found if loss]

    def _look(self, image: dict[str, bytes], last: int) -> str:
        shutil.rmtree(self._disk)
        self._disk.mkdir()
        for name, content in image.items():
            (self._disk / name).write_bytes(content)
        try:
            return self._loss(self._disk, last)
        except StoreError as error:
            return str(error)


def marks(directory: Path, highest: int) -> str:
    """What is lost of the marks."""
    warnings = Warnings()
    mark = read_marks(directory).get(KEY, 0)
    nonces = file_nonces(directory, clock=LateClock(), warn=warnings)
    nonce = nonces.issue(KEY)
    nonces.close()
    if mark < highest or nonce <= highest:
        return f"the mark is {mark}, the next nonce {nonce}, after {highest}"
    return str(warnings) if warnings else ""


def placements(directory: Path, last: int) -> str:
    """What is lost of the placements up to the last that was sent (all were): gone, or thought not to be sent.

    A row that cannot be read is noticed: the journal raises, and nothing is placed.
    """
    with contextlib.closing(Journal(JournalFile(directory), wall=lambda: 1000.0)) as journal:
        told = journal.obstacle or journal.damage
        try:
            rows = {number: journal.find("MASTER", f"id{number}") for number in range(1, last + 1)}
        except CallNotSent as error:
            return f"noticed: {error}"
    gone = [number for number, row in rows.items() if row is None or row.state is OrderState.NOT_PLACED]
    return f"noticed: {told}" if told else f"not noticed: {gone}" if gone else ""


def lockouts(directory: Path, last: int) -> str:
    """What is lost of the lockouts."""
    found = read_documents(directory / "limits.sqlite")
    known = [each for each in ACCOUNTS if "locked_until" in found.get(each.key_id, {}).get("guard", {})]
    return f"after {last} lockouts {len(known)} are known" if len(known) < last else ""


def lab(directory: Path, what: str, how: str) -> Laboratory:
    if what == "marks":
        return Laboratory(directory, LIFE.format(open=how), "tests.crash.issuer", marks)
    if what == "lockouts":
        return Laboratory(directory, LOCKOUTS, "tests.crash.lockouts", lockouts)
    return Laboratory(directory, ORDERS.format(open=how), "tests.crash.planner", placements)


@pytest.mark.parametrize("what", ["marks", "placements", "lockouts"])
def test_power_loss_loses_nothing(tmp_path: Path, what: str) -> None:
    assert lab(tmp_path, what, "open").lost(CUTS) == []


def test_control_without_syncs_loses_marks(tmp_path: Path) -> None:
    lost = lab(tmp_path, "marks", "loose").lost(CUTS)
    assert any("the next nonce" in each for each in lost)


def test_control_without_syncs_loses_placements_and_that_is_noticed(tmp_path: Path) -> None:
    lost = lab(tmp_path, "placements", "loose").lost(CUTS)
    assert lost
    assert all(": noticed: " in each for each in lost), lost


@pytest.mark.torture
@pytest.mark.parametrize("what", ["marks", "placements", "lockouts"])
def test_power_loss_after_every_step_loses_nothing(tmp_path: Path, what: str) -> None:
    assert lab(tmp_path, what, "open").lost(10**6) == []
