"""Several processes at one service, and a service that is killed under way (promises G1, G3, G9)."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Order, OrderReceipt, OrderState
from engine.errors import EngineError
from engine.simulator import Fault, Simulator
from tests.conftest import private_calls
from tests.served import FAST, Served, served
from tests.stopwatch import PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
CALM = FAST + f'order_deadline = 50.0\ncall_timeout = {PATIENCE}\ntier = "pro"\n'
SOON = FAST + f'order_deadline = 5.0\nsettle_margin = 1.0\ncall_timeout = {PATIENCE}\ntier = "pro"\n'
"""An order that Kraken does not have is known not to be there after six seconds."""

WORKER = f"""
import sys
from engine import Engine, Order
state, name, count = sys.argv[1:]
order = Order("XBTUSD", "buy", "limit", "0.001", "20000")
with Engine.connect(state) as client:
    for number in range(int(count)):
        client.call("MASTER", "TradeBalance", timeout={8 * PATIENCE})
        client.place("MASTER", order, id=f"{{name}}-{{number}}", timeout={8 * PATIENCE})
"""

FORKS = f"""
import os, sys
from engine import Engine, Order
order = Order("XBTUSD", "buy", "limit", "0.001", "20000")
with Engine.connect(sys.argv[1]) as client:
    client.subscribe(print)
    client.place("MASTER", order, id="parent", timeout={PATIENCE})
    child = os.fork()
    client.place("MASTER", order, id=f"after-{{child == 0}}", timeout={PATIENCE})
    client.submit("MASTER", "TradeBalance").result({PATIENCE})
    if child == 0:
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert client.is_available("MASTER")
"""


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-W", "error", "-c", *arguments], stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True)  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    told = process.communicate(timeout=10 * PATIENCE)[1]
    return process.returncode, told


@pytest.fixture
def funded(sim: Simulator) -> Simulator:
    sim.set_balance("MASTER", {"ZUSD": "90000"})
    return sim


def test_eight_processes_share_one_lane(funded: Simulator, tmp_path: Path) -> None:
    """G1 and G3: no nonce is refused, never two calls are under way, and each order is there once."""
    with served(funded, tmp_path, "--live", settings=CALM) as service:
        workers = [run(WORKER, str(service.state), f"w{number}", "3") for number in range(8)]
        assert [end(each) for each in workers] == [(0, "")] * 8
        assert service.stop()[0] == 0
    assert (funded.refused_nonces, funded.highest_in_flight) == (0, 1)
    assert len(funded.placements("MASTER")) == 24
    assert len([each for each in private_calls(funded) if each.endpoint == "TradeBalance"]) == 24


def test_a_forked_child_goes_on_beside_its_parent(funded: Simulator, tmp_path: Path) -> None:
    with served(funded, tmp_path, "--live", settings=CALM) as service:
        assert end(run(FORKS, str(service.state))) == (0, "")
    assert len(funded.placements("MASTER")) == 3


def _killed_under_way(service: Served, sim: Simulator, endpoint: str) -> None:
    sim.wait_for_calls(1, endpoint=endpoint, ended=False, timeout=PATIENCE)
    service.process.kill()
    service.process.communicate()


@pytest.mark.parametrize("executed", [True, pytest.param(False, marks=pytest.mark.torture)])
def test_g9_a_service_killed_between_order_and_reply_leaves_one_order(
    executed: bool, funded: Simulator, tmp_path: Path
) -> None:
    """The client asks the next service under the same id, also when the caller gave none."""
    told: list[OrderReceipt | EngineError] = []

    def place(client: Any) -> None:
        try:
            told.append(client.place("MASTER", ORDER, timeout=4 * PATIENCE))
        except EngineError as error:
            told.append(error)

    settings = CALM if executed else SOON
    with served(funded, tmp_path, "--live", settings=settings) as service:
        client = Engine.connect(service.state)
        hang = funded.fault(Fault.hang(endpoint="AddOrder", executed=executed, times=1))
        placing = threading.Thread(target=place, args=(client,))
        placing.start()
        _killed_under_way(service, funded, "AddOrder")
        if not executed:
            funded.drop_connections()  # what a dead client had sent is not carried out
    hang.remove()
    with client, served(funded, tmp_path, "--live", settings=settings):
        placing.join(8 * PATIENCE)
        (receipt,) = told
        assert isinstance(receipt, OrderReceipt), receipt
        assert receipt.state is OrderState.PLACED
        assert [each.txid for each in funded.placements("MASTER")] == list(receipt.txids)
        assert client.place("MASTER", ORDER, id=receipt.id) == receipt
    assert len(funded.placements("MASTER")) == 1
