"""What is known of the fees that each account pays: asked for through the lane now and then, and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import field
from decimal import Decimal
from functools import partial
from typing import Any

from engine.errors import CallError, CallUnknown, InvalidArguments, PermissionDenied
from engine.kraken.drift import Note
from engine.kraken.fees import TRADE_VOLUME, ToldFees, fee_params, read_fees
from engine.rules.gates.fees import DENIED, NOT_ANSWERED, NOT_ASKED, NOT_TOLD, Fee, choose_fee
from engine.values import Pair
from engine.values.dataclass import dataclass

YOUNG = 600.0  # seconds that a fee is taken as it is: an account's tier changes once a day at most
PAUSE = 60.0  # seconds after a call that failed
NEXT_GROUP = 15.0  # seconds after a refusal that one of the names in it may have brought about
DENIED_FOR = 3600.0  # seconds that a key is not asked for again what Kraken denies to it
PATIENCE = 2.0  # seconds that a pass waits at most: it then counts with the bound, and the next one knows more
CALL_TIMEOUT = 3.0  # seconds that the call may take in all: a hung one keeps other reads from the lane
PAIRS_AT_ONCE = 100  # in one call, of which a pass makes one at most: each costs a point

Submit = Callable[[str, str, Mapping[str, Any], float], "Future[Any]"]


@dataclass(slots=True)
class _Key:
    """What is known of the fees of one API key's account."""

    own: dict[str, tuple[Decimal | None, float]] = field(default_factory=dict)
    """By the pair's id: the fee, `None` where TradeVolume tells none, and until when that holds."""
    dearest: Decimal = Decimal(0)
    """The highest fee that it was ever told."""
    not_before: float = float("-inf")
    silence: str = NOT_ASKED
    """Why there is no fee of a pair that is not in `own`."""
    group: int = PAIRS_AT_ONCE
    """How many pairs are asked for at once; fewer after a refusal, so that one bad name spoils no other."""
    is_asking: bool = False


class FeeCache:
    """The fees of all accounts. Any thread may ask; nobody waits longer than `PATIENCE`, and no failure is raised.

    `submit(account, endpoint, params, timeout)` makes a private call once. `key_id(account)` names the account's key:
    with another one everything that is known of its fees begins anew. `bound` is the fee where none is told.
    """

    def __init__(
        self,
        submit: Submit,
        key_id: Callable[[str], str],
        *,
        bound: Decimal,
        note: Note,
        monotonic: Callable[[], float],
    ) -> None:
        self._submit, self._key_id, self._bound, self._note, self._monotonic = submit, key_id, bound, note, monotonic
        self._keys: dict[str, _Key] = {}
        self._lock = threading.Lock()

    def refresh(self, account: str, pairs: Collection[Pair], seconds: float) -> None:
        """Ask TradeVolume for those fees that are not known or not young, when it may be asked again; and wait for it.

        One call at most; while one is under way, and after a failure, nobody asks and nobody waits.
        """
        key_id = self._key_id(account)
        group = self._next_group(key_id, pairs)
        if not group:
            return
        done = threading.Event()
        asked = self._submit(account, TRADE_VOLUME, fee_params(group), CALL_TIMEOUT)
        asked.add_done_callback(partial(self._answered, key_id, group, done))
        done.wait(max(0.0, min(seconds, PATIENCE)))

    def fee(self, account: str, pair: Pair) -> Fee:
        """What a purchase on a pair is counted with, by what is known now. Asks nobody."""
        now = self._monotonic()
        with self._lock:
            key = self._key(self._key_id(account))
            own, until = key.own.get(pair.id, (None, float("-inf")))
            why = NOT_TOLD if now < until else key.silence
            return choose_fee(own if now < until else None, self._bound, (pair.fee, key.dearest), why)

    def _key(self, key_id: str) -> _Key:
        return self._keys.setdefault(key_id, _Key())

    def _next_group(self, key_id: str, pairs: Collection[Pair]) -> list[Pair]:
        now = self._monotonic()
        with self._lock:
            key = self._key(key_id)
            if key.is_asking or now < key.not_before:
                return []
            due = [pair for pair in pairs if key.own.get(pair.id, (None, now))[1] <= now]
            if due:
                key.is_asking, key.silence = True, NOT_ANSWERED
            return due[: key.group]

    def _answered(self, key_id: str, group: list[Pair], done: threading.Event, asked: Future[Any]) -> None:
        """Take in the answer. Run by the lane's thread, or by the asker's when the call could not be made."""
        now = self._monotonic()
        told = self._told(group, asked)
        with self._lock:
            key = self._key(key_id)
            key.is_asking = False
            if isinstance(told, ToldFees):
                key.own |= {pair.id: (told.own.get(pair.id), now + YOUNG) for pair in group}
                key.dearest = max(key.dearest, told.dearest)
            else:
                _note_failure(key, group, told, now)
        done.set()

    def _told(self, group: list[Pair], asked: Future[Any]) -> ToldFees | CallError:
        if asked.cancelled():
            return CallUnknown("The call was cancelled.")
        error = asked.exception()
        if error is not None:
            return error if isinstance(error, CallError) else CallUnknown(str(error))
        try:
            return read_fees(asked.result(), group, note=self._note)
        except CallUnknown as unreadable:
            return unreadable


def _note_failure(key: _Key, group: list[Pair], error: CallError, now: float) -> None:
    key.silence, pause = NOT_ANSWERED, PAUSE
    if isinstance(error, PermissionDenied):
        key.silence, pause = DENIED, DENIED_FOR
    elif isinstance(error, InvalidArguments) and len(group) > 1:
        key.group, pause = len(group) // 2, NEXT_GROUP
    elif isinstance(error, InvalidArguments):
        key.own[group[0].id] = (None, now + YOUNG)
        pause = NEXT_GROUP
    key.not_before = now + max(pause, error.retry_after or 0.0)
