"""Which orders a host may be about to send again."""

from __future__ import annotations

from engine.adapters.intents import AT_MOST, REMEMBERED, Intents, key_of


class FakeClock:
    """Seconds, as told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_retry_takes_the_name_of_the_first_try_and_the_next_order_has_none() -> None:
    intents = Intents(FakeClock())
    intents.keep("order", "one")
    assert intents.take("another") is None
    assert intents.take("order") == "one"
    assert intents.take("order") is None


def test_two_of_the_same_are_two_and_the_oldest_is_first() -> None:
    intents = Intents(FakeClock())
    for name in ("one", "two"):
        intents.keep("order", name)
    assert [intents.take("order") for _ in range(3)] == ["one", "two", None]


def test_what_was_told_long_ago_is_another_order() -> None:
    clock = FakeClock()
    intents = Intents(clock)
    intents.keep("order", "one")
    clock.now = REMEMBERED
    intents.keep("order", "two")
    clock.now += 1
    assert intents.take("order") == "two"


def test_memory_is_bounded() -> None:
    intents = Intents(FakeClock())
    for number in range(AT_MOST + 1):
        intents.keep(str(number), "name")
    assert intents.take("0") is None
    assert intents.take("1") == "name"


def test_what_differs_between_two_tries_does_not_count() -> None:
    first = {"pair": "XBTUSD", "volume": 0.01, "nonce": 1, "deadline": "2026-11-28T20:00:00Z", "close": {"a": 1}}
    again = {"close": {"a": 1}, "volume": "0.01", "pair": "XBTUSD", "nonce": 2}
    assert key_of("AddOrder", first) == key_of("AddOrder", again)
    for other in ({**again, "volume": "0.02"}, {**again, "userref": 1}, {**again, "close": {"a": 2}}):
        assert key_of("AddOrder", first) != key_of("AddOrder", other)
    assert key_of("AddOrder", first) != key_of("AddOrderBatch", first)
