"""The gates before a trade (promise G10): balance, health, capital, market, signal.

Each is a small pure function of a `TradeView` that returns `Allow` or `Deny` with its reasons. Guarantees:

- Doubt denies: what is not known, what is old, a gate that raises or returns anything else, and an empty list.
- All reasons are collected: a gate that denies does not keep those after it from looking. Only gates that look at the
  strategy's order are *not reached* then, since the strategy is not asked.
- Nothing is sent before the last gate has allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from engine.rules.balance.cash import in_words
from engine.rules.balance.snapshot import BalanceState
from engine.rules.gates.capital import (
    below_minimum,
    fee_of,
    fee_sentence,
    may_be_used,
    needs,
    plain,
    shortfall,
    smallest,
    spendable,
)
from engine.rules.gates.gate import Allow, Deny, Gate, Verdict, verdict_of
from engine.rules.gates.health import health_troubles
from engine.rules.gates.market import data_troubles, market_troubles, tradable
from engine.rules.gates.view import Market, TradeView
from engine.rules.order.order import Order


def balance_fetch(view: TradeView) -> Verdict:
    """The balance is known, FRESH, young enough for the plan, and says what is free."""
    return verdict_of(_balance_troubles(view), lambda: _balance_seen(view))


def health_check(view: TradeView) -> Verdict:
    """Kraken is online, the account and its key are in order, and nothing of ours is open to doubt."""
    return verdict_of(health_troubles(view), lambda: f"Kraken is online, this clock is {view.skew or 0:+.1f} s off")


def capital_validation(view: TradeView) -> Verdict:
    """The plan's order can be paid for, fee included; without one, the smallest buy or sell on one pair at least."""
    if view.plan.order is not None:
        return _funds_for(view, view.plan.order)
    found = [_funds(view, name) for name in view.plan.pairs]
    good = [seen for seen, _ in found if seen]
    return Allow("; ".join(good)) if good else Deny(*(trouble for _, trouble in found))


def market_scan(view: TradeView) -> Verdict:
    """The scanner has picked a pair that is online, with young prices and a narrow spread; all data have come."""
    chosen = tradable(view)
    missing = tuple(data_troubles(view))
    if chosen and not missing:
        return Allow(", ".join(f"{each.pair}{f' ({each.note})' if each.note else ''}" for each in chosen))
    return Deny(*missing, *(() if chosen else _scan_troubles(view)))


def signal_execution(view: TradeView) -> Verdict:
    """The strategy has an order that Kraken would take and the account can pay for, and nothing has grown old."""
    if view.signal is None:
        return Deny("The strategy was not asked.")
    order = view.signal.order
    if order is None:
        return Deny(view.signal.problem or "The strategy wants no order.")
    return verdict_of(_order_troubles(view, order), lambda: describe(order))


FIVE_GATES: tuple[Gate, ...] = (
    Gate("Balance fetch", balance_fetch),
    Gate("Health check", health_check),
    Gate("Capital validation", capital_validation),
    Gate("Market scan", market_scan),
    Gate("Signal execution", signal_execution, needs_order=True),
)
"""In the order of the flow. A plan may leave some out, put others in between, or change the order."""


def describe(order: Order) -> str:
    """An order in Kraken's words, such as ``buy 0.001 XBTUSD @ limit 30000``."""
    prices = [plain(each) if isinstance(each, Decimal) else each for each in (order.price, order.price2) if each]
    return " ".join([order.side, plain(order.volume), order.pair, "@", order.type, *prices])


def _balance_troubles(view: TradeView) -> Iterator[str]:
    balance = view.balance
    why = f" {balance.last_error}" if balance.last_error else ""
    if balance.state is BalanceState.UNKNOWN:
        yield f"The balance is unknown: there never was a good reply.{why}"
        return
    if balance.restored:
        yield f"The balance is that of an earlier run, and has not been fetched since.{why}"
    elif balance.invalidated:
        yield f"An order or a cancel of ours has changed the balance since it was fetched.{why}"
    elif balance.state is BalanceState.STALE:
        yield f"The balance is stale: {balance.age:.1f} s old, and {balance.max_age:g} s at most may be.{why}"
    elif not view.was_refreshed:
        yield f"The balance could not be fetched anew; the last one is {balance.age:.1f} s old.{why}"
    if balance.available_cash is None:
        yield "What open orders hold is not known (Kraken's BalanceEx did not answer), so nobody knows what is free."


def _balance_seen(view: TradeView) -> str:
    balance = view.balance
    free = Decimal(0) if balance.available_cash is None else balance.available_cash
    return f"{balance.age:.1f} s old, available cash {in_words(balance.cash_assets)} {plain(free)}"


def _funds_for(view: TradeView, order: Order) -> Verdict:
    market = view.market(order.pair)
    if market.pair is None or market.ticker is None:
        return Deny(_funds(view, order.pair)[1])
    trouble = shortfall(view, order, market)
    asset, amount = needs(order, market, view.plan.slippage)
    if trouble:
        return Deny(trouble)
    fee = f" (fee: {fee_of(market)})" if order.side == "buy" else ""
    return Allow(f"{plain(amount)} {asset} needed and available{fee}")


def _funds(view: TradeView, name: str) -> tuple[str, str]:
    """What can be traded on a pair, or else why nothing can: two texts, one of them empty."""
    market = view.market(name)
    if market.pair is None or market.ticker is None:
        return "", f"What an order on {name} takes is not known. {market.problem or 'Its price is missing.'}"
    if not market.ticker.ask:
        return "", f"Nobody sells on {name}, so what an order takes is not known."
    return _what_is_enough(view, name, market)


def _what_is_enough(view: TradeView, name: str, market: Market) -> tuple[str, str]:
    volume, cost = smallest(market)
    pays, sells = spendable(view, market.quote, is_quote=True), spendable(view, market.base, is_quote=False)
    if pays is None or sells is None:
        return "", f"What is free of {market.quote} and {market.base} is not known."
    if pays >= cost:
        return f"{plain(pays)} {market.quote} for {name} (fee: {fee_of(market)})", ""
    if sells >= volume:
        return f"{plain(sells)} {market.base} to sell on {name}", ""
    return "", (
        f"The smallest order on {name} takes {plain(cost)} {market.quote}, fee included, or {plain(volume)} "
        f"{market.base} to sell; {may_be_used(view, market.quote, pays, is_quote=True)} {fee_sentence(market)}"
    )


def _scan_troubles(view: TradeView) -> Iterator[str]:
    for name in view.plan.pairs:
        yield from market_troubles(view, name)
    if view.scan is None:
        yield "The scanner was not asked."
    elif view.scan.problem:
        yield view.scan.problem
    elif not view.scan.candidates:
        yield "The scanner picked no pair."


def _order_troubles(view: TradeView, order: Order) -> Iterator[str]:
    market = view.market(order.pair)
    yield from market_troubles(view, order.pair)
    if view.balance.state is not BalanceState.FRESH:
        yield "The balance is not fresh any more."
    if market.pair is not None and market.ticker is not None:
        yield from filter(None, (below_minimum(order, market), shortfall(view, order, market)))
