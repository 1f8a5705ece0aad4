"""Keeps calls back: by Kraken's rate limits as counted here, and where Kraken refuses a key.

What is decided is in the values of `engine.rules.lane`: `Admission` and `KeyBreaker`; here they are held and kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.actors.events import EngineWarning, KeyChanged, warn_by
from engine.actors.lane.report import KeyReport
from engine.errors import CallError, CallNotSent, CounterFull, KeyRefused, LockedOut, RateLimited, StoreError
from engine.kraken.endpoints import PRIVATE, CallClass, Endpoint
from engine.kraken.key_info import KeyInfo
from engine.kraken.limits import TIERS, OrderAges
from engine.kraken.trades import note_done, use_of
from engine.rules.lane.admission import KEPT, KEPT_WITHOUT_ORDERS, Admission, Wait
from engine.rules.lane.key_breaker import KeyBreaker, check_all
from engine.rules.lane.key_state import KeyState
from engine.rules.lane.otp import KEY_INFO
from engine.store.backing import Documents
from engine.store.write_outage import WriteOutage
from engine.values import Account, Clock, Settings

NAME = "limits"
SAVE_EVERY = 1.0  # seconds; a crash forgets the calls of the last one at most
_NO_USE: tuple[str | None, float] = (None, 0.0)  # of the trading counters: reads do not touch them


class KeyLimits:
    """The counters and the circuit breaker of one account and its key, and the ages of its orders."""

    __slots__ = ("account", "admission", "ages", "breaker", "kept", "limited", "was_accepted")

    def __init__(
        self, account: Account, settings: Settings, saved: Any, now: float, wall: float, kept: Sequence[float]
    ) -> None:
        self.account = account
        known = saved if isinstance(saved, Mapping) else {}
        new = Admission(TIERS[account.tier or settings.tier], kept)
        self.admission = new if saved is None else new.restored(known.get("calls"), now, wall)
        self.ages = OrderAges()
        self.kept = kept[CallClass.READ] if settings.local_limits else 0.0
        self.was_accepted = bool(known.get("accepted"))
        self.limited = 0
        # A lost file is not a lockout: to assume one would hold back cancels.
        self.breaker = KeyBreaker.from_dict(known.get("guard", {}), now, wall, probe_every=settings.refresh_every)

    def document(self, now: float, wall: float) -> dict[str, Any]:
        """What is kept over a restart."""
        return {
            "calls": self.admission.to_dict(now, wall),
            "guard": {} if self.breaker.is_quiet else self.breaker.to_dict(now, wall),
            "accepted": self.was_accepted,
        }


class KeyMoment(NamedTuple):
    """A key's limits at one moment."""

    account: Account
    admission: Admission
    breaker: KeyBreaker
    limited: int
    kept: float


