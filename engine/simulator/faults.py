"""The faults between the exchange and its client, as values.

Each fault strikes before the call is executed or, with ``executed=True``, after. A fault of the
transport that strikes before means that the call never reached the exchange: its nonce is not
spent either. A Kraken error that strikes before comes from the exchange: the call is still judged,
and its nonce is spent.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from engine.simulator.wire import Ending, HttpResponse, Piece, Plan

Shape = Callable[[HttpResponse], Plan]

_CLOUDFLARE_TITLES = {
    429: "Too many requests",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service temporarily unavailable",
    504: "Gateway time-out",
    520: "Web server is returning an unknown error",
    522: "Connection timed out",
    525: "SSL handshake failed",
}
_CLOUDFLARE_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head><title>api.kraken.com | {status}: {title}</title><meta charset="UTF-8" /></head>
<body><div id="cf-wrapper"><div id="cf-error-details">
<h1><span>{title}</span> <span>Error code {status}</span></h1>
<p>Visit cloudflare.com for more information.</p>
</div></div></body>
</html>
"""


class Where(TypedDict, total=False):
    """Which calls a fault strikes.

    endpoint, account: only these; `None` strikes any.  times: how often; `None` for ever.
    """

    endpoint: str | None
    account: str | None
    times: int | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault. Made by the class methods; all take the keywords of `Where`."""

    name: str
    endpoint: str | None = None
    account: str | None = None
    times: int | None = None
    executed: bool = False
    late: float = 0.0
    pause: Callable[[], float] | None = None
    kraken_error: str | None = None
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("a fault strikes at least once; None is for ever")

    @property
    def lets_through(self) -> bool:
        """The call reaches the exchange."""
        return self.executed or self.shape is None

    @property
    def slot(self) -> str:
        """A call meets at most one fault of each slot."""
        return self.name if self.name in ("delay", "jitter") else "fault"

    def with_effect_after(self, seconds: float) -> Fault:
        """The same, but the call takes effect `seconds` later by the exchange's clock, long after its answer.

        It is judged, and its nonce spent, when it arrives: it waits behind all checks but those of the order itself.
        """
        _check_seconds(seconds)
        return replace(self, name=f"{self.name}, effect {seconds:g} s later", late=seconds, executed=True)

    # Waiting

    @classmethod
    def delay(cls, seconds: float, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Answer late: wait before executing, or with `executed` between that and the reply."""
        _check_seconds(seconds)
        return cls(name="delay", pause=lambda: seconds, executed=executed, **where)

    @classmethod
    def jitter(
        cls, low: float, high: float, *, seed: int | None = None, **where: Unpack[Where]
    ) -> Fault:
        """Wait a random time before executing, so that calls sent together overtake each other."""
        _check_seconds(low)
        _check_seconds(high - low)
        chance = random.Random(seed)
        return cls(name="jitter", pause=lambda: chance.uniform(low, high), **where)

    @classmethod
    def hang(cls, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Keep the client waiting until the fault is removed; then the call goes on as usual."""
        return cls(name="hang", pause=lambda: math.inf, executed=executed, **where)

    # No reply

    @classmethod
    def reset(cls, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Cut the connection with a TCP reset."""
        nothing = Plan((), Ending.RESET)
        return cls(name="reset", shape=lambda _: nothing, executed=executed, **where)

    @classmethod
    def close(cls, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Close the connection without an answer."""
        nothing = Plan((), Ending.CLOSE)
        return cls(name="close", shape=lambda _: nothing, executed=executed, **where)

    # Another reply

    @classmethod
    def error(cls, text: str, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Answer with this Kraken error. A call that the exchange itself refuses is still refused."""
        return cls(name="error", kraken_error=text, executed=executed, **where)

    @classmethod
    def warning(cls, text: str, **where: Unpack[Where]) -> Fault:
        """Execute the call, and put a ``W…`` entry beside its result."""
        return cls(name="warning", shape=lambda r: _warned(r, text), executed=True, **where)

    @classmethod
    def http(
        cls, status: int, *, retry_after: str | None = None, executed: bool = False, **where: Unpack[Where]
    ) -> Fault:
        """Answer with this status and a page of HTML, as the proxy in front of the exchange does.

        retry_after: the text of a ``Retry-After`` header, seconds or a date, as comes with a status of 429.
        """
        title = _CLOUDFLARE_TITLES.get(status, "Error")
        page = _CLOUDFLARE_PAGE.format(status=status, title=title).encode()

        def shape(reply: HttpResponse) -> Plan:
            html = "text/html; charset=UTF-8"
            other = reply._replace(status=status, body=page, content_type=html, server="cloudflare")
            return other._replace(retry_after=retry_after).plan()

        return cls(name=f"http {status}", shape=shape, executed=executed, **where)

    @classmethod
    def body(
        cls,
        raw: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        executed: bool = False,
        **where: Unpack[Where],
    ) -> Fault:
        """Answer with exactly these bytes."""

        def shape(reply: HttpResponse) -> Plan:
            return reply._replace(status=status, body=raw, content_type=content_type).plan()

        return cls(name="body", shape=shape, executed=executed, **where)

    @classmethod
    def empty(cls, *, executed: bool = False, **where: Unpack[Where]) -> Fault:
        """Answer 200 with an empty body."""
        return cls(
            name="empty", shape=lambda r: r._replace(body=b"").plan(), executed=executed, **where
        )

    @classmethod
    def redirect(
        cls, url: str, *, status: int = 302, executed: bool = False, **where: Unpack[Where]
    ) -> Fault:
        """Send the client to another address."""

        def shape(reply: HttpResponse) -> Plan:
            return reply._replace(status=status, body=b"", location=url).plan()

        return cls(name="redirect", shape=shape, executed=executed, **where)

    # The right reply, badly delivered

    @classmethod
    def truncated(
        cls, *, sent: int | None = None, executed: bool = True, **where: Unpack[Where]
    ) -> Fault:
        """Close after `sent` bytes of the body (half of it); Content-Length promises all."""

        def shape(reply: HttpResponse) -> Plan:
            part = reply.body[: len(reply.body) // 2 if sent is None else sent]
            return Plan((Piece(0, reply.head() + part),), Ending.CLOSE)

        return cls(name="truncated", shape=shape, executed=executed, **where)

    @classmethod
    def drip_body(cls, *, size: int = 1, every: float = 0.1, **where: Unpack[Where]) -> Fault:
        """Send the body `size` bytes at a time."""

        def shape(reply: HttpResponse) -> Plan:
            drops = _drops(reply.body, size, every)
            return Plan((Piece(0, reply.head()), *drops), reply.plan().ending)

        return cls(name="drip_body", shape=shape, executed=True, **where)

    @classmethod
    def drip_headers(cls, *, size: int = 1, every: float = 0.1, **where: Unpack[Where]) -> Fault:
        """Send the status line and the headers `size` bytes at a time."""

        def shape(reply: HttpResponse) -> Plan:
            drops = _drops(reply.head(), size, every)
            return Plan((*drops, Piece(0, reply.body)), reply.plan().ending)

        return cls(name="drip_headers", shape=shape, executed=True, **where)


def _check_seconds(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("seconds cannot be negative")


def _drops(data: bytes, size: int, every: float) -> list[Piece]:
    return [Piece(every, data[at : at + size]) for at in range(0, len(data), size)]


def _warned(reply: HttpResponse, text: str) -> Plan:
    told = json.loads(reply.body)
    told["error"].insert(0, text)
    return reply._replace(body=json.dumps(told).encode()).plan()
