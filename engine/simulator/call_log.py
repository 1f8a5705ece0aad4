"""The log of all calls, each from its arrival to its end."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from engine.simulator.api_call import ApiCall
from engine.simulator.nonce_tracker import read_nonce

# Not recorded: the nonce has its own field, and a password is secret.
_LEFT_OUT = frozenset({"nonce", "otp"})
_INVALID_NONCE = "EAPI:Invalid nonce"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One recorded call.

    account: whose key it came with; `None` for public calls and unknown keys.
    endpoint: e.g. ``Balance``.  private: it came to a private address.
    nonce: the nonce in its body, or `None`.  params: the other parameters.
    error: the error string the exchange answered, also when the reply was then lost; or `None`.
    executed: it took effect.
    fault: the names of the faults it met, joined by ``+``, or `None`.
    started, ended: `time.monotonic()`; `ended` is `None` while it is under way.
    """

    account: str | None
    endpoint: str
    private: bool
    nonce: int | None
    params: dict[str, Any]
    error: str | None = None
    executed: bool = False
    fault: str | None = None
    started: float
    ended: float | None = None


class LogEntry:
    """The record of a call under way."""

    def __init__(self, journal: CallLog, number: int) -> None:
        self._journal = journal
        self._number = number

    def note(self, **changes: Any) -> None:
        """Change the call's record."""
        self._journal._change(self._number, **changes)

    def end(self) -> None:
        """Mark the call as ended; repeated calls do nothing."""
        self._journal._end(self._number)


class CallLog:
    """Keeps the calls in the order of their arrival. Thread-safe.

    `remember`: how many calls to keep, the latest; `None` keeps all.
    """

    def __init__(self, remember: int | None = None) -> None:
        self._changed = threading.Condition()
        self._remember = remember
        self._numbers = itertools.count()
        self._calls: dict[int, Call] = {}
        self._under_way: dict[int, Callable[[], bool]] = {}
        self._highest_in_flight = 0
        self._highest_awaited = 0
        self._refused_nonces = 0

    @property
    def calls(self) -> list[Call]:
        """All calls so far."""
        with self._changed:
            return list(self._calls.values())

    @property
    def refused_nonces(self) -> int:
        """How often a nonce was refused."""
        return self._refused_nonces

    @property
    def highest_in_flight(self) -> int:
        """The most private calls that were ever handled at the same moment."""
        return self._highest_in_flight

    @property
    def highest_awaited(self) -> int:
        """The same, without calls whose client had disconnected by then."""
        return self._highest_awaited

    @contextmanager
    def call(
        self, asked: ApiCall, account: str | None, fault: str | None, has_client: Callable[[], bool]
    ) -> Iterator[LogEntry]:
        """Record a call that has just arrived; it ends with the block at the latest."""
        params = {name: v for name, v in (asked.params or {}).items() if name not in _LEFT_OUT}
        call = Call(
            account=account if asked.private else None,
            endpoint=asked.endpoint,
            private=asked.private,
            nonce=read_nonce(asked.nonce),
            params=params,
            fault=fault,
            started=time.monotonic(),
        )
        entry = LogEntry(self, self._begin(call, has_client))
        try:
            yield entry
        finally:
            entry.end()

    def wait_for(
        self,
        n: int,
        *,
        endpoint: str | None,
        account: str | None,
        ended: bool,
        executed: bool,
        timeout: float,
    ) -> list[Call]:
        """The calls that match, as soon as there are `n` of them. Raises `TimeoutError`."""

        def fits(call: Call) -> bool:
            wanted = endpoint in (None, call.endpoint) and account in (None, call.account)
            return wanted and (call.ended is not None or not ended) and call.executed >= executed

        search = _CallSearch(self._calls, fits)
        with self._changed:
            if not self._changed.wait_for(lambda: search.count() >= n, timeout):
                raise TimeoutError(f"only {search.count()} of {n} calls came in {timeout} s")
            return [call for call in self._calls.values() if fits(call)]

    def _begin(self, call: Call, has_client: Callable[[], bool]) -> int:
        with self._changed:
            number = next(self._numbers)
            self._calls[number] = call
            if self._remember is not None and len(self._calls) > self._remember:
                del self._calls[next(iter(self._calls))]
            if call.private:
                self._under_way[number] = has_client
                self._count()
            self._changed.notify_all()
            return number

    def _count(self) -> None:
        awaited = sum(has_client() for has_client in self._under_way.values())
        self._highest_awaited = max(self._highest_awaited, awaited)
        self._highest_in_flight = max(self._highest_in_flight, len(self._under_way))

    def _change(self, number: int, **changes: Any) -> None:
        with self._changed:
            self._refused_nonces += changes.get("error") == _INVALID_NONCE
            if number in self._calls:
                self._calls[number] = replace(self._calls[number], **changes)
            self._changed.notify_all()

    def _end(self, number: int) -> None:
        with self._changed:
            self._under_way.pop(number, None)
            call = self._calls.get(number)
            if call is not None and call.ended is None:
                self._change(number, ended=time.monotonic())


class _CallSearch:
    """Counts matching calls; only those that may still change are checked again."""

    def __init__(self, calls: dict[int, Call], fits: Callable[[Call], bool]) -> None:
        self._calls = calls
        self._fits = fits
        self._settled = 0
        self._open: set[int] = set()
        self._seen = -1

    def count(self) -> int:
        """The number of matching calls."""
        newest = next(reversed(self._calls), -1)
        self._open.update(range(self._seen + 1, newest + 1))
        self._seen = newest
        for number in [n for n in self._open if self._is_settled(n)]:
            self._open.remove(number)
            self._settled += number in self._calls and self._fits(self._calls[number])
        return self._settled + sum(self._fits(self._calls[number]) for number in self._open)

    def _is_settled(self, number: int) -> bool:
        return number not in self._calls or self._calls[number].ended is not None
