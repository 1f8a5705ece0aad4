"""What is mine and what is free, against a model in fractions that shares no code (G12)."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import BalanceSnapshot
from engine.errors import CallUnknown
from engine.kraken.assets import AssetTable
from engine.kraken.balances import differences, left_out, read_rows, sum_cash, summed
from engine.kraken.drift import MISSING, NEW, ODD

TABLE = AssetTable.shipped()
BASES = {"ZUSD": "USD", "XXBT": "XBT", "USDT": "USDT", "XAUT": "XAUT", "XTZ": "XTZ", "ZETA": "ZETA", "DOT": "DOT"}
SUFFIXES = ("", ".F", ".B", ".S", ".M", ".P", ".T", ".HOLD", ".Q7")
FREE = ("", ".F")


def row_name(base: str, suffix: str) -> str:
    """Rows with a suffix drop the old prefix."""
    return base if not suffix else BASES[base] + suffix


EXACT = decimal.Context(prec=200)
AMOUNTS = st.just(Decimal(0)) | st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places, EXACT), st.integers(0, 10**40), st.integers(0, 40)
)


@st.composite
def replies(draw: st.DrawFn) -> dict[str, dict[str, Decimal]]:
    """A `BalanceEx` reply in numbers: any rows of some assets, holds larger than the row, credit lines."""
    rows = st.tuples(st.sampled_from(sorted(BASES)), st.sampled_from(SUFFIXES))
    names = draw(st.lists(rows, unique=True, max_size=12))
    fields = ("balance", "hold_trade", "credit", "credit_used")
    return {row_name(*name): {field: draw(AMOUNTS) for field in fields} for name in names}


def written(as_number: bool, amount: Decimal) -> Any:
    """An amount as JSON brings it: text, or a number."""
    if not as_number:
        return format(amount, "f")
    return int(amount) if amount == amount.to_integral_value() else amount


def of(reply: Mapping[str, Mapping[str, Decimal]], asset: str, field: str, *, free: bool) -> Fraction:
    """The sum of one field over an asset's rows; `free`: only over those that an order can use."""
    total = Fraction(0)
    for name, row in reply.items():
        base, _, suffix = name.partition(".")
        if BASES.get(base, base) == asset and (not free or not suffix or suffix == "F"):
            total += Fraction(row[field])
    return total


@given(replies(), st.booleans(), st.integers(1, 60))
def test_every_figure_is_exact(reply: dict[str, dict[str, Decimal]], numbers: bool, host_precision: int) -> None:
    """Whatever the host's own decimal context is."""
    wire = {name: {field: written(numbers, each) for field, each in row.items()} for name, row in reply.items()}
    with decimal.localcontext(decimal.Context(prec=host_precision)):
        assets = read_rows("BalanceEx", wire, TABLE)
        cash, free_cash = sum_cash(assets, ("USD", "USDT"))
        shown = BalanceSnapshot("MASTER", assets=assets, cash=cash, available_cash=free_cash).to_dict()
    assert sum(len(each.rows) for each in assets.values()) == len(reply), "no row is dropped"
    for name, each in assets.items():
        held = of(reply, name, "hold_trade", free=True)
        credit = of(reply, name, "credit", free=True) - of(reply, name, "credit_used", free=True)
        available = of(reply, name, "balance", free=True) + credit - held
        assert Fraction(each.total) == of(reply, name, "balance", free=False)
        assert each.held is not None
        assert Fraction(each.held) == held
        assert each.available is not None
        assert Fraction(each.available) == available
        assert [Fraction(shown["assets"][name][what]) for what in ("total", "available", "held")] == [
            Fraction(each.total), available, held,
        ]  # fmt: skip
    assert free_cash is not None
    mine = [name for name in ("USD", "USDT") if name in assets]
    assert Fraction(cash) == sum(of(reply, name, "balance", free=True) for name in mine)
    assert Fraction(free_cash) == sum(Fraction(assets[name].available or 0) for name in mine)


@given(replies())
def test_without_holds_the_available_balance_is_unknown(reply: dict[str, dict[str, Decimal]]) -> None:
    """`Balance` in place of `BalanceEx`; what cannot be used anyway is not available for sure."""
    assets = read_rows("Balance", {name: format(row["balance"], "f") for name, row in reply.items()}, TABLE)
    for name, each in assets.items():
        spendable = [row for row in each.rows if row.name.partition(".")[2] in ("", "F")]
        assert Fraction(each.total) == of(reply, name, "balance", free=False)
        assert (each.available, each.held) == ((None, None) if spendable else (0, 0))


