"""Order entry of one account: place, cancel, amend, edit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.book import Book
from engine.simulator.book_order import BookOrder
from engine.simulator.market import ListedPair, find_pair
from engine.simulator.matching import crosses
from engine.simulator.order_changes import amended, edit_params
from engine.simulator.order_checks import check_deadline, check_expiry, check_order
from engine.simulator.order_factory import make_order
from engine.simulator.order_pairs import check_account, check_pair, pair_of_order, without_leverage
from engine.simulator.parameters import Params, require, same_id, text, yes
from engine.simulator.refusal import Refused
from engine.simulator.rules import Rules
from engine.simulator.trading_limits import PairCounters

_NEVER_WAS, _UNREADABLE = "EOrder:Invalid order", "EGeneral:Invalid arguments"


class PlacedOrder(NamedTuple):
    """A placed order: its account, its txid, and the exact parameters of the request."""

    account: str
    txid: str
    params: dict[str, Any]


class OrderEntry:
    """Checks order requests and applies them to the book. The exchange holds its lock around every method."""

    def __init__(self, account: str, book: Book, counter: PairCounters) -> None:
        self.book = book
        self.placements: list[PlacedOrder] = []
        self.is_us_retail = False
        self._account = account
        self._counter = counter

    def now(self) -> float:
        """The exchange's time."""
        return self.book.market.now()

    def put_in(self, txid: str, *, cl_ord_id: str | None = None) -> None:
        """Add a resting order that no call has placed."""
        pair = find_pair("XXBTZUSD")
        assert pair is not None
        order = BookOrder(
            txid, pair, "buy", "limit", Decimal("0.0001"), self.now(), Decimal(1),
            price=Decimal(1), prices=("1.0", "0"), cl_ord_id=cl_ord_id,
        )  # fmt: skip
        self.book.put_in(order)

    # Placing

    def place(self, params: Params) -> dict[str, Any]:
        """`AddOrder`: check it, and unless it only validates, put it in."""
        is_dry_run = self._is_dry_run(params)
        order = self._draft(params, self._received(params, 0.0 if is_dry_run else 1.0))
        if is_dry_run:
            return {"descr": order.told()}
        self._enter(order, params)
        return {"descr": order.told(), "txid": [order.txid]}

    def place_batch(self, rows: Sequence[Params]) -> list[dict[str, Any]]:
        """`AddOrderBatch`: one order that fails its checks rejects all; one that the book refuses is refused alone.

        The first is from Kraken's specification, the second from the replies that its own client parses.
        """
        is_dry_run = self._is_dry_run(rows[0])
        pair = self._received(rows[0], 0.0 if is_dry_run else len(rows) / 2)
        if self._rules.batch_by_row:
            return [self._row(None, params, pair) for params in rows]
        drafts = [self._draft(params, pair) for params in rows]
        return [self._row(draft, params, pair) for draft, params in zip(drafts, rows, strict=True)]

    def _row(self, draft: BookOrder | None, params: Params, pair: ListedPair) -> dict[str, Any]:
        """The row of one order in the reply to a batch; its conditional close is beside `descr`."""
        try:
            order = draft or self._draft(params, pair)
            if not self._is_dry_run(params):
                self._enter(order, params)
        except Refused as refusal:
            return {"error": str(refusal)}
        told: dict[str, Any] = {"descr": {"order": order.text()}}
        told |= {"close": order.close_text()} if order.close else {}
        return told if self._is_dry_run(params) else {"txid": order.txid, **told}

    def _received(self, params: Params, points: float) -> ListedPair:
        """The pair of what arrives. The trading counter counts it whether or not it passes the checks."""
        self.book.catch_up()
        self._check_mode(params)
        pair = pair_of_order(params, self._rules)
        if points:
            self._counter.receive(pair.id, points)
        return pair

    def _draft(self, params: Params, pair: ListedPair) -> BookOrder:
        """The order that is asked for, if it passes every check that needs neither the book nor the wallet."""
        rules, now, is_late = self._rules, self.now(), self.book.market.is_past
        check_pair(params, pair)
        checked = without_leverage(params, pair) if self.is_us_retail else params
        check_order(checked, pair, rules.minimum_error, takes_id_with_close=rules.id_with_close)
        check_deadline(params, now, self._soonest_deadline)
        check_expiry(params, now, is_late=is_late)
        order = make_order(params, pair, self.book.market.prices.quote(pair), now)
        require(order.volume >= Decimal(pair.ordermin), rules.minimum_error)  # in quote units it is known only now
        self._check_cost(order)
        return order

    def _enter(self, order: BookOrder, params: Params) -> None:
        """Put an order in that passed its checks, unless the book or the wallet refuse it."""
        check_account(params, order.pair, is_us_retail=self.is_us_retail)
        self._counter.check_open(sum(other.pair.id == order.pair.id for other in self.book.live()))
        taken = any(same_id(other.cl_ord_id, order.cl_ord_id) for other in self.book.live())
        require(not taken, "EGeneral:Invalid arguments:cl_ord_id not unique")
        self._check_funds(order)
        self._accept(order, params)

    def _accept(self, order: BookOrder, params: Params) -> None:
        self.placements.append(PlacedOrder(self._account, order.txid, dict(params)))
        self.book.put_in(order)

    # Canceling

    def cancel(self, params: Params, *, of_batch: bool = False) -> dict[str, Any]:
        """`CancelOrder`, by txid, by userref (all that carry it) or by cl_ord_id. A batch may overflow the counter."""
        self._catch_up_for_change()
        found = self._named(params, "txid", "userref", "cl_ord_id")
        for order in found:
            self._counter.cancel(order.pair.id, self._age(order), overflows=of_batch)
        return {"count": self.book.cancel(found)}

    def cancel_all(self) -> dict[str, Any]:
        """`CancelAll`: a point for each pair it touches."""
        self._catch_up_for_change()
        live = self.book.live()
        for pair in {order.pair.id for order in live}:
            self._counter.cancel_all(pair)
        return {"count": self.book.cancel(live)}

    def cancel_after(self, seconds: float) -> float:
        """`CancelAllOrdersAfter`: when they will all be canceled (Unix seconds); 0 for never."""
        self.book.catch_up()
        until = self.now() + seconds if seconds else None
        self.book.arm(until)
        return until or 0.0

    # Changing

    def amend(self, params: Params) -> str:
        """`AmendOrder`: another quantity or price; the order keeps its name. Returns the id of the amendment."""
        self._catch_up_for_change()
        self._check_mode(params, is_change=True)
        (order,) = self._named(params, "txid", "cl_ord_id")
        self._counter.amend(order.pair.id, self._age(order))
        check_deadline(params, self.now(), self._soonest_deadline)
        self._check_pair(params, order)
        wanted = amended(order, params, self.book.quote(order), takes_nothing=self._rules.empty_amends)
        self._check_funds(wanted, instead_of=order)
        takes = wanted.left > 0 and not wanted.is_waiting and crosses(wanted, self.book.quote(order))
        may_not_take = order.is_post_only or yes(params, "post_only")
        require(not (takes and may_not_take), "EOrder:Post only order")
        return self._change(order, wanted)

    def _change(self, order: BookOrder, wanted: BookOrder) -> str:
        is_repriced = wanted.price != order.price
        order.volume, order.price, order.trigger = wanted.volume, wanted.price, wanted.trigger
        order.prices, order.trails = wanted.prices, wanted.trails
        order.changed = self.now()
        order.misc.add("amended")
        amendment = order.remember(order.changed)
        self.book.tell(order, "amended")
        if order.left <= 0:
            self.book.cancel([order])
        self.book.meet(order, arrives=is_repriced)
        return amendment

    def edit(self, params: Params) -> dict[str, Any]:
        """`EditOrder`: the order is canceled and another one placed; when that is refused, the old one stays."""
        self._catch_up_for_change()
        self._check_mode(params, is_change=True)
        require(not text(params, "cl_ord_id"), "EGeneral:Invalid arguments:cl_ord_id")
        pair, is_dry_run = pair_of_order(params, self._rules), self._is_dry_run(params)
        found = self._named(params, "txid", "userref")
        require(len(found) == 1 and found[0].pair.id == pair.id, _NEVER_WAS)
        (old,) = found
        if not is_dry_run:
            self._counter.edit(pair.id, self._age(old))
        require(not old.close and not old.misc & {"touched"}, "EOrder:Order not editable")
        asked = edit_params(old, params)
        check_pair(asked, pair)
        check_order(asked, pair, self._rules.minimum_error)
        check_deadline(asked, self.now(), self._soonest_deadline)
        order = make_order(asked, pair, self.book.quote(old), self.now())
        self._check_cost(order)
        told = {
            "status": "ok", "originaltxid": old.txid, "volume": f"{order.volume:.8f}", "price": order.prices[0],
            "price2": order.prices[1], "descr": {"order": order.text()},
        }  # fmt: skip
        if is_dry_run:
            return told
        self._check_funds(order, instead_of=old)
        self.book.cancel([old])
        self._accept(order, asked)
        return {**told, "txid": order.txid, "orders_cancelled": 1}

    # Checks

    @property
    def _rules(self) -> Rules:
        return self.book.market.rules

    @property
    def _soonest_deadline(self) -> float:
        """The least time to a deadline; 0 for a call that arrived earlier and takes effect only now."""
        return 0.0 if self.book.market.is_past else self._rules.soonest_deadline

    def _is_dry_run(self, params: Params) -> bool:
        """Whether the order is only to be validated. What the form text ``false`` means there is switchable."""
        told = params.get("validate")
        is_dry_run = yes(params, "validate", loose=self._rules.loose_booleans)
        return is_dry_run or (self._rules.false_validates and isinstance(told, str))

    def _catch_up_for_change(self) -> None:
        self.book.catch_up()
        require(self.book.market.status != "maintenance", "EService:Unavailable")

    def _check_mode(self, params: Params, *, is_change: bool = False) -> None:
        status = self.book.market.status
        require(status != "maintenance", "EService:Unavailable")
        require(status != "cancel_only", "EService:Market in cancel_only mode")
        is_post = is_change or "post" in text(params, "oflags").split(",")
        require(status != "post_only" or is_post, "EService:Market in post_only mode")

    def _check_pair(self, params: Params, order: BookOrder) -> None:
        """Refuse a pair that is named and is not the order's."""
        is_named = "pair" in params
        require(not is_named or pair_of_order(params, self._rules) == order.pair, "EGeneral:Invalid arguments:pair")

    def _check_cost(self, order: BookOrder) -> None:
        cost = order.left * (order.price or order.trigger or order.basis)
        require(cost >= Decimal(order.pair.costmin), "EOrder:Cost minimum not met")

    def _check_funds(self, order: BookOrder, *, instead_of: BookOrder | None = None) -> None:
        """Refuse what the wallet does not cover; what the order holds that it replaces is free for it."""
        asset, needed = self.book.fees.hold_of(order)
        require(needed <= self.book.free(asset, instead_of), "EOrder:Insufficient funds")

    def _age(self, order: BookOrder) -> float:
        return self.now() - max(order.opened, order.changed)

    def _named(self, params: Params, *by: str) -> list[BookOrder]:
        """The live orders that go by this name: `txid`, or a `userref` in its place, or `cl_ord_id`. At least one.

        A name of what is over is answered in one way, a name that no order of the account ever had in another.
        """
        name, client_id = text(params, "txid"), text(params, "cl_ord_id") if "cl_ord_id" in by else ""
        require(bool(name) != bool(client_id), _UNREADABLE)

        def fits(order: BookOrder) -> bool:
            is_marked = "userref" in by and order.userref == name
            return same_id(order.cl_ord_id, client_id) if client_id else order.txid == name or is_marked

        known = [order for order in self.book.all() if fits(order)]
        require(known, _NEVER_WAS)
        live = [order for order in known if order.is_live]
        require(live, self._rules.gone_error)
        return live
