"""AddOrderBatch of the gateway's clients: each order is a placement of its own (G9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.simulator import Fault, Simulator
from tests.served import served
from tests.web.gateway.asking import Asker

ROW = {"type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.001"}


def rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, **each} for each in more]


def test_a_batch_is_one_call_and_a_placement_a_row(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        asked = rows({"cl_ord_id": "a"}, {"userref": 3}, {"close": {"ordertype": "limit", "price": 60000}})
        told = bot.json("AddOrderBatch", pair="XBTUSD", orders=asked, trading_agreement="agree").json
        assert told["error"] == []
        txids = [row["txid"] for row in told["result"]["orders"]]
        assert [each.txid for each in sim.placements("MASTER")] == txids
        assert told["result"]["orders"][2]["close"] == "close position @ limit 60000.0"
        assert [call.endpoint for call in sim.calls].count("AddOrderBatch") == 1
        shown = bot.result("OpenOrders")["open"]
        assert [(shown[txid]["cl_ord_id"], shown[txid]["userref"]) for txid in txids] == [
            ("a", None), (None, 3), (None, None),
        ]  # fmt: skip
        again = bot.json("AddOrderBatch", pair="XBTUSD", orders=rows({"cl_ord_id": "a"}, {"price": "29000"})).json
        assert again == {"error": ["EGeneral:Invalid arguments:cl_ord_id not unique"]}
        twice = bot.json("AddOrderBatch", pair="XBTUSD", orders=rows({"cl_ord_id": "b"}, {"cl_ord_id": "b"})).json
        assert twice == {"error": ["EGeneral:Invalid arguments:cl_ord_id not unique"]}
        dry = bot.json("AddOrderBatch", pair="XBTUSD", orders=rows({}, {}), validate=True).json
        assert [set(row) for row in dry["result"]["orders"]] == [{"descr"}, {"descr"}]
        for orders, name in ((rows({}), "orders"), (rows({}, {"hedge": 1}), "hedge"), ("[]", "orders")):
            told = bot.json("AddOrderBatch", pair="XBTUSD", orders=orders).json
            assert told == {"error": [f"EGeneral:Invalid arguments:{name}"]}
        assert len(sim.placements("MASTER")) == 3
        assert service.stop()[0] == 0


def test_a_lost_reply_to_a_batch_is_looked_up_order_by_order(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        sim.fault(Fault.close(executed=True, endpoint="AddOrderBatch", times=1))
        asked = rows({"cl_ord_id": "a"}, {"cl_ord_id": "b", "price": "29000"})
        told = bot.json("AddOrderBatch", pair="XBTUSD", orders=asked).json
        placed = [each.txid for each in sim.placements("MASTER")]
        assert [row["txid"] for row in told["result"]["orders"]] == placed
        same = bot.json("AddOrderBatch", pair="XBTUSD", orders=asked).json
        assert [row["txid"] for row in same["result"]["orders"]] == placed, "asked again, it is the batch that is there"
        assert len(sim.placements("MASTER")) == 2
        assert service.stop()[0] == 0


def test_what_kraken_refuses_of_a_batch_is_refused_alone(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "40"})
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        told = bot.json("AddOrderBatch", pair="XBTUSD", orders=rows({}, {"price": "29000"})).json
        first, second = told["result"]["orders"]
        assert first["txid"]
        assert second == {"error": "EOrder:Insufficient funds"}
        sim.fault(Fault.error("EOrder:Insufficient funds", endpoint="AddOrderBatch", times=1))
        told = bot.json("AddOrderBatch", pair="XBTUSD", orders=rows({}, {})).json
        assert told == {"error": ["EOrder:Insufficient funds"]}
        assert len(sim.placements("MASTER")) == 1
        assert service.stop()[0] == 0
