"""The terminal's view: at 80 columns no amount is cut, and what is wrong is at the top."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from engine import Engine, Order, OrderUnknown, Settings
from engine.cli.screen import Seen, amount, screen
from engine.cli.watch import Listener, look
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events
from tests.stopwatch import PATIENCE


def drawn(seen: Seen, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(screen(seen))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_amounts_are_whole_at_80_columns(sim: Simulator, tmp_path: Path, width: int) -> None:
    sim.set_balance("MASTER", {"ZUSD": "1234567890.12345678", "XXBT": "1"})
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "s", settings=QUICK, live=True) as engine:
        engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        name = "a-name-for-an-order-that-is-longer-than-any-table-has-room-for-in-eighty-columns"
        engine.place("MASTER", Order("XBTUSD", "buy", "limit", "12345.67890123", "20000.5"), id=name)
        engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        listener = Listener()
        listener.orders.learn(engine)
        told = drawn(look(engine, listener), width)
    assert "1,234,567,890.12345678" in told
    assert "12,345.67890123" in told
    assert "20,000.5" in told
    assert "a-na" in told
    assert "placed" in told
    assert max(map(len, told.splitlines())) <= width


@pytest.mark.parametrize(("live", "kept"), [(True, 11), (False, 1)])
def test_room_of_the_counter_that_is_kept_free_is_not_shown_as_if_reads_had_it(
    sim: Simulator, tmp_path: Path, live: bool, kept: int
) -> None:
    """A live engine keeps room for a cancel and for looking up an order, another one for a cancel alone."""
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "s", live=live, balances=()) as engine:
        report = engine.status().lane
        assert report is not None
        told = drawn(look(engine))
    (line,) = [each.split() for each in told.splitlines() if each.startswith("MASTER") and "15" in each]
    assert line[-6:-2] == ["of", "15", str(15 - kept), str(kept)]
    assert "Kept free: points of the call counter that no read takes" in told
    assert report.keys["MASTER"].to_dict()["kept"] == kept


def test_without_our_own_counting_nothing_is_kept_free(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "s", settings=QUICK, balances=()) as engine:
        assert "Kept free: points" not in drawn(look(engine))


def test_an_unknown_order_is_first(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(local_limits=False, order_deadline=5.0, settle_margin=60.0)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "s", settings=settings, live=True) as engine:
        engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.001", "20000"), id="known")
        listener = Listener()
        engine.subscribe(listener)
        listener.orders.learn(engine)
        for endpoint in ("OpenOrders", "ClosedOrders"):
            sim.fault(Fault.http(502, endpoint=endpoint))
        sim.fault(Fault.http(502, endpoint="AddOrder", times=1))
        with pytest.raises(OrderUnknown):
            engine.place("MASTER", Order("ETHUSD", "buy", "limit", "0.1", "2000"), id="lost", timeout=2)
        told, later = drawn(look(engine, listener)), drawn(look(engine))
    assert "what became of an order is not known" in later, "also for who begins to look only now"
    assert "1 order is unknown" in told.splitlines()[1]
    rows = [line.split()[1] for line in told.splitlines() if line.startswith("MASTER ") and "USD" in line]
    assert rows[:2] == ["lost", "known"]


def test_an_outage_and_its_events(sim: Simulator, engine: Engine, events: Events) -> None:
    listener = Listener()
    engine.subscribe(listener)
    engine.balance("MASTER", max_age=0, timeout=PATIENCE)
    with sim.outage(Fault.error("EService:Unavailable")):
        events.wait_for(lambda event: getattr(event, "account", "") == "MASTER"
                        and getattr(event, "is_available", True) is False)  # fmt: skip
        told = drawn(look(engine, listener))
    assert "MASTER" in told.splitlines()[1] or "Kraken" in told.splitlines()[1]
    assert "MASTER is not available" in told
    assert "✕ MASTER" in told.replace("  ", " ")


def test_an_amount_has_all_its_digits_and_no_zeros_at_its_end() -> None:
    found = {value: amount(Decimal(value)) for value in ("18000.00000000", "-1234.5000", "0", "0.00000001", "-0.5")}
    assert list(found.values()) == ["18,000", "-1,234.5", "0", "0.00000001", "-0.5"]
    assert amount(None) == "unknown"
