"""G1: the nonces of a key only rise, whatever happens in between.

A machine drives the pure sequence and the durable `Nonces` against a model of ten lines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from engine.errors import ConfigError, NonceNotDurable, StoreError
from engine.rules.lane.nonce import (
    BELIEVABLE,
    HIGHEST,
    KEPT_FOR_CANCELS,
    SECOND,
    NonceSequence,
    next_mark,
    next_nonce,
)
from engine.store import Store
from engine.store.nonces import COPY_NAME, FILE_NAME, Nonces, file_nonces, read_marks
from tests.crash.torture import TurnedClock

NOW = 1_790_000_000 * SECOND
KEYS = ("key-a", "key-b", "key-c")
FILES = (FILE_NAME, COPY_NAME)


class Model:
    """What every key has ever issued, and nothing else."""

    def __init__(self) -> None:
        self.highest = dict.fromkeys(KEYS, 0)

    def issued(self, key: str, nonce: int) -> None:
        assert nonce > self.highest[key], f"{key}: {nonce} after {self.highest[key]}"
        assert nonce <= HIGHEST
        self.highest[key] = nonce


class NonceMachine(RuleBasedStateMachine):
    """Issue, restart, crash without warning, clock steps of any size, disk errors and damage, over several keys."""

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.broken: set[str] = set()
        self.clock = TurnedClock()
        self.model = Model()
        self.nonces = self._open()
        self.crashed: list[Nonces] = []

    def _open(self) -> Nonces:
        self.callbacks: list[Callable[[], None]] = []
        return file_nonces(
            Path(self.directory.name), clock=self.clock, open_store=self._open_store, warn=lambda code, sentence: None,
            soon=self.callbacks.append,
        )  # fmt: skip

    def _open_store(self, path: Path) -> Store:
        store = Store(path)
        put = store.put

        def put_unless_broken(name: str, document: object) -> None:
            if path.name in self.broken:
                raise StoreError("disk error")
            put(name, document)

        store.put = put_unless_broken  # type: ignore[method-assign]
        return store

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 5), cancel=st.booleans())
    def issue(self, key: str, count: int, cancel: bool) -> None:
        for _ in range(count):
            try:
                self.model.issued(key, self.nonces.issue(key, cancel=cancel))
            except NonceNotDurable:
                assert FILE_NAME in self.broken

    @rule(files=st.sets(st.sampled_from(FILES)))
    def break_or_fix_the_disk(self, files: set[str]) -> None:
        self.broken = files

    @rule(name=st.sampled_from(FILES), content=st.one_of(st.none(), st.binary(max_size=9000)))
    def damage_one_file(self, name: str, content: bytes | None) -> None:
        """The other file knows everything once the engine has started on a sound disk."""
        self.broken = set()
        self.restart()
        for each in (*self.crashed, self.nonces):
            each.close()
        file = Path(self.directory.name) / name
        if content is None:
            file.unlink()
        else:
            raw = file.read_bytes()
            file.write_bytes(raw[: len(raw) - len(content)] + content if len(content) % 2 else content)
        self.nonces = self._open()

    @rule()
    def let_the_renewals_come(self) -> None:
        callbacks, self.callbacks[:] = self.callbacks[:], []
        for callback in callbacks:
            callback()

    @rule(key=st.sampled_from(KEYS))
    def use_half_of_the_reservation(self, key: str) -> None:
        self.clock.now += SECOND * 6 // 10
        self.issue(key, 1, cancel=False)

    @rule(step=st.one_of(st.integers(-(2**70), 2**70), st.integers(-2 * SECOND, 2 * SECOND)))
    def step_clock(self, step: int) -> None:
        self.clock.now += step

    @rule()
    def restart(self) -> None:
        self.nonces.close()
        self.nonces = self._open()

    @rule()
    def crash(self) -> None:
        """What is in memory is gone: the next one sees only the file."""
        self.crashed.append(self.nonces)
        self.nonces = self._open()

    @rule(key=st.sampled_from(KEYS), nonce=st.integers(0, 2**61))
    def skip(self, key: str, nonce: int) -> None:
        try:
            self.nonces.skip_to(key, nonce)
        except StoreError:
            assert FILE_NAME in self.broken
        else:
            self.model.highest[key] = max(self.model.highest[key], nonce)

    @invariant()
    def the_mark_on_disk_covers_everything_issued(self) -> None:
        if hasattr(self, "nonces"):
            marks = read_marks(Path(self.directory.name))
            for key, highest in self.model.highest.items():
                assert marks.get(key, 0) >= highest

    def teardown(self) -> None:
        if hasattr(self, "nonces"):
            for each in (*self.crashed, self.nonces):
                each.close()
            self.directory.cleanup()


TestNonceMachine = NonceMachine.TestCase
TestNonceMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.mark.torture
def test_nonce_machine_at_full_size() -> None:
    """The same for longer."""
    size = settings(max_examples=200, stateful_step_count=50, deadline=None, print_blob=True)
    run_state_machine_as_test(NonceMachine, settings=size)


@given(last=st.integers(0, HIGHEST), now=st.integers(-(2**70), 2**70))
def test_formula_rises_and_follows_a_believable_clock(last: int, now: int) -> None:
    nonce = next_nonce(last, now)
    assert nonce > last
    if now < BELIEVABLE:
        assert nonce == max(last + 1, now)
    assert next_mark(nonce, now) <= HIGHEST


def test_mark_is_durable_before_the_nonce_is_used() -> None:
    marks: list[int] = []
    sequence = NonceSequence()
    first = sequence.issue(NOW, marks.append)
    assert marks == [NOW + SECOND]
    assert first == NOW
    assert sequence.issue(NOW, marks.append) == NOW + 1
    assert len(marks) == 1, "below the mark nothing is written"


class Disk:
    """Counts the writes of both files, and fails when told to."""

    def __init__(self) -> None:
        self.writes = 0
        self.is_full = False

    def open(self, path: Path) -> Store:
        store = Store(path)
        put = store.put

        def count(name: str, document: object) -> None:
            if self.is_full:
                raise StoreError("disk full")
            self.writes += 1
            put(name, document)

        store.put = count  # type: ignore[method-assign]
        return store


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def callbacks() -> list[Callable[[], None]]:
    return []


@pytest.fixture
def renewed(tmp_path: Path, disk: Disk, callbacks: list[Callable[[], None]]) -> Iterator[Nonces]:
    nonces = file_nonces(tmp_path, clock=TurnedClock(), open_store=disk.open, soon=callbacks.append)
    yield nonces
    nonces.close()


def turn(nonces: Nonces, seconds: float) -> int:
    """A nonce, so many seconds later."""
    nonces._clock.now += int(seconds * SECOND)  # type: ignore[attr-defined]
    return nonces.issue("key")


def test_a_key_in_use_never_waits_for_the_disk(
    renewed: Nonces, disk: Disk, callbacks: list[Callable[[], None]]
) -> None:
    turn(renewed, 0)
    assert disk.writes == 2, "the first mark, in both files"
    for _ in range(200):
        before = disk.writes
        turn(renewed, 0.05)
        assert disk.writes == before, "the caller wrote nothing"
        while callbacks:
            callbacks.pop()()
    assert disk.writes < 2 * 25


def test_an_idle_key_causes_no_writes(renewed: Nonces, disk: Disk, callbacks: list[Callable[[], None]]) -> None:
    turn(renewed, 0)
    turn(renewed, 0.1)
    assert (disk.writes, callbacks) == (2, [])


def test_a_renewal_that_comes_too_late_is_made_up_for_at_once(
    renewed: Nonces, disk: Disk, callbacks: list[Callable[[], None]]
) -> None:
    turn(renewed, 0)
    turn(renewed, 0.6)
    turn(renewed, 0.1)
    assert len(callbacks) == 1, "asked for once"
    late = turn(renewed, 5)
    assert renewed.mark("key") > late, "reserved in the foreground"
    mark, writes = renewed.mark("key"), disk.writes
    callbacks.pop()()
    assert (renewed.mark("key"), disk.writes) == (mark, writes), "and never lowered by the late one"


def test_a_failing_renewal_says_nothing_until_a_nonce_needs_it(
    renewed: Nonces, disk: Disk, callbacks: list[Callable[[], None]]
) -> None:
    turn(renewed, 0)
    disk.is_full = True
    turn(renewed, 0.6)
    callbacks.pop()()
    turn(renewed, 0.2)
    assert len(callbacks) == 1, "asked for again"
    with pytest.raises(NonceNotDurable, match="disk full"):
        turn(renewed, 1)
    disk.is_full = False
    assert turn(renewed, 0) <= renewed.mark("key")


def test_failing_store_issues_nothing_above_the_mark_but_lets_cancels_go() -> None:
    """G1 and the disk: the reserve below the mark is for cancels; the mark holds; afterwards it goes on."""
    sequence = NonceSequence()
    sequence.issue(NOW, lambda mark: None)

    def full(mark: int) -> None:
        raise StoreError("disk full")

    late = NOW + 10 * SECOND
    with pytest.raises(NonceNotDurable, match="disk full"):
        sequence.issue(late, full)
    cancels = [sequence.issue(late, full, cancel=True) for _ in range(KEPT_FOR_CANCELS)]
    assert cancels == sorted(set(cancels))
    assert cancels[-1] <= sequence.mark
    assert sequence.issue(late, lambda mark: None) >= late


def test_the_reserve_for_cancels_is_not_spent_by_others() -> None:
    sequence = NonceSequence()
    sequence.issue(NOW, lambda mark: None)
    near = sequence.mark - KEPT_FOR_CANCELS

    def full(mark: int) -> None:
        raise StoreError("disk full")

    assert sequence.issue(near, full) == near
    with pytest.raises(NonceNotDurable):
        sequence.issue(near, full)
    assert sequence.issue(near, full, cancel=True) == near + 1


def test_used_up_key_says_what_to_do() -> None:
    sequence = NonceSequence.above(HIGHEST)
    with pytest.raises(NonceNotDurable, match="new key"):
        sequence.issue(NOW, lambda mark: None)


def test_clock_of_another_age_does_not_ruin_the_key(tmp_path: Path) -> None:
    """A clock past the year 2116 is not believed; the nonce goes on from the last one."""
    clock = TurnedClock()
    nonces = file_nonces(tmp_path, clock=clock)
    first = nonces.issue("key")
    clock.now = 2**63
    assert nonces.issue("key") == first + 1
    nonces.close()


@pytest.mark.parametrize("nonce", [-1, HIGHEST, 2**64])
def test_skip_refuses_what_no_nonce_can_be(tmp_path: Path, nonce: int) -> None:
    nonces = file_nonces(tmp_path)
    with pytest.raises(ConfigError, match="cannot be a nonce"):
        nonces.skip_to("key", nonce)
    nonces.close()


def test_skip_never_lowers(tmp_path: Path) -> None:
    nonces = file_nonces(tmp_path, clock=TurnedClock())
    high = nonces.issue("key")
    nonces.skip_to("key", 5)
    assert nonces.issue("key") > high
    nonces.close()
