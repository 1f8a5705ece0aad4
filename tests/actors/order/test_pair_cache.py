"""The cache of markets: one entry for each, found by any of its names, and asked for in a way that Kraken answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.order.pair_cache import PairCache
from engine.errors import CallError, ConnectFailed, InvalidArguments, OrderRejected
from engine.kraken.pair_names import market_of
from tests.kraken.test_pair_names import ROW, SHARE

UNKNOWN = "EQuery:Unknown asset pair"
COINS = {
    "XXBTZUSD": ROW,
    "XETHZUSD": {**ROW, "altname": "ETHUSD", "wsname": "ETH/USD", "base": "XETH"},
    "SNXUSD": {**ROW, "altname": "SNXUSD", "wsname": "SNX/USD", "base": "SNX"},
}
SHARES = {
    "AAPLSPVUSD": SHARE,
    "AAPLxUSD": SHARE,
    "SNxUSD": {**SHARE, "altname": "SNxUSD", "wsname": "SNx/USD", "base": "SNx"},
    "BRK.BxUSD": {**SHARE, "altname": "BRK.BxUSD", "wsname": "BRK.Bx/USD", "base": "BRK.Bx"},
}
ELSEWHERE = {"XBTUSD:BTNL": {**ROW, "altname": "XBTUSD:BTNL", "execution_venue": "bitnomial_exchange"}}
SHOWN = {"BTC/USD": "XXBTZUSD", "ETH/USD": "XETHZUSD", "SNX/USD": "SNXUSD"}

NAMES = {
    "XBT/USD": ["XBTUSD", "XXBTZUSD", "BTC/USD", "XBT/USD", "BTCUSD", "xbtusd", "btc/usd", "xbt/usd", "Btc/Usd"],
    "ETH/USD": ["ETHUSD", "XETHZUSD", "ETH/USD", "ethusd", "Eth/usd"],
    "SNX/USD": ["SNXUSD", "SNX/USD", "snxusd"],
    "SNxUSD": ["SNxUSD", "SNx/USD"],
    "AAPLxUSD": ["AAPLxUSD", "AAPLx/USD", "aaplxusd"],
    "AAPLSPVUSD": ["AAPLSPVUSD", "aaplspvusd"],
    "BRK.BxUSD": ["BRK.BxUSD", "brk.bxusd"],
    "XBT/USD:BTNL": ["XBTUSD:BTNL", "xbtusd:btnl"],
}


class Kraken:
    """Answers AssetPairs as Kraken does: takes few names, hides shares, and echoes a name with a slash."""

    def __init__(self) -> None:
        self.error: CallError | None = None
        self.asked: list[dict[str, str]] = []

    def __call__(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        self.asked.append(dict(params))
        if self.error is not None:
            raise self.error
        if params.get("execution_venue") == "bitnomial_exchange":
            return ELSEWHERE
        listed = SHARES if params.get("aclass_base") == "tokenized_asset" else COINS
        name = params.get("pair")
        if name is None:
            return listed
        found = {key: row for key, row in listed.items() if name in (key, row["altname"])}
        if listed is COINS and name in SHOWN:
            found = {name: COINS[SHOWN[name]]}
        if not found:
            raise InvalidArguments(UNKNOWN)
        return found


@given(st.data())
def test_every_name_leads_to_its_market_and_each_market_has_one_entry(data: st.DataObject) -> None:
    kraken, now = Kraken(), [0.0]
    book = PairCache(kraken, lambda: now[0])
    wanted = [(market, name) for market, names in NAMES.items() for name in names]
    for market, name in data.draw(st.lists(st.sampled_from(wanted), max_size=12)):
        pair = book.get(name, 1)
        assert market_of(pair) == market
        assert book.known(name) is pair
        asked = len(kraken.asked)
        assert book.get(name, 1) is pair
        assert len(kraken.asked) == asked


def test_names_of_a_market_that_is_known_are_asked_for_no_more() -> None:
    kraken = Kraken()
    book = PairCache(kraken, lambda: 0.0)
    pair = book.get("XBTUSD", 1)
    assert all(book.get(name, 1) is pair for name in ("XXBTZUSD", "btc/usd", "BTCUSD", "XBT/USD"))
    assert kraken.asked == [{"pair": "XBTUSD"}]


def test_kraken_is_never_asked_for_a_name_that_it_refuses() -> None:
    kraken = Kraken()
    for names in NAMES.values():
        for name in names:
            PairCache(kraken, lambda: 0.0).get(name, 1)
    asked = {each["pair"] for each in kraken.asked if "pair" in each and "aclass_base" not in each}
    assert not any(name.startswith("XBT/") or ":" in name or name == name.lower() for name in asked)


def test_whole_lists_are_asked_for_once_in_a_while() -> None:
    kraken, now = Kraken(), [0.0]
    book = PairCache(kraken, lambda: now[0])
    for name in ("NOPE", "NOPE", "NONE"):
        with pytest.raises(OrderRejected, match="no pair"):
            book.get(name, 1)
    assert sum("pair" not in each for each in kraken.asked) == 2
    now[0] = 1000.0
    with pytest.raises(OrderRejected, match="no pair"):
        book.get("NOPE", 1)
    assert sum("pair" not in each for each in kraken.asked) == 4


def test_a_name_is_never_said_not_to_exist_when_kraken_could_not_be_asked() -> None:
    kraken = Kraken()
    kraken.error = ConnectFailed("away")
    with pytest.raises(ConnectFailed):
        PairCache(kraken, lambda: 0.0).get("XBTUSD", 1)


def test_a_share_is_never_taken_for_the_coin_that_is_written_like_it() -> None:
    kraken = Kraken()

    def without_shares(endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        return COINS if "pair" not in params else kraken(endpoint, {"pair": params["pair"].upper()}, seconds)

    with pytest.raises(OrderRejected, match="no pair"):
        PairCache(without_shares, lambda: 0.0).get("SNxUSD", 1)


def test_an_unreadable_answer_is_reported_as_such() -> None:
    with pytest.raises(OrderRejected, match="cannot be read"):
        PairCache(lambda *_: {"XXBTZUSD": {"altname": "XBTUSD"}}, lambda: 0.0).get("XBTUSD", 1)


def test_a_market_of_another_venue_takes_no_name_of_krakens_own() -> None:
    """An order for ``BTC/USD`` never goes to another venue because that one was asked for first."""
    book = PairCache(Kraken(), lambda: 0.0)
    assert market_of(book.get("XBTUSD:BTNL", 1)) == "XBT/USD:BTNL"
    assert {market_of(book.get(name, 1)) for name in ("BTC/USD", "XBT/USD", "XBTUSD")} == {"XBT/USD"}


def test_a_name_that_kraken_does_not_have_gets_the_nearest() -> None:
    cache = PairCache(Kraken(), lambda: 0.0)
    with pytest.raises(OrderRejected, match=r"no pair 'XBTUDS' \(did you mean XBTUSD\?\); nothing was sent"):
        cache.get("XBTUDS", 1.0)
    with pytest.raises(OrderRejected, match="no pair 'QQQ'; nothing was sent"):
        cache.get("QQQ", 1.0)
