"""`KrakenBroker`: the 60-second test of a bot, and the engine that brokers of a process share."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine import AccountType, BalanceUnknown, ConfigError, Engine, KrakenBroker
from engine.errors import UnknownName
from engine.simulator import Fault, Simulator


@pytest.fixture
def environment(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MASTER and ALICE as a bot's environment has them."""
    for name, prefix in (("MASTER", "KRAKEN_API"), ("ALICE", "KRAKEN_USER_ALICE_API")):
        account = next(each for each in sim.accounts if each.name == name)
        monkeypatch.setenv(f"{prefix}_KEY", account.key)
        monkeypatch.setenv(f"{prefix}_SECRET", account.secret)
    monkeypatch.setenv("KRAKEN_SPOT_URL", sim.url)
    monkeypatch.setenv("KRAKEN_ENGINE_STATE", str(tmp_path / "state"))


def test_sixty_second_test(sim: Simulator, environment: None) -> None:
    sim.set_balance("MASTER", {"ZUSD": {"balance": "100.10", "hold_trade": "10"}, "USDT": "0.05"})
    broker = KrakenBroker()
    assert not broker.is_available()
    assert broker.get_error_count() == 0
    assert broker.connect() is True
    assert broker.get_account_balance() == Decimal("100.15")
    assert broker.is_available()
    assert broker.get_error_count() == 0
    detailed = broker.get_account_balance_detailed()
    assert detailed.pop("as_of").utcoffset().total_seconds() == 0
    assert detailed == {
        "cash": Decimal("100.15"), "available_cash": Decimal("90.15"), "stale": False, "is_available": True,
        "error": False, "error_message": None, "error_count": 0,
    }  # fmt: skip
    broker.disconnect()
    broker.disconnect()


def test_three_failures_keep_the_balance_and_say_so(sim: Simulator, environment: None) -> None:
    """G6 and G7 as a bot sees them."""
    broker = KrakenBroker()
    assert broker.connect()
    known = broker.get_account_balance()
    sim.fault(Fault.error("EService:Unavailable"))
    for errors in (1, 2, 3):
        assert broker.get_account_balance() == known
        assert broker.get_error_count() == errors
    assert not broker.is_available()
    detailed = broker.get_account_balance_detailed()
    assert detailed["error"] is True
    assert "EService:Unavailable" in detailed["error_message"]
    assert detailed["cash"] == known
    sim.clear_faults()
    assert broker.get_account_balance() == known
    assert broker.is_available()
    assert broker.get_error_count() == 0
    broker.disconnect()


def test_refused_nonces_keep_the_balance_and_end_after_three_calls(sim: Simulator, environment: None) -> None:
    """G6, G7: however often the bot asks."""
    broker = KrakenBroker()
    assert broker.connect()
    known = broker.get_account_balance()
    sim.fault(Fault.error("EAPI:Invalid nonce", account="MASTER"))
    for _ in range(100):
        assert broker.get_account_balance() == known
    assert not broker.is_available()
    assert broker.get_error_count() == 3
    assert "Invalid nonce" in broker.get_account_balance_detailed()["error_message"]
    assert sim.refused_nonces == 3
    broker.disconnect()


def test_never_a_balance_is_not_zero(sim: Simulator, environment: None) -> None:
    sim.fault(Fault.http(502))
    broker = KrakenBroker()
    assert broker.connect() is False
    with pytest.raises(BalanceUnknown, match="never was a good reply"):
        broker.get_account_balance()
    detailed = broker.get_account_balance_detailed()
    assert detailed["cash"] is None
    assert detailed["available_cash"] is None
    assert detailed["error"] is True
    broker.disconnect()


def test_brokers_share_one_engine_and_the_last_one_stops_it(sim: Simulator, environment: None) -> None:
    master, alice = KrakenBroker(), KrakenBroker(AccountType.USER, "ALICE")
    assert master.connect()
    assert alice.connect()
    master.disconnect()
    assert alice.get_account_balance() > 0
    alice.disconnect()
    again = KrakenBroker()
    assert again.connect()
    again.disconnect()
    assert sim.refused_nonces == 0


def test_before_connect_nothing_is_known(environment: None) -> None:
    broker = KrakenBroker()
    with pytest.raises(BalanceUnknown, match="connect"):
        broker.get_account_balance()


def test_given_engine_is_used_and_left_running(engine: Engine) -> None:
    broker = KrakenBroker(AccountType.USER, "BOB", engine=engine)
    assert broker.connect()
    assert broker.get_account_balance() > 0
    broker.disconnect()
    assert engine.call("BOB", "Balance")


def test_user_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="has to name the account"):
        KrakenBroker(AccountType.USER)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown account type"):
        KrakenBroker("both")  # type: ignore[arg-type]


def test_broker_of_an_unknown_account_does_not_keep_the_engine_running(environment: None) -> None:
    """G13: every test fails on a thread left over."""
    with pytest.raises(UnknownName, match="NOBODY"):
        KrakenBroker(AccountType.USER, "NOBODY").connect()
    broker = KrakenBroker()
    assert broker.connect()
    with pytest.raises(UnknownName):
        KrakenBroker(AccountType.USER, "NOBODY").connect()
    assert broker.is_available(), "the others go on"
    broker.disconnect()
