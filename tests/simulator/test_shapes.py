"""`shapes.differences`: each kind of difference is found, and named by where it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shapes import DECIMAL, Each, Either, Text, Words, differences

FITS: list[tuple[Any, Any]] = [
    (1, int),
    (1.0, float),
    (None, None),
    (True, bool),
    ("0.10", DECIMAL),
    ("a", Words("a", "b")),
    ([], [int]),
    ([1, "x"], (int, str)),
    ({"a": 1}, {"a": int, "b?": str}),
    ({"a": 1, "b": "x"}, {"a": int, "b?": str}),
    ({"XBT": 1, "ETH": 2}, Each(int, "[A-Z]+")),
    (None, Either(str, None)),
]
DIFFERS: list[tuple[Any, Any, str]] = [
    (1, float, "reply is int instead of float"),
    (True, int, "reply is bool instead of int"),
    ("x", DECIMAL, r"reply does not match -?\d+(\.\d+)?: 'x'"),
    ("c", Words("a", "b"), "reply is none of ('a', 'b'): 'c'"),
    ([1, "x"], [int], "reply[1] is str instead of int"),
    ([1], (int, str), "reply has 1 elements instead of 2"),
    ({"b": "x"}, {"a": int, "b?": str}, "reply.a is missing"),
    ({"a": 1, "c": 2}, {"a": int}, "reply.c is new"),
    ({"a": {"b": None}}, {"a": {"b": str}}, "reply.a.b is NoneType instead of str"),
    ({"xbt": 1}, Each(int, "[A-Z]+"), "reply has a field 'xbt', which does not match [A-Z]+"),
    ({"XBT": "1"}, Each(int), "reply[XBT] is str instead of int"),
    ([], {"a": int}, "reply is list instead of an object"),
    ({}, [int], "reply is dict instead of an array"),
    (1, Either(str, Text("1")), "reply fits none of 2 shapes: 1"),
]


@pytest.mark.parametrize(("told", "shape"), FITS, ids=str)
def test_a_matching_reply_has_no_difference(told: Any, shape: Any) -> None:
    assert differences(told, shape) == []


@pytest.mark.parametrize(("told", "shape", "said"), DIFFERS, ids=str)
def test_each_difference_is_named(told: Any, shape: Any, said: str) -> None:
    assert differences(told, shape) == [said]
