"""What a pass gathers: what comes too late is not there, and never an error of ours."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.actors.runtime.isolation import GivenUp
from engine.actors.trading.context import Unsettled
from engine.actors.trading.view_builder import GRACE, ViewBuilder
from engine.errors import ConnectFailed, EngineStopped, StoreError
from engine.kraken.drift import Note, unnoted
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.fees import Fee
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.view import KeyFacts
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.stream.price_subscription import PushedPrice
from engine.values import SYSTEM_CLOCK, Pair
from tests.rules.gates.test_gates import FEE, XBT
from tests.stopwatch import PATIENCE

TICKER = {"XXBTZUSD": {"a": ["30000.0", "1", "1"], "b": ["29999.9", "1", "1"], "c": ["30000.0", "1"]}}
SOON_OVER = 0.2 - GRACE  # seconds that leave a moment, with the grace that every wait has


class Around:
    """An engine of which each part can be made to fail or to hang."""

    def __init__(self) -> None:
        self.balance = BalanceSnapshot("MASTER", as_of=datetime.now(UTC), cash=Decimal(1), available_cash=Decimal(1))
        self.system: Any = {"status": "online"}
        self.released = threading.Event()

    def refreshed(self, account: str, max_age: float, seconds: float) -> BalanceSnapshot:
        return self.balance

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        return self.system if endpoint == "SystemStatus" else TICKER

    def pushed(self, pairs: Collection[Pair], max_age: float) -> Mapping[str, PushedPrice]:
        return {}

    def noter(self, endpoint: str) -> Note:
        return unnoted

    def pair(self, name: str, seconds: float) -> Pair:
        return XBT

    def refresh_fees(self, account: str, pairs: Collection[Pair], seconds: float) -> None:
        self.asked_fees = [pair.id for pair in pairs]

    def fee(self, account: str, pair: Pair) -> Fee:
        return FEE

    def known(self, account: str) -> BalanceSnapshot:
        return self.balance

    def plain_name(self, asset: str) -> str:
        return {"XXBT": "XBT", "ZUSD": "USD", "LATE": "LATE"}[asset]

    def lane(self, account: str) -> tuple[KeyFacts | None, float | None]:
        return None, None

    def unsettled(self, account: str) -> Unsettled:
        return Unsettled((), {})

    def send(self, account: str, order: Order, seconds: float | None, *, live: bool) -> OrderReceipt:
        raise AssertionError("looking sends nothing")


def look(around: Around, *, seconds: float = PATIENCE, given_up: bool = False, **plan: Any) -> Any:
    view_builder = ViewBuilder("MASTER", around, SYSTEM_CLOCK, counts=True, is_given_up=lambda: given_up)
    try:
        return view_builder.look(TradePlan(**plan), seconds, live=False)
    finally:
        around.released.set()


def test_everything_is_in_the_view() -> None:
    around = Around()
    view = look(around, data={"mine": ("OHLC", {})})
    market = view.market("XBTUSD")
    assert (around.asked_fees, market.fee) == (["XXBTZUSD"], FEE)
    assert (market.pair, market.base, market.quote, market.problem) == (XBT, "XBT", "USD", None)
    assert market.ticker.ask == 30000
    assert view.system.status == "online"
    assert view.was_refreshed
    assert view.data == {"mine": TICKER}
    assert view.now >= view.data_at["mine"] >= market.at - 1
    assert view.missing == {}


def test_a_pair_that_becomes_known_too_late_has_no_price_and_is_no_error() -> None:
    class Late(Around):
        def pair(self, name: str, seconds: float) -> Pair:
            if name == "XBT/USD":
                self.released.wait(PATIENCE)
                return Pair(**{each: getattr(XBT, each) for each in Pair.__slots__} | {"id": "LATE", "base": "LATE"})
            return XBT

        def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
            if endpoint == "Ticker":
                self.released.set()
            return super().public(endpoint, params, seconds)

    view = look(Late(), seconds=SOON_OVER, pairs=("XBTUSD", "XBT/USD"))
    assert view.market("XBTUSD").ticker is not None
    assert view.markets["XBT/USD"].ticker is None
    assert view.markets["XBT/USD"].problem == "No answer came in time."


@pytest.mark.parametrize("what", ["refreshed", "public", "pair", "unsettled"])
def test_a_hung_call_is_missing_and_delays_nobody(what: str) -> None:
    around = Around()

    def hang(*_: Any) -> Any:
        around.released.wait(PATIENCE)
        raise EngineStopped("It was cut.")

    setattr(around, what, hang)
    view = look(around, seconds=SOON_OVER, data={"mine": ("OHLC", {})})
    told = " ".join((*view.unsettled, str(view.markets["XBTUSD"].problem), str(view.system.problem)))
    assert ("No answer came in time." in told) == (what != "refreshed")
    assert bool(view.unsettled) == (what == "unsettled")
    assert ("mine" in view.data) == (what != "public")


@pytest.mark.parametrize("error", [ConnectFailed("Gone."), StoreError("Gone."), ValueError("Gone."), KeyError("Gone.")])
def test_what_fails_says_why(error: Exception) -> None:
    around = Around()

    def fail(*_: Any) -> Any:
        raise error

    for what in ("public", "pair", "unsettled", "refreshed"):
        setattr(around, what, fail)
    view = look(around, data={"mine": ("OHLC", {})})
    for told in (view.system.problem, view.markets["XBTUSD"].problem, view.missing["mine"], *view.unsettled):
        assert "Gone." in told


@pytest.mark.parametrize("wrong", [{}, {"status": None}, {"status": 7}])
def test_a_status_that_cannot_be_read_is_not_known(wrong: Any) -> None:
    around = Around()
    around.system = wrong
    assert look(around).system.status is None


def test_a_balance_that_was_old_before_the_pass_began_was_not_refreshed() -> None:
    around = Around()
    around.balance = BalanceSnapshot("MASTER", as_of=datetime(2026, 1, 1, tzinfo=UTC), cash=Decimal(1))
    assert not look(around).was_refreshed
    around.balance = BalanceSnapshot("MASTER")
    assert not look(around).was_refreshed


def test_a_look_that_is_given_up_ends_at_once() -> None:
    with pytest.raises(GivenUp):
        look(Around(), given_up=True)
