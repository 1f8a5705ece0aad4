"""The exchange: authenticates, checks and executes calls. No sockets and no delays.

Every private call passes these checks in this order; the first that fails is the answer::

    method known → body readable → not locked out → key → nonce readable → signature → nonce → otp
    → permission → call counter
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.api_call import ApiCall
from engine.simulator.book import MarketState
from engine.simulator.call_limits import COSTS, USUAL_COST, KeyCounter, Lockout
from engine.simulator.customers import Customer, Key, SimAccount
from engine.simulator.market import ListedPair
from engine.simulator.nonce_tracker import NonceTracker, read_nonce
from engine.simulator.prices import Prices
from engine.simulator.private_endpoints import ENDPOINTS, PrivateEndpoint
from engine.simulator.public_endpoints import PublicEndpoints
from engine.simulator.refusal import Partly, Refused, TooMany
from engine.simulator.rules import Rules
from engine.simulator.trading_limits import TIERS, PairCounters


class CallResult(NamedTuple):
    """The result of a call.

    executed: it took effect, or the data were read.  partial: there is a result beside the error.
    wait: the public limit is exceeded; seconds to wait.
    """

    result: Any = None
    error: str | None = None
    executed: bool = False
    partial: bool = False
    wait: float | None = None


class Late(NamedTuple):
    """A call whose effect comes later."""

    due: float
    customer: Customer
    endpoint: PrivateEndpoint
    params: Mapping[str, Any]


class Exchange:
    """Accounts and their calls. Thread-safe: calls are checked and executed one at a time."""

    def __init__(self, accounts: Iterable[SimAccount], rules: Rules) -> None:
        self._rules = rules
        self._costs = {**COSTS, **rules.costs}
        self._lock = threading.Lock()
        self._by_name: dict[str, Customer] = {}
        self._by_key: dict[str, Customer] = {}
        self._by_iban: dict[str, Customer] = {}
        self._lockout = Lockout(rules.lockout_after, rules.lockout_for, rules.monotonic)
        self._late: list[Late] = []
        self._tier = TIERS[rules.tier] if rules.tier else None
        self._public_counter = KeyCounter(*rules.public_limit, rules.monotonic) if rules.public_limit else None
        self.market = MarketState(rules.wall, Prices(rules.wall), rules)
        self.public = PublicEndpoints(self.market)
        for account in accounts:
            self.add(account)

    @property
    def accounts(self) -> list[SimAccount]:
        """The accounts with the keys they have now, in the order they were added."""
        with self._lock:
            return [customer.key.account for customer in self._by_name.values()]

    def add(self, account: SimAccount) -> None:
        """Open an account."""
        with self._lock:
            if account.name in self._by_name or account.key in self._by_key:
                raise ValueError(f"there is an account {account.name} or its key already")
            counter = PairCounters(self._tier, self._rules.monotonic)
            key = self._new_key(account)
            customer = Customer(key, self.market, counter, hold_on_earn=self._rules.hold_on_earn)
            self._by_name[account.name] = self._by_key[account.key] = customer
            customer.others = self._by_iban
            self._by_iban[customer.iban] = customer

    def replace_key(self, account: SimAccount) -> None:
        """Give an account another key; the old one is unknown from now on."""
        with self.customer(account.name) as customer:
            del self._by_key[customer.key.account.key]
            customer.key = self._new_key(account)
            self._by_key[account.key] = customer

    @contextmanager
    def customer(self, name: str) -> Iterator[Customer]:
        """An account to read or change; no call is executed meanwhile."""
        with self._lock:
            if name not in self._by_name:
                raise LookupError(f"there is no account {name}")
            self._run_late()
            yield self._by_name[name]

    def move_price(self, pair: ListedPair, bid: Decimal, ask: Decimal) -> bool:
        """Change a price: resting orders that it reaches are filled. Returns whether the last trade has another price.
        """
        with self._lock:
            before = self.market.prices.quote(pair).last
            self._run_late()
            books = [customer.book for customer in self._by_name.values()]
            for book in books:
                book.catch_up()
            self.market.prices.move(pair, bid, ask)
            for book in books:
                book.price_moved(pair)
            return self.market.prices.quote(pair).last != before

    def owner(self, key: str) -> str | None:
        """The owner of a key, revoked or not."""
        with self._lock:
            customer = self._by_key.get(key)
            return customer.key.account.name if customer else None

    def owner_of_token(self, token: str) -> str | None:
        """The account whose token it is; `None` when there is no such token, or its time is over."""
        with self._lock:
            now = self._rules.wall()
            found = (each.key for each in self._by_name.values() if each.key.tokens.get(token, 0.0) > now)
            return next((key.account.name for key in found), None)

    def answer(self, asked: ApiCall, *, execute: bool = True, late: float = 0.0) -> CallResult:
        """Check a call and execute it. Without `execute` it is only checked; the nonce is spent.

        With `late` it is judged now, and executed so many seconds later by the exchange's clock.
        """
        try:
            if asked.private:
                return self._answer_private(asked, execute, late)
            return self._answer_public(asked, execute)
        except TooMany as refusal:
            return CallResult(error=str(refusal), wait=refusal.seconds)
        except Partly as refusal:
            return CallResult(refusal.result, str(refusal), executed=refusal.result is not None, partial=True)
        except Refused as refusal:
            return CallResult(error=str(refusal))

    def _answer_public(self, asked: ApiCall, execute: bool) -> CallResult:
        run = self.public.endpoints.get(asked.endpoint)
        if run is None:
            raise Refused("EGeneral:Unknown method")
        if asked.params is None or not (asked.fits or self._rules.public_post):
            raise Refused("EAPI:Bad request")
        self._count_public()
        return CallResult(run(asked.params), executed=True) if execute else CallResult()

    def _count_public(self) -> None:
        with self._lock:
            if self._public_counter is not None and not self._public_counter.takes(USUAL_COST):
                raise TooMany(_seconds(USUAL_COST, self._rules.public_limit))

    def _answer_private(self, asked: ApiCall, execute: bool, late: float) -> CallResult:
        endpoint = ENDPOINTS.get(asked.endpoint)
        if endpoint is None:
            raise Refused("EGeneral:Unknown method")
        if asked.params is None or not asked.fits:
            raise Refused("EAPI:Bad request")
        with self._lock:
            self._run_late()
            customer = self._admit(asked, endpoint)
            if not execute:
                return CallResult()
            if late:
                self._late.append(Late(self._rules.wall() + late, customer, endpoint, asked.params))
                return CallResult()
            result = endpoint.run(customer, asked.params)
            return CallResult(self._dressed(asked, result), executed=True)

    def _run_late(self) -> None:
        """Execute the late calls that are due, in order, each at its own time."""
        now = self._rules.wall()
        for each in sorted((each for each in self._late if each.due <= now), key=lambda each: each.due):
            self._late.remove(each)
            with suppress(Refused), self.market.moment(each.due):  # nobody hears of a refusal any more
                each.endpoint.run(each.customer, each.params)

    def _dressed(self, asked: ApiCall, result: Any) -> Any:
        """The result, formatted according to the rules."""
        if asked.endpoint == "GetApiKeyInfo" and self._rules.snake_case:
            told = {_snake(name): value for name, value in result.items()}
            return told | {"nonce_window": str(told["nonce_window"])}
        if asked.endpoint == "BalanceEx" and self._rules.numbers:
            return {name: {column: float(text) for column, text in row.items()} for name, row in result.items()}
        if asked.endpoint == "AddOrder" and self._rules.echo_id and (asked.params or {}).get("cl_ord_id"):
            return {**result, "cl_ord_id": asked.params["cl_ord_id"]}  # type: ignore[index]
        return result

    def _admit(self, asked: ApiCall, endpoint: PrivateEndpoint) -> Customer:
        if self._lockout.holds(asked.key):
            raise Refused("EGeneral:Temporary lockout")
        try:
            customer, nonce = self._authenticate(asked)
        except Refused as refusal:
            self._lockout.note(asked.key, str(refusal))
            raise
        self._lockout.note(asked.key, None)
        self._authorize(asked, endpoint, customer.key, nonce)
        return customer

    def _authenticate(self, asked: ApiCall) -> tuple[Customer, int]:
        customer = self._by_key.get(asked.key)
        if customer is None or customer.key.is_revoked:
            raise Refused("EAPI:Invalid key")
        nonce, nonces = read_nonce(asked.nonce), customer.key.nonces
        if nonce is None:
            raise Refused("EAPI:Invalid nonce")
        if not asked.is_signed_with(customer.key.account.secret):
            self._spend_if("signature", nonces, nonce)
            raise Refused(self._rules.signature_error)
        if not nonces.accepts(nonce):
            raise Refused("EAPI:Invalid nonce")
        if customer.key.otp is not None and (asked.params or {}).get("otp") != customer.key.otp:
            nonces.spend(nonce)
            raise Refused(self._rules.otp_error)
        return customer, nonce

    def _authorize(self, asked: ApiCall, endpoint: PrivateEndpoint, key: Key, nonce: int) -> None:
        if not (key.may(endpoint.needs) and key.may(endpoint.also)):
            self._spend_if("permission", key.nonces, nonce)
            raise Refused("EGeneral:Permission denied")
        key.nonces.spend(nonce)
        cost = self._costs.get(asked.endpoint, USUAL_COST)
        if key.counter is not None and not key.counter.takes(cost):
            again = f": {int(self._rules.wall() + _seconds(cost, self._call_limit))}"
            raise Refused(f"EAPI:Rate limit exceeded{again if self._rules.rate_limit_time else ''}")

    def _spend_if(self, refusal: str, nonces: NonceTracker, nonce: int) -> None:
        if refusal in self._rules.nonce_spent_by_refusals:
            nonces.spend(nonce)

    @property
    def _call_limit(self) -> tuple[float, float] | None:
        return self._rules.call_limit or (self._tier and (self._tier.calls, self._tier.calls_decay))

    def _new_key(self, account: SimAccount) -> Key:
        rules = self._rules
        nonces = NonceTracker(window=rules.nonce_window, reuse=rules.nonce_reuse)
        limit = self._call_limit
        counter = KeyCounter(*limit, rules.monotonic, every=rules.decay_every) if limit else None
        return Key(account, nonces, counter)


def _seconds(cost: float, limit: tuple[float, float] | None) -> float:
    """Whole seconds until a counter has room for a call of this cost."""
    return math.ceil(cost / limit[1]) if limit and limit[1] else 1


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
