"""The page shows every open order of an account: ours, and those that somebody else has placed (promise G9)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from engine import Engine, Order, Settings
from engine.simulator import Fault, Simulator
from engine.web.feed.other_orders import APART, EACH_AFTER, OtherOrders
from engine.web.page.seen import Seen
from engine.web.page.view import view_of


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
        assert others.opened().keys() == {("MASTER", ours.txids[0]), ("MASTER", theirs)}
        view = view_of(Seen(engine.status(), (), [ours], others.orders(), others.unknown(), others.opened()))
        rows = {row.cells[10].text: tuple(row.cells[n].text for n in (0, 1, 8)) for row in view.rows["orders"]}
        assert {name: row[:2] for name, row in rows.items()} == {
            ours.txids[0]: ("MASTER", "mine"), theirs: ("MASTER", "not ours")
        }  # fmt: skip
        assert all(age for *_, age in rows.values())
        assert view.cells["orders-sum"].text == "1 of ours open; 1 placed elsewhere"
        sim.fault(Fault.error("EGeneral:Permission denied", endpoint="OpenOrders", account="MASTER"))
        others.look(engine, "MASTER")
        assert [each.txid for each in others.orders()] == [theirs], "as last seen: at 3 am that is more than nothing"
        view = view_of(Seen(engine.status(), (), (), others.orders(), others.unknown()))
        assert view.rows["orders"][0].cells[1].text == "not ours, as last seen"
        cell = view.cells["orders-sum"]
        assert cell.state == "warn"
        assert cell.text.endswith("Kraken could not be asked for those of MASTER that were placed elsewhere")


def test_each_account_is_asked_for_in_turn_and_not_too_often() -> None:
    others, names, now = OtherOrders(), ("A", "B"), 1000.0
    asked = [(name, now + step) for step in range(200) if (name := others.due(names, now + step)) is not None]
    assert [name for name, _ in asked] == ["A", "B"] * (len(asked) // 2)
    times = {name: [at for each, at in asked if each == name] for name in names}
    assert all(later - at >= EACH_AFTER for each in times.values() for at, later in pairwise(each))
    assert asked[1][1] - asked[0][1] >= APART
    assert others.due((), now) is None
