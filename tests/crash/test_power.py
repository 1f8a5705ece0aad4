"""G1 under power loss after every step: no mark of an issued nonce is lost; with synchronous=OFF, some are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.store.nonces import Nonces, read_marks
from tests.crash.issuer import KEY, LateClock
from tests.crash.powerloss import Disk, Step, record
from tests.crash.torture import Warnings, chance, needs_strace

LIFE = "{open} issue issue issue cancel close {open} issue issue close {open} issue issue"
CUTS, IMAGES = 25, 4


class Laboratory:
    """Loses the power in a recorded life and looks at what is left."""

    def __init__(self, directory: Path, life: str) -> None:
        needs_strace()
        self._dice = chance()
        self._disk = directory / "disk"
        self._disk.mkdir()
        self.steps = record(self._disk, life)
        assert sum(isinstance(step, int) for step in self.steps) == life.count("issue") + life.count("cancel")

    def lost(self, cuts: int) -> list[str]:
        """What was lost over so many cuts, each with nothing, all and random parts of the unsynced surviving."""
        moments = set(self._dice.sample(range(1, len(self.steps)), min(cuts, len(self.steps) - 1)))
        disk, highest, lost = Disk(), 0, []
        for moment, step in enumerate(self.steps):
            if isinstance(step, Step):
                disk.do(step)
            else:
                highest = step
            if moment in moments:
                lost += [f"step {moment}: {each}" for each in self._losses(disk, highest)]
        print(f"{len(moments)} cuts in {len(self.steps)} steps, {2 + IMAGES} images each: {len(lost)} lost")
        return lost

    def _losses(self, disk: Disk, highest: int) -> list[str]:
        choices = [lambda: False, lambda: True, *[lambda: self._dice.random() < 0.5] * IMAGES]
        found = (self._loss(disk.after_power_loss(survives), highest) for survives in choices)
        return [loss for loss in found if loss]

    def _loss(self, image: dict[str, bytes], highest: int) -> str:
        shutil.rmtree(self._disk)
        self._disk.mkdir()
        for name, content in image.items():
            (self._disk / name).write_bytes(content)
        warnings = Warnings()
        try:
            mark = read_marks(self._disk).get(KEY, 0)
            nonces = Nonces(self._disk, clock=LateClock(), warn=warnings)
        except StoreError as error:
            return str(error)
        nonce = nonces.issue(KEY)
        nonces.close()
        if mark < highest or nonce <= highest:
            return f"the mark is {mark}, the next nonce {nonce}, after {highest}"
        return str(warnings) if warnings else ""


def test_power_loss_loses_no_mark(tmp_path: Path) -> None:
    assert Laboratory(tmp_path, LIFE.format(open="open")).lost(CUTS) == []


def test_control_without_syncs_loses_marks(tmp_path: Path) -> None:
    lost = Laboratory(tmp_path, LIFE.format(open="loose")).lost(CUTS)
    assert any("the next nonce" in each for each in lost)


@pytest.mark.torture
def test_power_loss_after_every_step_loses_no_mark(tmp_path: Path) -> None:
    assert Laboratory(tmp_path, LIFE.format(open="open")).lost(10**6) == []
