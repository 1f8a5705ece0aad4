"""G9: `validate` is read in one way, whoever asks; what is not clear is not an order. Not live is not live."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine, Settings
from engine.errors import CallNotSent, NotLive
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import PRIVATE, private_endpoint
from engine.simulator import Simulator
from tests.conftest import QUICK

YES: tuple[Any, ...] = (True, 1, "true", "True", "1")
NO: tuple[Any, ...] = (False, "false", "False")
ODD: tuple[Any, ...] = (
    None, 0, 0.0, 1.0, 2, -1, "", " ", "0", "no", "yes", "TRUE", "FALSE", " true", "true ", "null", "None", "on", "off",
    Decimal(0), Decimal(1), [], [True], {}, {"validate": True}, b"true",
)  # fmt: skip
VALIDATING = sorted(name for name, each in PRIVATE.items() if each.validates)
ONE = {"type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.01"}


@pytest.mark.parametrize("name", VALIDATING)
def test_three_readings(name: str) -> None:
    endpoint = private_endpoint(name)
    for value in YES:
        assert settled(endpoint, {"pair": "XBTUSD", "validate": value})["validate"] is True
    for value in NO:
        assert settled(endpoint, {"pair": "XBTUSD", "validate": value}) == {"pair": "XBTUSD"}
    for value in ODD:
        with pytest.raises(CallNotSent, match="validate"):
            settled(endpoint, {"pair": "XBTUSD", "validate": value})


@pytest.mark.parametrize("name", ["Validate", "VALIDATE", " validate", "validate ", "validate\n"])
def test_another_spelling_of_the_name_is_refused_by_name(name: str) -> None:
    for params in ({name: True}, {"orders": [ONE, {**ONE, name: True}]}):
        for endpoint in ("AddOrder", "AddOrderBatch"):
            with pytest.raises(CallNotSent, match="validate"):
                settled(private_endpoint(endpoint), params)


def test_a_dry_run_of_what_has_none_is_refused() -> None:
    for name in ("AmendOrder", "CancelOrder", "CancelAll", "Withdraw"):
        with pytest.raises(CallNotSent, match="no dry run"):
            settled(private_endpoint(name), {"validate": True})
        assert settled(private_endpoint(name), {"validate": False, "txid": "O"}) == {"txid": "O"}


def test_inside_a_batch_only_a_plain_no_is_passed_over() -> None:
    batch = private_endpoint("AddOrderBatch")
    assert settled(batch, {"orders": [{**ONE, "validate": "false"}, ONE]}) == {"orders": [ONE, ONE]}
    for value in (*YES, *ODD):
        with pytest.raises(CallNotSent, match="validate"):
            settled(batch, {"orders": [ONE, {**ONE, "validate": value}]})


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=6)


@given(st.dictionaries(st.text(max_size=8), _VALUES, max_size=5))
def test_what_does_not_say_validate_stays_as_it_is(params: Mapping[str, Any]) -> None:
    if all(name.strip().lower() != "validate" for name in params):
        assert settled(private_endpoint("AddOrder"), params) is params
    assert settled(private_endpoint("Balance"), params) is params


@pytest.mark.parametrize("is_live", [True, False])
def test_no_spelling_of_a_dry_run_places_and_no_odd_one_is_sent(sim: Simulator, tmp_path: Path, is_live: bool) -> None:
    calls = (("AddOrder", {"pair": "XBTUSD", **ONE}), ("AddOrderBatch", {"pair": "XBTUSD", "orders": [ONE, ONE]}))
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=is_live) as engine:
        for endpoint, params in calls:
            for value in ODD:
                with pytest.raises(CallNotSent):
                    engine.call("MASTER", endpoint, {**params, "validate": value})
            assert not [call for call in sim.calls if call.endpoint == endpoint]
            for value in YES:
                engine.call("MASTER", endpoint, {**params, "validate": value})
        assert not sim.placements("MASTER")
        sent = [call.params["validate"] for call in sim.calls if call.endpoint == "AddOrder"]
        assert sent == ["true"] * len(YES)


def test_an_engine_that_is_not_live_neither_arms_a_switch_nor_opens_the_order_channel(
    sim: Simulator, tmp_path: Path
) -> None:
    asks = [("GetWebSocketsToken", {}), *(("CancelAllOrdersAfter", {"timeout": each}) for each in (0, "0", 5, "3600"))]
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=Settings(local_limits=False)) as engine:
        for endpoint, params in asks:
            with pytest.raises(NotLive):
                engine.call("MASTER", endpoint, params)
            assert isinstance(engine.submit("MASTER", endpoint, params).exception(10), NotLive)
        assert not [call for call in sim.calls if call.endpoint in ("GetWebSocketsToken", "CancelAllOrdersAfter")]
