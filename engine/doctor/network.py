"""The network path to Kraken: name, connection, TLS, a reply, and the public endpoints. Needs no key."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from engine.doctor.changes import Kind, kind_of
from engine.doctor.finding import Finding, Level, bad, ok, skipped, warn
from engine.doctor.machine import proxy_finding
from engine.doctor.public_replies import PublicReplies
from engine.doctor.time_left import TimeLeft
from engine.errors import CallError, CallRefused, ConnectFailed
from engine.kraken.endpoints import Endpoint, public_endpoint
from engine.kraken.replies import read_reply
from engine.kraken.shapes import compare
from engine.kraken.signing import encode_form
from engine.rules.lane.clock import TOLERANCE, skew
from engine.transport import HttpReply, Resolver, Transport, check_url
from engine.transport.address import Base, Proxy, check_proxy, is_loopback
from engine.transport.resolver import SocketAddress
from engine.values import Clock, Settings

NAME_PATIENCE = 5.0  # seconds
CONNECT_PATIENCE = 6.0
REPLY_PATIENCE = 8.0
SLOW = 1.0
CLOCK_WARNS_AFTER = 5.0
"""Seconds. Kraken's Time has whole seconds, and its replies can be cached for about two."""

_TIME, _STATUS = public_endpoint("Time"), public_endpoint("SystemStatus")

_NO_NAME = "Check this machine's network and its name servers (/etc/resolv.conf), and the host if you gave a URL."
_REFUSED = "Nothing accepts connections there. Check the URL or proxy if you gave one; otherwise a firewall blocks you."
_NO_CONNECTION = "Check this machine's network. If other sites can be reached, a firewall on the way blocks this one."
_NO_TLS = (
    "Do not work around it: this may not be Kraken. Check the URL, this machine's clock, [settings] ca_file if it is "
    "set, and whether a proxy, a firewall or a virus scanner on the way opens TLS connections."
)
_NO_REPLY = (
    "Look at https://status.kraken.com and try again in a few minutes. If Kraken is up, something on the way answers "
    "for it: a proxy, a firewall, or a sign-in page of the network."
)
_CLOCK = "Synchronise the clock with a time server: 'timedatectl set-ntp true' on most Linux systems."

_SLOW = "Look at https://status.kraken.com, and at this machine's network; a machine nearer to Kraken is faster."

_STATUSES = {
    "maintenance": "Kraken is down for maintenance: calls fail until it is over.",
    "cancel_only": "Kraken takes only cancels just now: orders are refused.",
    "post_only": "Kraken takes only post-only orders and cancels just now.",
}


