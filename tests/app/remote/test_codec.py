"""The encoding of values between processes: total, exact, and deaf to anything else."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Account, Allow, Candidate, EngineStatus, Order, OrderReceipt, OrderState, TradePlan, errors
from engine.app.remote import codec
from engine.app.remote.remote_engine import RemoteEngine
from engine.app.verbs import Verbs
from engine.errors import CallError, ConfigError, EngineError, LaneElsewhere, OrderUnknown, StoreInUse
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.rules.order.close import ConditionalClose
from engine.values import SYSTEM_CLOCK, Secret

ERRORS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, EngineError)]
LIMIT = Order("XBTUSD", "buy", "limit", "0.10", "30000", flags=("post",), time_in_force="GTD", expires=60)
MARKET = Order("ETH/USD", "sell", "market", Decimal("1E+2"))

texts = st.text(max_size=12)
amounts = st.decimals(allow_nan=False, allow_infinity=False)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(fold=0)
)
numbers = st.floats(allow_nan=False)
WITH_ALL = Order(
    "XBTUSD", "buy", "limit", "1", "30000", starts=datetime(2026, 1, 1, tzinfo=UTC), userref=7,
    self_trade="cancel-both", deadline=datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC),
    close=ConditionalClose("stop-loss-limit", "#5%", "1.50"),
)  # fmt: skip
orders = st.sampled_from([LIMIT, MARKET, WITH_ALL])
closes = st.just(WITH_ALL.close)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: texts, int: st.integers(), float: numbers, bool: st.booleans(), Decimal: amounts, datetime: moments,
    type(None): st.none(), Any: st.none(), Path: texts.map(Path), Order: orders, ConditionalClose: closes,
}  # fmt: skip


@st.composite
def raised(draw: st.DrawFn, kinds: tuple[type[EngineError], ...] = tuple(ERRORS)) -> EngineError:
    """An error of any class, with its attributes."""
    kind, sentence = draw(st.sampled_from(kinds)), draw(texts)
    if issubclass(kind, StoreInUse):
        return kind(sentence, draw(st.none() | st.integers(1)))
    if not issubclass(kind, CallError):
        return kind(sentence)
    about: dict[str, Any] = {name: draw(texts) for name in ("account", "endpoint", "kraken_code")}
    about["retry_after"] = draw(numbers)
    receipt = {"receipt": draw(st.none() | of(OrderReceipt))} if issubclass(kind, OrderUnknown) else {}
    return kind(sentence, **receipt, **about)


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type, with all that it holds."""
    if hint in LEAVES:
        return LEAVES[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(of, parts))
    if origin is tuple:
        return st.lists(of(parts[0]), max_size=2).map(tuple) if parts[-1] is ... else st.tuples(*map(of, parts))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(texts, of(parts[1]), max_size=2).flatmap(
            lambda made: st.sampled_from([made, MappingProxyType(made)])
        )
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    if issubclass(hint, EngineError):
        return raised((errors.OrderRejected, errors.OrderUnknown, errors.ConnectFailed))
    hints = typing.get_type_hints(hint)
    named = [each.name for each in dataclasses.fields(hint) if not each.name.startswith("_")]
    return st.builds(hint, **{name: of(hints[name]) for name in named})


plans = st.builds(
    TradePlan, order=orders, reserve=st.integers(0, 9) | st.just({"USD": "5"}), interval=st.none() | st.floats(1, 9),
    data=st.just({"candles": ("OHLC", {"pair": "XBTUSD", "interval": 1})}),
)  # fmt: skip
everything = st.one_of(*(plans if each is TradePlan else of(each) for each in codec._DATA))
replies = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | amounts | texts | moments,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=10,
)


def plain(value: Any) -> Any:
    """What is written, without ages, which go on."""
    def without(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: without(each) for name, each in part.items() if name != "age"}
        return [without(each) for each in part] if isinstance(part, list) else part

    return without(codec.encoded(value))


@given(replies)
def test_whatever_kraken_answers_comes_back_as_it_is(value: Any) -> None:
    again = codec.read(codec.write(value))
    assert again == value
    assert repr(again) == repr(value), "types and digits too"


@given(everything)
def test_every_value_comes_back_as_it_is(value: Any) -> None:
    again = codec.read(codec.write(value))
    assert type(again) is type(value)
    assert plain(again) == plain(value)
    assert b"\n" not in codec.write(value), "one line each"


@given(raised())
def test_every_error_comes_back_as_it_is(error: EngineError) -> None:
    again = codec.read(codec.write(error))
    assert type(again) is type(error)
    assert (str(again), plain(vars(again))) == (str(error), plain(vars(error)))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_no_class_of_error_is_left_out(kind: type[EngineError]) -> None:
    more = ("lane",) if kind is LaneElsewhere else ()
    assert type(codec.read(codec.write(kind("A sentence.", *more)))) is kind


