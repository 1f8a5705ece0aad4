"""The page shows every open order of an account: ours, and those that somebody else has placed (promise G9)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from engine import Engine, Order, Settings
from engine.simulator import Fault, Simulator
from engine.web.other_orders import APART, EACH_AFTER, OtherOrders
from engine.web.view import view_of


def test_orders_placed_elsewhere_are_marked_and_doubt_is_said(sim: Simulator, tmp_path: Path) -> None:
    settings = Settings(tier="pro", local_limits=False, call_timeout=1.0)
    sim.set_balance("MASTER", {"ZUSD": "10000", "XXBT": "1"})
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, live=True) as engine:
        ours = engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.001", "20000"), id="mine")
        theirs = engine.call("MASTER", "AddOrder", {
            "pair": "XBTUSD", "type": "sell", "ordertype": "limit", "volume": "0.002", "price": "90000",
        })["txid"][0]  # fmt: skip
        others = OtherOrders()
        others.look(engine, "MASTER")
        assert [each.txid for each in others.orders()] == [theirs]
        view = view_of(engine.status(), [], {}, [ours], others.orders(), others.unknown())
        rows = {row[6]: row[1:4] for row in view.rows["orders"]}
        assert rows == {ours.txids[0]: ("placed", "MASTER", "mine"), theirs: ("not ours", "MASTER", "")}
        assert view.cells["orders-count"].text == "1 open, all settled; 1 placed elsewhere"
        sim.fault(Fault.error("EGeneral:Permission denied", endpoint="OpenOrders", account="MASTER"))
        others.look(engine, "MASTER")
        assert others.orders() == []
        cell = view_of(engine.status(), [], {}, [], others.orders(), others.unknown()).cells["orders-count"]
        assert (cell.text, cell.state) == ("none open; those placed elsewhere are not known for MASTER", "warn")


def test_each_account_is_asked_for_in_turn_and_not_too_often() -> None:
    others, names, now = OtherOrders(), ("A", "B"), 1000.0
    asked = [(name, now + step) for step in range(200) if (name := others.due(names, now + step)) is not None]
    assert [name for name, _ in asked] == ["A", "B"] * (len(asked) // 2)
    times = {name: [at for each, at in asked if each == name] for name in names}
    assert all(later - at >= EACH_AFTER for each in times.values() for at, later in pairwise(each))
    assert asked[1][1] - asked[0][1] >= APART
    assert others.due((), now) is None