class Network:
    """Checks the network path to Kraken, once. Raises `ConfigError` for an unusable URL, proxy or CA file.

    After `findings()` is used up: `is_open` says whether Kraken answers, `skew` by how many seconds the wall clock is
    ahead of Kraken's (`None`: not known).
    """

    CHECKS = ("proxy", "dns", "connection", "tls", "kraken", "clock", "system-status", "latency", *PublicReplies.CHECKS)

    def __init__(self, url: str, settings: Settings, clock: Clock, resolver: Resolver, time_left: TimeLeft) -> None:
        self._base = check_url(url, settings)
        proxy = None if is_loopback(self._base.host) else check_proxy(settings.proxy)
        self._server: Base | Proxy = proxy or self._base
        self._clock = clock
        self._resolver = resolver
        self._left = time_left
        self._transport = Transport(url, settings, clock=clock, resolver=resolver)
        self._replies = PublicReplies(self._ask, settings, clock)
        self.is_open = False
        self.skew: float | None = None

    @property
    def changes(self) -> frozenset[Kind]:
        """The changes in public replies that have been reported."""
        return frozenset(map(kind_of, self._replies.drift.read()))

    def findings(self) -> Iterator[Finding]:
        """Each check in turn; after a failed one, those that depend on it are skipped."""
        told = set()
        with contextlib.closing(self._transport):
            for finding in self._way():
                told.add(finding.check)
                yield finding
        for check in self.CHECKS:
            if check not in told:
                yield skipped(check, "Kraken cannot be reached" if not self.is_open else "Kraken did not say")

    def _way(self) -> Iterator[Finding]:
        yield self._proxy()
        addresses, finding = self._look_up()
        yield finding
        if addresses:
            finding = self._connect(addresses)
            yield finding
        if finding.level is not Level.BAD:
            yield from self._ask_time()
        if self.is_open:
            yield from self._ask_status()
            yield from self._replies.findings()

    def _proxy(self) -> Finding:
        if is_loopback(self._base.host):
            return ok("proxy", "No proxy is used for this machine.")
        return proxy_finding(self._server if isinstance(self._server, Proxy) else None, os.environ)

    def _look_up(self) -> tuple[list[SocketAddress], Finding]:
        host = self._server.host
        try:
            addresses = self._resolver.addresses(host, self._server.port, self._left.part(NAME_PATIENCE))
        except TimeoutError:
            return [], bad("dns", f"No name server answered when asked for {host}.", _NO_NAME)
        except OSError as error:
            reason = error.strerror or "no address"
            return [], bad("dns", f"The name {host} was not found ({reason}).", _NO_NAME)
        shown = [str(each.sockaddr[0]) for each in addresses]
        if shown == [host]:
            return addresses, ok("dns", f"{host} is an address and needs no lookup.")
        return addresses, ok("dns", f"{host} is {', '.join(shown[:3])}{', …' if len(shown) > 3 else ''}.")

    def _connect(self, addresses: list[SocketAddress]) -> Finding:
        """A bare connection, which shows whether a failure of the call after it is one of TLS."""
        place = f"{self._server.host}:{self._server.port}"
        patience = self._left.part(CONNECT_PATIENCE)
        failures: list[OSError] = []
        for index, address in enumerate(addresses):
            try:
                seconds = _dial(address, patience() / (len(addresses) - index))
            except OSError as error:
                failures.append(error)
            else:
                return ok("connection", f"{place} takes connections ({seconds * 1000:.0f} ms).")
        return _not_connected(place, failures)

    def _ask_time(self) -> Iterator[Finding]:
        started, wall = self._clock.monotonic(), self._clock.wall_ns()
        try:
            answer = self._get(_TIME)
        except ConnectFailed as error:
            yield bad("tls", str(error), _NO_TLS) if self._base.is_tls else bad("kraken", str(error), _NO_CONNECTION)
            return
        except CallError as error:
            yield self._tls_is_fine()
            yield bad("kraken", str(error), _NO_REPLY)
            return
        seconds = self._clock.monotonic() - started
        yield self._tls_is_fine()
        yield from self._read_time(answer, wall + int(seconds * 5e8), seconds)

    def _tls_is_fine(self) -> Finding:
        if self._base.is_tls:
            return ok("tls", f"The certificate of {self._base.host} is accepted.")
        return skipped("tls", "the URL is plain http to this machine")

    def _read_time(self, answer: HttpReply, wall_ns: int, seconds: float) -> Iterator[Finding]:
        try:
            result = read_reply(answer.status, answer.body, _TIME).result
            compare(_TIME.name, result, self._replies.drift.noter(_TIME.name))
            told = int(result["unixtime"])
        except CallRefused as error:
            self.is_open = True
            yield warn("kraken", str(error), "Wait a minute and try again. Another program here may call too often.")
        except CallError as error:
            yield bad("kraken", str(error), _NO_REPLY)
        except (KeyError, TypeError, ValueError, OverflowError):
            self.is_open = True  # in Kraken's own form, and the engine follows the dates of its replies
            yield warn("kraken", "What answers does not tell the time as Kraken does.", _NO_REPLY)
        else:
            self.is_open = True
            yield ok("kraken", f"Kraken answers ({seconds * 1000:.0f} ms).")
            self.skew = skew(wall_ns, told * 10**9 + 5 * 10**8)
            yield _clock_finding(self.skew)

    def _ask_status(self) -> Iterator[Finding]:
        started = self._clock.monotonic()
        try:
            result = self._ask(_STATUS.name, {})
        except CallError as error:
            yield warn("system-status", str(error), "Look at https://status.kraken.com.")
            return
        seconds = self._clock.monotonic() - started
        compare(_STATUS.name, result, self._replies.drift.noter(_STATUS.name))
        if "status" in result:
            yield _status_finding(result["status"])
        yield _latency_finding(seconds)

    def _ask(self, name: str, params: Mapping[str, Any]) -> Any:
        """One public call: its result. Raises `CallError`."""
        endpoint = public_endpoint(name)
        answer = self._get(endpoint, encode_form(params).decode())
        return read_reply(answer.status, answer.body, endpoint, note=self._replies.drift.noter(name)).result

    def _get(self, endpoint: Endpoint, query: str = "") -> HttpReply:
        return self._transport.get(endpoint.path, query, deadline=self._left.part(REPLY_PATIENCE).deadline)


def _dial(address: SocketAddress, patience: float) -> float:
    """The seconds that a connection took. Raises `OSError`."""
    started = time.monotonic()
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience)
        sock.connect(address.sockaddr)
    return time.monotonic() - started


def _not_connected(place: str, failures: list[OSError]) -> Finding:
    if any(isinstance(each, ConnectionRefusedError) for each in failures):
        return bad("connection", f"{place} refuses connections.", _REFUSED)
    if all(isinstance(each, TimeoutError) for each in failures):
        return bad("connection", f"{place} does not answer: the connection timed out.", _NO_CONNECTION)
    reason = next(os.strerror(each.errno) if each.errno else type(each).__name__ for each in failures)
    return bad("connection", f"{place} cannot be reached ({reason}).", _NO_CONNECTION)


def _clock_finding(ahead: float) -> Finding:
    seconds = f"{abs(ahead):,.0f} seconds {'ahead of' if ahead > 0 else 'behind'} Kraken's"
    if abs(ahead) <= CLOCK_WARNS_AFTER:
        return ok("clock", "This machine's clock agrees with Kraken's, as far as that can be told.")
    if abs(ahead) <= TOLERANCE:
        return warn("clock", f"This machine's clock is {seconds}.", _CLOCK)
    told = "An engine does not believe it: its nonces follow Kraken's time."
    return bad("clock", f"This machine's clock is {seconds}. {told}", _CLOCK)


def _latency_finding(seconds: float) -> Finding:
    """How long a call takes on an open connection. Calls go out one at a time, so it bounds how many there can be."""
    told = f"A call takes {seconds * 1000:.0f} ms"
    if seconds <= SLOW:
        return ok("latency", f"{told}, so up to {1 / max(seconds, 0.001):,.0f} can be made a second, one at a time.")
    return warn("latency", f"{told}: balances and orders will be late.", _SLOW)


def _status_finding(status: object) -> Finding:
    if status == "online":
        return ok("system-status", "Kraken says that it is online.")
    known = _STATUSES.get(status) if isinstance(status, str) else None
    return warn("system-status", known or "Kraken is not online.", "Wait, and look at https://status.kraken.com.")
