"""The head of a response goes out with its body, and that of a stream at once; no byte is lost or out of order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.web.whole_responses import WholeResponses

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire:
    """What of a transport is used."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append(b"closed")

    def is_closing(self) -> bool:
        return self.sent[-1:] == [b"closed"]


def test_a_head_waits_for_its_body() -> None:
    wire = Wire()
    transport = WholeResponses(wire)
    for part in (HEAD, b"ok", b""):
        transport.write(part)
    assert wire.sent == [HEAD + b"ok", b""]


def test_the_head_of_a_stream_goes_out_at_once() -> None:
    wire = Wire()
    WholeResponses(wire).write(STREAM)
    assert wire.sent == [STREAM]


def test_a_response_without_a_body_goes_out_at_its_end() -> None:
    wire = Wire()
    transport = WholeResponses(wire)
    transport.write(HEAD)
    transport.write(b"")
    transport.write(HEAD)
    transport.close()
    assert wire.sent == [HEAD, HEAD, b"closed"]
    assert transport.is_closing()


@given(st.lists(st.sampled_from([HEAD, STREAM, b"ok", b"", b"HTTP/", b"\r\ncontent-length: "])))
def test_everything_is_sent_in_order(parts: list[bytes]) -> None:
    wire = Wire()
    transport = WholeResponses(wire)
    for part in parts:
        transport.write(part)
    transport.close()
    assert b"".join(wire.sent) == b"".join(parts) + b"closed"
