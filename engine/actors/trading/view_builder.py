"""Gathers what a pass through the gates has to know, in parallel, into one frozen view."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from dataclasses import replace
from functools import partial
from typing import Any

from engine.actors.runtime.isolation import SLICE, GivenUp
from engine.actors.trading.context import GateContext, Unsettled
from engine.actors.trading.prices import TICKER, TOO_LATE, Price, PriceReader
from engine.errors import EngineError
from engine.kraken.pair_names import TOKENIZED
from engine.rules.balance.snapshot import BalanceSnapshot, moment
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.view import Market, SystemState, TradeView
from engine.values import Clock, Pair

CALLS_AT_ONCE = 8
TICKERS_AT_ONCE = 40  # pairs in one call: Kraken's edge refuses addresses that are too long
GRACE = 2.0  # seconds beyond a call's own time


class ViewBuilder:
    """The eyes of one account's passes. `is_given_up` ends every wait; `counts` is `Settings.local_limits`."""

    def __init__(
        self, account: str, engine: GateContext, clock: Clock, *, counts: bool, is_given_up: Callable[[], bool]
    ) -> None:
        self._account, self._engine, self._clock = account, engine, clock
        self._counts, self._is_given_up = counts, is_given_up
        self._prices = PriceReader(engine.public, engine.pushed, engine.noter(TICKER), clock.monotonic)

    def look(self, plan: TradePlan, seconds: float, *, live: bool) -> TradeView:
        """The view: the balance first, then what is public, in parallel. Each of the two waits takes `seconds` at most.

        Raises `GivenUp`; whatever else goes wrong is in the view.
        """
        with _Asking(self._clock, self._is_given_up) as asking:
            balance, was_refreshed = self._balance(asking, plan.max_balance_age, seconds)
            # after the balance: what was settled since then has made that one stale
            unsettled = asking.ask(partial(self._engine.unsettled, self._account))
            system = asking.ask(partial(self._engine.public, "SystemStatus", {}, seconds))
            data = {name: asking.ask(partial(self._engine.public, *call, seconds)) for name, call in plan.data.items()}
            pairs = {name: asking.ask(partial(self._engine.pair, name, seconds)) for name in plan.pairs}
            asking.wait(pairs.values(), seconds)
            prices = self._ask_prices(asking, pairs.values(), seconds, plan.max_data_age)
            fees = asking.ask(partial(self._engine.refresh_fees, self._account, _known(pairs.values()), seconds))
            asking.wait([unsettled, system, fees, *data.values(), *prices.values()], seconds)
            read = {name: each for name, each in data.items() if each.problem is None}
            sentences, reserved = _unsettled(unsettled)
            view = TradeView(
                account=self._account, plan=plan, now=0.0, balance=balance, live=live, was_refreshed=was_refreshed,
                system=_system(system), counts=self._counts,
                unsettled=sentences, reserved=reserved,
                markets={name: self._market(each, prices) for name, each in pairs.items()},
                data={name: each.value for name, each in read.items()},
                data_at={name: each.at for name, each in read.items()},
                missing={name: each.problem or TOO_LATE for name, each in data.items() if name not in read},
            )  # fmt: skip
        if self._is_given_up():
            raise GivenUp  # what was asked may have been answered by the stop
        return self.again(view)

    def again(self, view: TradeView) -> TradeView:
        """The same view at this moment: everything in it is older, and what needs no call is read anew."""
        key, skew = self._engine.lane(self._account)
        return replace(
            view, now=self._clock.monotonic(), key=key, skew=skew,
            balance=self._engine.known(self._account).at(moment(self._clock.wall_ns())),
        )  # fmt: skip

    def _balance(self, asking: _Asking, max_age: float, seconds: float) -> tuple[BalanceSnapshot, bool]:
        """The balance, and whether it was young enough when the pass began: while it was fetched it has aged."""
        began = self._clock.monotonic()
        asking.wait([asking.ask(partial(self._engine.refreshed, self._account, max_age, seconds))], seconds)
        balance = self._engine.known(self._account)
        age, taken = balance.age, self._clock.monotonic() - began
        return balance, age is not None and age - taken <= max_age

    def _ask_prices(
        self, asking: _Asking, pairs: Iterable[_Answer], seconds: float, max_age: float
    ) -> Mapping[str, _Answer]:
        """The prices by the pair's id, many pairs in one call; shares apart, since Kraken wants their class."""
        wanted = [pair for pair in _known(pairs) if not pair.venue]
        asked: dict[str, _Answer] = {}
        for shares in (False, True):
            alike = [pair for pair in wanted if (pair.asset_class == TOKENIZED) is shares]
            for first in range(0, len(alike), TICKERS_AT_ONCE):
                some = alike[first : first + TICKERS_AT_ONCE]
                call = asking.ask(partial(self._prices.ask, some, seconds, max_age))
                asked |= dict.fromkeys((pair.id for pair in some), call)
        return asked

    def _market(self, answer: _Answer, prices: Mapping[str, _Answer]) -> Market:
        if answer.problem is not None:
            return Market(problem=answer.problem)
        pair: Pair = answer.value
        base, quote = self._engine.plain_name(pair.base), self._engine.plain_name(pair.quote)
        fee = self._engine.fee(self._account, pair)
        if pair.venue:
            problem = f"Kraken's Ticker tells no prices of the venue {pair.venue}."
            return Market(pair, base, quote, problem=problem, fee=fee)
        asked = prices.get(pair.id)
        if asked is None or asked.problem is not None:  # not asked: the pair itself became known too late
            return Market(pair, base, quote, problem=TOO_LATE if asked is None else asked.problem, fee=fee)
        price: Price = asked.value[pair.id]
        return Market(pair, base, quote, price.ticker, price.at, price.problem, fee)


