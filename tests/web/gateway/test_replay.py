"""The replay guard as a rule: no signature passes twice, and nothing from far back, over any history."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.web.gateway import replay
from engine.web.gateway.replay import WINDOW, ReplayGuard, span
from engine.web.gateway.request import Unreadable, read_body

NOW = 1_800_000_000.0
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "10 ns": 10**8, "ns": 10**9}


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_the_window_is_ten_seconds_in_whatever_unit_the_client_counts(unit: int) -> None:
    guard = ReplayGuard(0)
    newest = int(NOW * unit)
    assert guard.admit(newest, "newest", NOW)
    assert guard.admit(newest - 9 * unit, "a little late", NOW)
    assert not guard.admit(newest - 11 * unit, "too late", NOW)
    assert guard.admit(newest, "the same nonce over another body", NOW)
    assert not guard.admit(newest, "newest", NOW)


def test_a_plain_counter_may_only_rise() -> None:
    guard = ReplayGuard(0)
    assert [guard.admit(nonce, str(number), NOW) for number, nonce in enumerate((1, 2, 2, 1, 3))] == [
        True, True, False, False, True
    ]  # fmt: skip


def test_memory_is_bounded_and_what_is_forgotten_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SEEN_AT_MOST", 10)
    guard = ReplayGuard(0)
    first = int(NOW * 1e9)
    assert all(guard.admit(first + number, str(number), NOW) for number in range(50))
    assert not any(guard.admit(first + number, str(number), NOW) for number in range(50))
    assert not guard.admit(first + 39, "new, and older than what is remembered", NOW)


class Replays(RuleBasedStateMachine):
    """A client in milliseconds, an attacker who repeats, and kills that forget all but the durable mark."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = ReplayGuard(0)
        self.now = NOW
        self.passed: list[tuple[int, str]] = []
        self.count = 0

    @rule(step=st.floats(0, 20), late=st.floats(0, 15))
    def call(self, step: float, late: float) -> None:
        self.now += step
        self.count += 1
        self._try(int((self.now - late) * 1000), f"call {self.count}")

    @precondition(lambda self: self.passed)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        nonce, signature = data.draw(st.sampled_from(self.passed))
        assert not self.guard.admit(nonce, signature, self.now)

    @rule()
    def kill(self) -> None:
        self.guard = ReplayGuard(self.guard.mark)

    @invariant()
    def nothing_passed_above_the_durable_mark(self) -> None:
        assert all(nonce <= self.guard.mark for nonce, _ in self.passed)

    def _try(self, nonce: int, signature: str) -> None:
        highest = self.guard.highest
        if self.guard.admit(nonce, signature, self.now):
            mark = self.guard.next_mark(nonce, self.now)
            if mark is not None:
                self.guard.mark = mark
            self.passed.append((nonce, signature))
            assert nonce > highest - span(WINDOW, highest, self.now)


TestReplays = Replays.TestCase


@pytest.mark.parametrize(
    ("body", "kind", "nonce"),
    [
        (b"nonce=5&a=1", "application/x-www-form-urlencoded", 5),
        (b'{"nonce": "5", "a": [1.5, {"b": null}]}', "application/json; charset=utf-8", 5),
        (b'{"nonce": 5}', "Application/JSON", 5),
        (b"nonce=05", "", None), (b"nonce=-5", "", None), (b"nonce=5.0", "", None), (b"a=1", "", None), (b"", "", None),
        (b'{"nonce": true}', "application/json", None), (b"nonce=" + b"9" * 21, "", None),
    ],
)  # fmt: skip
def test_bodies_are_read_as_kraken_reads_them(body: bytes, kind: str, nonce: int | None) -> None:
    asked = read_body(body, kind)
    assert asked.nonce == nonce
    assert not {"nonce", "otp"} & asked.params.keys()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"nonce=1&nonce=2", ""), (b"nonce", ""), (b"a=%ff", ""), (b"a=\xff", ""), (b"[]", "application/json"),
        (b'{"a":1,"a":2}', "application/json"), (b"[" * 50_000, "application/json"), (b"{", "application/json"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_not_read_at_all(body: bytes, kind: str) -> None:
    with pytest.raises(Unreadable):
        read_body(body, kind)


@given(st.binary(max_size=300), st.sampled_from(["", "application/json"]))
def test_nothing_else_comes_out_of_any_body(body: bytes, kind: str) -> None:
    with contextlib.suppress(Unreadable):
        read_body(body, kind)
