"""Our `dataclass` makes what the standard library's makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.values.dataclass import dataclass as ours

Maker = Callable[..., Any]


def _point(make: Maker, **options: bool) -> Any:
    @make(**options)
    class Point:
        """A point."""

        x: int
        y: Any = None
        tags: dict[str, int] = dataclasses.field(default_factory=dict)
        made: int = dataclasses.field(default=7, init=False)
        secret: str = dataclasses.field(default="s", repr=False, compare=False, kw_only=True)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("below 0")

    return Point


@ours(frozen=True, slots=True)
class Frozen:
    """At the top of a module, for pickle."""

    x: int
    y: tuple[int, ...] = ()


@ours(slots=True)
class Loose:
    """Changeable."""

    x: int = 1
    seen: set[int] = dataclasses.field(default_factory=set)


@pytest.fixture(params=[{"frozen": True, "slots": True}, {"frozen": True}, {"slots": True}, {"kw_only": True}], ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The class as we make it, and as the standard library does."""
    return _point(ours, **request.param), _point(dataclasses.dataclass, **request.param)


def test_it_has_the_same_signature_fields_and_parameters(pair: tuple[Any, Any]) -> None:
    mine, theirs = pair
    assert str(inspect.signature(mine)) == str(inspect.signature(theirs))
    assert list(map(repr, dataclasses.fields(mine))) == list(map(repr, dataclasses.fields(theirs)))
    assert repr(mine.__dataclass_params__) == repr(theirs.__dataclass_params__)
    assert mine.__match_args__ == theirs.__match_args__
    assert mine.__doc__ == theirs.__doc__
    assert (mine.__hash__ is None) == (theirs.__hash__ is None)
    assert mine.__init__.__qualname__ == theirs.__init__.__qualname__
    assert getattr(mine, "__slots__", None) == getattr(theirs, "__slots__", None)


@given(x=st.integers(0, 3), y=st.integers(0, 3), other=st.integers(0, 3), secret=st.text())
def test_it_compares_hashes_and_shows_like_the_standard_one(x: int, y: int, other: int, secret: str) -> None:
    for options in ({"frozen": True, "slots": True}, {"slots": True}):
        mine, theirs = _point(ours, **options), _point(dataclasses.dataclass, **options)
        for made in (mine, theirs):
            assert (made(x, y, secret=secret) == made(other, y)) == (x == other)
            assert made(x) != x
        assert repr(mine(x, y, secret=secret)) == repr(theirs(x, y, secret=secret))
        changed = dataclasses.replace(mine(x, y), y=other)
        assert (changed.x, changed.y, changed.tags, changed.made) == (x, other, {}, 7)
    assert hash(Frozen(x, (y,))) == hash(Frozen(x, (y,)))


def test_a_frozen_one_cannot_be_changed(pair: tuple[Any, Any]) -> None:
    for made in pair:
        value = made(x=1)
        if not made.__dataclass_params__.frozen:
            value.x = 2
            assert value.x == 2
            continue
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            value.x = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
            del value.x
        assert value.x == 1


def test_each_value_gets_its_own_default(pair: tuple[Any, Any]) -> None:
    made, _ = pair
    assert made(x=1).tags is not made(x=1).tags
    given_one: dict[str, int] = {}
    assert made(x=1, tags=given_one).tags is given_one


def test_post_init_judges(pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="below 0"):
        pair[0](x=-1)
    with pytest.raises(TypeError, match="missing 1 required"):
        pair[0]()


def test_it_is_pickled_and_copied() -> None:
    value = Frozen(1, (2,))
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
    loose = Loose(3)
    loose.seen.add(4)
    again = pickle.loads(pickle.dumps(loose))
    assert (again, again.seen) == (loose, {4})
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


def test_it_can_be_matched_and_inherited_from() -> None:
    @dataclasses.dataclass(frozen=True)
    class Named(Frozen):
        name: str = ""

    match Named(1, (2,), "n"):
        case Named(x, (y,), name):
            assert (x, y, name) == (1, 2, "n")
    assert Named(1) != Frozen(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Named(1).x = 2  # type: ignore[misc]


def test_a_method_of_the_class_is_kept() -> None:
    @ours(frozen=True, slots=True)
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    assert (repr(Own(1)), Own(1) == 3, hash(Own(1))) == ("own", True, 5)


def test_an_init_is_made_when_it_is_first_needed_by_whoever_comes_first() -> None:
    """By many threads at once, by a class below, and by who only looks at it."""

    def new() -> Any:
        @ours(frozen=True, slots=True)
        class Point:
            x: int
            y: int = 2

        return Point

    point = new()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(point, range(100))) == {point(x) for x in range(100)}
    assert point.__init__ is point.__init__, "it was made once, and for good"
    below: Any = type("Below", (new(),), {"__slots__": ()})
    assert (below(1).x, below(1).y) == (1, 2)
    assert list(inspect.signature(new().__init__).parameters) == ["self", "x", "y"]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        new()()


def test_the_engine_is_imported_without_what_a_start_does_not_need() -> None:
    """Each takes as long to import as a good part of the engine."""
    code = (
        "import sys; from engine import Engine; late = ('requests', 'asyncio', 'sqlitedict', 'websockets', 'click', "
        "'engine.web', 'engine.doctor', 'engine.demo', 'engine.adapters', 'engine.cluster', 'engine.stream.push', "
        "'engine.app.remote', 'engine.alerts', 'engine.simulator'); "
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
