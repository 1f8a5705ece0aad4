"""What is told of a stream: its state, and why it is not live."""

from __future__ import annotations

from engine.rules.stream.subscription import StreamState
from engine.stream.pulse import Pulse
from engine.values import SYSTEM_CLOCK


def test_the_reason_of_a_failed_try_stays_until_the_stream_is_live() -> None:
    """Whoever looks while it subscribes again, over and over, still learns why."""
    pulse = Pulse("MASTER", SYSTEM_CLOCK)
    assert pulse.report.reason == "It has not connected yet."
    pulse.changed(StreamState.SUBSCRIBING, pulse.now())
    assert pulse.report.reason is None
    for _ in range(2):
        pulse.changed(StreamState.DOWN, pulse.now(), "no snapshot within 5 seconds")
        pulse.changed(StreamState.SUBSCRIBING, pulse.now())
        assert pulse.report.reason == "no snapshot within 5 seconds"
    pulse.changed(StreamState.LIVE, pulse.now())
    assert pulse.report.reason is None