@settings(max_examples=50)
@given(st.lists(replies(), min_size=1, max_size=4))
def test_changes_add_up(story: list[dict[str, dict[str, Decimal]]]) -> None:
    """The sum of all changes is what is there now, however many of them became one event."""
    states: list[Mapping[str, Any]] = [{}]
    total: Mapping[str, Decimal] = {}
    for reply in story:
        wire = {name: {field: str(each) for field, each in row.items()} for name, row in reply.items()}
        states.append(read_rows("BalanceEx", wire, TABLE))
        change = differences(states[-2], states[-1])
        assert all(change.values()), "what did not change is not named"
        total = summed(total, change)
    assert dict(total) == {name: each.total for name, each in states[-1].items() if each.total}


@pytest.mark.parametrize(
    "value",
    [None, "", " 1", "1 ", "1,5", "0x10", "1_000", "nan", "inf", "-", ".", "1.", ".5", "1e999", "٣", True, [], {}, 1.5],
    ids=repr,
)
@pytest.mark.parametrize("where", ["balance", "hold_trade", "credit", "credit_used"])
def test_half_a_balance_is_no_balance(value: object, where: str) -> None:
    """One field that is not an amount: the reply as a whole cannot be read (G6)."""
    row = {"balance": "1", "hold_trade": "0", where: value}
    if value is None and where == "hold_trade":
        return  # a row whose hold is not known: `test_a_row_without_its_hold`
    with pytest.raises(CallUnknown):
        read_rows("BalanceEx", {"XXBT": {"balance": "1", "hold_trade": "0"}, "ZUSD": row}, TABLE)


CASH = ("USD",)
GOOD = {"balance": "5", "hold_trade": "1"}


def test_an_odd_row_is_left_out_and_reported() -> None:
    """One row takes neither the others nor the cash with it (G14); what it held is not told as something else."""
    noted: list[tuple[str, str]] = []
    reply = {"ZUSD": GOOD, "ODDCOIN": {"balance": "secret"}, "XXBT": GOOD, "XBT.F": None, "DOT": GOOD, "DOT.S": "junk"}
    assets = read_rows("BalanceEx", reply, TABLE, needed=CASH, note=lambda *each: noted.append(each))
    assert sorted(assets) == ["DOT", "USD"], "half of the bitcoins would be a wrong amount"
    assert (assets["DOT"].total, assets["DOT"].available) == (5, 4), "what cannot be spent may be left out"
    assert noted.count(("row", ODD)) == 3
    assert ("balance", ODD) in noted
    assert left_out(reply, assets, TABLE) == {"ODDCOIN", "XBT"}


@pytest.mark.parametrize("row", ["ZUSD", "USD.F"])
def test_an_odd_row_of_cash_refuses_the_reply(row: str) -> None:
    """G6: what cash is would be guessed."""
    reply = {"ZUSD": GOOD, "XXBT": GOOD, row: {"balance": "none", "hold_trade": "0"}}
    with pytest.raises(CallUnknown):
        read_rows("BalanceEx", reply, TABLE, needed=CASH)
    assert "XBT" in read_rows("BalanceEx", reply, TABLE, needed=("EUR",))


@pytest.mark.parametrize("reply", [{"A": None}, {"A": {"balance": None}, "B": []}, [], None, "text"])
def test_a_reply_of_which_nothing_can_be_read_is_refused(reply: object) -> None:
    with pytest.raises(CallUnknown):
        read_rows("BalanceEx", reply, TABLE, needed=CASH)


def test_what_is_new_or_missing_is_said_and_no_value_of_it() -> None:
    noted: list[tuple[str, str]] = []
    reply = {"ZUSD": {"balance": "5", "fresh": "secret"}, "XXBT": {**GOOD, "credit": "9"}}
    assets = read_rows("BalanceEx", reply, TABLE, needed=CASH, note=lambda *each: noted.append(each))
    assert sorted(noted) == [("credit_used", MISSING), ("fresh", NEW), ("hold_trade", MISSING)]
    assert assets["USD"].available is None
    assert assets["XBT"].available == 4, "a credit of which nobody knows what is used counts nothing"


def test_a_row_without_its_hold() -> None:
    """It is mine; what of it is free nobody knows, and that of the cash neither."""
    assets = read_rows("BalanceEx", {"ZUSD": {"balance": "5"}, "USDT": {"balance": "1", "hold_trade": "0"}}, TABLE)
    assert (assets["USD"].total, assets["USD"].available, assets["USD"].held) == (5, None, None)
    assert sum_cash(assets, ("USD", "USDT")) == (6, None)
