"""What of Kraken's replies is new, missing or odd is reported; what is known is not (promise G14)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine, Order, Settings
from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.shapes import SHAPES, compare
from engine.simulator import Fault, Simulator
from engine.web.metrics import _engine
from engine.web.page.seen import Seen
from engine.web.page.view import view_of
from tests.web.page.status import status_of

ORDER: dict[str, Any] = {
    "cl_ord_id": "0b1e2c3d-4f50-4a61-8b72-9c83ad94be05", "cost": "0.00000", "expiretm": 0, "fee": "0.00000",
    "descr": {"aclass": "forex", "order": "buy 0.00010000 XBTUSDC @ limit 20000.00"}, "limitprice": "0.00000",
    "misc": "", "oflags": "post,fciq", "opentm": 1780582233.7, "price": "0.00000", "refid": None, "starttm": 0,
    "status": "open", "stopprice": "0.00000", "time_in_force": "gtc", "userref": None, "vol": "0.00010000",
    "vol_exec": "0.00000000",
}  # fmt: skip


def seen(endpoint: str, result: Any) -> Counter[tuple[str, str]]:
    noted: Counter[tuple[str, str]] = Counter()
    compare(endpoint, result, lambda field, what: noted.update([(field, what)]))
    return noted


def test_a_row_as_kraken_sends_it_today_is_not_noted() -> None:
    assert not seen("OpenOrders", {"open": {"OAAAAA": ORDER}})
    assert not seen("QueryOrders", {"OAAAAA": ORDER})
    assert not seen("SystemStatus", {"status": "online", "timestamp": "2026-11-11T00:17:10Z"})


def test_each_row_is_compared_and_counted() -> None:
    odd = {**ORDER, "status": "resting", "venue": "somewhere", "fee": "a little"}
    del odd["vol_exec"]
    noted = seen("ClosedOrders", {"closed": {"O1": ORDER, "O2": odd, "O3": odd, "O4": "gone"}, "count": 4})
    assert noted == {
        ("venue", NEW): 2, ("vol_exec", MISSING): 2, ("status", ODD): 2, ("fee", ODD): 2, ("row", ODD): 1,
    }  # fmt: skip


def test_an_endpoint_without_a_shape_is_passed_over() -> None:
    assert not seen("Earn/Strategies", {"items": []})


@given(
    st.sampled_from(sorted(SHAPES)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["open", "closed", "trades", "status", "fee", "descr", "x"]), inner),
        max_leaves=12,
    ),
)
def test_comparing_never_raises(endpoint: str, result: Any) -> None:
    """A reply that was good stays good, however odd it is: the comparison runs after the call was done."""
    seen(endpoint, result)


def test_the_replies_of_a_whole_placement_are_not_noted(sim: Simulator, tmp_path: Path) -> None:
    """The simulator sends what Kraken is known to send, and every call of a placement is compared."""
    settings = Settings(local_limits=False, refresh_every=3600)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, live=True, settings=settings) as engine:
        receipt = engine.place("MASTER", Order("XBTUSD", "buy", "limit", "0.01", "10000"))
        engine.open_orders("MASTER")
        engine.cancel("MASTER", receipt)
        ours = {each for each in engine.status().drift if each.endpoint in SHAPES}
    assert not ours


@pytest.mark.parametrize("field", ["rumour", "fees"])
def test_what_the_lane_meets_is_in_the_status(sim: Simulator, tmp_path: Path, field: str) -> None:
    sim.fault(_with_a_field("OpenOrders", field))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, balances=()) as engine:
        engine.call("MASTER", "OpenOrders")
        status = engine.status()
    (drift,) = status.drift
    assert (drift.endpoint, drift.field, drift.what, drift.count) == ("OpenOrders", field, NEW, 1)
    assert [each.code for each in status.warnings] == ["kraken-changed"]
    assert field in status.warnings[0].message


def _with_a_field(endpoint: str, field: str) -> Any:
    row = {"open": {"OAAAAA": {**ORDER, field: "a value"}}}
    return Fault.body(json.dumps({"error": [], "result": row}).encode(), endpoint=endpoint)


def test_the_page_and_the_metrics_have_it(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(_with_a_field("OpenOrders", "rumour"))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, balances=()) as engine:
        engine.call("MASTER", "OpenOrders")
        drift = engine.status().drift
    view = view_of(Seen(status_of(drift=drift)))
    (row,) = view.rows["drift"]
    assert [each.text for each in row.cells[:4]] == [NEW, "OpenOrders", "rumour", "1"]
    assert view.cells["drift-sum"].text.startswith("1 ")
    (family,) = [each for each in _engine(status_of(drift=drift)) if each.name == "kraken_engine_drift"]
    (sample,) = family.samples
    assert sample.labels == {"endpoint": "OpenOrders", "field": "rumour", "what": NEW}
    assert sample.value == 1
