"""The simulator's book against a small model: money is conserved, holds are those of open orders, nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from engine.simulator import Simulator
from tests.machines import run
from tests.simulator.clients import Client, Clock

NAME, BEGAN = "MASTER", 1_700_000_000.0
BASES = {"XBTUSD": "XXBT", "ETHUSD": "XETH"}
QUOTE, EARN = "ZUSD", "USD.F"  # dollars that earn are spent as well
OWNED = {QUOTE: Decimal(5000), "XXBT": Decimal(1), "XETH": Decimal(2)}
MAKER, TAKER = Decimal("0.004"), Decimal("0.008")
PRICE = 1000  # dollars, of everything, in the beginning
AROUND = st.integers(-30, 30)  # ticks of a dollar
VOLUMES = st.one_of(st.integers(20, 20_000), st.integers(5, 20_000)).map(lambda n: Decimal(n) / 10_000)
PAIRS, SIDES, WHICH = st.sampled_from(["ETHUSD", "XBTUSD"]), st.sampled_from(["buy", "sell"]), st.integers(0, 20)
HOW = st.sampled_from(["", "", "post", "IOC", "FOK", "GTD"])
ORDERS = st.tuples(PAIRS, SIDES, VOLUMES, AROUND, HOW, st.sampled_from(["", "", "a", "b"]))
LONG = 1800.0


def up(amount: Decimal) -> Decimal:
    """Rounded as the exchange rounds what it takes: up, at the fourth decimal, as dollars have."""
    return amount.quantize(Decimal("0.0001"), ROUND_UP)


@dataclass
class Wanted:
    """An order as the model has it."""

    pair: str
    side: str
    price: Decimal
    left: Decimal
    expires: float | None = None
    filled: Decimal = Decimal(0)
    client_id: str = ""
    is_post_only: bool = False

    @property
    def asset(self) -> str:
        return QUOTE if self.side == "buy" else BASES[self.pair]

    @property
    def hold(self) -> Decimal:
        """What it holds; a buyer also what the dearest fee would be."""
        return up(self.left * self.price) + up(self.left * self.price * TAKER) if self.side == "buy" else self.left


class BookMachine(RuleBasedStateMachine):
    """The model: what is owned, which orders are open, and what was filled. It uses the exchange over HTTP alone."""

    @initialize()
    def start(self) -> None:
        self.wall = Clock(BEGAN)
        self.sim = Simulator([NAME], wall=self.wall, monotonic=self.wall).start()
        self.client = Client(self.sim)
        self.owned = dict(OWNED)
        rows = {asset: f"{amount:f}" for asset, amount in OWNED.items()}
        self.sim.set_balance(NAME, {**rows, QUOTE: "2000.0000", EARN: "3000.0000"})
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        for pair in BASES:
            self.the_price_moves(pair, 0, 1)
        self.open: dict[str, Wanted] = {}
        self.ended: dict[str, Wanted] = {}
        self.trades = 0
        self.fires_at: float | None = None

    # What the bot does

    @rule(orders=st.lists(ORDERS, min_size=1, max_size=4))
    def limit_orders(self, orders: list[tuple[str, str, Decimal, int, str, str]]) -> None:
        for pair, side, volume, ticks, how, client_id in orders:
            order = Wanted(pair, side, Decimal(PRICE + ticks), volume, None, Decimal(0), client_id, how == "post")
            if how == "GTD":
                order.expires = self.wall() + LONG
            self.place(order, {"ordertype": "limit", "price": order.price, **self.how(how, order)}, how)

    @rule(pair=PAIRS, side=SIDES, volume=VOLUMES)
    def a_market_order(self, pair: str, side: str, volume: Decimal) -> None:
        self.place(Wanted(pair, side, self.touch(pair, side), volume), {"ordertype": "market"}, "")

    @precondition(lambda self: self.open)
    @rule(which=WHICH, by_ours=st.booleans())
    def a_cancel(self, which: int, by_ours: bool) -> None:
        txid, order = self.one(which)
        name = {"cl_ord_id": order.client_id} if by_ours and order.client_id else {"txid": txid}
        assert self.client.result("CancelOrder", **name) == {"count": 1}
        self.end(txid)
        self.is_unknown(txid)

    def is_unknown(self, txid: str) -> None:
        assert self.client.error("CancelOrder", txid=txid) == "EOrder:Unknown order"
        assert self.client.error("AmendOrder", txid=txid, limit_price="1") == "EOrder:Unknown order"
        with pytest.raises(LookupError):
            self.sim.fill(NAME, txid, "0.0001")

    @precondition(lambda self: len(self.open) > 5)
    @rule()
    def a_cancel_of_all(self) -> None:
        assert self.client.result("CancelAll") == {"count": len(self.open)}
        self.end(*self.open)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, volume=VOLUMES, ticks=AROUND)
    def an_amend(self, which: int, volume: Decimal, ticks: int) -> None:
        txid, order = self.one(which)
        asked = {"txid": txid, "order_qty": volume, "limit_price": PRICE + ticks}
        changed = replace(order, price=Decimal(PRICE + ticks), left=volume - order.filled)
        refusal = self.refusal_of_amend(order, changed)
        note(f"amended: {asked} -> {refusal or 'done'}")
        if refusal:
            assert self.client.error("AmendOrder", **asked) == refusal
            return
        assert self.client.result("AmendOrder", **asked).keys() == {"amend_id"}
        if changed.left <= 0:
            self.end(txid)
        else:
            self.open[txid] = changed
            if self.crosses(changed):
                self.trade(txid, self.touch(order.pair, order.side), changed.left, TAKER)

    @precondition(lambda self: self.open)
    @rule(minutes=st.sampled_from([0, 5, 20]))
    def the_switch_is_fed(self, minutes: int) -> None:
        self.client.result("CancelAllOrdersAfter", timeout=minutes * 60)
        self.fires_at = self.wall() + minutes * 60 if minutes else None

    @precondition(lambda self: self.open)
    @rule(minutes=st.sampled_from([1, 25]))
    def the_switch_is_armed_and_time_passes(self, minutes: int) -> None:
        self.the_switch_is_fed(5)
        self.time_passes(minutes)

    # What the market does

    @rule(pair=PAIRS, ticks=AROUND, wide=st.integers(1, 5))
    def the_price_moves(self, pair: str, ticks: int, wide: int) -> None:
        bid = Decimal(PRICE + ticks)
        self.quotes[pair] = bid, bid + wide
        self.sim.set_price(pair, f"{bid}", f"{bid + wide}")
        for txid, order in list(getattr(self, "open", {}).items()):
            if order.pair == pair and self.crosses(order):
                self.trade(txid, order.price, order.left, MAKER)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, share=st.sampled_from([Decimal("0.25"), Decimal("0.5"), Decimal(1)]))
    def a_stranger_takes_a_part(self, which: int, share: Decimal) -> None:
        txid, order = self.one(which)
        volume = (order.left * share).quantize(Decimal("1e-8"))
        self.sim.fill(NAME, txid, f"{volume:f}")
        self.trade(txid, order.price, volume, MAKER)

    @precondition(lambda self: self.open)
    @rule(minutes=st.sampled_from([1, 5, 25]))
    def time_passes(self, minutes: int) -> None:
        self.wall.now += minutes * 60
        if self.fires_at is not None and self.wall() >= self.fires_at:
            self.fires_at = None
            self.end(*self.open)
        self.end(*[txid for txid, order in self.open.items() if order.expires and self.wall() >= order.expires])

    # The model

    def place(self, order: Wanted, asked: dict[str, Any], how: str) -> None:
        asked |= {"pair": order.pair, "type": order.side, "volume": f"{order.left:f}"}
        asked |= {"cl_ord_id": order.client_id} if order.client_id else {}
        refusal = self.refusal(order)
        note(f"{asked} -> {refusal or 'placed'}")
        if refusal:
            assert self.client.error("AddOrder", **asked) == refusal
            return
        (txid,) = self.client.result("AddOrder", **asked)["txid"]
        assert txid not in self.open.keys() | self.ended.keys()
        self.open[txid] = order
        if self.crosses(order) and how != "post":
            self.trade(txid, self.touch(order.pair, order.side), order.left, TAKER)
        elif how in ("IOC", "FOK") or self.crosses(order):
            self.end(txid)

    def one(self, which: int) -> tuple[str, Wanted]:
        """One of the open orders."""
        return list(self.open.items())[which % len(self.open)]

    def refusal_of_amend(self, order: Wanted, changed: Wanted) -> str | None:
        if (changed.left, changed.price) == (order.left, order.price):
            return "EOrder:No amendable parameters specified"
        if changed.left > 0 and changed.hold > self.free(order.asset) + order.hold:
            return "EOrder:Insufficient funds"
        takes = changed.left > 0 and self.crosses(changed)
        return "EOrder:Post only order" if takes and order.is_post_only else None

    def refusal(self, order: Wanted) -> str | None:
        if order.pair == "ETHUSD" and order.left < Decimal("0.002"):
            return "EGeneral:Invalid arguments:volume minimum not met"
        if order.left * order.price < Decimal("0.5"):
            return "EOrder:Cost minimum not met"
        if order.client_id and any(order.client_id == other.client_id for other in self.open.values()):
            return "EGeneral:Invalid arguments:cl_ord_id not unique"
        if order.hold > self.free(order.asset):
            return "EOrder:Insufficient funds"
        return None

    def how(self, how: str, order: Wanted) -> dict[str, Any]:
        if how == "post":
            return {"oflags": "post"}
        return {"timeinforce": how, **({"expiretm": order.expires} if how == "GTD" else {})} if how else {}

    def touch(self, pair: str, side: str) -> Decimal:
        bid, ask = self.quotes[pair]
        return ask if side == "buy" else bid

    def crosses(self, order: Wanted) -> bool:
        touch = self.touch(order.pair, order.side)
        return order.price >= touch if order.side == "buy" else order.price <= touch

    def held(self, asset: str) -> Decimal:
        return sum((order.hold for order in self.open.values() if order.asset == asset), Decimal(0))

    def free(self, asset: str) -> Decimal:
        return self.owned[asset] - self.held(asset)

    def trade(self, txid: str, price: Decimal, volume: Decimal, rate: Decimal) -> None:
        order, cost = self.open[txid], price * volume
        sign = 1 if order.side == "buy" else -1
        self.owned[BASES[order.pair]] += sign * volume
        self.owned[QUOTE] -= sign * cost.quantize(Decimal("0.0001"), ROUND_HALF_EVEN) + up(cost * rate)
        order.left -= volume
        order.filled += volume
        self.trades += 1
        if not order.left:
            self.end(txid)

    def end(self, *txids: str) -> None:
        self.ended |= {txid: self.open.pop(txid) for txid in txids}

    # What holds at any time

    @invariant()
    def balances_and_holds_are_those_of_the_model(self) -> None:
        rows = self.client.result("BalanceEx")
        assert all(Decimal(row["balance"]) >= 0 for row in rows.values())
        for asset in OWNED:
            mine = [rows[name] for name in ((QUOTE, EARN) if asset == QUOTE else (asset,))]
            assert sum(Decimal(row["balance"]) for row in mine) == self.owned[asset], asset
            assert sum(Decimal(row["hold_trade"]) for row in mine) == self.held(asset) <= self.owned[asset], asset

    @invariant()
    def every_accepted_order_is_in_one_list(self) -> None:
        rows = self.client.result("OpenOrders")["open"]
        assert {txid: Decimal(row["vol"]) - Decimal(row["vol_exec"]) for txid, row in rows.items()} == {
            txid: order.left for txid, order in self.open.items()
        }
        closed = self.client.result("ClosedOrders")
        assert closed["count"] == len(self.ended)
        assert closed["closed"].keys() <= self.ended.keys()
        assert len(closed["closed"]) == min(50, len(self.ended))
        assert {txid: Decimal(row["vol_exec"]) for txid, row in closed["closed"].items()} == {
            txid: self.ended[txid].filled for txid in closed["closed"]
        }
        placements = self.sim.placements(NAME)
        assert [each.txid for each in placements] == [row["txid"] for row in self.sim.orders(NAME)]
        assert {each.txid for each in placements} == self.open.keys() | self.ended.keys()

    def teardown(self) -> None:
        if hasattr(self, "client"):
            try:
                self.the_books_add_up()
            finally:
                self.client.close()
                self.sim.close()

    def the_books_add_up(self) -> None:
        """What was owned, and what came and went by the ledger, is what is owned now; and the trades say the same."""
        entries = self.pages("Ledgers", "ledger")
        for asset, before in OWNED.items():
            changes = [Decimal(row["amount"]) - Decimal(row["fee"]) for row in entries if row["asset"] == asset]
            assert before + sum(changes, Decimal(0)) == self.owned[asset]
        trades = self.pages("TradesHistory", "trades")
        assert len(trades) == self.trades == len(entries) / 2
        bought = {"buy": 1, "sell": -1}
        for pair, base in BASES.items():
            volumes = [
                bought[row["type"]] * Decimal(row["vol"]) for row in trades if row["pair"].startswith(base)
            ]
            assert OWNED[base] + sum(volumes, Decimal(0)) == self.owned[base], pair
        spent = [bought[row["type"]] * Decimal(row["cost"]) + Decimal(row["fee"]) for row in trades]
        assert abs(OWNED[QUOTE] - sum(spent, Decimal(0)) - self.owned[QUOTE]) <= Decimal("0.0002") * len(trades)

    def pages(self, endpoint: str, name: str) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        while True:
            told = self.client.result(endpoint, ofs=len(rows))
            rows |= told[name]
            if len(rows) >= told["count"]:
                return list(rows.values())
            assert len(told[name]) == 50, "only the last page is not full"


def test_the_book_keeps_its_accounts() -> None:
    run(BookMachine, examples=20, steps=30)


@pytest.mark.torture
def test_the_same_for_long() -> None:
    run(BookMachine, examples=1500, steps=80)
