"""What Kraken changes is counted and said once, and no value of a reply is repeated (promises G11, G14)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.drift_log import KINDS_AT_MOST, DriftLog
from engine.actors.events import EngineWarning
from engine.app.engine import WARNINGS_KEPT
from engine.kraken.drift import MISSING, NEW, ODD, OTHERS, field_name
from engine.values import SYSTEM_CLOCK


def test_each_kind_is_counted_and_warned_of_once() -> None:
    """Promise G14: a change at Kraken is one warning, however many rows have it."""
    events: list[Any] = []
    log = DriftLog(SYSTEM_CLOCK, events.append)
    for _ in range(3):
        log.note("AssetPairs", "fees", MISSING)
    log.noter("AssetPairs")("venue", NEW)
    assert [(each.field, each.what, each.count) for each in log.read()] == [("fees", MISSING, 3), ("venue", NEW, 1)]
    assert [each.code for each in events] == ["kraken-changed"] * 2
    assert all(isinstance(each, EngineWarning) and "AssetPairs" in each.message for each in events)


def test_a_flood_of_new_fields_stays_bounded() -> None:
    """Promise G14: a broken or hostile reply cannot fill the memory or the list of warnings."""
    events: list[Any] = []
    log = DriftLog(SYSTEM_CLOCK, events.append)
    for number in range(10 * KINDS_AT_MOST):
        log.note("Ticker", f"field{number}", NEW)
    *told, others = log.read()
    assert len(told) == KINDS_AT_MOST
    assert len(events) == KINDS_AT_MOST + 1 < WARNINGS_KEPT, "the other warnings stay"
    assert (others.endpoint, others.count) == (OTHERS, 9 * KINDS_AT_MOST)
    assert "more that is new" in others.sentence


@given(st.text() | st.integers() | st.none())
def test_a_name_is_repeated_only_when_it_is_an_identifier(name: object) -> None:
    """Promise G11: what could be a value, an amount or a token is masked."""
    shown = field_name(name)
    assert shown == name or shown == "(unnamed)"
    assert len(shown) <= 40
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("what", [NEW, MISSING, ODD])
def test_every_kind_has_a_sentence_and_is_json_ready(what: str) -> None:
    """`EngineStatus.to_dict` carries the drift."""
    log = DriftLog(SYSTEM_CLOCK, [].append)
    log.note("Ticker", "a", what)
    (drift,) = log.read()
    assert "Ticker" in drift.sentence
    assert drift.to_dict() == {
        "endpoint": "Ticker", "field": "a", "what": what, "count": 1, "since": drift.since.isoformat(),
    }  # fmt: skip


@pytest.mark.parametrize("field", ["fees", "status"])
def test_what_kraken_does_today_is_no_fault_and_nothing_to_be_done(field: str) -> None:
    events: list[Any] = []
    DriftLog(SYSTEM_CLOCK, events.append).note("AssetPairs", field, MISSING)
    assert "there is nothing to do. The engine" in events[0].message
    assert "no longer" not in events[0].message
