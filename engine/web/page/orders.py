"""Open orders, whoever placed them, and those of which it is not known whether Kraken has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlencode

from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.order_values import Price
from engine.rules.order.states import OrderState
from engine.web.page.cell import Age, Cell, Link, Moment, Number, Piece, Row, cell
from engine.web.page.headline import late_accounts
from engine.web.page.number import amount, short
from engine.web.page.seen import Seen

_DOING = {
    OrderState.PLANNED: "It waits in the lane and has not been sent.",
    OrderState.SENT: "It was sent, and Kraken's answer is waited for.",
    OrderState.UNKNOWN: "Kraken is asked again and again until it is certain. Until then no other order goes out on "
    "{pair} for {account}. Do not place it again under another id.",
}


def open_rows(seen: Seen) -> list[Row]:
    """All open orders, ours first; those that are not settled are in the rows of the unknown ones."""
    ours = [each for each in seen.orders if each.state.is_settled]
    return [*(_ours(each, seen) for each in ours), *(_others(each, seen) for each in seen.others)]


def unknown_rows(seen: Seen) -> list[Row]:
    """Placements of ours of which it is not known whether Kraken has them, with what is being done."""
    return [_unknown(each, seen) for each in seen.orders if not each.state.is_settled]


def open_sum(seen: Seen) -> Cell:
    """One sentence on the open orders."""
    settled = sum(each.state.is_settled for each in seen.orders)
    ours = f"{settled} of ours open" if settled else "none of ours open"
    besides = f"; {len(seen.others)} placed elsewhere" if seen.others else ""
    if seen.unknown:
        doubt = f"; Kraken could not be asked for those of {', '.join(seen.unknown)} that were placed elsewhere"
        return cell(ours + besides + doubt, state="warn")
    return cell(ours + besides, state="old" if late_accounts(seen.status) else "good")


def unknown_sum(seen: Seen) -> Cell:
    """One sentence on those that are not settled."""
    unknown = sum(each.state is OrderState.UNKNOWN for each in seen.orders)
    under_way = sum(not each.state.is_settled for each in seen.orders) - unknown
    if unknown:
        return cell(f"{unknown} unknown: whether Kraken has placed it is being looked up", state="bad")
    return cell(f"{under_way} on its way" if under_way else "none", state="plain" if under_way else "good")


def described(account: str, name: str, orders: Sequence[OrderReceipt], others: Sequence[OpenOrder]) -> str:
    """What is known of an order of the account, by our id or Kraken's name."""
    for receipt in orders:
        if receipt.account == account and name in (receipt.id, receipt.cl_ord_id, *receipt.txids):
            return _what(receipt.sent or receipt.order)
    for order in others:
        if order.account == account and name in (order.txid, order.cl_ord_id):
            return f"{order.description or 'an order'}, placed elsewhere"
    return "not among the open orders that are known here"


def _ours(receipt: OrderReceipt, seen: Seen) -> Row:
    order = receipt.sent or receipt.order
    opened = next((at for txid in receipt.txids if (at := seen.opened.get((receipt.account, txid)))), None)
    cells = (
        cell(receipt.account),
        cell(receipt.id, state="old" if receipt.account in late_accounts(seen.status) else "good"),
        *_terms(order.pair, order.side, order.volume, order.type, order.price, receipt.filled),
        cell(*_age(opened, seen)),
        _distance(order.pair, order.price, seen),
        cell(", ".join(receipt.txids)),
        cell(*_cancel(receipt.account, receipt.id, _what(order), seen)),
    )
    return Row(f"{receipt.account}/{receipt.cl_ord_id or receipt.id}", cells, "good", {"account": receipt.account})


def _others(order: OpenOrder, seen: Seen) -> Row:
    name = order.txid or order.cl_ord_id or ""
    words = order.description or "an order"
    cells = (
        cell(order.account),
        cell("not ours, as last seen" if order.account in seen.unknown else "not ours", state="warn"),
        *_terms(order.pair, order.side, order.volume, order.type, order.price, order.filled),
        cell(*_age(order.opened, seen)),
        _distance(order.pair, order.price, seen),
        cell(name),
        cell(*_cancel(order.account, name, words, seen) if name else ()),
    )
    return Row(f"{order.account}/{name}", cells, "plain", {"account": order.account})


def _unknown(receipt: OrderReceipt, seen: Seen) -> Row:
    order = receipt.sent or receipt.order
    doing = _DOING[receipt.state].format(pair=order.pair, account=receipt.account)
    why = f" {receipt.reason}" if receipt.reason else ""
    since = seen.unsettled.get((receipt.account, receipt.id))
    cells = (
        cell(receipt.account),
        cell(receipt.id),
        cell(receipt.state.value, state="bad" if receipt.state is OrderState.UNKNOWN else "plain"),
        cell(*((Moment(since), " (", *_age(since, seen), ")") if since is not None else ())),
        cell(_what(order)),
        cell(doing + why),
        cell(*_cancel(receipt.account, receipt.id, _what(order), seen)),
    )
    return Row(f"{receipt.account}/{receipt.cl_ord_id or receipt.id}", cells, cells[2].state,
               {"account": receipt.account})  # fmt: skip


def _terms(
    pair: str | None, side: str | None, volume: Decimal | None, kind: str | None, price: Price | None,
    filled: Decimal | None,
) -> Sequence[Cell]:  # fmt: skip
    return (
        cell(pair or ""),
        cell(side or ""),
        cell(short(volume)),
        cell(kind or ""),
        cell(short(price) if isinstance(price, Decimal) else price or ""),
        cell(short(filled)),
    )


def _what(order: Order) -> str:
    price = f" at {_price(order.price)}" if order.price is not None else ""
    return f"{order.side} {amount(order.volume)} {order.pair} {order.type}{price}"


def _price(price: Price | None) -> str:
    if price is None:
        return ""
    return price if isinstance(price, str) else amount(price)


def _age(opened: datetime | None, seen: Seen) -> list[Piece]:
    return [] if opened is None else [Age(max(0.0, (seen.status.as_of - opened).total_seconds()))]


def _distance(pair: str | None, price: Price | None, seen: Seen) -> Cell:
    """How far the price of an order is from the last trade."""
    last = seen.quotes.last.get(pair or "")
    if not isinstance(price, Decimal) or not last:
        return cell("")
    part = 100 * (price - last) / last
    where = "above" if part > 0 else "below"
    return cell(Number(f"{abs(part):.2f} % {where}", f"the last trade was at {amount(last)}"))


def _cancel(account: str, name: str, what: str, seen: Seen) -> list[Piece]:
    if not seen.may_act:
        return []
    query = urlencode({"action": "cancel", "account": account, "order": name})
    return [Link("Cancel…", f"/act?{query}", f"Cancel order {name} of {account}: {what}")]
