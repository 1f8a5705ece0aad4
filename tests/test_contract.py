"""The public contract: the names, signatures, defaults and errors that outside programs are written against."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import engine as package
from engine import (
    Account,
    BalanceSnapshot,
    BalanceState,
    CallDone,
    CallFailed,
    Engine,
    EngineStatus,
    EngineWarning,
    KrakenBroker,
    Order,
    OrderReceipt,
    PrivateCall,
    RemoteEngine,
    Settings,
    errors,
)
from engine.app.aio import AsyncEngine
from engine.broker import AccountType

NEEDED = object()
METHODS: dict[Callable[..., Any], dict[str, Any]] = {
    Engine.start: {},
    Engine.stop: {"timeout": 10},
    Engine.call: {"account": NEEDED, "endpoint": NEEDED, "params": None, "timeout": None},
    Engine.submit: {"account": NEEDED, "endpoint": NEEDED, "params": None, "timeout": None},
    Engine.public: {"endpoint": NEEDED, "params": None},
    Engine.balance: {"account": NEEDED, "max_age": None, "timeout": None},
    Engine.is_available: {"account": NEEDED},
    Engine.error_count: {"account": NEEDED},
    Engine.place: {"account": NEEDED, "order": NEEDED},
    Engine.cancel: {"account": NEEDED, "receipt": NEEDED},
    Engine.cancel_all: {"account": NEEDED},
    Engine.open_orders: {"account": NEEDED},
    Engine.order: {"account": NEEDED, "id": NEEDED},
    Engine.gates: {"account": NEEDED},
    Order.__init__: {
        "pair": NEEDED, "side": NEEDED, "type": NEEDED, "volume": NEEDED, "price": None, "price2": None, "flags": (),
        "time_in_force": "GTC",
    },
    Engine.add_account: {"account": NEEDED},
    Engine.remove_account: {"account": NEEDED},
    Engine.replace_key: {"account": NEEDED, "key": NEEDED, "secret": NEEDED},
    Engine.resume: {"account": NEEDED},
    Engine.status: {},
    Engine.subscribe: {"subscriber": NEEDED},
    Engine.unsubscribe: {"subscriber": NEEDED},
    EngineStatus.to_dict: {},
    BalanceSnapshot.at: {"now": NEEDED},
    KrakenBroker.connect: {},
    KrakenBroker.get_account_balance: {},
    KrakenBroker.get_account_balance_detailed: {},
    KrakenBroker.is_available: {},
    KrakenBroker.get_error_count: {},
    KrakenBroker.disconnect: {},
    KrakenBroker.__init__: {"account_type": AccountType.MASTER, "account": None, "engine": None},
    Account.__init__: {"name": NEEDED, "key": NEEDED, "secret": NEEDED},
    PrivateCall.__init__: {
        "account": NEEDED, "endpoint": NEEDED, "params": ..., "timeout": None, "reply_to": None, "tag": None,
        "endpoint_class": None,
    },
    CallDone.__init__: {"call": NEEDED, "result": NEEDED, "warnings": ()},
    CallFailed.__init__: {"call": NEEDED, "error": NEEDED},
    EngineWarning.__init__: {"code": NEEDED, "message": NEEDED},
    Engine.__init__: {"accounts": NEEDED},
}  # fmt: skip
SETTINGS = {
    "refresh_every": 5.0, "max_age": 15.0, "errors_to_unavailable": 3, "call_timeout": 10.0, "cut_read_after": 0.5,
    "cut_write_after": 3.0, "order_deadline": 10.0, "settle_margin": 60.0, "tier": "starter", "local_limits": True,
    "cash": ("USD", "USDT"), "polling_share": 0.5, "allow_withdrawals": False, "proxy": None, "ca_file": None,
    "any_host": False,
}  # fmt: skip
TREE = {
    "EngineError": "ConfigError StoreError CallError LaneElsewhere BalanceUnknown AccountUnavailable GateDenied",
    "StoreError": "StoreInUse StoreDamaged",
    "CallError": "CallNotSent CallRefused CallUnknown",
    "CallNotSent": "DeadlinePassed MailboxFull CounterFull LockedOut ConnectFailed NotLive PairUnsettled EngineStopped",
    "CallRefused": "InvalidNonce InvalidKey InvalidSignature PermissionDenied RateLimited TemporaryLockout "
    "InsufficientFunds OrderRejected InvalidArguments MarketUnavailable",
    "CallUnknown": "OrderUnknown",
}
NAMES = """
    Account Engine Settings BalanceSnapshot BalanceState AssetBalance BalanceChanged AvailabilityChanged CallFinished
    EngineWarning Order OrderReceipt OrderChanged GateReport
    KrakenPrivateActor BalanceActor PrivateCall CallDone CallFailed KrakenBroker AccountType EngineStatus
    RemoteEngine