def test_what_the_methods_return_can_be_written() -> None:
    """Every class of a result, and of what it holds."""
    seen: set[Any] = set()

    def look(hint: Any) -> None:
        for part in typing.get_args(hint) or (hint,):
            look(part) if typing.get_args(part) else None
            if dataclasses.is_dataclass(part) and part not in seen:
                seen.add(part)
                for name, inner in typing.get_type_hints(part).items():
                    look(inner) if not name.startswith("_") else None

    for name in dir(Verbs):
        if not name.startswith("_") and callable(method := getattr(RemoteEngine, name)):
            look(typing.get_type_hints(method)["return"])
    assert {EngineStatus, OrderReceipt, BalanceSnapshot} <= seen
    assert seen <= set(codec._DATA)


def test_an_error_of_a_callers_own_class_is_of_ours() -> None:
    class Odd(errors.OrderRejected):
        pass

    assert type(codec.read(codec.write(Odd("No.")))) is errors.OrderRejected


def test_a_balance_grows_older_on_the_other_side() -> None:
    """G6: neither a wall clock that steps nor the way between the processes makes it younger."""
    now = SYSTEM_CLOCK.wall_ns() / 1e9
    asked = datetime.fromtimestamp(now - 5, UTC)
    began = SYSTEM_CLOCK.monotonic() - 8
    snapshot = BalanceSnapshot("MASTER", asked, Decimal(1), max_age=7.0, _as_of_monotonic=began)
    again = codec.read(codec.write(snapshot))
    assert again.age >= 8
    assert again.state is BalanceState.STALE
    first = again.age
    assert again.age >= first
    unknown = codec.read(codec.write(BalanceSnapshot("MASTER")))
    assert (unknown.state, unknown.age, unknown.cash) == (BalanceState.UNKNOWN, None, None)
    fixed = snapshot.at(datetime.fromtimestamp(now + 60, UTC))
    assert codec.read(codec.write(fixed)).age == fixed.age


def strategy(candidate: Candidate, view: Any) -> Order | None:
    return None


@pytest.mark.parametrize(
    "value",
    [
        Account("MASTER", "key", "c2VjcmV0"), Secret("hush"), object(), {1: 2}, b"bytes", {1, 2}, strategy,
        TradePlan(strategy=strategy), TradePlan(order=LIMIT, gates=(lambda view: Allow(),)),
        TradePlan(order=LIMIT, scanner=lambda view: ("XBTUSD",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_and_code_are_not_written(value: Any) -> None:
    """G11: nothing but the kinds that are listed."""
    with pytest.raises(ConfigError) as caught:
        codec.write({"deep": [value]})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xff", b"{", b"[]", b"[1]", b'["Account",{}]', b'["Secret","x"]', b'["Decimal","x"]', b'["Order"]',
        b'["OrderState","odd"]', b'["OrderReceipt",{"id":1,"else":2}]', b'["error","KeyboardInterrupt","x",{}]',
        b'["error","NotLive","x",1]', b'["datetime","soon"]', b'["list"' + b',["list"' * 5000 + b"]" * 5001,
        b'["__import__","os"]', b'["Path",1,2,3,{}]', b"NaN", b"-Infinity",
    ],
)  # fmt: skip
def test_what_is_no_message_is_not_read(raw: bytes) -> None:
    with pytest.raises(codec.UnreadableValue):
        codec.read(raw)


@given(st.binary() | st.recursive(texts | st.none(), lambda x: st.lists(x) | st.dictionaries(texts, x)).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_that_comes_raises_anything_else(raw: bytes) -> None:
    with contextlib.suppress(codec.UnreadableValue, EngineError):
        codec.read(raw)


class Word(str):
    __slots__ = ()


class Number(int):
    pass


class Own(Order):
    __slots__ = ()


def test_parameters_of_a_callers_own_classes_are_sent_as_what_they_are() -> None:
    given = OrderedDict(pair=Word("XBTUSD"), count=Number(5), orders=[OrderedDict(volume=Decimal("0.10"))])
    again = codec.read(codec.write(given))
    assert again == {"pair": "XBTUSD", "count": 5, "orders": [{"volume": Decimal("0.10")}]}
    assert [type(each) for each in again.values()] == [str, int, list]
    assert codec.read(codec.write(Own("XBTUSD", "buy", "market", 1))) == Order("XBTUSD", "buy", "market", 1)


def test_an_order_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match="volume"):
        codec.read(b'["Order",{"pair":"XBTUSD","side":"buy","type":"market","volume":0.5}]')


def test_states_are_the_same_objects() -> None:
    assert codec.read(codec.write(OrderState.UNKNOWN)) is OrderState.UNKNOWN
