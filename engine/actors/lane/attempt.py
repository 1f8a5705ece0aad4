"""One attempt at one private call: checked, given a nonce, signed, sent once, and its reply read."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from engine.actors.drift_log import DriftLog
from engine.actors.lane.limits import Limits
from engine.actors.lane.messages import AccountChange, AddAccount, PrivateCall, RemoveAccount
from engine.actors.lane.otp_watch import OtpWatch
from engine.actors.lane.queued_call import QueuedCall
from engine.actors.lane.report import KeyReport, LaneReport
from engine.actors.lane.trusted_clock import TrustedClock
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    InvalidNonce,
    NotLive,
    OtherKey,
    UnknownName,
)
from engine.kraken.endpoints import CallClass, Endpoint, call_class, is_dry_run, private_endpoint, public_endpoint
from engine.kraken.pair_names import with_names
from engine.kraken.replies import Reply, read_reply
from engine.kraken.shapes import compare
from engine.kraken.signing import Body, Signer, encode
from engine.kraken.unlisted import endpoint_of
from engine.ownership import Ownership
from engine.rules.lane.nonce import AHEAD
from engine.rules.lane.nonce_diagnosis import diagnose_nonce
from engine.rules.lane.otp import KEY_INFO
from engine.store.nonces import Nonces
from engine.transport import Transport
from engine.values import Account, Settings

_TIME = public_endpoint("Time")
HTTP_OK = 200
TIME_PATIENCE = 2.0  # seconds that Kraken's time may take, and a third of the call's time at most
ASK_TIME_AGAIN = 30.0


class Lane:
    """What the `KrakenPrivateActor` owns: the keys, their nonces and the one connection.

    `disk` is the thread in which nonces and limits write what no call has to wait for.

    Not thread-safe but for `cut` and `report`: it lives in the actor's thread.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        ownership: Ownership,
        nonces: Nonces,
        limits: Limits,
        transport: Transport,
        disk: Executor,
        *,
        settings: Settings,
        live: bool,
        clock: TrustedClock,
        drift: DriftLog,
    ) -> None:
        accounts = tuple(accounts)
        self._accounts = {account.name: account for account in accounts}
        self._signers = {name: Signer(account.secret) for name, account in self._accounts.items()}
        self._ownership = ownership
        self._nonces = nonces
        self._limits = limits
        self._transport = transport
        self._disk = disk
        self._settings = settings
        self._live = live
        self._clock = clock
        self._drift = drift
        self._otps = OtpWatch()
        self._ask_time_after = float("-inf")
        self._issued = Counter[str]()

    def attempt(self, call: PrivateCall, deadline: float, token: QueuedCall) -> Reply:
        """Make the call; raises exactly one `CallError` when it is not done.

        `token` names the call for `cut`, and says between two exchanges that it was cut.

        `EAPI:Invalid nonce` proves that nothing was executed, so the call is signed again once, with a fresh nonce.
        Behind a proxy it proves nothing, since the proxy may have sent the first copy twice: a write is *unknown* then.
        """
        account = self._account(call.account)
        endpoint = endpoint_of(call.endpoint, call.params, call.endpoint_class)
        self._permit(endpoint, call.params)
        try:
            return self._send(account, endpoint, call, deadline, token)
        except InvalidNonce as error:
            if self._settings.proxy and endpoint.writes:
                raise CallUnknown(
                    "Kraken refused the nonce, but a proxy in between may have sent the call twice: look it up.",
                    kraken_code=error.kraken_code,
                ) from None
            if not self._limits.may_sign_again(account.name):
                raise
        return self._send(account, endpoint, call, deadline, token)

    def resume(self, account: str) -> None:
        """The account's key is mended: its calls go again at once. Raises `UnknownName`."""
        self._otps.forget(self._account(account).key_id)
        self._limits.resume(account)

    def key_id(self, account: str) -> str:
        """Which key the account has now."""
        return self._account(account).key_id

    def change(self, change: AccountChange) -> None:
        """Add or remove an account, or give it another key. Raises `ConfigError` or `StoreInUse`; nothing changes then.

        The nonce marks of a key that goes stay in the store: should it come back, its nonces go on above them.
        """
        account = change.account
        match change:
            case AddAccount():
                distinct([*self._accounts.values(), account])
                self._take_key(account)
                self._limits.add(account)
            case RemoveAccount():
                self._ownership.release_key(self._account(account.name).key_id)
                del self._accounts[account.name], self._signers[account.name]
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
            self._ownership.release_key(before.key_id)
        self._limits.replace_key(account)

    def _take_key(self, account: Account) -> None:
        self._ownership.claim_key(account.name, account.key_id)
        self._use_key(account)

    def _use_key(self, account: Account) -> None:
        self._otps.forget(account.key_id)
        self._accounts[account.name] = account
        self._signers[account.name] = Signer(account.secret)

    def cut(self, token: QueuedCall) -> bool:
        """End the exchange of that call at once, from another thread; `False` when it is not under way."""
        return self._transport.cut(token)

    def report(self, *only: str) -> LaneReport:
        """Where it stands, with all keys or only those accounts'. Any thread may ask; it waits for nothing."""
        keys = {}
        for name in only or tuple(self._accounts):
            with contextlib.suppress(KeyError):  # it is not here, or not any more
                account = self._accounts[name]
                trades, trades_limit = self._limits.trades(name)
                keys[name] = KeyReport(
                    *self._limits.level(name), denied_markets=self._limits.denied_markets(name),
                    nonces=self._issued[name], lead=self._nonces.lead(account.key_id),
                    mark=self._nonces.mark(account.key_id), denied=self._limits.denied(name),
                    trades=trades, trades_limit=trades_limit, limited=self._limits.limited(name),
                )  # fmt: skip
        return LaneReport(keys, self._clock.skew, self._nonces.reservations, self._nonces.write_seconds)

    def close(self) -> None:
        """Close the connection and the store, then give the directory and the keys back."""
        with contextlib.ExitStack() as closing:  # in the reverse order, and all of it, whatever fails
            closing.callback(self._ownership.release)
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

    def _permit(self, endpoint: Endpoint, params: Mapping[str, Any]) -> None:
        if endpoint.funds and not self._settings.allow_withdrawals:
            raise CallNotSent(
                f"{endpoint.name} moves money out: set allow_withdrawals to let it "
                "through ([settings] allow_withdrawals = true in the configuration file)."
            )
        is_dry_run_or_cancel = is_dry_run(endpoint, params) or endpoint.call_class is CallClass.CANCEL
        if endpoint.writes and not self._live and not is_dry_run_or_cancel:
            raise NotLive(
                f"{endpoint.name} would change something at Kraken and the engine is not live: start it with `live` "
                "(--live)"
                + (", or add validate=true." if endpoint.validates else ".")
            )

    def _send(
        self, account: Account, endpoint: Endpoint, call: PrivateCall, deadline: float, token: QueuedCall
    ) -> Reply:
        """One exchange, between the two questions to the limits: may it go, and what follows from its end."""
        if call.key_id not in (None, account.key_id):
            raise OtherKey(f"Account {account.name} has another API key by now; nothing was sent with it.")
        params = with_names(endpoint.name, call.params)
        encoded = encode(endpoint, params, otp=account.otp)  # first: what cannot be sent must not cost a nonce
        self._limits.check(account.name, endpoint, call_class(endpoint, params), params)
        cause = ""
        try:
            self._ask_time(deadline, token)
            if call.at_send is not None:
                encoded = encode(endpoint, {**params, **call.at_send(self._clock.kraken)}, otp=account.otp)
            reply = self._exchange(account, endpoint, encoded, deadline, token)
        except InvalidNonce as error:
            cause = self._diagnosis(account)
            refused = InvalidNonce(f"Kraken refused the nonce (EAPI:Invalid nonce); nothing was executed. {cause}",
                                   kraken_code=error.kraken_code)  # fmt: skip
            self._limits.after(account.name, endpoint, params, refused, cause=f"EAPI:Invalid nonce: {cause}")
            raise refused from None
        except CallError as error:
            told = self._otps.explained(
                error, account, endpoint.name, lambda: self._ask_about_key(account, deadline, token)
            )
            self._limits.after(account.name, endpoint, params, told)
            raise told from None
        self._otps.passed(account.key_id)
        self._limits.after(account.name, endpoint, params, None, result=reply.result)
        compare(endpoint.name, reply.result, self._drift.noter(endpoint.name))
        return reply

    def _exchange(
        self, account: Account, endpoint: Endpoint, encoded: Body, deadline: float, token: QueuedCall
    ) -> Reply:
        nonce = self._nonces.issue(account.key_id, cancel=endpoint.call_class is CallClass.CANCEL)
        self._issued[account.name] += 1
        body = encoded.with_nonce(nonce)
        headers = {
            "API-Key": account.key.reveal(),
            "API-Sign": self._signers[account.name].sign(endpoint.path, body, nonce),
            "Content-Type": encoded.content_type,
        }
        _check_uncut(token)
        answer = self._transport.post(endpoint.path, body, headers, deadline=deadline, queued_call=token)
        if answer.status == HTTP_OK:  # the pages of a proxy or a gateway have dates of their own
            self._clock.learn_date(answer.date)
        return read_reply(
            answer.status, answer.body, endpoint, now=self._clock.wall_ns() / 1e9, retry_after=answer.retry_after,
            note=self._drift.noter(endpoint.name),
        )  # fmt: skip

    def _ask_about_key(self, account: Account, deadline: float, token: QueuedCall) -> None:
        """The one question that no missing permission can refuse, in the time of the call that was denied."""
        self._send(account, private_endpoint(KEY_INFO), PrivateCall(account.name, KEY_INFO), deadline, token)

    def _diagnosis(self, account: Account) -> str:
        """Why Kraken refused a nonce that was above all of ours."""
        lead = (self._nonces.mark(account.key_id) - self._clock.wall_ns()) / 1e9
        return diagnose_nonce(
            first_use=not self._limits.was_accepted(account.name), skew=self._clock.skew, lead=lead - AHEAD / 1e9
        )

    def _ask_time(self, deadline: float, token: QueuedCall) -> None:
        """Learn Kraken's time before the first nonce, so that a wrong clock cannot drive the key ahead for ever.

        Raises `ConnectFailed` when there is no connection: the call itself would find none either. Any other failure is
        no reason to hold the call back; it is tried again after a while.
        """
        now = self._clock.monotonic()
        if self._clock.is_told or now < self._ask_time_after:
            return
        patience = min(TIME_PATIENCE, (deadline - now) / 3)
        try:
            answer = self._transport.get(_TIME.path, deadline=now + patience, queued_call=token)
            if answer.status == HTTP_OK:  # a refusal has a date as well
                self._clock.learn_date(answer.date)
            told = read_reply(answer.status, answer.body, _TIME).result
            compare(_TIME.name, told, self._drift.noter(_TIME.name))
            self._clock.learn(told["unixtime"])
        except ConnectFailed:
            raise
        except (CallError, KeyError, TypeError, ValueError, OverflowError):
            self._ask_time_after = now + ASK_TIME_AGAIN
            _check_uncut(token)


def _check_uncut(token: QueuedCall) -> None:
    if token.was_cut:
        raise CallNotSent("The call was cut before it was sent.")


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


def as_call_error(error: BaseException) -> CallError:
    """An exception that nobody foresaw: whether the call went out is not known."""
    return CallUnknown(f"The engine failed during the call ({type(error).__name__}): look up what became of it.")
