"""`serve --push`: what the dashboard, the metrics and the status tell of each account's stream."""

from __future__ import annotations

from pathlib import Path

import requests

from engine import Engine
from engine.simulator import Simulator
from tests.served import FAST, served, until
from tests.stopwatch import PATIENCE
from tests.stream.conftest import pushing


def test_a_service_tells_of_each_stream(tmp_path: Path) -> None:
    with Simulator(["MASTER", "ALICE"]) as sim:
        sim.set_permissions("ALICE", {"query-funds"})
        settings = f'{FAST}ws_url = "{sim.ws_url}"\n'
        with served(sim, tmp_path, "--push", settings=settings) as service:
            until(lambda: 'kraken_engine_push_live{account="MASTER"} 1.0' in service.ask("/metrics").text)
            until(lambda: "1 of 2 live" in (text := service.ask("/").text) and "EGeneral:Permission denied" in text)
            page, metrics = service.ask("/").text, service.ask("/metrics").text
        assert "Push: each account's stream" in page.replace("&#39;", "'").replace("&#x27;", "'")
        assert "EGeneral:Permission denied" in page
        assert 'kraken_engine_push_live{account="ALICE"} 0.0' in metrics
        assert 'kraken_engine_push_connects_total{account="MASTER"} 1.0' in metrics


def test_without_push_the_page_does_not_name_it(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        assert 'id="push"' not in service.ask("/").text


def test_the_prices_for_the_gates_are_told_when_a_gate_asks(sim: Simulator, tmp_path: Path) -> None:
    settings = pushing(sim)
    with (
        Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine,
        engine.serve(port=0) as service,
    ):
        def get(path: str) -> str:
            return requests.get(service.url + path, timeout=PATIENCE).text

        until(lambda: 'id="push"' in get(""))
        assert "Prices are" not in get("")
        assert "kraken_engine_push_prices_live 0.0" in get("metrics")
        until(lambda: engine.gates("MASTER", timeout=PATIENCE) and "Prices are live (1 pair)." in get(""))
        until(lambda: "kraken_engine_push_prices_live 1.0" in get("metrics"))
        assert "kraken_engine_push_prices_pairs 1.0" in get("metrics")
