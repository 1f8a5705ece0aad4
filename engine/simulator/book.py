"""The order book of one account: orders trade when the price moves, and expire with time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal
from itertools import count

from engine.simulator.book_order import CANCELED, CLOSED, EXPIRED, OPEN, PENDING, BookOrder, new_id
from engine.simulator.charges import Fees, settled
from engine.simulator.fill import Fill
from engine.simulator.ledger import Change, Ledger, LedgerEntry
from engine.simulator.market import ListedPair
from engine.simulator.matching import Deal, followed, is_reached, meeting
from engine.simulator.order_factory import make_order
from engine.simulator.prices import Prices, Quote
from engine.simulator.refusal import Refused
from engine.simulator.rest_lag import RestLag
from engine.simulator.rules import Rules
from engine.simulator.stream_feed import StreamFeed
from engine.simulator.stream_rows import balance_update, brief_row, order_row, trade_row
from engine.simulator.wallet import Wallet

_numbers = count(40_000_000)


@dataclass(slots=True)
class MarketState:
    """What all accounts share: the clock, the prices, the exchange's mode and rules.

    listing_lag: seconds for which a new order is missing from the lists.
    closing_lag: seconds for which an order that ended, and no list of open orders has any more, is missing from those
    of closed orders; and a trade from those of trades.
    rules: the behaviours on which sources disagree.
    """

    wall: Callable[[], float]
    prices: Prices
    rules: Rules
    status: str = "online"
    listing_lag: float = 0.0
    closing_lag: float = 0.0
    _moment: float | None = None

    def now(self) -> float:
        """The exchange's time."""
        return self.wall() if self._moment is None else self._moment

    @property
    def is_past(self) -> bool:
        """Whether `now()` is in the past, since a call that arrived earlier is executed."""
        return self._moment is not None

    @contextmanager
    def moment(self, at: float) -> Iterator[None]:
        """Set `now()` to a past moment inside the block, so that what was due then happens at that time."""
        before, self._moment = self._moment, at
        try:
            yield
        finally:
            self._moment = before