def _known(pairs: Iterable[_Answer]) -> list[Pair]:
    """The pairs whose facts have come, each once."""
    known: dict[str, Pair] = {each.value.id: each.value for each in pairs if each.problem is None}
    return list(known.values())


def _unsettled(answer: _Answer) -> Unsettled:
    if answer.problem is not None:
        return Unsettled((f"What became of earlier orders is not known. {answer.problem}",), {})
    known: Unsettled = answer.value
    return known


def _system(answer: _Answer) -> SystemState:
    if answer.problem is not None:
        return SystemState(problem=answer.problem)
    status = answer.value.get("status")
    if not isinstance(status, str):
        return SystemState(problem="Kraken's SystemStatus reply cannot be read.")
    return SystemState(status, answer.at)


class _Answer:
    """A question of a pass: when it was asked, and what came. `problem` is `None` once `value` is there."""

    def __init__(self, question: Callable[[], Any], clock: Clock) -> None:
        self._question, self._clock = question, clock
        self.at = float("-inf")
        self.value: Any = None
        self.problem: str | None = TOO_LATE
        self.future: futures.Future[None] | None = None

    def __call__(self) -> None:
        self.at = self._clock.monotonic()
        try:
            self.value, self.problem = self._question(), None
        except EngineError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - what the plan wants to be fetched may be anything
            self.problem = f"It could not be asked ({type(error).__name__}: {error})."


class _Asking:
    """Asks several questions at once. Those without an answer at the end are left to their own time limits."""

    def __init__(self, clock: Clock, is_given_up: Callable[[], bool]) -> None:
        self._clock, self._is_given_up = clock, is_given_up
        self._pool = futures.ThreadPoolExecutor(CALLS_AT_ONCE, "kraken-engine look")

    def __enter__(self) -> _Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, question: Callable[[], Any]) -> _Answer:
        """Ask; the answer comes later."""
        answer = _Answer(question, self._clock)
        answer.future = self._pool.submit(answer)
        return answer

    def wait(self, answers: Iterable[_Answer], seconds: float) -> None:
        """Wait for these answers, `seconds` and a little more at most. Raises `GivenUp`."""
        end = time.monotonic() + seconds + GRACE
        left = {each.future for each in answers if each.future is not None}
        while left and time.monotonic() < end:
            left = futures.wait(left, timeout=SLICE).not_done
            if left and self._is_given_up():
                raise GivenUp
