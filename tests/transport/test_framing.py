"""The quick reader of ordinary heads never says other than http.client, which is slow and reads everything."""

from __future__ import annotations

import io
from http.client import HTTPResponse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.transport.any_reply import FramedResponse, Stream, Tap
from engine.transport.framing import WireError, plain_head

HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 22:09:46 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\n"
)


def by_http_client(data: bytes) -> HTTPResponse:
    """What the slow way makes of it; raises `WireError` or http.client's own."""
    rest = io.BytesIO(data)
    tap = Tap(lambda buffer: rest.readinto(buffer))
    tap.open(len(data) + 1)
    reply = FramedResponse(Stream(tap), method="POST")
    reply.begin()
    reply.check(10**12)
    return reply


def test_an_ordinary_head_is_read() -> None:
    head = plain_head(HEAD + b"{}")
    assert head is not None
    assert (head.size, head.status, head.length, head.closes) == (len(HEAD), 200, 2, False)
    assert head.headers == {"Date": "Tue, 24 Nov 2026 22:09:46 GMT", "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"200 OK", b"103 Early Hints"),
        (b"200 OK", b"204 No Content"),
        (b"200 OK", b"304 Not Modified"),
        (b"200 OK", b"2000"),
        (b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"),
        (b"Content-Length: 2", b"Content-Length: 2\r\ncontent-length: 2"),
        (b"Content-Length: 2", b"Content-Length: +2"),
        (b"Content-Length: 2", b"Content-Length: 2, 2"),
        (b"Content-Length: 2", b"Content-Length:"),
        (b"Content-Length: 2", b"Content-Length: 2 "),
        (b"Content-Length: 2", b"Content-Length : 2"),
        (b"Content-Length: 2", b"X: y\r\n Content-Length: 2"),
        (b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 2", b"Content-Length: 2\r\nTransfer-Encoding: chunked"),
        (b"Content-Length: 2", b"Content-Length: 2\r\nContent-Encoding: gzip"),
        (b"Content-Length: 2", b"Content-Length: 2\n"),
        (b"keep-alive", b"upgrade"),
        (b"keep-alive", b"close, keep-alive"),
        (b"application/json", b"multipart/mixed"),
        (b"application/json", b"message/rfc822"),
        (b"application/json", b"application/json\xe9"),
        (b"application/json", b"application/json\x00"),
        (b"Date:", b":"),
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n\r\n", b"\n\n"),
    ],
)
def test_anything_else_is_left_to_http_client(old: bytes, new: bytes) -> None:
    assert old in HEAD
    assert plain_head(HEAD.replace(old, new, 1) + b"{}") is None


_NAMES = st.sampled_from(
    [
        *(b"Content-Length", b"content-length", b"Content-Type", b"Transfer-Encoding", b"Content-Encoding"),
        *(b"Connection", b"Date", b"Retry-After", b"X-Y", b"From", b"Set-Cookie", b"Content-Length ", b" X", b""),
    ]
)
_VALUES = st.one_of(
    st.sampled_from(
        [
            *(b"2", b" 2", b"2 ", b"0002", b"-2", b"2;3", b"", b"close", b"Close", b"keep-alive", b"chunked"),
            *(b"text/plain", b"multipart/mixed", b"application/json; charset=utf-8", b"gzip", b"identity"),
            *(b"a\r\n b", b"a\nb", b"\x80"),
        ]
    ),
    st.binary(max_size=6),
)
_LINES = st.lists(st.tuples(_NAMES, st.sampled_from([b":", b": ", b":\t", b""]), _VALUES), max_size=5)
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
_STATUS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 520 X", b"HTTP/1.1 200", b"HTTP/1.1 204 N"])


@settings(max_examples=600, deadline=None)
@given(_STATUS, _LINES, _ENDS, st.booleans())
def test_what_it_reads_http_client_reads_alike(status: bytes, lines: Any, end: bytes, with_length: bool) -> None:
    told = [b"".join(line) for line in lines] + ([b"Content-Length: 2"] if with_length else [])
    data = end.join([status, *told, b"", b""]) + b"{}"
    head = plain_head(data)
    if head is None:
        return
    reply = by_http_client(data)
    assert (head.status, head.length, head.closes) == (reply.status, reply.length, reply.will_close)
    kept = ("Date", "Content-Type", "Retry-After")
    assert head.headers == {name: reply.headers[name] for name in kept if name in reply.headers}
    assert reply.read(head.length) == data[head.size : head.size + head.length]


def test_what_is_left_over_is_refused_by_the_slow_reader_too() -> None:
    with pytest.raises(WireError):
        by_http_client(HEAD.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"))