class Book:
    """The orders of one account, and what they do to its wallet. The exchange holds its lock around every method."""

    def __init__(self, market: MarketState, wallet: Wallet) -> None:
        self.market = market
        self.feed = StreamFeed()
        self.lag: RestLag | None = None
        self.ledger = Ledger(self._entered)
        self.fees = Fees.of(market.rules.fees)
        self._wallet = wallet
        self._orders: dict[str, BookOrder] = {}
        self._live: list[BookOrder] = []
        self._armed_until: float | None = None

    # What is there

    def all(self) -> list[BookOrder]:
        """Every order ever accepted, oldest first."""
        self.catch_up()
        return list(self._orders.values())

    def listed(self) -> list[BookOrder]:
        """Those that are old enough for the lists to show."""
        latest = self.market.now() - self.market.listing_lag
        orders = self.all() if self.lag is None else self.lag.orders
        return [order for order in orders if order.opened <= latest]

    def ended(self) -> list[BookOrder]:
        """Those that ended long enough ago for the lists to show, in the order of their end."""
        latest = self.market.now() - self.market.closing_lag
        ended = [(order.closed, order) for order in self.listed() if order.closed is not None]
        return [order for closed, order in sorted(ended, key=lambda each: each[0]) if closed <= latest]

    def fills(self) -> list[Fill]:
        """The trades that the lists show, oldest first."""
        latest = self.market.now() - self.market.closing_lag
        listed = {order.txid for order in self.listed()}
        return [fill for fill in self.ledger.fills if fill.order in listed and fill.time <= latest]

    def live(self) -> list[BookOrder]:
        """Those that can still be filled or canceled."""
        self._live = [order for order in self._live if order.is_live]
        return list(self._live)

    def holds(self) -> dict[str, Decimal]:
        """What the live orders hold, by asset."""
        held: dict[str, Decimal] = {}
        for order in self.live():
            asset, needed = self.fees.hold_of(order)
            held[asset] = held.get(asset, Decimal(0)) + needed
        return held

    def free(self, asset: str, given_back: BookOrder | None = None) -> Decimal:
        """What a new order could use, including the hold of `given_back` if it is on this book."""
        is_one = given_back is not None and given_back.txid in self._orders
        back = self.fees.hold_of(given_back)[1] if given_back is not None and is_one else Decimal(0)
        return self._wallet.free(asset, self.holds()) + back

    def quote(self, order: BookOrder) -> Quote:
        """What the order's pair costs now."""
        return self.market.prices.quote(order.pair)

    # What is done

    def put_in(self, order: BookOrder) -> None:
        """Add an order and match it at once."""
        self._orders[order.txid] = order
        self._live.append(order)
        order.remember(self.market.now())
        self.tell(order, "pending_new")
        if order.is_live and order.status != PENDING:
            self.feed.tell("executions", lambda: brief_row(order, self.market.now()))
        elif not order.is_live:
            self.tell(order, "canceled")
        self.meet(order, arrives=True)

    def cancel(self, found: Iterable[BookOrder], reason: str = "User requested") -> int:
        """Cancel these orders; returns their number."""
        canceled = list(found)
        for order in canceled:
            self._end(order, CANCELED, reason)
        return len(canceled)

    def arm(self, until: float | None) -> None:
        """Set the time at which everything is canceled; `None`: never."""
        self._armed_until = until

    # What happens by itself

    def catch_up(self) -> None:
        """Apply, in order, what has become due: orders start and expire, the dead man's switch fires."""
        while (at := min(self._coming(), default=None)) is not None and at <= self.market.now():
            with self.market.moment(at):
                self._come(at)

    def price_moved(self, pair: ListedPair) -> None:
        """Apply a price change: orders are triggered and filled."""
        for order in self.live():
            if order.pair.id == pair.id:
                self.meet(order)

    def fill(self, txid: str, volume: Decimal) -> None:
        """Another trader takes part of a resting order, at its price. Raises `LookupError` or `ValueError`."""
        self.catch_up()
        order = self._orders.get(txid)
        if order is None or not order.is_live:
            raise LookupError(f"no order {txid} is open")
        if not 0 < volume <= order.left or order.price is None or order.is_waiting:
            raise ValueError(f"{volume} of {txid} cannot be filled: {order.left} is left, at {order.price}")
        self._trade(order, volume, Deal(order.price, maker=True))

    def _coming(self) -> Iterator[float]:
        if self._armed_until is not None:
            yield self._armed_until
        for order in self.live():
            if order.expires:
                yield order.expires
            if order.status == PENDING:
                yield order.starts

    def _come(self, at: float) -> None:
        for order in self.live():
            if order.expires and order.expires <= at:
                self._end(order, EXPIRED, None)
            elif order.status == PENDING and order.starts <= at:
                order.status = OPEN
                self.tell(order, "new")
                self.meet(order, arrives=True)
        if self._armed_until is not None and self._armed_until <= at:
            self._armed_until = None
            self.cancel(self.live(), "Cancel all orders after")

    def meet(self, order: BookOrder, *, arrives: bool = False) -> None:
        """Match an order against the price: it may be triggered, filled, or canceled if it may not rest or take."""
        quote = self.quote(order)
        if order.status != OPEN:
            return
        if order.is_waiting:
            order.trigger = followed(order, quote)
            if not is_reached(order, quote):
                return
            self._touch(order)
            arrives = True
        outcome = meeting(order, quote, arrives=arrives)
        if isinstance(outcome, Deal) and not self._can_pay(order, outcome):
            outcome = "Insufficient funds"
        if isinstance(outcome, Deal):
            self._trade(order, order.left, outcome)
        elif outcome:
            self._end(order, CANCELED, outcome)

    def _can_pay(self, order: BookOrder, deal: Deal) -> bool:
        """Whether the account can still pay for a market order whose price got worse since it was accepted."""
        at_this = replace(order, price=deal.price)
        asset, needed = self.fees.hold_of(at_this)
        return needed <= self.free(asset, order)

    def _touch(self, order: BookOrder) -> None:
        """Mark the trigger as reached, and compute a limit that is relative to it."""
        order.misc.add("touched")
        if order.offset is not None and order.trigger is not None:
            order.price = order.offset.at(order.trigger, order.side, order.pair)

    def _trade(self, order: BookOrder, volume: Decimal, deal: Deal) -> None:
        fee = self.fees.fee_of(order, deal.price, volume, maker=deal.maker)
        fill = Fill(
            new_id("T"), order.txid, order.pair, order.side, order.kind, self.market.now(), deal.price, volume, fee,
            deal.maker, next(_numbers), order.pays_in_base,
        )  # fmt: skip
        sign = 1 if order.side == "buy" else -1
        fees = (fee, Decimal(0)) if order.pays_in_base else (Decimal(0), fee)
        amounts = (sign * volume, -sign * fill.cost)
        assets = (order.pair.base, order.pair.quote)
        self.ledger.write(fill, [self.change(*each) for each in zip(assets, amounts, fees, strict=True)])
        order.fills.append(fill)
        self.feed.tell("executions", lambda: trade_row(order, fill))
        if order.left <= 0:
            self._end(order, CLOSED, None)
        self._place_close(order, fill)

    def tell(self, order: BookOrder, exec_type: str) -> None:
        """Tell the account's WebSockets what has become of an order."""
        self.feed.tell("executions", lambda: order_row(order, exec_type, self.market.now()))

    def _end(self, order: BookOrder, status: str, reason: str | None) -> None:
        order.end(status, reason, self.market.now())
        self.tell(order, {CLOSED: "filled", CANCELED: "canceled", EXPIRED: "expired"}[status])

    def set_lag(self, seconds: float) -> None:
        """Let REST tell what was so many seconds ago, from now on; 0: what is."""
        if self.lag is not None:
            self.feed.remove(self.lag.note)
        self.lag = None
        if seconds:
            rows, orders = (lambda: self._wallet.told(self.holds())), (lambda: list(self._orders.values()))
            self.lag = RestLag(seconds, self.market.now, rows, orders)
            self.feed.add(self.lag.note)

    def _entered(self, entry: LedgerEntry) -> None:
        self.feed.tell("balances", lambda: balance_update(entry, self._wallet.rows))

    def change(self, asset: str, amount: Decimal, fee: Decimal = Decimal(0)) -> Change:
        """Add an amount to the balance and take a fee from it, in the asset's decimals."""
        amount, fee = settled(asset, amount), settled(asset, fee, ROUND_UP)
        return Change(asset, amount, fee, self._wallet.change(asset, amount - fee))

    def _place_close(self, order: BookOrder, fill: Fill) -> None:
        """Place the conditional close of an order, for the volume of a fill."""
        if order.close is None:
            return
        side = "sell" if order.side == "buy" else "buy"
        asked = {
            "type": side, "ordertype": order.close.kind, "price": order.close.price, "price2": order.close.price2,
            "volume": f"{fill.volume:f}",
        }  # fmt: skip
        with suppress(Refused):  # a distance that leads below 0: there is nothing to place
            close = make_order(asked, order.pair, self.quote(order), self.market.now())
            close.refid = order.txid
            asset, needed = self.fees.hold_of(close)
            if needed > self.free(asset):
                close.end(CANCELED, "Insufficient funds", self.market.now())
            self.put_in(close)
