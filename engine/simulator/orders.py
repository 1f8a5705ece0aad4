"""What the calls of one account do to its orders: place, cancel, change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.book import Book
from engine.simulator.charges import hold_of
from engine.simulator.checks import (
    LIMITS,
    LOT_DECIMALS,
    TRIGGERED,
    Params,
    amount,
    check_deadline,
    check_expiry,
    check_order,
    check_price,
    is_dry_run,
    price_of,
    require,
    same_id,
    text,
    when,
)
from engine.simulator.market import Pair, find_pair
from engine.simulator.matching import crosses
from engine.simulator.order import OPEN, PENDING, Order, new_id
from engine.simulator.products import check_account, check_pair, pair_of_order, without_leverage
from engine.simulator.trading_limits import TradingCounter

_EDITED = ("volume", "price", "price2", "oflags", "userref", "deadline")
_AMENDED = {True: ("limit_price", ""), False: ("trigger_price", "limit_price")}  # what `descr` calls price and price2


class Placement(NamedTuple):
    """An order that was placed: whose, under which txid, and exactly what was asked for."""

    account: str
    txid: str
    params: dict[str, Any]


class Orders:
    """Reads and checks what is asked for, and does it in the book. The exchange holds its lock around every method."""

    def __init__(self, account: str, book: Book, counter: TradingCounter) -> None:
        self.book = book
        self.placements: list[Placement] = []
        self.is_us_retail = False
        self._account = account
        self._counter = counter

    def now(self) -> float:
        """The exchange's time."""
        return self.book.market.now()

    def put_in(self, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Let an order rest that nobody placed with a call."""
        pair = find_pair("XXBTZUSD")
        assert pair is not None
        order = Order(
            txid, pair, "buy", "limit", Decimal("0.0001"), self.now(), Decimal(1),
            price=Decimal(1), prices=("1.0", "0"), cl_ord_id=cl_ord_id,
        )  # fmt: skip
        self.book.put_in(order)

    def place(self, params: Params, *, points: float = 1.0) -> dict[str, Any]:
        """`AddOrder`: check it, and unless it only validates, put it in. `points`: what the trading counter counts."""
        self.book.catch_up()
        self._check_mode(params)
        rules = self.book.market.rules
        pair = pair_of_order(params, rules)
        check_pair(params, pair)
        check_order(without_leverage(params, pair) if self.is_us_retail else params, pair, rules.minimum_error)
        self._check_unique(text(params, "cl_ord_id"))
        check_deadline(params, self.now())
        check_expiry(params, self.now())
        order = self._made(params, pair)
        result: dict[str, Any] = {"descr": {"order": order.text()}}
        if not is_dry_run(params, rules.false_validates):
            check_account(params, pair, is_us_retail=self.is_us_retail)
            self._counter.add(pair.id, sum(other.pair.id == pair.id for other in self.book.live()), points)
            self._check_funds(order)
            self._accept(order, params)
            result["txid"] = [order.txid]
        return result

    def cancel(self, params: Params, *, of_batch: bool = False) -> dict[str, Any]:
        """`CancelOrder`, by txid, by userref (all that carry it) or by cl_ord_id. A batch may overflow the counter."""
        self.book.catch_up()
        found = self._named(params)
        for order in found:
            self._counter.cancel(order.pair.id, self.now() - max(order.opened, order.changed), overflows=of_batch)
        return {"count": self.book.cancel(found)}

    def cancel_all(self) -> dict[str, Any]:
        """`CancelAll`."""
        self.book.catch_up()
        return {"count": self.book.cancel(self.book.live())}

    def cancel_after(self, seconds: float) -> float:
        """`CancelAllOrdersAfter`: when they will all be canceled (Unix seconds); 0 for never."""
        self.book.catch_up()
        until = self.now() + seconds if seconds else None
        self.book.arm(until)
        return until or 0.0

    def amend(self, params: Params) -> str:
        """`AmendOrder`: another quantity or price; the order keeps its name. Returns the id of the amendment."""
        self.book.catch_up()
        order = self._named(params)[0]
        now = self.now()
        check_deadline(params, now)
        self._counter.amend(order.pair.id, now - max(order.opened, order.changed))
        wanted = self._amended(order, params)
        self._check_funds(wanted, instead_of=order)
        takes = wanted.left > 0 and crosses(wanted, self.book.quote(order))
        may_not_take = order.is_post_only or text(params, "post_only").lower() == "true"
        require(not (takes and may_not_take), "EOrder:Post only order")
        is_repriced = wanted.price != order.price
        order.volume, order.price, order.trigger, order.prices = (
            wanted.volume, wanted.price, wanted.trigger, wanted.prices,
        )  # fmt: skip
        order.changed = now
        order.misc.add("amended")
        if order.left <= 0:
            self.book.cancel([order])
        self.book.meet(order, arrives=is_repriced)
        return new_id("T")

    def edit(self, params: Params) -> dict[str, Any]:
        """`EditOrder`: the order is canceled and another one placed; when that is refused, the old one stays."""
        self.book.catch_up()
        self._check_mode(params)
        require(not text(params, "cl_ord_id"), "EGeneral:Invalid arguments:cl_ord_id")
        old = self._named(params)[0]
        asked = {
            "pair": old.pair.altname, "type": old.side, "ordertype": old.kind, "volume": f"{old.volume:f}",
            "price": old.prices[0], "price2": old.prices[1], "timeinforce": old.time_in_force, "oflags": old.flags,
            "expiretm": f"{old.expires}",
        }  # fmt: skip
        asked |= {name: text(params, name) for name in _EDITED if text(params, name)}
        check_pair(asked, old.pair)
        check_order(asked, old.pair, self.book.market.rules.minimum_error)
        check_deadline(asked, self.now())
        order = self._made(asked, old.pair)
        self._check_funds(order, instead_of=old)
        told = {
            "status": "ok", "originaltxid": old.txid, "volume": asked["volume"], "price": asked["price"],
            "price2": asked["price2"], "descr": {"order": order.text()},
        }  # fmt: skip
        if is_dry_run(params, self.book.market.rules.false_validates):
            return told
        self._counter.edit(old.pair.id, self.now() - old.opened)
        self.book.cancel([old])
        self._accept(order, asked)
        return {**told, "txid": order.txid, "orders_cancelled": 1}

    # Checks

    def _check_mode(self, params: Params) -> None:
        status = self.book.market.status
        require(status != "maintenance", "EService:Unavailable")
        require(status != "cancel_only", "EService:Market in cancel_only mode")
        is_post = "post" in text(params, "oflags").split(",")
        require(status != "post_only" or is_post, "EService:Market in post_only mode")

    def _check_unique(self, client_id: str) -> None:
        taken = any(same_id(order.cl_ord_id, client_id) for order in self.book.live())
        require(not client_id or not taken, "EGeneral:Invalid arguments:cl_ord_id not unique")

    def _check_funds(self, order: Order, *, instead_of: Order | None = None) -> None:
        """Refuse what the wallet does not cover; what the order holds that it replaces is free for it."""
        asset, needed = hold_of(order)
        require(needed <= self.book.free(asset, instead_of), "EOrder:Insufficient funds")
        cost = order.left * (order.price or order.basis)
        enough = cost >= Decimal(order.pair.costmin) or (instead_of is not None and order.txid == instead_of.txid)
        require(enough, "EOrder:Cost minimum not met")

    # Finding and making

    def _made(self, params: Params, pair: Pair) -> Order:
        quote, now = self.book.market.prices.quote(pair), self.now()
        price_now = quote.ask or quote.last
        kind, side = text(params, "ordertype"), text(params, "type")
        volume = amount(text(params, "volume")) or Decimal(0)
        if "viqc" in text(params, "oflags"):
            volume = (volume / price_now).quantize(Decimal("1e-8"))
        price, second = (price_of(params, name, quote.last, pair) for name in ("price", "price2"))
        is_triggered = kind not in LIMITS and kind != "market"
        starts = when(params, "starttm", now)
        return Order(
            new_id("O"), pair, side, kind, volume, now, price_now,
            price=second if is_triggered else price if kind in LIMITS else None,
            trigger=price if kind in TRIGGERED else None,
            prices=(text(params, "price") or "0", text(params, "price2") or "0") if kind != "market" else ("0", "0"),
            time_in_force=text(params, "timeinforce", "GTC"), flags=text(params, "oflags") or "fciq",
            starts=starts, expires=when(params, "expiretm", now), status=PENDING if starts > now else OPEN,
            cl_ord_id=text(params, "cl_ord_id") or None, userref=text(params, "userref") or None,
        )  # fmt: skip

    def _amended(self, order: Order, params: Params) -> Order:
        """The order as it is wanted; nothing is changed yet."""
        volume = amount(text(params, "order_qty") or f"{order.volume}") or Decimal(0)
        is_volume = volume > 0 and volume == round(volume, LOT_DECIMALS)
        require(is_volume, "EGeneral:Invalid arguments:order_qty")
        for name, old in (("limit_price", order.price), ("trigger_price", order.trigger)):
            if text(params, name):
                require(old is not None, f"EGeneral:Invalid arguments:{name}")
                check_price(text(params, name), name, order.pair)
        last = self.book.quote(order).last
        sided = {**params, "type": order.side}
        price = price_of(sided, "limit_price", last, order.pair) or order.price
        trigger = price_of(sided, "trigger_price", last, order.pair) or order.trigger
        first, second = _AMENDED[order.kind in LIMITS]
        prices = (text(params, first) or order.prices[0], text(params, second) or order.prices[1])
        return replace(order, volume=volume, price=price, trigger=trigger, prices=prices)

    def _accept(self, order: Order, params: Params) -> None:
        self.placements.append(Placement(self._account, order.txid, dict(params)))
        self.book.put_in(order)

    def _named(self, params: Params) -> list[Order]:
        """The live orders that go by this name; at least one."""
        name, client_id = text(params, "txid"), text(params, "cl_ord_id")
        require(name or client_id, "EGeneral:Invalid arguments")
        found = [
            order
            for order in self.book.live()
            if (name and name in (order.txid, order.userref)) or (client_id and same_id(order.cl_ord_id, client_id))
        ]
        require(found, "EOrder:Unknown order")
        return found
