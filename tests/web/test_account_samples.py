"""The text of the metrics by account is what a Prometheus reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from engine import Engine
from engine.web.account_samples import account_samples

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with two accounts that does not run."""
    accounts = [(name, f"key-of-{name}", SECRET) for name in ("MASTER", "SECOND")]
    return Engine(accounts, state_dir=tmp_path_factory.mktemp("state"))


def test_a_running_engine_has_a_sample_of_each_account_in_each_metric(tmp_path: Path) -> None:
    accounts = [(name, f"key-of-{name}", SECRET) for name in ("MASTER", "SECOND")]
    with Engine(accounts, url="http://127.0.0.1:9", state_dir=tmp_path, balances=()) as running:
        found = {each.name: each for each in text_string_to_metric_families(account_samples(running.status(), {}))}
    assert {each.type for each in found.values()} == {"gauge", "counter"}
    for name in ("nonces_issued", "nonce_lead_seconds", "rate_limit_points", "key_accepted", "unsettled_orders"):
        samples = found[f"kraken_engine_{name}"].samples
        assert [each.labels for each in samples] == [{"account": "MASTER"}, {"account": "SECOND"}]
    assert [each.value for each in found["kraken_engine_rate_limit_points"].samples] == [15.0, 15.0]


@given(name=st.text(), count=st.integers(0, 10**12))
def test_any_name_and_number_is_read_back(engine: Engine, name: str, count: int) -> None:
    status = engine.status()
    one = dataclasses.replace(status, accounts=(dataclasses.replace(status.accounts[0], account=name),))
    families = text_string_to_metric_families(account_samples(one, {name: count}).replace("\r", "?"))
    unsettled = next(each for each in families if each.name == "kraken_engine_unsettled_orders")
    assert [each.value for each in unsettled.samples] == [count]
