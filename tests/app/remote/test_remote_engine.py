"""`Engine.connect`: the engine of another process, as if it were this one's (promises G1, G3, G5, G6, G9)."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import (
    BalanceSnapshot,
    BalanceState,
    Candidate,
    Engine,
    EngineStatus,
    EngineWarning,
    Order,
    OrderChanged,
    OrderFilled,
    OrderState,
    Settings,
    TradePlan,
)
from engine.app.remote.remote_engine import RemoteEngine
from engine.errors import (
    CallNotSent,
    CallUnknown,
    ConfigError,
    DeadlinePassed,
    EngineError,
    EngineStopped,
    IdInUse,
    InsufficientFunds,
    InvalidArguments,
    NotLive,
    OrderUnknown,
    StoreInUse,
    TradingPaused,
    UnknownName,
)
from engine.simulator import Fault, Simulator
from tests.conftest import Events
from tests.stopwatch import PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
PACE = Settings(tier="pro", local_limits=False, refresh_every=0.2, max_age=20 * PATIENCE, order_deadline=50.0,
                call_timeout=PATIENCE)  # fmt: skip
PLAN = TradePlan(order=ORDER, max_spread="5", max_balance_age=20 * PATIENCE, max_data_age=20 * PATIENCE, max_skew=100)


@pytest.fixture
def owner(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    """A live engine that is served."""
    sim.set_balance("MASTER", {"ZUSD": "10000", "XXBT": "3"})
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=PACE, live=True) as engine:
        engine.serve(port=0)
        yield engine


@pytest.fixture
def client(owner: Engine, tmp_path: Path) -> Iterator[RemoteEngine]:
    with Engine.connect(tmp_path / "state") as client:
        yield client


# The same as in process


def test_every_method_returns_what_the_engine_does(sim: Simulator, owner: Engine, client: RemoteEngine) -> None:
    snapshot = client.balance("MASTER", max_age=0, timeout=PATIENCE)
    assert isinstance(snapshot, BalanceSnapshot)
    assert (snapshot.state, snapshot.cash, snapshot.assets["XBT"].total) == (BalanceState.FRESH, 10000, 3)
    volume = client.call("MASTER", "TradeBalance", {"asset": "ZUSD"})
    assert volume.keys() == owner.call("MASTER", "TradeBalance").keys()
    assert isinstance(client.public("Time")["unixtime"], int)
    receipt = client.place("MASTER", ORDER, id="one")
    assert receipt == owner.order("MASTER", "one") == client.order("MASTER", "one")
    assert client.amend("MASTER", receipt, price="20100").sent.price == 20100
    assert client.open_orders("MASTER") == owner.open_orders("MASTER")
    assert [each.is_ours for each in client.open_orders("MASTER", all=True)] == [True]
    assert client.reserved("MASTER") == {}
    assert client.cancel("MASTER", receipt).state is OrderState.CANCELED
    assert client.cancel_all("MASTER") == 0
    assert (client.is_available("MASTER"), client.error_count("MASTER"), client.live) == (True, 0, True)
    status = client.status()
    assert isinstance(status, EngineStatus)
    assert status.to_dict().keys() == owner.status().to_dict().keys()
    assert status.state_dir == owner.status().state_dir
    assert client.gates("MASTER", PLAN, timeout=PATIENCE).require().passed
    assert str(client.gates("MASTER", timeout=PATIENCE))
    client.resume("MASTER")
    client.pause_trading("MASTER")
    with pytest.raises(TradingPaused):
        client.place("MASTER", ORDER, id="o2")
    assert client.status().paused == owner.status().paused != {}
    client.resume_trading("MASTER", timeout=PATIENCE)
    assert owner.status().paused == {}
    assert sim.refused_nonces == 0


def test_refusals_and_errors_are_those_of_the_engine(sim: Simulator, client: RemoteEngine) -> None:
    with pytest.raises(InsufficientFunds) as refused:
        client.place("MASTER", Order("XBTUSD", "buy", "limit", "50", "60000"))
    assert (refused.value.account, refused.value.kraken_code) == ("MASTER", "EOrder:Insufficient funds")
    client.place("MASTER", ORDER, id="taken")
    with pytest.raises(IdInUse):
        client.place("MASTER", Order("XBTUSD", "buy", "limit", "0.002", "20000"), id="taken")
    for wrong in (
        lambda: client.balance("NOBODY"), lambda: client.call("MASTER", "Balnce"), lambda: client.order("MASTER", "x"),
        lambda: client.cancel("MASTER", "x"),
    ):  # fmt: skip
        with pytest.raises(UnknownName):
            wrong()
    sim.fault(Fault.error("EGeneral:Invalid arguments", endpoint="TradeBalance", times=1))
    with pytest.raises(InvalidArguments, match="EGeneral"):
        client.call("MASTER", "TradeBalance", {"asset": "x"})
    odd: Any = "odd"
    for invalid in (
        lambda: client.call("MASTER", "Balance", timeout=odd), lambda: client.call("MASTER", "Balance", {"a": {1}}),
        lambda: client.place("MASTER", odd), lambda: client.place("MASTER", ORDER, id="a b"),
        lambda: client.gates("MASTER", TradePlan(strategy=_no_order)),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            invalid()
    with pytest.raises(TypeError):
        client.call("MASTER")  # type: ignore[call-arg]


def _no_order(candidate: Candidate, view: Any) -> Order | None:
    return None


def test_a_dry_engine_changes_nothing_for_its_clients_either(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        engine.serve(port=0)
        with Engine.connect(tmp_path) as client:
            assert client.live is False
            assert client.place("MASTER", ORDER, id="dry").live is False
            with pytest.raises(NotLive):
                client.call("MASTER", "AddOrder", {"pair": "XBTUSD", "type": "buy", "ordertype": "market", "volume": 1})
    assert sim.placements("MASTER") == []


def test_g9_the_same_id_is_the_same_order_and_without_one_each_is_new(sim: Simulator, client: RemoteEngine) -> None:
    first = client.place("MASTER", ORDER, id="signal-42")
    assert client.place("MASTER", ORDER, id="signal-42") == first
    others = {client.place("MASTER", ORDER).id for _ in range(2)}
    assert len(others) == 2
    assert len(sim.placements("MASTER")) == 3


def test_an_unknown_outcome_has_its_receipt(sim: Simulator, client: RemoteEngine) -> None:
    sim.set_listing_lag(3600.0)
    sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
    unknown = _unknown(client)
    assert (unknown.receipt.id, unknown.receipt.state) == ("lost", OrderState.UNKNOWN)
    assert client.reserved("MASTER") == {"USD": Decimal("20.16")}
    sim.set_listing_lag(0.0)


def _unknown(client: RemoteEngine) -> OrderUnknown:
    """The order 'lost', given more time on a machine that is too slow to send it in a short one."""
    seconds = 0.5
    while True:
        try:
            client.place("MASTER", ORDER, id="lost", timeout=seconds)
        except OrderUnknown as unknown:
            return unknown
        except CallNotSent:
            seconds *= 2


def test_a_balance_is_stale_after_what_this_client_changes(client: RemoteEngine) -> None:
    """G6: as in process, where every change makes it stale."""
    before = client.balance("MASTER", max_age=0, timeout=PATIENCE)
    assert before.state is BalanceState.FRESH
    client.place("MASTER", ORDER)
    assert before.state is BalanceState.STALE
    after = client.balance("MASTER", max_age=0, timeout=PATIENCE)
    assert after.state is BalanceState.FRESH
    assert after.available_cash < before.available_cash


def test_a_callers_time_goes_with_the_call(sim: Simulator, client: RemoteEngine) -> None:
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    with pytest.raises((CallUnknown, DeadlinePassed)):
        client.call("MASTER", "TradeBalance", timeout=0.2)
    hang.remove()


# Futures


def test_a_submitted_call_is_a_future_that_can_be_withdrawn_while_it_waits(
    sim: Simulator, client: RemoteEngine
) -> None:
    assert "eb" in client.submit("MASTER", "TradeBalance").result(PATIENCE)
    refused = client.submit("MASTER", "Balnce")
    assert isinstance(refused.exception(PATIENCE), UnknownName)
    hang = sim.fault(Fault.hang(endpoint="ClosedOrders"))
    under_way = client.submit("MASTER", "ClosedOrders", timeout=PATIENCE)
    sim.wait_for_calls(1, endpoint="ClosedOrders", ended=False, timeout=PATIENCE)
    queued = client.submit("MASTER", "TradesHistory", timeout=PATIENCE)
    assert queued.cancel()
    assert not under_way.cancel()
    assert wait([queued], PATIENCE).done
    with pytest.raises(CancelledError):
        queued.result()
    hang.remove()
    assert isinstance(under_way.exception(PATIENCE), CallUnknown | None)
    assert not [each for each in sim.calls if each.endpoint == "TradesHistory"]
    assert not under_way.cancel(), "it is over"


# asyncio and events


def test_coroutines_and_events_from_an_event_loop(sim: Simulator, client: RemoteEngine) -> None:
    async def bot() -> list[Any]:
        aio, seen = client.aio, []

        async def listen() -> None:
            async for event in aio.events():
                if isinstance(event, OrderChanged):
                    seen.append(event.receipt.state)
                if seen and seen[-1] is OrderState.CANCELED:
                    return

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        receipts = await asyncio.gather(*(aio.place("MASTER", ORDER, id=f"o{n}") for n in range(5)))
        assert (await aio.balance("MASTER")).account == "MASTER"
        assert await aio.is_available("MASTER")
        assert (await aio.order("MASTER", "o1")).id == "o1"
        assert (await aio.status()).live
        assert (await aio.amend("MASTER", "o2", price="20200")).sent.price == 20200
        assert len(await aio.open_orders("MASTER")) == 5
        await asyncio.gather(*(aio.cancel("MASTER", each) for each in receipts))
        await asyncio.wait_for(listening, PATIENCE)
        await aio.resume("MASTER")
        await aio.pause_trading("MASTER")
        assert (await aio.status()).paused
        await aio.resume_trading("MASTER")
        return seen

    seen = asyncio.run(asyncio.wait_for(bot(), 4 * PATIENCE))
    assert OrderState.PLACED in seen


def test_subscribers_hear_what_those_of_the_engine_hear(
    sim: Simulator, owner: Engine, client: RemoteEngine
) -> None:
    here, there = Events(), Events()
    owner.subscribe(there)
    client.subscribe(here)
    receipt = client.place("MASTER", ORDER, id="heard")
    sim.fill("MASTER", receipt.txids[0], "0.001")
    client.open_orders("MASTER")
    here.wait_for(lambda event: isinstance(event, OrderFilled))
    done = here.wait_for(lambda event: isinstance(event, OrderChanged) and event.receipt.is_final)
    assert done.receipt.filled == Decimal("0.001")
    there.wait_for(lambda event: event == done)
    client.unsubscribe(here)
    client.unsubscribe(here)
    for _ in range(3):
        client.subscribe(here)
    owner.unsubscribe(there)


def test_a_subscriber_that_fails_hears_the_next_one(
    owner: Engine, client: RemoteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    seen = threading.Event()
    calls = []

    def fails_first(event: Any) -> None:
        calls.append(event)
        if len(calls) > 1:
            seen.set()
            return
        raise RuntimeError("odd")

    client.subscribe(fails_first)
    for _ in range(2):
        owner._state.publish(EngineWarning("test", "A warning."))
    assert seen.wait(PATIENCE)
    client.unsubscribe(fails_first)
    assert "A subscriber failed." in caplog.text
    caplog.clear()


def test_events_end_with_the_service(owner: Engine, client: RemoteEngine) -> None:
    async def bot() -> int:
        events, count = client.aio.events(), 0
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await client.aio.call("MASTER", "TradeBalance")
        await first
        await asyncio.to_thread(owner.stop)
        async for _ in events:
            count += 1
        return count

    asyncio.run(asyncio.wait_for(bot(), 4 * PATIENCE))
    with pytest.raises(EngineStopped, match="has stopped"):
        client.status()

    async def late() -> None:
        async for _ in client.aio.events():
            pass

    with pytest.raises(EngineStopped):
        asyncio.run(late())


def test_who_waits_while_the_engine_stops_is_answered_by_it(
    sim: Simulator, owner: Engine, client: RemoteEngine
) -> None:
    """G13: also through the service, which ends with its engine and after its answers."""
    sim.fault(Fault.hang(endpoint="TradeBalance"))
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(client.call, "MASTER", "TradeBalance", timeout=4 * PATIENCE)
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False, timeout=PATIENCE)
        submitted = client.submit("MASTER", "ClosedOrders", timeout=4 * PATIENCE)
        owner.stop(timeout=PATIENCE)
        for told in (under_way.exception(PATIENCE), submitted.exception(PATIENCE)):
            assert isinstance(told, EngineStopped | CallUnknown), told
            assert "gave no answer" not in str(told)


# Nobody there


def test_nobody_serves_is_one_sentence_that_says_what_to_start(sim: Simulator, tmp_path: Path) -> None:
    with pytest.raises(EngineStopped, match=r"No service runs on .*start 'kraken-engine serve', or call serve\(\)"):
        Engine.connect(tmp_path / "nothing")
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        with pytest.raises(StoreInUse, match="does not serve it") as in_use:
            Engine.connect(tmp_path)
        assert in_use.value.pid == engine.status().pid
        service = engine.serve(port=0)
        client = Engine.connect(tmp_path)
        service.stop()
        assert client.is_available("MASTER") is False
        with pytest.raises(StoreInUse):
            client.balance("MASTER")
        client.close()
        with pytest.raises(EngineStopped, match="closed"):
            client.balance("MASTER")


def test_a_refused_second_engine_is_told_both_ways_in(sim: Simulator, owner: Engine, tmp_path: Path) -> None:
    second = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state")
    with pytest.raises(StoreInUse, match=r"Engine\.connect.*gateway") as in_use:
        second.start()
    assert in_use.value.pid == owner.status().pid


def test_a_restarted_service_is_found_again(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        engine.serve(port=0)
        client = Engine.connect(tmp_path)
        assert client.balance("MASTER").account == "MASTER"
    with pytest.raises(EngineStopped):
        client.balance("MASTER")
    with client, Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        engine.serve(port=0)
        assert client.balance("MASTER").account == "MASTER"


# Threads and processes


def test_many_threads_share_a_client(sim: Simulator, client: RemoteEngine) -> None:
    """G1, G3."""
    failed: list[EngineError] = []

    def work(number: int) -> None:
        try:
            for each in range(3):
                client.call("MASTER", "TradeBalance", timeout=4 * PATIENCE)
                client.place("MASTER", ORDER, id=f"{number}-{each}", timeout=4 * PATIENCE)
        except EngineError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(8 * PATIENCE)
    assert failed == []
    assert (len(sim.placements("MASTER")), sim.refused_nonces, sim.highest_in_flight) == (24, 0, 1)


def test_a_client_can_be_given_to_a_spawned_process(client: RemoteEngine) -> None:
    with pickle.loads(pickle.dumps(client)) as again:
        assert again.live is True
