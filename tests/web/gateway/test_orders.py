"""Orders with everything that Kraken has, through the gateway and its journal."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.simulator import Simulator
from tests.served import served
from tests.web.gateway.asking import Asker

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.001"}


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_what_an_order_says_reaches_kraken(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    at = str(int(time.time()) + 86_400)
    asked: tuple[dict[str, Any], ...] = (
        {"starttm": "+600"}, {"starttm": at}, {"expiretm": "+600"}, {"expiretm": at, "timeinforce": "gtd"},
        {"stptype": "cancel_oldest"}, {"oflags": "post,fcib"}, {"timeinforce": "ioc"}, {"volume": "2E-3"},
        {"ordertype": "iceberg", "displayvol": "0.0005"},
        {"ordertype": "stop-loss", "trigger": "index", "price": "60000"},
        {"close[ordertype]": "take-profit-limit", "close[price]": "50000", "close[price2]": "-1%"},
    )  # fmt: skip
    sent: tuple[dict[str, Any], ...] = (
        asked[0], asked[1], {"expiretm": "+600", "timeinforce": "GTD"}, {"expiretm": at, "timeinforce": "GTD"},
        {"stptype": "cancel-oldest"}, {"oflags": "fcib,post"}, {"timeinforce": "IOC"}, {"volume": "0.00200000"},
        *asked[8:],
    )  # fmt: skip
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        for more in asked:
            told = bot.call("AddOrder", **{**ORDER, **more}).json
            assert told["error"] == [], (more, told)
        placed = [dict(each.params) for each in sim.placements("MASTER")]
        assert len(placed) == len(asked)
        for params, more in zip(placed, sent, strict=True):
            shown = {name: value for name, value in params.items() if name in {**ORDER, **more}}
            wanted = {**ORDER, **more}
            assert float(shown.pop("volume")) == float(wanted.pop("volume"))
            assert shown == wanted
        assert service.stop()[0] == 0


def test_an_order_in_json_has_its_close_as_an_object(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        close = {"ordertype": "limit", "price": 65000, "price2": None}
        told = bot.json("AddOrder", **{**ORDER, "price": 30000.5, "oflags": ["post"]}, close=close, reduce_only=False)
        assert told.json["error"] == []
        (placed,) = sim.placements("MASTER")
        assert {name: placed.params[name] for name in ("price", "oflags", "close[ordertype]", "close[price]")} == {
            "price": "30000.5", "oflags": "post", "close[ordertype]": "limit", "close[price]": "65000",
        }  # fmt: skip
        wrong = bot.json("AddOrder", **ORDER, close={"kind": "limit"}).json
        assert wrong == {"error": ["EGeneral:Invalid arguments:close"]}
        odd = bot.json("TradeBalance", asset={"a": "b"}).json
        assert odd == {"error": ["EGeneral:Invalid arguments"]}
        assert service.stop()[0] == 0


def test_a_deadline_is_kept_within_what_kraken_takes(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    with served(sim, tmp_path, "--live") as service:
        bot = Asker(service, "bot")
        late = bot.call("AddOrder", **ORDER, deadline=in_seconds(300))
        assert late.json == {"error": ["EGeneral:Invalid arguments:deadline"]}
        over = bot.call("AddOrder", **ORDER, deadline=in_seconds(-1))
        assert over.json == {"error": ["EService:Deadline elapsed"]}
        assert "deadline" in over.headers["x-engine-refusal"]
        assert not sim.placements("MASTER")
        asked = in_seconds(58)
        assert bot.call("AddOrder", **ORDER, deadline=asked).json["error"] == []
        (placed,) = sim.placements("MASTER")
        sent = datetime.fromisoformat(placed.params["deadline"])
        assert sent < datetime.fromisoformat(asked), "the engine's is sooner"
        assert service.stop()[0] == 0
