"""A journal that was lost or went back is noticed, and nothing else is taken for it (promise G9)."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.actors.backing.journal_file import FILE_NAME, JournalFile
from engine.actors.order.journal import Journal
from engine.errors import CallNotSent, ConfigError
from engine.rules.order.states import OrderEvent, OrderState
from engine.store import Store
from engine.store.generations import FILE_NAME as WITNESS_NAME
from tests.actors.order.test_journal import ORDERS, placement

MAIN, LOG, MEMORY = FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"
JOURNAL = (MAIN, LOG, MEMORY)
WITNESS = (WITNESS_NAME, f"{WITNESS_NAME}-wal", f"{WITNESS_NAME}-shm")


@dataclass(frozen=True)
class Moment:
    """The directory as a kill -9 would leave it, and how many placements had gone out by then."""

    files: Path
    sent: int
    closed: bool


class Life:
    """A journal that plans, sends, hears, stops and starts; a copy of its directory is kept after each step."""

    def __init__(self, where: Path) -> None:
        self.where, self.state = where, where / "state"
        self.state.mkdir()
        self.moments: list[Moment] = []
        self.journal: Journal | None = None
        self.planned = self.sent = 0

    def live(self, *steps: str) -> list[Moment]:
        for step in steps:
            getattr(self, step)()
            files = self.where / f"{len(self.moments)}"
            shutil.copytree(self.state, files)
            self.moments.append(Moment(files, self.sent, step == "stop"))
        if self.journal is not None:
            self.journal.close()
        return self.moments

    def start(self) -> None:
        self.journal = opened(self.state)
        assert self.journal.damage is None
        assert self.journal.obstacle is None

    def plan(self) -> None:
        assert self.journal is not None
        self.planned += 1
        self.journal.plan(placement(self.planned, f"id{self.planned}", ORDERS[0], pair=f"PAIR{self.planned}"))

    def send(self) -> None:
        assert self.journal is not None
        self.journal.send(f"{self.planned:032x}", 50.0)
        self.sent = self.planned

    def hear(self) -> None:
        assert self.journal is not None
        name = f"{self.sent:032x}"
        self.journal.note(name, OrderEvent.ACCEPTED, txids=(f"TX{self.sent}",))
        self.journal.note(name, OrderEvent.FOUND_CLOSED)
        self.journal.save()

    def stop(self) -> None:
        assert self.journal is not None
        self.journal.close()
        self.journal = None


LIFE = "start stop start plan send hear stop start plan send stop start plan send hear plan"


def opened(directory: Path) -> Journal:
    return Journal(JournalFile(directory), wall=lambda: 1000.0)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[Moment]:
    return Life(tmp_path_factory.mktemp("life")).live(*LIFE.split())


@pytest.fixture
def mixed(tmp_path: Path) -> Callable[..., Path]:
    """Makes a directory as it was at one moment, with the named files as they were at an earlier one, or without."""
    numbers = itertools.count()

    def mix(now: Moment, names: tuple[str, ...], then: Moment | None = None) -> Path:
        directory = tmp_path / str(next(numbers))
        shutil.copytree(now.files, directory)
        for name in names:
            (directory / name).unlink(missing_ok=True)
            if then is not None and (then.files / name).exists():
                shutil.copy(then.files / name, directory / name)
        return directory

    return mix


def knows_all(journal: Journal, sent: int) -> bool:
    """Whether no placement that went out could go out again."""
    rows = [journal.find("MASTER", f"id{number}") for number in range(1, sent + 1)]
    return all(row is not None and row.state not in (OrderState.PLANNED, OrderState.NOT_PLACED) for row in rows)


def stops_orders(directory: Path) -> bool:
    """Whether nothing is planned, as is said, now and at the next start."""
    for _ in range(2):
        journal = opened(directory)
        obstacle = journal.obstacle
        if obstacle is None:
            journal.close()
            return False
        assert "Look up your open and closed orders" in obstacle
        with pytest.raises(CallNotSent, match="Look up your open"):
            journal.plan(placement(999, "another", ORDERS[0]))
        journal.close()
    return True


def is_sound(directory: Path, sent: int) -> bool:
    """Whether orders may go on, with everything known."""
    journal = opened(directory)
    knows, obstacle = knows_all(journal, sent), journal.obstacle
    journal.close()
    return knows and obstacle is None


def test_no_moment_of_a_life_is_taken_for_a_loss(
    moments: list[Moment], mixed: Callable[..., Path]
) -> None:
    for moment in moments:
        directory = mixed(moment, ())
        journal = opened(directory)
        assert journal.damage is None
        assert journal.obstacle is None
        assert knows_all(journal, moment.sent)
        journal.close()


@pytest.mark.parametrize("names", [JOURNAL, (MAIN,), (MAIN, LOG), (MAIN, MEMORY)], ids=", ".join)
def test_a_missing_journal_is_damage(
    moments: list[Moment], mixed: Callable[..., Path], names: tuple[str, ...]
) -> None:
    for moment in moments:
        directory = mixed(moment, names)
        if moment.sent:
            assert stops_orders(directory), moment
        else:  # nothing was ever sent: nothing is lost
            opened(directory).close()


def test_an_older_journal_is_damage(moments: list[Moment], mixed: Callable[..., Path]) -> None:
    """All of it is older. Where nothing went out in between it does no harm, and is damage only when it is noticed."""
    noticed = 0
    for then, now in itertools.combinations(moments, 2):
        directory = mixed(now, JOURNAL, then)
        if then.sent < now.sent:
            assert stops_orders(directory), (then, now)
            noticed += 1
        else:
            assert is_sound(directory, now.sent) or stops_orders(directory), (then, now)
    assert noticed > 30


@pytest.mark.parametrize("names", [(MAIN,), (LOG,), (MAIN, LOG), (LOG, MEMORY)], ids=", ".join)
def test_a_journal_of_which_a_part_is_older_forgets_nothing_in_silence(
    moments: list[Moment], mixed: Callable[..., Path], names: tuple[str, ...]
) -> None:
    for then, now in itertools.combinations(moments[::2], 2):
        directory = mixed(now, names, then)
        assert is_sound(directory, now.sent) or stops_orders(directory), (then, now)


def test_a_journal_that_was_not_closed_and_is_without_its_log_is_damage(
    moments: list[Moment], mixed: Callable[..., Path]
) -> None:
    logged = [moment for moment in moments if (moment.files / LOG).exists()]
    assert len(logged) > 8
    for moment in logged:
        for names in ((LOG,), (LOG, MEMORY), (LOG, *WITNESS[1:])):  # the last: every log of the directory is gone
            assert stops_orders(mixed(moment, names)), moment


def test_the_witness_may_be_lost_or_older_and_that_is_said(
    moments: list[Moment], mixed: Callable[..., Path]
) -> None:
    for moment in moments:
        directory = mixed(moment, WITNESS)
        journal = opened(directory)
        assert (journal.damage is not None) == (moment.sent > 0)
        journal.close()
        assert is_sound(directory, moment.sent), "and it is trusted again"
    for then, now in itertools.combinations(moments, 2):
        assert is_sound(mixed(now, WITNESS, then), now.sent)


def test_after_the_witness_was_lost_a_loss_is_noticed_again(
    moments: list[Moment], mixed: Callable[..., Path]
) -> None:
    directory = mixed(moments[-1], WITNESS)
    opened(directory).close()
    shutil.copy(moments[6].files / MAIN, directory / MAIN)
    assert stops_orders(directory)


def test_a_journal_of_another_directory_is_damage(
    moments: list[Moment], mixed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Life(tmp_path / "other").live(*LIFE.split())[-1]
    assert other.sent == moments[-1].sent
    for now in moments[1:]:
        assert stops_orders(mixed(now, JOURNAL, other)), now


def test_a_directory_that_is_moved_or_copied_whole_is_the_same(moments: list[Moment], tmp_path: Path) -> None:
    shutil.copytree(moments[-1].files, tmp_path / "elsewhere")
    assert is_sound(tmp_path / "elsewhere", moments[-1].sent)


def test_a_person_moves_the_file_away_and_orders_go_on(
    moments: list[Moment], mixed: Callable[..., Path], tmp_path: Path
) -> None:
    """Also in the engine that runs; and the journal begun then is one that is noticed when it is lost."""
    directory = mixed(moments[-1], JOURNAL)
    journal = opened(directory)
    assert journal.obstacle is not None
    (aside,) = directory.glob(f"{FILE_NAME}.damaged-*")
    aside.rename(tmp_path / "looked at")
    journal.plan(placement(100, "new", ORDERS[0]))
    journal.send(f"{100:032x}", 50.0)
    journal.close()
    assert is_sound(directory, 0)
    (directory / MAIN).unlink()
    assert stops_orders(directory)


def test_the_right_journal_may_be_put_back(
    moments: list[Moment], mixed: Callable[..., Path], tmp_path: Path
) -> None:
    """It was only moved by mistake: the empty one that was begun meanwhile does not count."""
    closed = next(moment for moment in reversed(moments) if moment.closed)
    directory = mixed(closed, JOURNAL)
    assert stops_orders(directory)
    for each in directory.glob(f"{FILE_NAME}*"):
        each.unlink()
    shutil.copy(closed.files / MAIN, directory / MAIN)
    assert is_sound(directory, closed.sent)


def test_both_files_lost_with_their_content_are_a_beginning(tmp_path: Path) -> None:
    """What no file shows cannot be noticed: a new directory must be able to begin."""
    journal = opened(tmp_path)
    assert journal.damage is None
    assert journal.obstacle is None
    journal.close()


def test_a_journal_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    """Rows alone, each under its name; the later one of an id counts, and one that may be repeated last."""
    store = Store(tmp_path / FILE_NAME)
    for number, name in enumerate(("over", "open", "twice", "twice"), 1):
        row = placement(number, name, ORDERS[0], pair=f"PAIR{number}")
        if name == "twice" and number == 3:
            row = row.after(OrderEvent.NOT_SENT, 5.0, may_repeat=True)
        else:
            row = row.after(OrderEvent.SENT, 5.0).after(OrderEvent.ACCEPTED, 6.0, txids=(f"TX{number}",))
        if name == "over":
            row = row.after(OrderEvent.FOUND_CLOSED, 7.0)
        store.put(row.cl_ord_id, row.to_dict())
    store.put("dead man's switch MASTER", 60)
    store.close()
    for _ in range(2):
        journal = opened(tmp_path)
        assert journal.damage is None
        assert {row.id for row in journal.rows()} == {"open", "twice"}
        assert {name: int(found.cl_ord_id, 16) for name in ("over", "open", "twice", "TX1", "TX2", "TX4")
                if (found := journal.find("MASTER", name)) is not None} == {
                    "over": 1, "open": 2, "twice": 4, "TX1": 1, "TX2": 2, "TX4": 4}  # fmt: skip
        assert journal.switches == {"MASTER": 60}
        journal.close()
    (tmp_path / FILE_NAME).unlink()
    assert stops_orders(tmp_path)


def test_what_an_older_journal_knows_is_not_forgotten(
    moments: list[Moment], mixed: Callable[..., Path], tmp_path: Path
) -> None:
    """Its ids stay used up, what was open is looked up, and so is what it thinks was not sent."""
    now = moments[-1]
    for number, then in enumerate(each for each in moments if each.sent < now.sent):
        before = opened(shutil.copytree(then.files, tmp_path / f"then {number}"))
        known = {f"id{each}" for each in range(1, now.sent + 1) if before.find("MASTER", f"id{each}") is not None}
        before.close()
        directory = mixed(now, JOURNAL, then)
        assert stops_orders(directory)
        for each in directory.glob(f"{FILE_NAME}.damaged-*"):
            each.unlink()
        journal = opened(directory)
        for name in known:
            row = journal.find("MASTER", name)
            assert row is not None
            assert row.state is not OrderState.NOT_PLACED
            assert not row.may_repeat
        assert {row.id for row in journal.rows(OrderState.UNKNOWN)} <= known
        assert journal.obstacle is None
        journal.close()


def test_an_id_that_an_older_journal_would_repeat_is_used_up(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    journal = opened(state)
    journal.plan(placement(1, "a", ORDERS[0]))
    journal.note(f"{1:032x}", OrderEvent.NOT_SENT, may_repeat=True)
    journal.close()
    shutil.copy(state / MAIN, tmp_path / "old")
    journal = opened(state)
    journal.plan(placement(2, "a", ORDERS[0]))
    journal.send(f"{2:032x}", 50.0)
    journal.close()
    shutil.copy(tmp_path / "old", state / MAIN)
    assert stops_orders(state)
    for each in state.glob(f"{FILE_NAME}.damaged-*"):
        each.unlink()
    journal = opened(state)
    with pytest.raises(ConfigError, match="placed already"):
        journal.plan(placement(3, "a", ORDERS[0]))
    journal.close()
