"""The gates before a trade (promise G10): pure, exhaustively tried, and every doubt denies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError, GateDenied
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.capital import needs, plain, spendable
from engine.rules.gates.fees import DENIED as NOT_ALLOWED
from engine.rules.gates.fees import Fee, choose_fee
from engine.rules.gates.gate import Allow, Deny, Gate
from engine.rules.gates.gates import (
    FIVE_GATES,
    balance_fetch,
    capital_validation,
    health_check,
    market_scan,
    signal_execution,
)
from engine.rules.gates.plan import Candidate, TradePlan
from engine.rules.gates.report import GateReport, GateResult, GateState, judge
from engine.rules.gates.view import (
    KeyFacts,
    Market,
    Scan,
    Signal,
    SystemState,
    TradeView,
    read_candidates,
    read_order,
)
from engine.rules.order.order import Order
from engine.values import AssetBalance, Pair, Ticker

NOW = 1000.0
XBT = Pair(
    id="XXBTZUSD", altname="XBTUSD", wsname="XBT/USD", base="XXBT", quote="ZUSD", status="online",
    tick_size=Decimal("0.1"), pair_decimals=1, lot_decimals=8, cost_decimals=5, ordermin=Decimal("0.0001"),
    costmin=Decimal("0.5"),
)  # fmt: skip
PRICES = Ticker(ask=Decimal("30000.0"), bid=Decimal("29999.9"), last=Decimal("30000.0"))
FEE = Fee(Decimal("0.004"), is_own=True)
MARKET = Market(XBT, "XBT", "USD", PRICES, at=NOW - 0.2, fee=FEE)
LIMIT = Order("XBTUSD", "buy", "limit", "0.01", "29000")
SELL = Order("XBTUSD", "sell", "market", "0.5")


def amount(total: str, held: str | None = "0") -> AssetBalance:
    free = None if held is None else Decimal(total) - Decimal(held)
    return AssetBalance(Decimal(total), free, None if held is None else Decimal(held))


def balance(age: float = 1.0, usd: str = "1000", **changes: Any) -> BalanceSnapshot:
    assets = changes.pop("assets", {"USD": amount(usd), "XBT": amount("0")})
    known: dict[str, Any] = {"cash": Decimal(usd), "available_cash": Decimal(usd), "is_available": True} | changes
    return BalanceSnapshot(
        "MASTER", as_of=datetime(2026, 1, 1, tzinfo=UTC), assets=assets, max_age=15.0, _fixed_age=age, **known
    )


def view(**changes: Any) -> TradeView:
    """A view in which everything is well."""
    known: dict[str, Any] = {
        "account": "MASTER", "plan": TradePlan(), "now": NOW, "balance": balance(),
        "system": SystemState("online", NOW - 0.2), "key": KeyFacts(level=2.0, limit=15.0, trades_limit=60.0),
        "skew": 0.3, "markets": {"XBTUSD": MARKET}, "scan": Scan((Candidate("XBTUSD"),)),
        "signal": Signal(LIMIT, Candidate("XBTUSD")),
    }  # fmt: skip
    return TradeView(**(known | changes))


def reasons(check: Callable[[TradeView], Any], seen: TradeView) -> tuple[str, ...]:
    verdict = check(seen)
    return verdict.reasons if isinstance(verdict, Deny) else ()


def test_all_five_allow_when_everything_is_well() -> None:
    for gate in FIVE_GATES:
        result = judge(gate, view())
        assert (result.state, result.reasons) == (GateState.PASSED, ()), gate.name
        assert result.seen, f"{gate.name} says what it saw"
    assert [gate.name for gate in FIVE_GATES] == [
        "Balance fetch", "Health check", "Capital validation", "Market scan", "Signal execution",
    ]  # fmt: skip
    assert [gate.needs_order for gate in FIVE_GATES] == [False] * 4 + [True]


# --- each defect by itself, then every set of them

Change = Callable[[TradeView], TradeView]


def bal(**changes: Any) -> Change:
    return lambda seen: replace(seen, balance=replace(seen.balance, **changes))


def key(**changes: Any) -> Change:
    return lambda seen: replace(seen, key=seen.key and replace(seen.key, **changes))


def market(**changes: Any) -> Change:
    return lambda seen: replace(seen, markets={"XBTUSD": replace(seen.markets["XBTUSD"], **changes)})


def set_(**changes: Any) -> Change:
    return lambda seen: replace(seen, **changes)


BALANCE: Mapping[str, Change] = {
    "there never was a good reply": set_(balance=BalanceSnapshot("MASTER", is_available=True)),
    "an earlier run": bal(restored=True),
    "has changed the balance since": bal(_as_of_monotonic=1.0, _invalidated_at=lambda: 2.0),
    "stale: 15.1 s old, and 15 s at most": bal(_fixed_age=15.1),
    "could not be fetched anew": set_(was_refreshed=False),
    "nobody knows what is free": bal(available_cash=None),
}
HEALTH: Mapping[str, Change] = {
    "Kraken's status is not known. No answer": set_(system=SystemState(problem="No answer.")),
    "Kraken's status is 5.1 s old": set_(system=SystemState("online", NOW - 5.1)),
    "status is 'maintenance'": set_(system=SystemState("maintenance", NOW)),
    "status is 'cancel_only'": set_(system=SystemState("cancel_only", NOW)),
    "status is 'post_only'": set_(system=SystemState("post_only", NOW)),
    "The account is not available. Kraken hung": bal(is_available=False, last_error="Kraken hung."),
    "Kraken's time is not known": set_(skew=None),
    "5.1 s ahead of Kraken's": set_(skew=5.1),
    "5.1 s behind Kraken's": set_(skew=-5.1),
    "nan s": set_(skew=float("nan")),
    "The private lane does not run": set_(key=None),
    "The key is locked-out. Quiet": key(state="locked-out", sentence="Quiet."),
    "The key is key-refused": key(state="key-refused", sentence="Fix it."),
    "The key is nonces-refused": key(state="nonces-refused", sentence="Kept back."),
    "The key is nonce-refused-once": key(state="nonce-refused-once", sentence="Once."),
    "denies AddOrder, OpenOrders to this key": key(state="call-refused", denied=("OpenOrders", "AddOrder", "Ledgers")),
    "no room for 1 points": key(level=14.1),
    "no room for 10 points, which looking up an order": lambda seen: replace(key(level=5.1)(seen), live=True),
    "trading counter of XBTUSD is full": key(trades={"XBTUSD": 59.5, "ETHUSD": 60.0}),
    "trading counter of XXBTZUSD is full": key(trades={"XXBTZUSD": 59.5}),
    "Order signal-7 is unknown": set_(unsettled=("Order signal-7 is unknown.",)),
}
CAPITAL: Mapping[str, Change] = {
    "is not known. No answer": market(pair=None, problem="No answer."),
    "is not known. Its price is missing": market(ticker=None),
    "Nobody sells": market(ticker=Ticker(Decimal(0), Decimal(0), Decimal(1))),
    "takes 3.012 USD, fee included, or 0.0001 XBT to sell; 3.0119 USD may be used.": set_(
        balance=balance(usd="3.0119")
    ),
    "0 USD may be used, after 1000 for orders": set_(reserved={"USD": Decimal(1000)}),
    "0 USD may be used, after all for orders": set_(reserved={"USD": Decimal("Infinity")}),
    "2 USD may be used, after 998 kept back": set_(plan=TradePlan(reserve="998")),
    "1 USD may be used, after 900 for orders that are not settled and 99 kept back": set_(
        reserved={"USD": Decimal(900)}, plan=TradePlan(reserve={"USD": "99"})
    ),
    "What is free of USD and XBT is not known": bal(assets={"USD": amount("1000", None), "XBT": amount("1", None)}),
    "The order takes 1001.5904 USD, fee included; 1000 USD may be used.": set_(
        plan=TradePlan(order=Order("XBTUSD", "buy", "limit", "0.0344", "29000"))
    ),
    "The order takes 0.5 XBT; 0 XBT may be used.": set_(plan=TradePlan(order=SELL)),
    "What an order on XBTUSD takes is not known": lambda seen: market(ticker=None)(
        replace(seen, plan=TradePlan(order=LIMIT))
    ),
    "What an order on ETHUSD takes is not known": set_(plan=TradePlan(order=Order("ETHUSD", "buy", "market", "1"))),
    "What is free of USD": set_(balance=BalanceSnapshot("MASTER")),
}
MARKETS: Mapping[str, Change] = {
    "Nothing is known of XBTUSD. No answer": market(pair=None, problem="No answer."),
    "XBTUSD is not online: Kraken says 'cancel_only'": market(pair=replace(XBT, status="cancel_only")),
    "The price of XBTUSD is not known": market(ticker=None),
    "The price of XBTUSD is 5.1 s old": market(at=NOW - 5.1),
    "make no sense: bid 30001, ask 30000": market(ticker=Ticker(Decimal(30000), Decimal(30001), Decimal(1))),
    "make no sense: bid 30000, ask 30000": market(ticker=Ticker(Decimal(30000), Decimal(30000), Decimal(1))),
    "make no sense: bid 0": market(ticker=Ticker(Decimal(30000), Decimal(0), Decimal(1))),
    "The spread of XBTUSD is 0.509 %; 0.5 %": market(ticker=Ticker(Decimal("100.51"), Decimal(100), Decimal(1))),
    "The scanner was not asked": set_(scan=None),
    "The scanner picked no pair": set_(scan=Scan()),
    "The scanner failed": set_(scan=Scan(problem="The scanner failed.")),
    "Nothing is known of DOGE": set_(scan=Scan((Candidate("DOGE"),)), plan=TradePlan(pairs=("DOGE",))),
    "The data 'candles' did not come. Too late": set_(
        plan=TradePlan(data={"candles": ("OHLC", {})}), missing={"candles": "Too late."}
    ),
    "The data 'candles' is older than 5 s": set_(
        plan=TradePlan(data={"candles": ("OHLC", {})}), data={"candles": {}}, data_at={"candles": NOW - 5.1}
    ),
}
SIGNAL: Mapping[str, Change] = {
    "The strategy was not asked": set_(signal=None),
    "wants no order": set_(signal=Signal()),
    "The strategy failed": set_(signal=Signal(problem="The strategy failed.")),
    "Nothing is known of ETHUSD. It is none of the plan's pairs": set_(
        signal=Signal(Order("ETHUSD", "buy", "market", "1"))
    ),
    "The balance is not fresh any more": bal(_fixed_age=16.0),
    "The price of XBTUSD is 5.1 s old": market(at=NOW - 5.1),
    "XBTUSD is not online": market(pair=replace(XBT, status="reduce_only")),
    "The volume 0.00009 is below 0.0001": set_(signal=Signal(Order("XBTUSD", "buy", "limit", "0.00009", "29000"))),
    "The order is worth 0.1": set_(signal=Signal(Order("XBTUSD", "buy", "limit", "0.001", "100"))),
    "The order takes 1001.5904 USD, fee included; 1000 USD may be used.": set_(
        signal=Signal(Order("XBTUSD", "buy", "limit", "0.0344", "29000"))
    ),
    "The order takes 1006.94172 USD": set_(signal=Signal(Order("XBT/USD", "buy", "market", "0.0331"))),
    "The order takes 0.5 XBT; 0 XBT may be used": set_(signal=Signal(Order("XXBTZUSD", "sell", "market", "0.5"))),
    "of it is not known": lambda seen: replace(bal(assets={"USD": amount("1", None)})(seen), signal=Signal(LIMIT)),
}
ALL = [
    (check, word, change)
    for check, defects in (
        (balance_fetch, BALANCE), (health_check, HEALTH), (capital_validation, CAPITAL), (market_scan, MARKETS),
        (signal_execution, SIGNAL),
    )
    for word, change in defects.items()
]  # fmt: skip


@pytest.mark.parametrize(("check", "word", "change"), ALL, ids=[f"{check.__name__}-{word}" for check, word, _ in ALL])
def test_each_defect_denies_with_its_reason(check: Callable[[TradeView], Any], word: str, change: Change) -> None:
    said = reasons(check, change(view()))
    assert any(word in reason for reason in said), said
    assert all(reason.endswith((".", "?")) for reason in said), said


INDEPENDENT: Mapping[str, Change] = {
    "changed the balance since": bal(_as_of_monotonic=1.0, _invalidated_at=lambda: 2.0),
    "nobody knows what is free": bal(available_cash=None),
    "'maintenance'": set_(system=SystemState("maintenance", NOW)),
    "The account is not available": bal(is_available=False),
    "Kraken's time is not known": set_(skew=None),
    "The key is locked-out": key(state="locked-out"),
    "denies AddOrder": key(denied=("AddOrder",)),
    "no room for": key(level=15.0),
    "trading counter of XBTUSD": key(trades={"XBTUSD": 60.0}),
    "Order 7 is unknown": set_(unsettled=("Order 7 is unknown.",)),
    "The smallest order": set_(reserved={"USD": Decimal("Infinity")}),
    "The price of XBTUSD is": market(at=NOW - 6),
    "The scanner picked no pair": set_(scan=Scan()),
}


def test_every_set_of_defects_gives_every_reason() -> None:
    """8192 sets: a pass is stopped exactly when something is wrong, and nothing that is wrong goes unsaid."""
    names = list(INDEPENDENT)
    for chosen in itertools.product((False, True), repeat=len(names)):
        seen = view()
        wrong = [name for name, is_wrong in zip(names, chosen, strict=True) if is_wrong]
        for name in wrong:
            seen = INDEPENDENT[name](seen)
        said = " ".join(reason for gate in FIVE_GATES[:4] for reason in judge(gate, seen).reasons)
        assert [name for name in names if name in said] == wrong


@pytest.mark.parametrize(
    "change",
    [
        bal(_fixed_age=15.0), key(level=14.0), lambda seen: replace(key(level=5.0)(seen), live=True),
        key(trades={"XBTUSD": 59.0}), key(trades={"ETHUSD": 1000.0}), set_(skew=-5.0),
        lambda seen: replace(key(level=99.0)(seen), counts=False), key(denied=("Ledgers",)),
        key(state="call-refused", denied=("Ledgers",)), set_(system=SystemState("online", NOW - 5.0)),
        market(at=NOW - 5.0),
        set_(plan=TradePlan(data={"mine": ("OHLC", {})}), data={"mine": {}}, data_at={"mine": NOW - 5.0}),
        set_(balance=balance(usd="291.16")), set_(plan=TradePlan(max_spread="0.0004")),
        set_(plan=TradePlan(reserve="708.84")), set_(plan=TradePlan(reserve={"XBT": "5"})),
        set_(signal=Signal(Order("XXBTZUSD", "buy", "limit", "0.0344", "28953.9"))),
        lambda seen: replace(bal(assets={"XBT": amount("0.5")})(seen), signal=Signal(SELL)),
    ],
)  # fmt: skip
def test_what_is_just_within_the_limits_passes(change: Change) -> None:
    assert [reasons(gate.check, change(view())) for gate in FIVE_GATES] == [()] * 5


def test_one_good_pair_of_several_is_enough_and_the_bad_one_is_left_out() -> None:
    plan = TradePlan(pairs=("ETHUSD", "XBTUSD"))
    both = (Candidate("ETHUSD"), Candidate("XBTUSD", "best"))
    seen = view(plan=plan, scan=Scan(both), markets={"XBTUSD": MARKET, "ETHUSD": Market(problem="No answer.")})
    assert market_scan(seen) == Allow("XBTUSD (best)")
    assert capital_validation(seen) == Allow("1000 USD for XBTUSD (fee: the account's own 0.40 % by TradeVolume)")


def test_a_plan_may_have_its_order_in_place_of_a_strategy() -> None:
    wanted = TradePlan(pairs=("ETHUSD",), order=LIMIT)
    assert wanted.pairs == ("XBTUSD",)
    assert wanted.strategy(Candidate("XBTUSD"), view()) is LIMIT
    assert capital_validation(view(plan=wanted)) == Allow(
        "291.16 USD needed and available (fee: the account's own 0.40 % by TradeVolume)"
    )


@pytest.mark.parametrize(("usd", "xbt", "passes"), [
    ("3.012", "0", True), ("3.01199999", "0", False), ("0", "0.0001", True), ("0", "0.00009999", False),
])  # fmt: skip
def test_the_smallest_order_is_enough_and_less_is_not(usd: str, xbt: str, passes: bool) -> None:
    """0.0001 XBT at 30000 and a fee of 0.4 %."""
    mine = balance(usd=usd, assets={"USD": amount(usd), "XBT": amount(xbt)})
    assert isinstance(capital_validation(view(balance=mine)), Allow) == passes


def test_a_plain_reserve_does_not_apply_to_the_asset_that_is_sold() -> None:
    mine = balance(usd="0", assets={"USD": amount("0"), "XBT": amount("0.5")})
    assert capital_validation(view(balance=mine, plan=TradePlan(reserve="1"))) == Allow("0.5 XBT to sell on XBTUSD")
    kept = reasons(capital_validation, view(balance=mine, plan=TradePlan(reserve={"XBT": "0.4999"})))
    assert kept == (), "0.0001 is left"
    assert reasons(capital_validation, view(balance=mine, plan=TradePlan(reserve={"XBT": "0.49991"})))


@pytest.mark.parametrize(("order", "passes"), [
    (Order("XBTUSD", "buy", "market", "0.0001"), True),
    (Order("XBTUSD", "sell", "market", "0.0001"), False),  # at the bid it is worth less than 3
    (Order("XBTUSD", "buy", "market", "3", flags="viqc"), True),
    (Order("XBTUSD", "buy", "market", "2.99", flags="viqc"), False),
    (Order("XBTUSD", "buy", "limit", "0.0001", "30000"), True),
    (Order("XBTUSD", "buy", "limit", "0.0001", "29999.9"), False),
])  # fmt: skip
def test_an_order_that_is_worth_too_little_is_denied(order: Order, passes: bool) -> None:
    dear = replace(MARKET, pair=replace(XBT, costmin=Decimal(3)))
    mine = balance(assets={"USD": amount("1000"), "XBT": amount("1")})
    seen = view(balance=mine, markets={"XBTUSD": dear}, signal=Signal(order))
    assert isinstance(signal_execution(seen), Allow) == passes


def test_a_full_trading_counter_denies_also_while_the_pair_is_not_known() -> None:
    said = reasons(health_check, key(trades={"XBTUSD": 60.0})(market(pair=None)(view())))
    assert "trading counter of XBTUSD is full" in " ".join(said)


def test_a_later_gate_says_what_an_earlier_one_lacked() -> None:
    nothing = TradeView("MASTER", TradePlan(), NOW, BalanceSnapshot("MASTER"))
    for gate in FIVE_GATES:
        result = judge(gate, nothing)
        assert result.state is GateState.DENIED
        assert not any("gate failed" in reason for reason in result.reasons), result.reasons
    assert "is not known" in " ".join(judge(FIVE_GATES[2], nothing).reasons)


# --- what a gate may be


@pytest.mark.parametrize("wrong", [None, True, False, "ok", Allow, Deny, object(), (Allow(),), 1])
def test_a_gate_that_returns_no_verdict_denies(wrong: object) -> None:
    result = judge(Gate.of(lambda _: wrong), view())
    assert result.state is GateState.DENIED
    assert "has to return Allow or Deny" in result.reasons[0]


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("x"), RecursionError(), StopIteration()])
def test_a_gate_that_raises_denies(error: Exception) -> None:
    def broken(_: TradeView) -> Allow:
        raise error

    result = judge(Gate.of(broken), view())
    assert result == GateResult("broken", GateState.DENIED, (f"The gate failed: {type(error).__name__}: {error}.",))


def test_a_deny_has_a_reason() -> None:
    for wrong in ((), ("",), ("  ",), (None,), ("good", 7)):
        with pytest.raises(ValueError, match="says why"):
            Deny(*wrong)


@pytest.mark.parametrize("wrong", [("", balance_fetch), (7, balance_fetch), ("good", None)])
def test_a_gate_has_a_name_and_a_function(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        Gate(*wrong)


def test_a_gate_is_named_like_its_function() -> None:
    def not_on_sundays(_: TradeView) -> Allow:
        return Allow()

    assert Gate.of(not_on_sundays) == Gate("not on sundays", not_on_sundays)
    assert Gate.of(lambda _: Allow()).name == "lambda"
    assert Gate.of(FIVE_GATES[0]) is FIVE_GATES[0]
    not_on_sundays.needs_order = True  # type: ignore[attr-defined]
    assert Gate.of(not_on_sundays).needs_order


# --- reports

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PASSED = GateResult("one", GateState.PASSED, seen="all is well")
DENIED = GateResult("two", GateState.DENIED, ("First.", "Second."))
MISSED = GateResult("three", GateState.NOT_REACHED)


def test_a_report_passes_only_when_every_gate_did_and_there_was_one() -> None:
    for results in itertools.chain(*(itertools.product((PASSED, DENIED, MISSED), repeat=n) for n in range(4))):
        report = GateReport("MASTER", WHEN, False, results)
        assert report.passed == (bool(results) and set(results) == {PASSED})
        if report.passed:
            assert report.require() is report
        else:
            with pytest.raises(GateDenied):
                report.require()


def test_an_empty_list_of_gates_denies_with_a_reason() -> None:
    report = GateReport("MASTER", WHEN, False, ())
    assert report.reasons == ("There are no gates, so nothing passes.",)
    assert "There are no gates" in str(report.to_dict())
    assert str(report).splitlines()[-1].startswith("Stopped, for 1 reason.")


def test_a_report_reads_like_the_flow_and_gives_every_reason() -> None:
    report = GateReport("MASTER", WHEN, False, (PASSED, DENIED, MISSED), seconds=0.25)
    assert str(report).splitlines() == [
        "MASTER, 2026-01-01 00:00:00 UTC, dry run, 0.25 s",
        "  one    passed       all is well",
        "→ two    denied       First.",
        "                      Second.",
        "→ three  not reached",
        "Stopped, for 2 reasons. Nothing was placed.",
    ]
    with pytest.raises(GateDenied, match=r"MASTER: two: First\. two: Second\."):
        report.require()
    told = report.to_dict()
    assert [each["state"] for each in told["gates"]] == ["passed", "denied", "not reached"]
    assert told["reasons"] == ["two: First.", "two: Second."]


# --- money

_money = st.decimals(min_value=0, max_value=10**12, places=8, allow_nan=False, allow_infinity=False)
_positive = st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8)


@given(free=_money, taken=_money, kept=_money, volume=_positive, price=_positive)
def test_an_order_passes_exactly_when_it_can_be_paid_for(
    free: Decimal, taken: Decimal, kept: Decimal, volume: Decimal, price: Decimal
) -> None:
    loose = replace(XBT, ordermin=Decimal(0), costmin=Decimal(0), tick_size=Decimal("0.00000001"), pair_decimals=8)
    seen = view(
        balance=balance(usd=str(free)), reserved={"USD": taken}, plan=TradePlan(reserve=kept),
        markets={"XBTUSD": replace(MARKET, pair=loose)},
        signal=Signal(Order("XBTUSD", "buy", "limit", volume, price)),
    )  # fmt: skip
    # another arithmetic than the one under test
    left = Fraction(free) - Fraction(taken) - Fraction(kept)
    cost = Fraction(volume) * Fraction(price) * Fraction(FEE.rate + 1)
    assert isinstance(signal_execution(seen), Allow) == (cost <= left)


@pytest.mark.parametrize(
    ("order", "asset", "takes"),
    [
        (Order("XBTUSD", "buy", "limit", "1", "30000"), "USD", "30120"),
        (Order("XBTUSD", "buy", "market", "1"), "USD", "30421.2"),  # the ask, 1 % more, and the fee
        (Order("XBTUSD", "buy", "stop-loss", "1", "31000"), "USD", "31435.24"),
        (Order("XBTUSD", "buy", "stop-loss", "1", "29000"), "USD", "30421.2"),
        (Order("XBTUSD", "buy", "limit", "1", "+5"), "USD", "30421.2"),
        (Order("XBTUSD", "buy", "market", "100", flags="viqc"), "USD", "100.4"),
        (Order("XBTUSD", "sell", "limit", "1", "30000"), "XBT", "1"),
        (Order("XBTUSD", "sell", "market", "1"), "XBT", "1"),
    ],
)
def test_what_an_order_takes_is_counted_on_the_safe_side(order: Order, asset: str, takes: str) -> None:
    assert needs(order, MARKET, Decimal(1)) == (asset, Decimal(takes))


def test_spendable_is_unknown_where_the_balance_is_and_zero_where_the_asset_is_not_there() -> None:
    assert spendable(view(balance=BalanceSnapshot("MASTER")), "USD", is_quote=True) is None
    assert spendable(view(), "DOGE", is_quote=True) == 0
    assert spendable(view(balance=balance(assets={"USD": amount("5", None)})), "USD", is_quote=True) is None
    assert spendable(view(balance=balance(assets={"USD": amount("5", "3")})), "USD", is_quote=True) == 2


def test_amounts_for_people_have_no_exponent() -> None:
    assert [plain(Decimal(text)) for text in ("1E+3", "1E-8", "10.500", "0", "100")] == [
        "1000", "0.00000001", "10.5", "0", "100",
    ]  # fmt: skip


# --- what the host's code may return


@pytest.mark.parametrize(
    "wrong", [None, "XBTUSD", 7, object(), ["ETHUSD"], [None], [7], [Candidate("ETHUSD")], ["XBTUSD"] * 1001]
)
def test_nonsense_of_a_scanner_is_a_problem(wrong: Any) -> None:
    scan = read_candidates(wrong, TradePlan())
    assert scan.problem
    assert scan.candidates == ()


def test_a_scanner_may_return_any_iterable() -> None:
    chosen = Candidate("XBTUSD", "best", 7)
    for good in (["XBTUSD"], ("XBTUSD",), iter(["XBTUSD"]), {"XBTUSD": 1}):
        assert read_candidates(good, TradePlan()).candidates == (Candidate("XBTUSD"),)
    assert read_candidates([chosen], TradePlan()).candidates == (chosen,)
    assert read_candidates([], TradePlan()) == Scan()


@pytest.mark.parametrize("wrong", [False, 0, "buy", {"pair": "XBTUSD"}, Order, (LIMIT,)])
def test_nonsense_of_a_strategy_is_a_problem(wrong: Any) -> None:
    signal = read_order(wrong, Candidate("XBTUSD"))
    assert signal is not None
    assert signal.order is None
    assert "has to return an Order or None" in str(signal.problem)


# --- plans


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": ()}, {"pairs": (7,)}, {"pairs": ("",)}, {"scanner": 7}, {"strategy": None}, {"gates": (7,)},
        {"reserve": 0.5}, {"reserve": "-1"}, {"reserve": {"USD": 1.0}}, {"max_spread": "x"}, {"max_spread": True},
        {"interval": 0}, {"patience": 0}, {"max_skew": -1}, {"max_data_age": "5"}, {"interval": float("nan")},
        {"data": ["OHLC"]}, {"data": {"candles": "OHLC"}}, {"max_balance_age": float("inf")},
    ],
)  # fmt: skip
def test_an_invalid_plan_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TradePlan(**wrong)


def test_a_plan_may_name_one_pair_as_a_text() -> None:
    assert TradePlan(pairs="XBTUSD").pairs == ("XBTUSD",)
    assert TradePlan(gates=[]).gates == ()


def test_a_view_cannot_be_changed() -> None:
    seen = view()
    with pytest.raises(AttributeError):
        seen.now = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        seen.markets["XBTUSD"] = MARKET  # type: ignore[index]


# --- which fee, and where it is from


@pytest.mark.parametrize(
    ("fee", "said"),
    [
        (FEE, "The fee is the account's own 0.40 % by TradeVolume."),
        (choose_fee(None, Decimal("0.008")), "The fee is at most 0.80 %: Kraken tells no fee of this pair."),
        (choose_fee(None, Decimal("0.008"), (Decimal("0.01255"),), NOT_ALLOWED),
         "The fee is at most 1.255 %: Kraken denies TradeVolume to this key."),
    ],
)  # fmt: skip
def test_capital_validation_says_which_fee_it_counts_with(fee: Fee, said: str) -> None:
    poor = replace(view(balance=balance(usd="1")), markets={"XBTUSD": replace(MARKET, fee=fee)})
    for plan in (TradePlan(), TradePlan(order=LIMIT)):
        (reason,) = reasons(capital_validation, replace(poor, plan=plan))
        assert reason.endswith(said), reason
    rich = replace(poor, balance=balance(usd="9999"), plan=TradePlan(order=LIMIT))
    assert isinstance(verdict := capital_validation(rich), Allow)
    assert str(fee) in str(verdict.seen)


def test_a_sale_is_not_counted_with_a_fee_and_says_none() -> None:
    mine = balance(assets={"XBT": amount("0.5")})
    assert capital_validation(view(balance=mine, plan=TradePlan(order=SELL))) == Allow("0.5 XBT needed and available")


def test_a_report_has_the_fee_of_each_pair_in_its_json() -> None:
    bound = choose_fee(None, Decimal("0.008"))
    told = GateReport("MASTER", WHEN, False, (PASSED,), fees={"XBTUSD": FEE, "ETHUSD": bound}).to_dict()["fees"]
    assert told == {
        "XBTUSD": {"rate": "0.004", "own": True, "text": "the account's own 0.40 % by TradeVolume"},
        "ETHUSD": {"rate": "0.008", "own": False, "text": "at most 0.80 %: Kraken tells no fee of this pair"},
    }