class Limits:
    """Decides, before a nonce is drawn, whether a call may go out; learns from every answer; kept over restarts.

    Belongs to the lane's thread. A lockout is written down at once, a counter's level within a second of its use, by
    `soon`, which runs a callback in another thread after `SAVE_EVERY`: no call waits for the disk, and the first one
    after a rest, which waits for a nonce mark already, does not share the processor with this write.

    `saved` is what `kept` held at its opening; `None` after damage: the call counters are assumed to be full. It closes
    `kept`.
    """

    def __init__(
        self,
        kept: Documents,
        saved: Mapping[str, Any] | None,
        accounts: Iterable[Account],
        *,
        settings: Settings,
        live: bool,
        clock: Clock,
        publish: Callable[[Any], None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._settings = settings
        self._kept = KEPT if live else KEPT_WITHOUT_ORDERS
        self._clock = clock
        self._publish = publish
        self._store = kept
        self._keys = {each.name: self._key(each, saved) for each in accounts}
        self._soon = soon
        self._writing = threading.Lock()  # an older level must not overwrite a newer lockout
        self._unsaved: set[str] = set()
        self._locked: set[str] = set()
        self._save_after = float("-inf")
        self._are_all_held = False
        self._outage = WriteOutage("limits-not-kept", "The rate limits could not be kept: {error}", warn_by(publish))
        for name, key in self._keys.items():
            self._tell_change(name, KeyState.ACCEPTED, key.breaker)

    def check(self, account: str, endpoint: Endpoint, call_class: CallClass, params: Mapping[str, Any]) -> None:
        """Raise `LockedOut`, `KeyRefused` or `CounterFull`, with the seconds to wait, when a call has to wait."""
        now, key = self._clock.monotonic(), self._keys[account]
        pair, points = use_of(endpoint.name, params, key.ages, now) if endpoint.writes else _NO_USE
        is_quiet = key.breaker.is_quiet
        if not is_quiet or len(self._locked) > 1:
            held = key.breaker.check(endpoint.name, now, pair) or self._check_all(now)
            if held is not None:
                kind = KeyRefused if held.is_refusal else LockedOut
                raise kind(held.reason, retry_after=held.retry_after).in_krakens_words(held.code)
        if self._settings.local_limits:
            held = key.admission.check(call_class, endpoint.cost, now, pair=pair, points=points)
            if held is not None:
                raise CounterFull(held.reason, retry_after=held.retry_after).in_krakens_words(held.code)
        if not is_quiet:
            key.breaker = key.breaker.started(endpoint.name, now, pair)

    def may_sign_again(self, account: str) -> bool:
        """Whether a call whose nonce was just refused may be sent once more."""
        return self._keys[account].breaker.may_sign_again

    def after(
        self,
        account: str,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        error: CallError | None,
        *,
        result: Any = None,
        cause: str = "",
    ) -> None:
        """Take in how a call ended, and set `error.retry_after`. `cause` explains a refused nonce."""
        now, key = self._clock.monotonic(), self._keys[account]
        pair, points = use_of(endpoint.name, params, key.ages, now) if endpoint.writes else _NO_USE
        key.admission = key.admission.after(error, endpoint.cost, now, pair=pair, points=points)
        breaker = key.breaker
        if error is None:
            key.was_accepted = True
            if endpoint.writes:
                for each, its_points in note_done(endpoint.name, params, result, key.ages, now):
                    key.admission = key.admission.traded(its_points, each, now)
        else:
            key.limited += isinstance(error, RateLimited)
        if error is None or not isinstance(error, CallNotSent):
            self._unsaved.add(account)
        is_usual = error is None and breaker.is_quiet and (pair is None or endpoint.name in breaker.granted)
        if not is_usual or endpoint.name == KEY_INFO:
            self._change_breaker(account, endpoint, error, result, pair, cause, now)
        if now >= self._save_after and self._unsaved:
            self._plan_save(now)

    def _change_breaker(
        self, account: str, endpoint: Endpoint, error: CallError | None, result: Any, pair: str | None, cause: str,
        now: float,
    ) -> None:  # fmt: skip
        """Take in what the end of a call says about the key; a lockout is written down at once."""
        key = self._keys[account]
        before, key.breaker = key.breaker, key.breaker.after(error, endpoint.name, now, pair, cause=cause)
        if error is None and endpoint.name == KEY_INFO:
            key.breaker = key.breaker.told(*_permissions(result))
        held = key.breaker.check(endpoint.name, now, pair)
        if error is not None and held is not None:
            error.retry_after = max(error.retry_after or 0.0, held.retry_after)
        is_more = bool(key.breaker.products.keys() - before.products.keys())
        self._tell_change(account, before.state, key.breaker, is_more=is_more)
        if before.locked_until != key.breaker.locked_until:
            self._save()

    def was_accepted(self, account: str) -> bool:
        """Whether Kraken ever accepted a nonce of this account's key from this state directory."""
        return self._keys[account].was_accepted

    def moments(self, only: Sequence[str] = ()) -> dict[str, KeyMoment]:
        """What the keys of all accounts, or of those that are here, are now. Any thread."""
        keys = self._keys
        found = [(name, keys[name]) for name in only if name in keys] if only else tuple(keys.items())
        return {name: KeyMoment(key.account, key.admission, key.breaker, key.limited, key.kept) for name, key in found}

    @staticmethod
    def report(moment: KeyMoment, now: float, *, nonces: int, lead: float, mark: int) -> KeyReport:
        """The state of a key at `moment`, which was at `now`, with what the caller knows of its nonces."""
        _, admission, breaker, limited, kept = moment
        return KeyReport(
            admission.calls_level(now), admission.tier.calls, nonces, lead, mark, denied=breaker.denied,
            denied_markets=breaker.denied_markets(now), trades=admission.trades_levels(now),
            trades_limit=admission.tier.trades, kept=kept, limited=limited,
        )  # fmt: skip

    def resume(self, account: str) -> None:
        """An operator says that the key was fixed: its calls go out again at once, except during a lockout."""
        key = self._keys[account]
        before, key.breaker = key.breaker, key.breaker.resume()
        self._tell_change(account, before.state, key.breaker)

    def add(self, account: Account) -> None:
        """Take in an account, with what the file says of its key, so that a lockout outlives a removal."""
        try:
            saved: Mapping[str, Any] = self._store.documents()
        except StoreError:
            saved = {}
        self._keys[account.name] = self._key(account, saved)
        self._tell_change(account.name, KeyState.ACCEPTED, self._keys[account.name].breaker)

    def remove(self, account: str) -> None:
        """Forget an account; the state of its key is written down first."""
        self._save()
        self._locked.discard(account)
        del self._keys[account]

    def replace_key(self, account: Account) -> None:
        """The account has another key from now on."""
        before = self._keys[account.name].breaker
        if self._keys[account.name].account.key_id == account.key_id:
            self.resume(account.name)  # the same key with another secret: a lockout still lasts
            return
        self._keys[account.name] = self._key(account, {})
        self._tell_change(account.name, before.state, self._keys[account.name].breaker)

    def close(self) -> None:
        """Write down what has changed, and close what keeps it."""
        self._save()
        self._store.close()

    def _key(self, account: Account, saved: Mapping[str, Any] | None) -> KeyLimits:
        found = {} if saved is None else saved.get(account.key_id)  # a lost file counts as full, a new key as unused
        now, wall = self._clock.monotonic(), self._clock.wall_ns() / 1e9
        return KeyLimits(account, self._settings, found, now, wall, self._kept)

    def _check_all(self, now: float) -> Wait | None:
        held = check_all([self._keys[name].breaker for name in self._locked], now) if len(self._locked) > 1 else None
        if held is not None and not self._are_all_held:  # the states of the other keys do not tell
            self._publish(EngineWarning("all-locked-out", held.reason))
        self._are_all_held = held is not None
        return held

    def _plan_save(self, now: float) -> None:
        self._save_after = now + SAVE_EVERY
        with contextlib.suppress(RuntimeError):  # no thread can be started, or not any more: `close` saves
            self._soon(self._save)

    def _save(self) -> None:
        """Write down what has changed. Run by the lane's thread, or by that of `soon`."""
        with self._writing:
            names = tuple(self._unsaved)
            if not names:
                return
            self._unsaved.difference_update(names)  # before they are read: a later change is saved again
            now, wall = self._clock.monotonic(), self._clock.wall_ns() / 1e9
            keys = [key for name in names if (key := self._keys.get(name)) is not None]
            try:
                self._store.put_all({key.account.key_id: key.document(now, wall) for key in keys})
            except StoreError as error:
                self._unsaved.update(names)
                self._outage.failed(error)
            else:
                self._outage.succeeded()

    def _tell_change(self, account: str, before: KeyState, breaker: KeyBreaker, *, is_more: bool = False) -> None:
        """Publish the state of the key when it has changed. `is_more`: one more market is denied."""
        (self._locked.discard if breaker.locked_until is None else self._locked.add)(account)
        if breaker.state is before and not is_more:
            return
        self._publish(KeyChanged(account, breaker.state.value, breaker.sentence))
        if breaker.state is not KeyState.ACCEPTED:
            self._publish(EngineWarning(breaker.state.value, f"Account {account}: {breaker.sentence}"))


def _permissions(result: Any) -> tuple[list[str], list[str]]:
    """The endpoints for which GetApiKeyInfo says that the key has the permission, and those for which it has none."""
    granted = KeyInfo.of(result).permissions if isinstance(result, Mapping) else None
    if granted is None:
        return [], []
    known = [each for each in PRIVATE.values() if each.permissions]
    allowed = [each.name for each in known if each.allowed(granted)]
    return allowed, [each.name for each in known if not each.allowed(granted)]
