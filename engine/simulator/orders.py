"""The orders of one account: placed, matched with the price, changed and canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from itertools import count
from typing import Any, NamedTuple

from engine.simulator.checks import (
    LIMITS,
    TRAILING,
    TRIGGERED,
    Params,
    amount,
    check_deadline,
    check_order,
    describe,
    price_of,
    require,
    same_id,
    text,
    when,
)
from engine.simulator.ledger import Ledger
from engine.simulator.market import Pair, find_pair
from engine.simulator.order import CANCELED, CLOSED, EXPIRED, OPEN, PENDING, Fill, Order, new_id
from engine.simulator.prices import Prices, Quote
from engine.simulator.refusal import Refused
from engine.simulator.trading_limits import TradingCounter
from engine.simulator.wallet import Wallet

TAKER, MAKER = Decimal("0.0040"), Decimal("0.0025")
CENT = Decimal("0.00001")
_numbers = count(40_000_000)


class Placement(NamedTuple):
    """An order that was placed: whose, under which txid, and exactly what was asked for."""

    account: str
    txid: str
    params: dict[str, Any]


@dataclass(slots=True)
class Market:
    """What all accounts share: the clock, the prices, the exchange's mode, and how long a new order stays unlisted."""

    wall: Callable[[], float]
    prices: Prices
    status: str = "online"
    listing_lag: float = 0.0


