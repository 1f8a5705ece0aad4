"""A client's own names for its orders, there and back; names of two clients do not meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.simulator import Fault, Simulator
from tests.served import served, until
from tests.web.gateway.asking import Asker

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.001"}
UUID = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


def place(client: Asker, **more: Any) -> str:
    (txid,) = client.result("AddOrder", **{**ORDER, **more})["txid"]
    return str(txid)


def names(rows: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {txid: (row["cl_ord_id"], row["userref"]) for txid, row in rows.items()}


def test_names_come_back_wherever_orders_are_told(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot, other = Asker(service, "bot"), Asker(service, "other")
        want = {
            place(bot, cl_ord_id=UUID): (UUID, None), place(bot, cl_ord_id="grid1"): ("grid1", None),
            place(bot, userref="-7"): (None, -7), place(bot): (None, None),
        }  # fmt: skip
        hidden = dict.fromkeys(want, (None, None))
        assert names(bot.result("OpenOrders")["open"]) == want
        assert names(bot.result("QueryOrders", txid=",".join(want))) == want
        assert names(other.result("OpenOrders")["open"]) == hidden, "the names are one client's own"
        bare = UUID.replace("-", "")
        for asked, found in (({"cl_ord_id": bare}, 0), ({"cl_ord_id": "grid1"}, 1), ({"userref": "-7"}, 2)):
            assert list(bot.result("OpenOrders", **asked)["open"]) == [list(want)[found]]
            assert other.result("OpenOrders", **asked)["open"] == {}
            assert list(bot.result("QueryOrders", txid=",".join(want), **asked)) == [list(want)[found]]
        amended = bot.result("AmendOrder", cl_ord_id="grid1", limit_price="30001")
        assert amended["amend_id"]
        edited = bot.result("EditOrder", txid=next(iter(want)), pair="XBTUSD", price="29000")["txid"]
        assert names(bot.result("OpenOrders", cl_ord_id=UUID)["open"]) == {edited: (UUID, None)}, "also after an edit"
        assert bot.result("CancelOrder", cl_ord_id=UUID) == {"count": 1}
        told = bot.json("CancelOrderBatch", orders=[list(want)[3], -7], cl_ord_ids=["grid1"]).json
        assert told == {"error": [], "result": {"count": 3}}
        closed = names(bot.result("ClosedOrders")["closed"])
        assert closed == {**want, edited: (UUID, None)}
        mine = bot.result("ClosedOrders", userref="-7")
        assert (list(mine["closed"]), mine["count"]) == ([list(want)[2]], 1)
        assert set(bot.result("ClosedOrders", cl_ord_id=UUID)["closed"]) == {edited, next(iter(want))}
        assert bot.result("ClosedOrders", cl_ord_id=UUID, end="1000000000")["closed"] == {}
        sold = place(bot, type="sell", ordertype="market", cl_ord_id="sold")
        (trade,) = (row for row in bot.result("TradesHistory")["trades"].values() if row["ordertxid"] == sold)
        assert trade["cl_ord_id"] == "sold"
        assert service.stop()[0] == 0


def test_a_name_is_one_among_the_open_orders_of_one_client(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        one, two = Asker(service, "one"), Asker(service, "two")
        first, second = place(one, cl_ord_id="1"), place(two, cl_ord_id="1")
        assert first != second
        taken = one.call("AddOrder", **{**ORDER, "cl_ord_id": "1", "price": "29000"})
        assert taken.json == {"error": ["EGeneral:Invalid arguments:cl_ord_id not unique"]}
        assert place(one, cl_ord_id="1") == first, "the same order once more is the one that is there"
        assert two.result("CancelOrder", cl_ord_id="1") == {"count": 1}
        assert [order["txid"] for order in sim.orders("MASTER") if order["status"] == "open"] == [first]
        assert place(two, cl_ord_id="1", price="28000") not in (first, second), "it is free again"
        gone = two.call("CancelOrder", cl_ord_id="2").json
        assert gone == {"error": ["EOrder:Invalid order"]}
        assert service.stop()[0] == 0


def test_a_userref_marks_groups_of_orders(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot, other = Asker(service, "bot"), Asker(service, "other")
        marked = [place(bot, userref="5", price=str(30000 + each)) for each in range(3)]
        foreign = place(other, userref="5")
        assert set(bot.result("OpenOrders", userref="5")["open"]) == set(marked)
        assert bot.result("CancelOrder", txid="5") == {"count": 3}
        assert [order["txid"] for order in sim.orders("MASTER") if order["status"] == "open"] == [foreign]
        gone = bot.call("CancelOrder", txid="5").json["error"]
        assert gone in (["EOrder:Unknown order"], ["EOrder:Invalid order"]), "whether or not the journal has seen it"
        first = bot.result("ClosedOrders", userref="5", ofs="2")
        assert (len(first["closed"]), first["count"]) == (1, 3)
        both = bot.call("AddOrder", **{**ORDER, "userref": "5", "cl_ord_id": "a"}).json
        assert both == {"error": ["EGeneral:Invalid arguments:userref"]}
        assert service.stop()[0] == 0


def test_a_lost_reply_to_an_order_with_a_close_is_looked_up(sim: Simulator, tmp_path: Path) -> None:
    """G9: Kraken takes no `cl_ord_id` beside a close, so the order is found by a number."""
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    close = {"close[ordertype]": "limit", "close[price]": "60000", "userref": "9"}
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
        txid = place(bot, **close)
        (placed,) = sim.placements("MASTER")
        assert placed.txid == txid
        assert placed.params["close[price]"] == "60000"
        assert names(bot.result("OpenOrders", userref="9")["open"]) == {txid: (None, 9)}
        assert until(lambda: service.ask("/api/state").json["rows"]["orders"])[0]["s"] == "good"
        told = bot.result("AddOrder", **{**ORDER, "close[ordertype]": "limit", "close[price]": "61000"})
        assert told["descr"]["close"] == "close position @ limit 61000.0"
        assert bot.result("CancelOrder", txid="9") == {"count": 1}
        assert service.stop()[0] == 0