"""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__qualname__)
def test_what_the_contract_names_may_be_given_by_place_and_by_name(method: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    named = METHODS[method]
    assert [each.name for each in parameters][: len(named)] == list(named)
    for each in parameters[: len(named)]:
        assert each.kind is each.POSITIONAL_OR_KEYWORD
        if named[each.name] is NEEDED:
            assert each.default is each.empty
        elif named[each.name] is not ...:
            assert each.default == named[each.name]
    for each in parameters[len(named) :]:
        assert each.default is not each.empty, f"{each.name} is not in the contract, so it has to have a default"


REMOTE = "call submit public balance is_available error_count place cancel cancel_all amend open_orders order gates " \
    "resume pause_trading resume_trading status reserved"


@pytest.mark.parametrize("name", REMOTE.split())
def test_a_remote_engine_takes_what_the_engine_takes(name: str) -> None:
    """So that a program need not know where its engine runs."""
    here, there = (inspect.signature(getattr(kind, name)).parameters for kind in (Engine, RemoteEngine))
    only_here = {"with_warnings"}  # its result holds actors of the engine's process
    assert [(each.name, each.kind, each.default) for each in there.values()] == [
        (each.name, each.kind, each.default) for each in here.values() if each.name not in only_here
    ]
    assert name in {"submit", "error_count", "reserved"} or inspect.iscoroutinefunction(getattr(AsyncEngine, name))


def test_engine_and_account_take_the_rest_by_name() -> None:
    engine = inspect.signature(Engine).parameters
    assert engine["url"].default == "https://api.kraken.com"
    assert engine["live"].default is False
    assert engine["state_dir"].default is None
    assert engine["settings"].default == Settings()
    account = inspect.signature(Account).parameters
    assert account["tier"].default is account["otp"].default is None
    for each in (*(engine[name] for name in ("url", "state_dir", "settings", "live")), account["tier"], account["otp"]):
        assert each.kind is each.KEYWORD_ONLY


def test_a_placement_takes_its_id_and_its_timeout_by_name() -> None:
    parameters = inspect.signature(Engine.place).parameters
    for name, default in (("id", None), ("timeout", 30)):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == default
    fields = [each.name for each in dataclasses.fields(OrderReceipt)]
    assert fields[:8] == ["id", "account", "order", "state", "txids", "cl_ord_id", "live", "description"]


def test_settings_are_frozen_with_the_defaults_of_the_contract() -> None:
    settings = Settings()
    assert {name: getattr(settings, name) for name in SETTINGS} == SETTINGS
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.max_age = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("base", TREE)
def test_the_tree_of_errors_is_that_of_the_contract(base: str) -> None:
    for name in TREE[base].split():
        assert issubclass(getattr(errors, name), getattr(errors, base))
    assert issubclass(errors.EngineError, Exception)


def test_errors_carry_what_the_contract_says() -> None:
    error = errors.CallRefused("no", account="A", endpoint="E", kraken_code="EAPI:x", retry_after=1.5)
    assert (error.account, error.endpoint, error.kraken_code, error.retry_after) == ("A", "E", "EAPI:x", 1.5)
    assert errors.StoreInUse("taken", 7).pid == 7
    assert errors.OrderUnknown("lost", "a receipt").receipt == "a receipt"


def test_names_are_importable_from_the_package() -> None:
    assert not [name for name in NAMES.split() if name not in package.__all__]
    assert {state.name for state in BalanceState} == {"FRESH", "STALE", "UNKNOWN"}
    parts = "account state age cash available_cash assets as_of is_available error_count last_error"
    assert not [name for name in parts.split() if not hasattr(BalanceSnapshot("A"), name)]
    for name in ("private", "balances"):
        assert isinstance(inspect.getattr_static(Engine, name), property)
