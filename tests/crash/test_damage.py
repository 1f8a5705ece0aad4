"""G1 with damaged files: flipped bits, cut files, garbage. No nonce is lower; damage is put aside and reported."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.rules.lane.nonce import SECOND
from engine.store.nonces import COPY_NAME, FILE_NAME, file_nonces
from tests.crash.torture import DAY, KEYS, NOW, TurnedClock, Warnings, chance, issue, make_marks

FILES = (FILE_NAME, COPY_NAME)


def flip(raw: bytearray, dice: random.Random) -> bytes:
    """One bit; every second time where something is written, since most of a page is empty."""
    places = dice.choice([range(len(raw)), [place for place, byte in enumerate(raw) if byte]])
    raw[dice.choice(places)] ^= 1 << dice.randrange(8)
    return bytes(raw)


def cut(raw: bytearray, dice: random.Random) -> bytes:
    return bytes(raw[: dice.randrange(len(raw))])


def garbage(raw: bytearray, dice: random.Random) -> bytes:
    """All of it, or a page or any stretch of it, is noise, zeros or ones."""
    start, end = dice.choice([(0, len(raw)), (4096, 8192), sorted(dice.choices(range(len(raw)), k=2))])
    noise = dice.choice([dice.randbytes(end - start), bytes(end - start), b"\xff" * (end - start)])
    return bytes(raw[:start]) + noise + bytes(raw[end:])


Damage = Callable[[bytearray, random.Random], bytes]


class Bench:
    """A sound directory, closed or as a kill -9 leaves it, that is damaged again and again."""

    def __init__(self, directory: Path, *, killed: bool) -> None:
        self.clock = TurnedClock()
        self.sound, self.broken = directory / "sound", directory / "broken"
        self.sound.mkdir()
        self.highest = make_marks(self.sound, self.clock)
        if killed:
            (directory / "live").mkdir()
            nonces = file_nonces(directory / "live", clock=self.clock)
            self.highest = issue(nonces, self.clock)
            shutil.rmtree(self.sound)
            shutil.copytree(directory / "live", self.sound)
            nonces.close()

    def damage(self, names: list[str], damage: Damage, dice: random.Random) -> Warnings:
        """Damage copies of files, open the directory with a clock a month behind, issue; returns the warnings."""
        shutil.rmtree(self.broken, ignore_errors=True)
        shutil.copytree(self.sound, self.broken)
        for name in names:
            raw = (self.broken / name).read_bytes()
            (self.broken / name).write_bytes(damage(bytearray(raw), dice))
        before = {name: (self.broken / name).read_bytes() for name in names}
        warnings = Warnings()
        clock = TurnedClock(NOW - 30 * DAY)
        nonces = file_nonces(self.broken, clock=clock, warn=warnings)
        found = {key: nonces.issue(key) for key in KEYS}
        nonces.close()
        if warnings.codes() != ["nonces-lost"]:
            assert all(found[key] > self.highest[key] for key in KEYS), (names, warnings)
        assert all(clock.now <= nonce <= self.highest[key] + 2 * SECOND for key, nonce in found.items()), "no jump"
        self._nothing_was_deleted(before, warnings)
        return warnings

    def _nothing_was_deleted(self, before: dict[str, bytes], warnings: Warnings) -> None:
        aside = {each.name.split(".damaged-")[0] for each in self.broken.iterdir() if ".damaged-" in each.name}
        for code, sentence in warnings:
            assert code in ("nonces-restored", "nonces-lost")
            assert "missing or empty" in sentence or aside
        for name in aside & before.keys():
            assert next(self.broken.glob(f"{name}.damaged-*Z")).read_bytes() == before[name]


def _count(bench: Bench, damage: Damage, times: int, names: Callable[[random.Random], list[str]]) -> Counter[str]:
    dice = chance()
    seen: Counter[str] = Counter()
    for _ in range(times):
        seen.update(bench.damage(names(dice), damage, dice).codes() or ["nothing noticed"])
    print(damage.__name__, dict(seen))
    return seen


def one(dice: random.Random) -> list[str]:
    return [dice.choice(FILES)]


def log(dice: random.Random) -> list[str]:
    return [f"{dice.choice(FILES)}-wal"]


def both(dice: random.Random) -> list[str]:
    return list(FILES)


def _all_of_it(directory: Path, share: float) -> None:
    """`share` of 3,000 flips, 300 cuts and 200 times garbage: two thirds in a file, one third in a log."""
    for part in ("closed", "killed"):
        (directory / part).mkdir()
    closed, killed = Bench(directory / "closed", killed=False), Bench(directory / "killed", killed=True)
    for damage, times in ((flip, 3000), (cut, 300), (garbage, 200)):
        seen = _count(closed, damage, round(times * share * 2 / 3), one)
        assert seen["nonces-restored"]
        assert not seen["nonces-lost"]
        assert not _count(killed, damage, round(times * share / 3), log)["nonces-lost"]


def test_damage_to_one_file_never_lowers_a_nonce(tmp_path: Path) -> None:
    _all_of_it(tmp_path, 0.05)


@pytest.mark.torture
def test_damage_to_one_file_never_lowers_a_nonce_full_size(tmp_path: Path) -> None:
    _all_of_it(tmp_path, 1)


@pytest.mark.torture
def test_flip_of_every_bit_that_is_written_never_lowers_a_nonce(tmp_path: Path) -> None:
    bench = Bench(tmp_path, killed=False)
    raw = (bench.sound / FILE_NAME).read_bytes()
    places = [place for place, byte in enumerate(raw) if byte or place < 100]
    seen: Counter[str] = Counter()
    for place, bit in itertools.product(places, range(8)):
        flipped = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
        warnings = bench.damage([FILE_NAME], lambda *_, flipped=flipped: flipped, random.Random())
        seen.update(warnings.codes() or ["nothing noticed"])
    print(dict(seen))
    assert not seen["nonces-lost"]


@pytest.mark.parametrize("damage", [cut, garbage])
def test_damage_to_both_files_says_so(tmp_path: Path, damage: Damage) -> None:
    seen = _count(Bench(tmp_path, killed=False), damage, 20, both)
    assert seen["nonces-lost"]
