"""Finds out what Kraken's documentation leaves open, with one safe question after another. Nothing is placed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.actors.events import CallFinished
from engine.app import Engine
from engine.doctor.changes import in_percent
from engine.doctor.finding import Finding, Level, bad, ok, warn
from engine.doctor.order_question import OrderQuestion
from engine.doctor.place_probe import PlaceProbe
from engine.doctor.public_client import PublicClient
from engine.doctor.refusal import is_about_key
from engine.errors import CallError, CallRefused, EngineError, LockedOut, RateLimited
from engine.kraken.assets import AssetTable
from engine.kraken.fact_readings import (
    ALTNAME,
    SPELLINGS,
    PublicAnswer,
    Reading,
    earning,
    read_auto_earn,
    read_fee,
    read_names,
    read_post,
    read_ticker,
    read_venues,
    read_wallets,
    wallets_of,
)
from engine.kraken.facts import (
    BOOLEANS,
    COST,
    EARN,
    FACTS,
    FEE,
    NAMES,
    ORDER,
    PLACED,
    POST,
    PRODUCTS,
    TICKER,
    VENUES,
    WALLETS,
    Learnt,
    NotSettled,
)
from engine.kraken.pairs import read_pairs
from engine.kraken.tickers import read_tickers
from engine.rules.gates.smallest_order import far_below
from engine.values import Clock, Pair, Settings, Ticker

PAUSE = 1.0  # seconds between two calls: Kraken takes about one public call a second, and counts private ones
PATIENCE = 10.0  # seconds for one call
UNKNOWN_PAIR = "NOSUCHPAIR"
WALLETS_AT_MOST = 5
QUOTE = "ZUSD"


@dataclass(frozen=True, slots=True)
class NotLearnt:
    """A question that is not settled, and why, as a whole sentence."""

    fact: str
    why: str


class FactFinder:
    """One run of the questions, for one account of a running engine that keeps no balances.

    `pause`: seconds before each call.
    """

    def __init__(
        self, engine: Engine, account: str, *, url: str, settings: Settings, clock: Clock, pause: float = PAUSE
    ) -> None:
        self._engine, self._account, self._settings, self._clock = engine, account, settings, clock
        self._pause = pause
        self._stop = threading.Event()
        self._public = PublicClient(url, settings, clock)
        self._limited = self._calls = 0
        self._refused: CallError | None = None
        self._order = OrderQuestion(self.call, settings)

    def questions(self) -> Mapping[str, Callable[[], Reading]]:
        """Every question by its fact, in the order in which they are asked."""
        return {
            NAMES: self._names,
            TICKER: lambda: read_ticker(self.public("Ticker", pair=f"{ALTNAME},{UNKNOWN_PAIR}")),
            VENUES: lambda: read_venues(self.public("AssetPairs")),
            POST: lambda: read_post(self.public("Time", post=True)),
            EARN: self._auto_earn,
            FEE: self._fee,
            BOOLEANS: self._booleans,
            WALLETS: self._wallets,
            ORDER: self._ask_order,
            PRODUCTS: lambda: self._order.product(self._order.was_refused),
            COST: self._cost,
        }

    def learn(self, *, place: bool = False) -> Iterator[Learnt | NotLearnt]:
        """Ask all questions; a failed one is not settled, and the others go on. Never raises for the network.

        place: ask only the question that needs a real order, and a live engine.
        """
        questions = {PLACED: self._place} if place else self.questions()
        self._engine.subscribe(self._count)
        try:
            with contextlib.closing(self._public):
                for fact, question in questions.items():
                    yield self._settled(fact, question)
        finally:
            self._engine.unsubscribe(self._count)

    def public(self, endpoint: str, *, post: bool = False, **params: str) -> PublicAnswer:
        """One public call, after a pause."""
        self._stop.wait(self._pause)
        return self._public.ask(endpoint, params, post=post)

    def call(self, endpoint: str, params: Mapping[str, Any] | None = None) -> Any:
        """One private call through the lane, after a pause. A refused key is not used again."""
        if self._refused is not None:
            raise NotSettled("Kraken refuses the key, which is not used again.")
        self._stop.wait(self._pause)
        try:
            return self._engine.call(self._account, endpoint, params, PATIENCE)
        except CallError as error:
            is_held_back = isinstance(error, LockedOut)  # nothing was sent; it may be this call alone
            self._refused = error if is_about_key(error) and not is_held_back else None
            raise

    def _settled(self, fact: str, question: Callable[[], Reading]) -> Learnt | NotLearnt:
        try:
            answer, seen = question()
        except (NotSettled, EngineError) as error:
            return NotLearnt(fact, str(error))
        except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError):
            return NotLearnt(fact, "Kraken's reply cannot be read.")
        assert answer in FACTS[fact].answers
        return Learnt(fact, answer, seen, self._account, self._clock.wall_ns() / 1e9)

    def _count(self, event: Any) -> None:
        if isinstance(event, CallFinished):
            self._calls += 1
            self._limited += isinstance(event.error, RateLimited)

    # The questions

    def _names(self) -> Reading:
        return read_names({name: self.public("AssetPairs", pair=name) for name in SPELLINGS})

    def _auto_earn(self) -> Reading:
        rows = self.call("BalanceEx")
        amounts = earning(rows)
        if not any(earn for _, earn in amounts.values()):
            raise NotSettled("The account has no Auto-Earn row (.F) with money in it.")
        equivalent = self.call("TradeBalance", {"asset": QUOTE})
        return read_auto_earn(rows, equivalent.get("eb"), self._prices(amounts))

    def _prices(self, names: Mapping[str, Any]) -> dict[str, Decimal]:
        """The price of each asset in US dollars, for those that Kraken trades against it."""
        table = AssetTable.shipped()
        listed = set(read_pairs(self.public("AssetPairs").result).values())
        pairs = {table.locate(pair.base).asset: pair for pair in listed
                 if table.locate(pair.quote).asset == "USD" and not pair.venue}  # fmt: skip
        wanted = [pairs[name] for name in names if name in pairs]
        if not wanted:
            return {"USD": Decimal(1)}
        told = read_tickers(self.public("Ticker", pair=",".join(pair.altname for pair in wanted)).result)
        by_pair = {pair: told.get(pair.id) or told.get(pair.altname) for pair in wanted}
        return {"USD": Decimal(1)} | {
            table.locate(pair.base).asset: ticker.bid
            for pair, ticker in by_pair.items() if isinstance(ticker, Ticker)
        }  # fmt: skip

    def _pair(self) -> Pair:
        """The pair of bitcoin with the first cash."""
        name = f"XBT{next(iter(self._settings.cash), 'USD')}"
        found = set(read_pairs(self.public("AssetPairs", pair=name).result).values())
        if len(found) != 1:
            raise NotSettled(f"Kraken's answer for the pair {name} cannot be read.")
        return found.pop()

    def _fee(self) -> Reading:
        pair = self._pair()
        result = self.call("TradeVolume", {"pair": pair.altname, "fee_schedule": "true"})
        answer, seen = read_fee(result, (pair.id, pair.altname, pair.wsname, pair.wsname.replace("XBT", "BTC")))
        return answer, f"{seen} The bound in use without it is {in_percent(self._settings.fee_bound)}."

    def _booleans(self) -> Reading:
        """Uses a read: no order is ever tried with a spelling that may not mean a dry run."""
        try:
            self.call("TradeVolume", {"pair": ALTNAME, "fee_schedule": "True"})
        except CallRefused as error:
            if not error.kraken_code or not error.kraken_code.startswith("EGeneral:Invalid arguments"):
                raise
            return "refused", "TradeVolume does not take fee_schedule=True."
        return "taken", "TradeVolume takes fee_schedule=True."

    def _wallets(self) -> Reading:
        ids = wallets_of(self.call("ListWalletAccounts"))
        if not ids:
            raise NotSettled("Kraken's list of wallets is empty, or cannot be read.")
        if len(ids) == 1:
            return "one", "The account has one wallet."
        plain = self.call("Balance")
        try:
            return read_wallets(plain, [self.call("Balance", {"account_id": each}) for each in ids[:WALLETS_AT_MOST]])
        except CallRefused:
            return "several", f"The account has {len(ids)} wallets, and Balance was refused for one of them."

    def _ask_order(self) -> Reading:
        pair = self._pair()
        return self._order.ask(pair, self._bid(pair), lambda: int(self.public("Time").result["unixtime"]))

    def _place(self) -> Reading:
        pair = self._pair()
        return PlaceProbe(self._engine, self._account, self._settings, self._clock, 2 * self._pause).ask(
            far_below(pair, self._bid(pair))
        )

    def _bid(self, pair: Pair) -> Decimal:
        told = read_tickers(self.public("Ticker", pair=pair.altname).result)
        ticker = next(iter(told.values()), None)
        if not isinstance(ticker, Ticker):
            raise NotSettled(f"Kraken gives no price for {pair.altname}.")
        return ticker.bid

    def _cost(self) -> Reading:
        if not self._calls:
            raise NotSettled("No call was made.")
        if self._limited:
            return "earlier", f"Kraken limited {self._limited} of {self._calls} calls although our count had room."
        return "as-counted", f"Kraken limited none of {self._calls} calls."


def finding_of(told: Learnt | NotLearnt) -> Finding:
    """The finding for a learnt fact, with its consequence."""
    if isinstance(told, NotLearnt):
        return Finding(told.fact, None, Level.SKIPPED, f"Not settled: {told.why}")
    account = told.account if FACTS[told.fact].of_account else None
    found = f"{told.seen} {told.consequence}"
    advice = FACTS[told.fact].advice.get(told.answer)
    if advice is None:
        return ok(told.fact, found, account)
    return (bad if told.is_harmful else warn)(told.fact, found, advice, account)
