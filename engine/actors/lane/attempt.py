"""One attempt at one private call: checked, given a nonce, signed, sent once, and its reply read."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

from engine.actors.drift_log import DriftLog
from engine.actors.lane.fence import Fence, held_back
from engine.actors.lane.lead import let_lead_pass
from engine.actors.lane.limits import KeyMoment, Limits
from engine.actors.lane.messages import AccountChange, AddAccount, PrivateCall, RemoveAccount
from engine.actors.lane.otp_watch import OtpWatch
from engine.actors.lane.queued_call import QueuedCall
from engine.actors.lane.report import KeyReport, KeyReports, LaneReport
from engine.actors.lane.time_check import CUT, TimeCheck
from engine.actors.lane.trusted_clock import TrustedClock
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConfigError,
    DeadlinePassed,
    InvalidNonce,
    NotLive,
    OtherKey,
    UnknownName,
)
from engine.kraken.endpoints import CallClass, Endpoint, is_dry_run, private_endpoint
from engine.kraken.pair_names import with_names
from engine.kraken.replies import KrakenReply, read_reply
from engine.kraken.shapes import SHAPES, compare
from engine.kraken.signing import Body, Signer, encode
from engine.rules.lane.nonce import AHEAD
from engine.rules.lane.nonce_diagnosis import diagnose_nonce
from engine.rules.lane.otp import KEY_INFO
from engine.store.backing import Owner
from engine.store.nonces import Nonces
from engine.transport import Transport
from engine.values import Account, Settings

logger = logging.getLogger(__name__)

HTTP_OK = 200
KEY_QUESTION = private_endpoint(KEY_INFO)


class Lane:
    """What the `KrakenPrivateActor` owns: the keys, their nonces and the one connection.

    `disk` is the thread that writes for nonces and limits, so that no call waits for the disk.

    Not thread-safe, except for `cut` and `report`: it belongs to the actor's thread.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        owner: Owner,
        nonces: Nonces,
        limits: Limits,
        transport: Transport,
        disk: Executor,
        fence: Fence,
        *,
        settings: Settings,
        live: bool,
        clock: TrustedClock,
        drift: DriftLog,
    ) -> None:
        accounts = tuple(accounts)
        self._accounts = {account.name: account for account in accounts}
        self._signers = {name: Signer(account.secret, account.key) for name, account in self._accounts.items()}
        self._owner = owner
        self._fence = fence
        self._nonces = nonces
        self._limits = limits
        self._transport = transport
        self._disk = disk
        self._settings = settings
        self._live = live
        self._clock = clock
        self._drift = drift
        self._otps = OtpWatch()
        self._time_check = TimeCheck(transport, clock, drift)
        self._issued = Counter[str]()
        self.is_out = False
        """Whether the attempt under way, or the last one, has come to its request."""

    def attempt(self, queued_call: QueuedCall, delays_others: Callable[[str], bool]) -> KrakenReply:
        """Make the call; raises exactly one `CallError` when it is not done.

        `delays_others(account)` says whether a call of another account waits.

        A key that an earlier owner may still be using is fenced first: anything but a read is preceded by a read that
        Kraken accepts, in the same time, else it is not sent.
        """
        self.is_out = False
        if self._owner.is_lost:
            self._owner.check()
        call, endpoint = queued_call.call, queued_call.endpoint
        account = self._account(call.account)
        if call.key_id not in (None, account.key_id):
            raise OtherKey(f"Account {account.name} has another API key by now; nothing was sent with it.")
        if endpoint.writes or endpoint.needs_live:
            self._permit(endpoint, call)
        if self._fence.is_needed and not self._fence.lets(account.key_id, queued_call.call_class):
            self._pass_fence(account, queued_call, delays_others)
        return self._send_signed(account, endpoint, call.params, queued_call, delays_others)

    def _pass_fence(self, account: Account, queued_call: QueuedCall, delays_others: Callable[[str], bool]) -> None:
        """Have a read of the key accepted. Raises `CallNotSent`."""
        try:
            self._send_signed(account, KEY_QUESTION, {}, queued_call, delays_others)
        except CallError as error:
            raise held_back(error) from None
        finally:
            self.is_out = False
        if self._clock.monotonic() >= queued_call.deadline:
            raise DeadlinePassed("The call's time was over before its key was accepted; it was not sent.")

    def _send_signed(
        self,
        account: Account,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        queued_call: QueuedCall,
        delays_others: Callable[[str], bool],
    ) -> KrakenReply:
        """One exchange, or two.

        `EAPI:Invalid nonce` proves that nothing was executed, so the call is signed again once, with a fresh nonce.
        Behind a proxy it proves nothing, since the proxy may have sent the first copy twice: a write is *unknown* then.
        """
        try:
            return self._send(account, endpoint, params, queued_call, queued_call.call_class)
        except InvalidNonce as error:
            if self._settings.proxy and endpoint.writes:
                raise CallUnknown(
                    "Kraken refused the nonce, but a proxy in between may have sent the call twice: look it up.",
                    kraken_code=error.kraken_code,
                ) from None
            if not self._limits.may_sign_again(account.name):
                raise
            if not self._limits.was_accepted(account.name):
                let_lead_pass(queued_call, self._clock.monotonic, delays_others)
        return self._send(account, endpoint, params, queued_call, queued_call.call_class)

    def resume(self, account: str) -> None:
        """The account's key was fixed: let its calls go out again at once. Raises `UnknownName`."""
        self._otps.forget(self._account(account).key_id)
        self._limits.resume(account)

    def key_id(self, account: str) -> str:
        """Which key the account has now. Raises `KeyError` for one that is not here."""
        return self._accounts[account].key_id

    def change(self, change: AccountChange) -> None:
        """Add or remove an account, or give it another key. Raises `ConfigError` or `StoreInUse`; nothing changes then.

        The nonce marks of a removed key stay in the store: if it comes back, its nonces go on above them.
        """
        account = change.account
        match change:
            case AddAccount():
                distinct([*self._accounts.values(), account])
                self._take_key(account)
                try:
                    self._limits.add(account)
                except BaseException:
                    self._let_go(account)
                    raise
            case RemoveAccount():
                self._let_go(self._account(account.name))
                self._limits.remove(account.name)
            case _:
                self._replace_key(account)

    def _replace_key(self, account: Account) -> None:
        before = self._account(account.name)
        if before.key_id == account.key_id:
            self._use_key(account)
        else:
            distinct([each for each in self._accounts.values() if each.name != account.name] + [account])
            self._take_key(account)
            self._owner.release_key(before.key_id)
        self._limits.replace_key(account)

    def _take_key(self, account: Account) -> None:
        self._owner.claim_key(account.name, account.key_id)
        self._nonces.came_back(account.key_id)
        self._fence.forget(account.key_id)
        self._use_key(account)

    def _let_go(self, account: Account) -> None:
        self._owner.release_key(account.key_id)
        del self._accounts[account.name], self._signers[account.name]

    def _use_key(self, account: Account) -> None:
        self._otps.forget(account.key_id)
        self._accounts[account.name] = account
        self._signers[account.name] = Signer(account.secret, account.key)

    def cut(self, queued_call: QueuedCall) -> bool:
        """End the exchange of that call at once, from another thread; `False` when none is under way."""
        return self._transport.cut(queued_call)

    def report(self, *only: str) -> LaneReport:
        """The state of the lane, with the keys of all or only those accounts. Any thread; never waits."""
        now, moments = self._clock.monotonic(), self._limits.moments(only)
        nonces = self._nonces.moment([moment.account.key_id for moment in moments.values()] if only else ())
        issued = {name: self._issued[name] for name in only} if only else dict(self._issued)

        def made(name: str, moment: KeyMoment) -> KeyReport:
            key_id = moment.account.key_id
            lead, mark = nonces.lead(key_id), nonces.marks.get(key_id, 0)
            return self._limits.report(moment, now, nonces=issued.get(name, 0), lead=lead, mark=mark)

        keys = KeyReports(moments, made)
        nonces_told = self._nonces.reservations, self._nonces.write_seconds
        return LaneReport(keys, self._clock.skew, *nonces_told, is_lost=self._owner.is_lost)

    def close(self) -> None:
        """Close the connection and the store, then release the directory and the keys."""
        with contextlib.ExitStack() as closing:  # in the reverse order, and all of it, whatever fails
            closing.callback(self._owner.release)
            closing.callback(self._nonces.close)
            closing.callback(self._limits.close)
            closing.callback(self._disk.shutdown)
            closing.callback(self._transport.close)

    def _account(self, name: str) -> Account:
        try:
            return self._accounts[name]
        except (KeyError, TypeError):
            known = ", ".join(sorted(self._accounts)) or "none"
            raise UnknownName(f"There is no account {name!r}; this engine has: {known}.") from None

    def _permit(self, endpoint: Endpoint, call: PrivateCall) -> None:
        """Raise `NotLive` or `CallNotSent` for a call that this engine is not allowed to make."""
        if endpoint.funds and not self._settings.allow_withdrawals:
            raise CallNotSent(
                f"{endpoint.name} moves money out: set allow_withdrawals to let it "
                "through ([settings] allow_withdrawals = true in the configuration file)."
            ).in_krakens_words("EGeneral:Permission denied")
        if self._live or not endpoint.needs_live or call.disarms or call.listens or is_dry_run(endpoint, call.params):
            return
        raise NotLive(
            f"{endpoint.name} can change something at Kraken and the engine is not live: start it live (--live)"
            + (", or add validate=true." if endpoint.validates else ".")
        )

    def _send(
        self, account: Account, endpoint: Endpoint, params: Mapping[str, Any], queued_call: QueuedCall, of: CallClass
    ) -> KrakenReply:
        """One exchange. The limits decide whether it may go out, and are told how it ended."""
        if "pair" in params:
            params = with_names(endpoint.name, params)
        encoded = encode(endpoint, params, otp=account.otp)  # first: what cannot be sent must not cost a nonce
        self._limits.check(account.name, endpoint, of, params)
        cause = ""
        try:
            if self._clock.wants_time:
                self._time_check.run(queued_call)
            if endpoint.places and queued_call.call.deadline_in is not None:
                encoded = self._with_deadline(encoded, queued_call)
            reply = self._exchange(account, endpoint, encoded, queued_call)
        except InvalidNonce as error:
            cause = self._diagnosis(account)
            refused = InvalidNonce(f"Kraken refused the nonce (EAPI:Invalid nonce); nothing was executed. {cause}",
                                   kraken_code=error.kraken_code)  # fmt: skip
            self._limits.after(account.name, endpoint, params, refused, cause=f"EAPI:Invalid nonce: {cause}")
            raise refused from None
        except CallError as error:
            told = self._otps.explained(error, account, endpoint.name, lambda: self._ask_about_key(queued_call))
            self._limits.after(account.name, endpoint, params, told)
            raise told from None
        if account.key_id not in self._otps.good:
            self._otps.passed(account.key_id)
        if self._fence.is_needed:
            self._fence.accepted(account.key_id)
        try:
            self._limits.after(account.name, endpoint, params, None, result=reply.result)
        except Exception:  # what was done is done, whatever the count of it meets
            logger.warning("The limits could not take in a reply to %s.", endpoint.name, exc_info=True)
        if endpoint.name in SHAPES:
            compare(endpoint.name, reply.result, partial(self._drift.note, endpoint.name))
        return reply

    def _with_deadline(self, encoded: Body, queued_call: QueuedCall) -> Body:
        """With the order's deadline by Kraken's clock; its sender is asked first. Raises `CallNotSent`."""
        now, seconds = self._clock.kraken, queued_call.call.deadline_in or 0.0
        deadline = queued_call.sending(None if now is None else now + seconds)
        return encoded if deadline is None else encoded.with_deadline(deadline)

    def _exchange(self, account: Account, endpoint: Endpoint, encoded: Body, queued_call: QueuedCall) -> KrakenReply:
        self._owner.check()
        nonce = self._nonces.issue(account.key_id, cancel=endpoint.call_class is CallClass.CANCEL)
        self._issued[account.name] += 1
        body = encoded.with_nonce(nonce)
        headers = self._signers[account.name].headers(endpoint.path, body, nonce, encoded.content_type)
        if queued_call.was_cut:
            raise CallNotSent(CUT)
        self.is_out = True
        answer = self._transport.post(endpoint.path, body, headers, deadline=queued_call.deadline, token=queued_call)
        if answer.status == HTTP_OK:  # the pages of a proxy or a gateway have dates of their own
            self._clock.learn_date(answer.date)
        return read_reply(
            answer.status, answer.body, endpoint, now=self._clock.wall_ns() / 1e9, retry_after=answer.retry_after,
            note=partial(self._drift.note, endpoint.name),
        )  # fmt: skip

    def _ask_about_key(self, queued_call: QueuedCall) -> None:
        """Make the one call that no missing permission can refuse, in the time of the call that was denied."""
        self._send(self._account(queued_call.call.account), KEY_QUESTION, {}, queued_call, KEY_QUESTION.call_class)

    def _diagnosis(self, account: Account) -> str:
        """The likely cause of a refused nonce that was higher than all before it."""
        lead = (self._nonces.mark(account.key_id) - self._clock.wall_ns()) / 1e9
        return diagnose_nonce(
            first_use=not self._limits.was_accepted(account.name), skew=self._clock.skew, lead=lead - AHEAD / 1e9
        )


def distinct(accounts: Iterable[Any]) -> tuple[Account, ...]:
    """The accounts as `Account`; raises `ConfigError` when two share a name or an API key."""
    read = tuple(Account.of(each) for each in accounts)
    names: dict[str, Account] = {}
    keys: dict[str, Account] = {}
    for account in read:
        if account.name in names:
            raise ConfigError(f"Two accounts are called {account.name}: give each a name of its own.")
        if account.key_id in keys:
            raise ConfigError(
                f"Accounts {keys[account.key_id].name} and {account.name} have the same API key: "
                "make a key for each at Kraken."
            )
        names[account.name] = keys[account.key_id] = account
    return read


def as_call_error(error: BaseException, *, is_out: bool) -> CallError:
    """The error for an unforeseen exception; `is_out` says whether the call may have gone out."""
    if not is_out:
        return CallNotSent(f"The engine failed before the call was sent ({type(error).__name__}).")
    return CallUnknown(f"The engine failed during the call ({type(error).__name__}): look up what became of it.")
