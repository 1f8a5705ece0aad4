"""Writes that fail for a while: one warning, however many fail, and a line in the log when they succeed again."""

from __future__ import annotations

import logging

import pytest

from engine.errors import StoreError
from engine.store.write_outage import WriteOutage


def test_each_outage_is_warned_of_once_and_its_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told: list[tuple[str, str]] = []
    outage = WriteOutage("limits-not-kept", "Not kept: {error}", lambda code, sentence: told.append((code, sentence)))
    outage.succeeded()
    assert not caplog.messages
    outage.failed(StoreError("the disk is full {0}"))
    outage.failed(StoreError("and again"))
    assert told == [("limits-not-kept", "Not kept: the disk is full {0}")]
    outage.succeeded()
    outage.succeeded()
    assert [message for message in caplog.messages if "limits-not-kept" in message] == [
        "limits-not-kept: over; it can be written again."
    ]
    outage.failed(StoreError("another one"))
    assert [sentence for _, sentence in told] == ["Not kept: the disk is full {0}", "Not kept: another one"]