class Orders:
    """The orders of one account, and what they do to its wallet. The exchange holds its lock around every method."""

    def __init__(self, account: str, market: Market, wallet: Wallet, counter: TradingCounter) -> None:
        self._account = account
        self._market = market
        self._wallet = wallet
        self._counter = counter
        self._orders: dict[str, Order] = {}
        self._armed_until: float | None = None
        self.ledger = Ledger()
        self.placements: list[Placement] = []

    # What is there

    def all(self) -> list[Order]:
        """Every order that was ever accepted, the first one first."""
        self.catch_up()
        return list(self._orders.values())

    def listed(self) -> list[Order]:
        """The same, without those so new that the lists do not have them yet."""
        latest = self._market.wall() - self._market.listing_lag
        return [order for order in self.all() if order.opened <= latest]

    def now(self) -> float:
        """The exchange's time."""
        return self._market.wall()

    def live(self) -> list[Order]:
        """Those that can still be filled or canceled."""
        return [order for order in self._orders.values() if order.is_live]

    def holds(self) -> dict[str, Decimal]:
        """What the live orders hold, by asset."""
        held: dict[str, Decimal] = {}
        for order in self.live():
            asset, needed = self._needed(order, order.left)
            held[asset] = held.get(asset, Decimal(0)) + needed
        return held

    def put_in(self, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Let an order rest that nobody placed with a call."""
        pair = find_pair("XXBTZUSD")
        assert pair is not None
        self._orders[txid] = Order(
            txid, pair, "buy", "limit", Decimal("0.0001"), self._market.wall(), price=Decimal(1),
            text="buy 0.00010000 XBTUSD @ limit 1.0", prices=("1.0", "0"), cl_ord_id=cl_ord_id,
        )  # fmt: skip

    # What is asked for

    def place(self, params: Params) -> dict[str, Any]:
        """`AddOrder`: check it, and unless it only validates, put it in."""
        self.catch_up()
        self._check_mode(params)
        pair = check_order(params)
        self._check_unique(text(params, "cl_ord_id"))
        now = self._market.wall()
        check_deadline(params, now)
        result: dict[str, Any] = {"descr": {"order": describe(params, pair)}}
        # Sent as form text, even `validate=false` has been seen to validate only.
        if params.get("validate") in (None, False):
            self._counter.add(pair.id, self._open_on(pair))
            order = self._made(params, pair, now)
            self._check_funds(order)
            self._orders[order.txid] = order
            self.placements.append(Placement(self._account, order.txid, dict(params)))
            self._meet(order, now, new=True)
            result["txid"] = [order.txid]
        return result

    def cancel(self, params: Params) -> dict[str, Any]:
        """`CancelOrder`, by txid, by userref (all that carry it) or by cl_ord_id."""
        self.catch_up()
        found = self._named(params)
        require(found, "EOrder:Unknown order")
        return {"count": self._cancel(found)}

    def cancel_all(self) -> dict[str, Any]:
        """`CancelAll`."""
        self.catch_up()
        return {"count": self._cancel(self.live(), counted=False)}

    def cancel_after(self, seconds: float) -> float:
        """`CancelAllOrdersAfter`: when they will all be canceled (Unix seconds); 0 for never."""
        self.catch_up()
        self._armed_until = self._market.wall() + seconds if seconds else None
        return self._armed_until or 0.0

    def amend(self, params: Params) -> str:
        """`AmendOrder`: another quantity or price; the order keeps its name. Returns the id of the amendment."""
        self.catch_up()
        order = self._one(params)
        now = self._market.wall()
        check_deadline(params, now)
        self._counter.amend(order.pair.id, now - max(order.opened, order.changed))
        volume = amount(text(params, "order_qty")) if text(params, "order_qty") else order.volume
        if volume is None or volume <= 0:
            raise Refused("EGeneral:Invalid arguments:order_qty")
        price = price_of(params, "limit_price", self._quote(order).last, order.pair) or order.price
        self._check_funds(order, volume - order.filled, price)
        order.volume, order.price, order.changed = volume, price, now
        order.misc.add("amended")
        if order.left <= 0:
            order.end(CANCELED, "User requested", now)
        self._meet(order, now)
        return new_id("T")

    def edit(self, params: Params) -> dict[str, Any]:
        """`EditOrder`: the order is canceled and another one placed."""
        self.catch_up()
        require(not text(params, "cl_ord_id"), "EGeneral:Invalid arguments:cl_ord_id")
        old = self._one(params)
        asked = {
            "pair": old.pair.altname, "type": old.side, "ordertype": old.kind, "volume": f"{old.volume:f}",
            "price": old.prices[0], "price2": old.prices[1], "timeinforce": old.time_in_force, "oflags": old.flags,
        }  # fmt: skip
        wanted = ("volume", "price", "price2", "oflags", "userref", "deadline", "validate")
        asked |= {name: params[name] for name in wanted if params.get(name)}
        check_order(asked)
        self._counter.edit(old.pair.id, self._market.wall() - old.opened)
        if asked.get("validate"):
            return {"status": "ok", "descr": {"order": describe(asked, old.pair)}}
        self._cancel([old], counted=False)
        placed = self.place(asked)
        return {
            "status": "ok", "txid": placed["txid"][0], "originaltxid": old.txid, "volume": asked["volume"],
            "price": asked["price"], "price2": asked["price2"], "orders_cancelled": 1, "descr": placed["descr"],
        }  # fmt: skip

    # What happens by itself

    def catch_up(self) -> None:
        """Whatever the clock has brought: orders begin and expire, and the switch that nobody fed fires."""
        now = self._market.wall()
        if self._armed_until is not None and now >= self._armed_until:
            fired, self._armed_until = self._armed_until, None
            for order in self.live():
                order.end(CANCELED, "Cancel all orders after", fired)
        for order in self.live():
            if order.expires and now >= order.expires:
                order.end(EXPIRED, None, order.expires)
            elif order.status == PENDING and now >= order.starts:
                order.status = OPEN
                self._meet(order, now)

    def price_moved(self, pair: Pair) -> None:
        """The price is another: orders are triggered and filled."""
        now = self._market.wall()
        self.catch_up()
        for order in self.live():
            if order.pair.id == pair.id:
                self._meet(order, now)

    def fill(self, txid: str, volume: Decimal) -> None:
        """A stranger takes a part of a resting order, at its price. Raises `LookupError` or `ValueError`."""
        self.catch_up()
        order = self._orders.get(txid)
        if order is None or not order.is_live:
            raise LookupError(f"no order {txid} is open")
        if not 0 < volume <= order.left or order.price is None:
            raise ValueError(f"{order.left} of {txid} is left to fill")
        self._trade(order, order.price, volume, self._market.wall(), maker=True)

    def _meet(self, order: Order, now: float, *, new: bool = False) -> None:
        """Let an order meet the price: it may be triggered, filled, or canceled because it may not rest or take."""
        quote = self._quote(order)
        if order.status != OPEN or not self._is_triggered(order, quote):
            return
        crosses = order.price is None or (quote.ask <= order.price if order.side == "buy" else quote.bid >= order.price)
        if crosses and new and order.is_post_only:
            order.end(CANCELED, "Post only order", now)
        elif crosses:
            touch = quote.ask if order.side == "buy" else quote.bid
            at = touch if new or order.price is None else order.price
            self._trade(order, at, order.left, now, maker=not new and order.price is not None)
        elif order.time_in_force in ("IOC", "FOK"):
            order.end(CANCELED, "Immediate or cancel" if order.time_in_force == "IOC" else "Fill or kill", now)

    def _is_triggered(self, order: Order, quote: Quote) -> bool:
        if order.kind in TRAILING:
            return False  # it rests, and nothing here follows the price
        if order.trigger is None or "touched" in order.misc:
            return True
        rises = (order.side == "buy") == order.kind.startswith("stop-loss")
        if quote.last >= order.trigger if rises else quote.last <= order.trigger:
            order.misc.add("touched")
            return True
        return False

    def _trade(self, order: Order, price: Decimal, volume: Decimal, now: float, *, maker: bool) -> None:
        fee = (price * volume * (MAKER if maker else TAKER)).quantize(CENT, ROUND_UP)
        fill = Fill(
            new_id("T"), order.txid, order.pair, order.side, order.kind, now, price, volume, fee, maker, next(_numbers)
        )
        bought, paid = (volume, -fill.cost) if order.side == "buy" else (-volume, fill.cost)
        base, quote = order.pair.base, order.pair.quote
        after = (self._wallet.change(base, bought), self._wallet.change(quote, paid - fee))
        order.fills.append(fill)
        self.ledger.write(fill, ((base, bought, Decimal(0), after[0]), (quote, paid, fee, after[1])))
        if order.left <= 0:
            order.end(CLOSED, None, now)

    # Checks

    def _check_mode(self, params: Params) -> None:
        status = self._market.status
        require(status != "maintenance", "EService:Unavailable")
        require(status != "cancel_only", "EService:Market in cancel_only mode")
        is_post = "post" in text(params, "oflags").split(",")
        require(status != "post_only" or is_post, "EService:Market in post_only mode")

    def _check_unique(self, client_id: str) -> None:
        taken = any(same_id(order.cl_ord_id, client_id) for order in self.live())
        require(not client_id or not taken, "EGeneral:Invalid arguments:cl_ord_id not unique")

    def _check_funds(self, order: Order, volume: Decimal | None = None, price: Decimal | None = None) -> None:
        """Refuse what the wallet does not cover; what the order itself holds already is its own."""
        left = order.left if volume is None else volume
        asset, needed = self._needed(order, left, price)
        own = self._needed(order, order.left)[1] if order.txid in self._orders else Decimal(0)
        free = self._wallet.free(asset, self.holds()) + own
        require(needed <= free, "EOrder:Insufficient funds")
        cost = left * (price or order.price or self._quote(order).ask)
        require(cost >= Decimal(order.pair.costmin) or order.txid in self._orders, "EOrder:Cost minimum not met")

    def _needed(self, order: Order, volume: Decimal, price: Decimal | None = None) -> tuple[str, Decimal]:
        if order.side == "sell":
            return order.pair.base, volume
        at = price or order.price or order.trigger or self._quote(order).ask
        return order.pair.quote, (volume * at * (1 + TAKER)).quantize(CENT, ROUND_UP)

    # Finding and making

    def _made(self, params: Params, pair: Pair, now: float) -> Order:
        kind, side, last = text(params, "ordertype"), text(params, "type"), self._market.prices.quote(pair).last
        volume = amount(text(params, "volume")) or Decimal(0)
        if "viqc" in text(params, "oflags"):
            volume = (volume / self._market.prices.quote(pair).ask).quantize(Decimal("1e-8"))
        price, second = (price_of(params, name, last, pair) for name in ("price", "price2"))
        is_triggered = kind not in LIMITS and kind != "market"
        starts = when(params, "starttm", now)
        return Order(
            new_id("O"), pair, side, kind, volume, now,
            price=second if is_triggered else price,
            trigger=price if kind in TRIGGERED else None,
            text=describe(params, pair), prices=(text(params, "price", "0"), text(params, "price2", "0")),
            time_in_force=text(params, "timeinforce", "GTC"), flags=text(params, "oflags") or "fciq",
            starts=starts, expires=when(params, "expiretm", now), status=PENDING if starts > now else OPEN,
            cl_ord_id=text(params, "cl_ord_id") or None, userref=text(params, "userref") or None,
        )  # fmt: skip

    def _named(self, params: Params) -> list[Order]:
        name, client_id = text(params, "txid"), text(params, "cl_ord_id")
        require(name or client_id, "EGeneral:Invalid arguments")
        return [
            order
            for order in self.live()
            if (name and name in (order.txid, order.userref)) or (client_id and same_id(order.cl_ord_id, client_id))
        ]

    def _one(self, params: Params) -> Order:
        found = self._named(params)
        require(found, "EOrder:Unknown order")
        return found[0]

    def _cancel(self, found: Iterable[Order], *, counted: bool = True) -> int:
        now, canceled = self._market.wall(), 0
        for order in found:
            if counted:
                self._counter.cancel(order.pair.id, now - max(order.opened, order.changed))
            order.end(CANCELED, "User requested", now)
            canceled += 1
        return canceled

    def _open_on(self, pair: Pair) -> int:
        return sum(order.pair.id == pair.id for order in self.live())

    def _quote(self, order: Order) -> Quote:
        return self._market.prices.quote(order.pair)
