"""What Kraken's replies say about the uncertain facts, and which answer is in force (promise G14)."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine
from engine.actors.fact_file import FILE_NAME, keep_facts, read_facts
from engine.errors import StoreError
from engine.kraken.fact_readings import (
    SPELLINGS,
    PublicAnswer,
    read_auto_earn,
    read_fee,
    read_names,
    read_post,
    read_ticker,
    read_venues,
    read_wallets,
    wallets_of,
)
from engine.kraken.facts import EARN, EARN_HOLDS, FACTS, FEE, ORDER, TICKER, Facts, Learnt, NotSettled
from engine.simulator import Simulator
from tests.doctor.test_doctor import one

__all__ = ["one"]  # a fixture

REFUSED = PublicAnswer(("EQuery:Unknown asset pair",))
NAMES = ("XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD")


def rows(*names: str) -> PublicAnswer:
    return PublicAnswer((), {name: {} for name in names})


@pytest.mark.parametrize(
    ("shown", "answer"), [(rows("BTC/USD"), "echoed"), (rows("XXBTZUSD"), "by-id"), (REFUSED, "refused")]
)
def test_the_names_that_kraken_takes(shown: PublicAnswer, answer: str) -> None:
    answers = dict.fromkeys(SPELLINGS, REFUSED) | {"XBTUSD": rows("XXBTZUSD"), "BTC/USD": shown}
    read, seen = read_names(answers)
    assert read == answer
    assert all(name in seen for name in SPELLINGS)
    assert "XBT/USD is refused" in seen


def test_without_a_pair_that_is_answered_no_name_is_settled() -> None:
    with pytest.raises(NotSettled):
        read_names(dict.fromkeys(SPELLINGS, REFUSED))


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (PublicAnswer(("EQuery:Unknown asset pair",), {"XXBTZUSD": {}}), "kept"),
        (rows("XXBTZUSD"), "kept"),
        (REFUSED, "lost"),
        (PublicAnswer(("EQuery:Unknown asset pair",), {}), "lost"),
    ],
)
def test_whether_one_unknown_name_spoils_the_others(answer: PublicAnswer, read: str) -> None:
    assert read_ticker(answer)[0] == read


def test_pairs_of_another_venue_are_counted() -> None:
    home, other = {"execution_venue": "international"}, {"execution_venue": "bitnomial_exchange"}
    listed = {"XXBTZUSD": home, "XBTUSD:BTNL": {}, "XETHZUSD": other, "SOLUSD": {}}
    assert read_venues(PublicAnswer((), listed)) == ("listed", "2 of 4 pairs are of another venue.")
    assert read_venues(rows("A"))[0] == "not-listed"


def test_a_public_call_by_post() -> None:
    assert read_post(PublicAnswer((), {"unixtime": 1}))[0] == "taken"
    assert read_post(PublicAnswer(("EAPI:Bad request",)))[0] == "refused"
    with pytest.raises(NotSettled):
        read_post(PublicAnswer())


def volume(fee: object = "0.1600", active: str = "0.1600", name: str = "XBTUSD") -> dict[str, Any]:
    tiers = [{"taker_fee": "0.8000", "maker_fee": "0.4000"}, {"taker_fee": active, "maker_fee": "0", "active": True}]
    return {"fees": {name: {"fee": fee}}, "schedules": [{"pair": name, "class": "forex", "tiers": tiers}]}


@pytest.mark.parametrize("name", NAMES)
def test_the_fee_is_found_by_any_of_the_names(name: str) -> None:
    answer, seen = read_fee(volume(name=name), NAMES)
    assert answer == "told"
    assert "pays 0.16 %" in seen
    assert name in seen


def test_a_fee_that_differs_from_the_tier_is_in_doubt() -> None:
    assert read_fee(volume(active="0.4000"), NAMES)[0] == "in-doubt"
    assert read_fee({"fees": {"ETHUSD": {"fee": "0.1"}}, "schedules": {}}, NAMES)[0] == "not-told"
    assert read_fee(volume(fee=None), NAMES)[0] == "told", "the active tier alone tells it as well"


EARNING = {name: {"balance": amount}
           for name, amount in {"KFEE": "7", "ZUSD": "1000", "USD.F": "500", "XXBT": "0.01"}.items()}  # fmt: skip
PRICES = {"USD": Decimal(1), "XBT": Decimal(50_000)}


@pytest.mark.parametrize(("equivalent", "answer"), [("2000.50", "apart"), ("1499.00", "in-base")])
def test_whether_auto_earn_is_in_the_own_row(equivalent: str, answer: str) -> None:
    assert read_auto_earn(EARNING, equivalent, PRICES)[0] == answer


@pytest.mark.parametrize(
    ("changed", "equivalent", "prices"),
    [
        ({}, "1750", PRICES),
        ({}, None, PRICES),
        ({}, "2000", {"USD": Decimal(1)}),
        ({"USD.F": {"balance": "0"}}, "1500", PRICES),
        ({"USD.F": {"balance": "1"}}, "1501", PRICES),
    ],
)
def test_a_reply_that_fits_both_answers_settles_nothing(changed: Any, equivalent: Any, prices: Any) -> None:
    with pytest.raises(NotSettled):
        read_auto_earn(EARNING | changed, equivalent, prices)


def test_which_wallets_balance_shows() -> None:
    first, second = {"ZUSD": "10", "XXBT": "0"}, {"ZUSD": "5", "XETH": "1"}
    assert read_wallets({"ZUSD": "15", "XETH": "1.0"}, [first, second])[0] == "several-all"
    assert read_wallets({"ZUSD": "10"}, [first, second])[0] == "several-some"
    assert read_wallets({"ZUSD": "11"}, [first, second])[0] == "several"
    assert read_wallets({"ZUSD": "10"}, [first, first])[0] == "several", "the id was passed over"


def test_the_ids_of_wallets_are_read_and_nothing_else() -> None:
    assert wallets_of({"accounts": [{"account_id": "AA1", "type": "spot"}, {"type": "x"}, "y"]}) == ["AA1"]
    assert wallets_of([{"account_id": "AA1"}]) == ["AA1"], "no recorded reply says whether it is a list"
    assert wallets_of({"accounts": "odd"}) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["fees", "schedules", "fee", "tiers", "active", "XBTUSD", "pair"]), inner)
), max_leaves=10))  # fmt: skip
def test_no_reply_of_a_fee_raises_anything_else(result: Any) -> None:
    try:
        answer, _ = read_fee(result, NAMES)
        assert answer in FACTS[FEE].answers
    except NotSettled:
        pass


# What is in force


def test_that_both_rows_are_counted_is_believed_for_a_while_only() -> None:
    """Kraken has deprecated the rows: what was so once need not stay so, and the doubt is for counting once."""
    facts = Facts({EARN: Learnt(EARN, "apart", "Seen.", "A", 1000.0)})
    assert facts.auto_earn(1000.0 + EARN_HOLDS) == "apart"
    assert facts.auto_earn(1001.0 + EARN_HOLDS) == facts.auto_earn(999.0) == "unknown"


def test_an_engine_counts_auto_earn_as_it_was_learnt(one: Simulator, tmp_path: Path) -> None:
    one.set_balance("MASTER", {"ZUSD": "1000", "USD.F": "300"})
    for learnt, cash in (("apart", 1300), ("in-base", 1000)):
        keep_facts(tmp_path, [Learnt(EARN, learnt, "Seen.", "MASTER", time.time())])
        with Engine(one.accounts, url=one.url, state_dir=tmp_path) as engine:
            assert engine.balance("MASTER", max_age=0, timeout=10).cash == cash


def test_an_unsettled_fact_has_the_strict_answer() -> None:
    facts = Facts()
    assert facts.auto_earn(0.0) == "unknown"
    assert facts.answer(TICKER) == "lost"
    for fact in FACTS.values():
        assert fact.strict in fact.answers
        assert fact.strict not in fact.harmful
        assert fact.harmful | fact.advice.keys() <= fact.answers.keys()
        assert fact.harmful <= fact.advice.keys(), "what is bad comes with what to do"


def test_what_was_learnt_is_kept_and_read_by_the_next_engine(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == Facts()
    keep_facts(tmp_path, [Learnt(EARN, "in-base", "Seen.", "ALICE"), Learnt(ORDER, "taken", "Seen.", "ALICE")])
    keep_facts(tmp_path, [Learnt(ORDER, "refused", "Seen.", "BOB", 2.0)])
    facts = read_facts(tmp_path)
    assert facts.auto_earn(1e9) == "in-base"
    assert [facts.answer(ORDER, name) for name in ("ALICE", "BOB", "CAROL")] == ["taken", "refused", "not-tried"]
    assert [each.account for each in facts.harmful()] == ["BOB"]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_an_answer_of_another_version_is_passed_over() -> None:
    newer = {**Learnt(EARN, "apart", "", "A").to_dict(), "answer": "elsewhere"}
    odd: Any = {"a": {"fact": "earn", "answer": "apart"}, "b": 7, "c": newer}
    assert Facts.of(odd) == Facts()


def test_a_damaged_file_is_reported_and_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all")
    (tmp_path / FILE_NAME).chmod(0o600)
    with pytest.raises(StoreError):
        read_facts(tmp_path)
    keep_facts(tmp_path, [Learnt(EARN, "apart", "Seen.", "A")])
    assert read_facts(tmp_path).auto_earn(1.0) == "apart"
