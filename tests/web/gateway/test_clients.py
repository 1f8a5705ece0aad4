"""The gateway with clients that others wrote, unmodified but for URL and credentials."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import ccxt
import ccxt.async_support
import krakenex
import pytest
from kraken.exceptions import KrakenPermissionDeniedError
from kraken.spot import Trade, User

from engine.errors import ConfigError, StoreError
from engine.simulator import Fault, Simulator
from engine.web.gateway.credentials import Credentials
from tests.conftest import private_calls
from tests.served import Served, ServiceReply, served, texts, until
from tests.stopwatch import PATIENCE
from tests.web.gateway.asking import key_of, send, signed

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # krakenex and ccxt leave their sessions to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"}


def with_krakenex(service: Served, key: tuple[str, str]) -> krakenex.API:
    api = krakenex.API(*key)
    api.uri = service.url
    return api


def with_ccxt(service: Served, key: tuple[str, str], module: Any = ccxt) -> Any:
    client = module.kraken({"apiKey": key[0], "secret": key[1], "enableRateLimit": False})
    client.urls["api"] = dict.fromkeys(client.urls["api"], service.url)
    return client


def test_krakenex_python_kraken_sdk_and_ccxt_work_unmodified(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path, "--live") as service:
        reader = key_of(service)
        one, two, three = (key_of(service, "ALICE", f"bot-{number}", "--trading") for number in (1, 2, 3))
        kx = with_krakenex(service, reader)
        assert kx.query_private("Balance")["result"]["USDT"] == "3000.00000000"
        assert kx.query_public("Time")["error"] == []
        assert kx.query_private("AddOrder", dict(ORDER)) == {"error": ["EGeneral:Permission denied"]}

        user = User(key=one[0], secret=one[1], url=service.url)
        assert user.get_account_balance()["USD.F"] == "4200.5000"
        with pytest.raises(KrakenPermissionDeniedError):
            Trade(key=reader[0], secret=reader[1], url=service.url).cancel_all_orders()

        cx = with_ccxt(service, two)
        assert cx.fetch_balance()["USD.F"]["total"] == 4200.5
        placed = with_krakenex(service, three).query_private("AddOrder", dict(ORDER))
        assert placed["error"] == []
        assert [each.txid for each in sim.placements("ALICE")] == placed["result"]["txid"]
        with pytest.raises(ccxt.AuthenticationError):
            with_ccxt(service, ("ALICE.nobody", two[1])).fetch_balance()
        asyncio.run(_ccxt_async(service, two))
        assert service.stop()[0] == 0
    assert sim.refused_nonces == 0
    assert sim.highest_in_flight == 1


async def _ccxt_async(service: Served, key: tuple[str, str]) -> None:
    client = with_ccxt(service, key, ccxt.async_support)
    try:
        first = await client.fetch_balance()
        assert first["USD.F"]["total"] == 4200.5
    finally:
        await client.close()


PROCESS = """
import sys, krakenex
url, calls = sys.argv[1], int(sys.argv[2])
key, secret = sys.stdin.read().split()
api = krakenex.API(key, secret)
api.uri = url
for _ in range(calls):
    answer = api.query_private("Balance")
    assert answer["error"] == [], answer
"""


@pytest.mark.parametrize("calls", [10, pytest.param(500, marks=pytest.mark.torture)])
def test_eight_processes_at_once_on_one_account_never_cost_a_nonce(
    sim: Simulator, tmp_path: Path, calls: int
) -> None:
    """G1 and G3, for clients that know nothing of each other."""
    with served(sim, tmp_path) as service:
        keys = [key_of(service, "MASTER", f"bot-{number}") for number in range(8)]
        clients = [
            subprocess.Popen([sys.executable, "-c", PROCESS, service.url, str(calls)],
                             stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in keys
        ]  # fmt: skip
        for client, key in zip(clients, keys, strict=True):
            assert client.stdin is not None
            client.stdin.write("\n".join(key))
            client.stdin.close()
            client.stdin = None
        told = [client.communicate(timeout=10 * PATIENCE)[1] for client in clients]
        assert [(client.returncode, text) for client, text in zip(clients, told, strict=True)] == [(0, "")] * 8
        assert service.stop()[0] == 0
    assert sim.refused_nonces == 0
    assert sim.highest_in_flight == 1
    asked = len([call for call in private_calls(sim) if call.endpoint == "Balance"])
    assert calls <= asked <= 8 * calls, "equal reads that wait share one call"


def test_replays_and_old_nonces_are_refused_also_over_a_kill(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        key = key_of(service)
        nonce = time.time_ns()
        first = signed(service, key, "Balance", nonce)
        assert send(service, first).json["error"] == []
        assert send(service, first).json == {"error": ["EAPI:Invalid nonce"]}
        late = signed(service, key, "Balance", nonce - 10**9)
        assert send(service, late).json["error"] == [], "another thread of the client may be a little late"
        assert send(service, late).json == {"error": ["EAPI:Invalid nonce"]}
        old = signed(service, key, "Balance", nonce - 20 * 10**9)
        assert send(service, old).json == {"error": ["EAPI:Invalid nonce"]}
        service.process.kill()
        service.process.communicate()
    with served(sim, tmp_path) as again:
        for each in (first, late, old):
            assert send(again, each).json == {"error": ["EAPI:Invalid nonce"]}
        next_ = signed(again, key, "Balance", nonce + 2 * 10**9)
        assert send(again, next_).json["error"] == []
        assert again.stop()[0] == 0
    with served(sim, tmp_path) as third:
        assert send(third, next_).json == {"error": ["EAPI:Invalid nonce"]}, "also after an orderly stop"
        at_once = signed(third, key, "Balance", nonce + 2 * 10**9 + 1)
        assert send(third, at_once).json["error"] == [], "which leaves no gap"
    assert sim.refused_nonces == 0


def test_answers_are_krakens_own_or_in_its_words(sim: Simulator, tmp_path: Path) -> None:
    """G5: an unknown outcome is not an error that a client would answer by sending again."""
    with served(sim, tmp_path, "--live") as service:
        key = key_of(service, "MASTER", "bot", "--trading")
        nonce = iter(range(time.time_ns(), 2**63, 1000))

        def call(endpoint: str, params: dict[str, str] | None = None, **headers: str) -> ServiceReply:
            return send(service, signed(service, key, endpoint, next(nonce), params), **headers)

        came = '{"error":["WGeneral:Watch out"],"result":{"a":"1.50","n":1616.12345678901234567890,"e":[]}}'
        sim.fault(Fault.body(came.encode(), times=1, endpoint="TradeBalance"))
        assert call("TradeBalance").text == came
        sim.fault(Fault.error("EOrder:Insufficient funds", endpoint="AddOrder", times=1))
        assert call("AddOrder", ORDER).json == {"error": ["EOrder:Insufficient funds"]}
        sim.fault(Fault.close(executed=True, endpoint="CancelAll", times=1))
        assert call("CancelAll").json == {"error": [], "result": {"count": 0}}, "asked again until it is answered"
        sim.fault(Fault.close(executed=True, endpoint="EditOrder", times=1))
        unknown = call("EditOrder", {"txid": "OAAAAA-BBBBB-CCCCCC", "pair": "XBTUSD", "volume": "1"})
        assert unknown.status == 504
        assert "error" not in unknown.text
        assert call("Nothing").json == {"error": ["EGeneral:Unknown method"]}
        assert call("Withdraw", {"asset": "XBT", "key": "k", "amount": "1"}).json == {
            "error": ["EGeneral:Permission denied"]
        }
        assert call("Balance", API_Sign="c2ln").json == {"error": ["EAPI:Invalid signature"]}
        assert call("Balance", API_Key="MASTER.other").json == {"error": ["EAPI:Invalid key"]}
        assert call("Balance", Content_Type="application/json").json == {"error": ["EGeneral:Invalid arguments"]}
        assert service.ask("/0/public/Nothing").json == {"error": ["EGeneral:Unknown method"]}
        assert service.ask("/0/public/Ticker?pair=XBTUSD").json["error"] == []
        with sim.outage():
            assert call("Balance").json == {"error": ["EService:Unavailable"]}
        assert call("Balance", Origin="http://evil.example").status == 403
        assert call("Balance", Host="evil.example").status == 421


def test_an_order_goes_through_the_journal(sim: Simulator, tmp_path: Path) -> None:
    """G9, for clients that know nothing of it: a lost reply is looked up, and a name places once, also after a kill."""
    named = {**ORDER, "cl_ord_id": "signal-42"}
    with served(sim, tmp_path, "--live") as service:
        key = key_of(service, "MASTER", "bot", "--trading")
        nonce = iter(range(time.time_ns(), 2**63, 1000))

        def call(service: Served, endpoint: str, params: dict[str, str]) -> ServiceReply:
            return send(service, signed(service, key, endpoint, next(nonce), params))

        sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
        first = call(service, "AddOrder", named).json
        (placed,) = sim.placements("MASTER")
        assert first == {"error": [], "result": {"descr": {"order": ANY}, "txid": [placed.txid]}}
        assert call(service, "AddOrder", named).json == first
        other = call(service, "AddOrder", {**named, "volume": "0.02"}).json
        assert other == {"error": ["EGeneral:Invalid arguments:cl_ord_id not unique"]}
        for name, value in (("hedge", "7"), ("volume", "0"), ("price", "soon"), ("userref", "grid")):
            told = call(service, "AddOrder", {**ORDER, name: value})
            assert told.json == {"error": [f"EGeneral:Invalid arguments:{name}"]}
            assert name in told.headers["x-engine-refusal"]
        assert call(service, "AddOrder", {**ORDER, "volume": "0.00000001"}).json == {"error": ["EOrder:Invalid order"]}
        for word in ("true", "True", "1"):
            assert call(service, "AddOrder", {**ORDER, "validate": word}).json["error"] == []
        for word in ("", "0", "0.0", "null", "no"):
            told = call(service, "AddOrder", {**ORDER, "validate": word}).json
            assert told == {"error": ["EGeneral:Invalid arguments:validate"]}
        orders = until(lambda: service.ask("/api/state").json["rows"]["orders"])
        assert (orders[0]["s"], texts(orders[0])[0]) == ("good", "MASTER")
        name = texts(orders[0])[1]
        assert name.startswith("bot/signal-42/"), "by the label of the key, and the client's name"
        service.process.kill()
        service.process.communicate()
    with served(sim, tmp_path, "--live") as again:
        nonce = iter(range(time.time_ns() + 2 * 10**9, 2**63, 1000))  # the mark is up to a second ahead after a kill
        assert call(again, "AddOrder", named).json["result"]["txid"] == first["result"]["txid"]
        orders = until(lambda: again.ask("/api/state").json["rows"]["orders"])
        assert texts(orders[0])[1] == name, "also after a kill"
        assert call(again, "CancelOrder", {"cl_ord_id": "signal-42"}).json["result"]["count"] == 1
        assert again.stop()[0] == 0
    assert len(sim.placements("MASTER")) == 1
    assert sim.refused_nonces == 0


def test_the_waiting_call_of_a_client_that_disconnects_is_withdrawn(sim: Simulator, tmp_path: Path) -> None:
    """Who has given up, and perhaps asks again, does not get it later. An order is different: the journal has it."""
    with served(sim, tmp_path, "--live") as service:
        key = key_of(service, "MASTER", "bot", "--trading")
        hang = sim.fault(Fault.hang(endpoint="AddOrder", account="ALICE"))
        other = key_of(service, "ALICE", "bot", "--trading")
        in_the_way = start(service, signed(service, other, "AddOrder", time.time_ns(), ORDER))
        sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
        change = {"txid": "OAAAAA-BBBBB-CCCCCC", "pair": "XBTUSD", "volume": "1"}
        waiting = start(service, signed(service, key, "EditOrder", time.time_ns(), change))
        until(lambda: service.ask("/api/state").json["cells"]["waiting-order"]["p"] == ["1"])
        waiting.close()
        until(lambda: 'gateway_requests_total{outcome="gone"} 1.0' in service.ask("/metrics").text)
        hang.remove()
        assert b'"txid"' in in_the_way.makefile("rb").read()
        in_the_way.close()
        assert "EditOrder" not in [call.endpoint for call in sim.calls]


def start(service: Served, call: tuple[str, bytes, dict[str, str]]) -> socket.socket:
    """Send a call, and leave its answer to whoever has the connection."""
    path, body, headers = call
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    client = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    client.sendall(head.encode() + body)
    return client


def test_a_call_that_waits_when_the_service_stops_is_answered(sim: Simulator, tmp_path: Path) -> None:
    """G13."""
    with served(sim, tmp_path) as service:
        key = key_of(service)
        sim.fault(Fault.hang())
        first, second = (start(service, signed(service, key, "Balance", time.time_ns())) for _ in range(2))
        until(lambda: service.ask("/api/state").json["cells"]["waiting-read"]["p"] != ["0"])
        assert service.stop()[0] == 0
        answers = sorted(each.makefile("rb").read().splitlines()[-1] for each in (first, second))
        assert answers[-1] == b'{"error":["EService:Unavailable"]}'
        for each in (first, second):
            each.close()


def test_keys_are_revocable_and_their_secrets_are_kept_nowhere(sim: Simulator, tmp_path: Path) -> None:
    """G11: the one secret on disk is the root key, 0600."""
    with served(sim, tmp_path) as service:
        one, two = key_of(service, "MASTER", "one"), key_of(service, "MASTER", "two")
        assert with_krakenex(service, one).query_private("Balance")["error"] == []
        again = key_of(service, "MASTER", "one")
        assert again[1] != one[1]
        assert with_krakenex(service, one).query_private("Balance")["error"] == ["EAPI:Invalid signature"]
        assert service.command("gateway-key", "MASTER", "--label", "two", "--revoke").returncode == 0
        assert with_krakenex(service, two).query_private("Balance")["error"] == ["EAPI:Invalid key"]
        assert with_krakenex(service, again).query_private("Balance")["error"] == []
        listed = service.command("gateway-key")
        assert listed.stdout == "MASTER.one  read-only\nMASTER.two  revoked\n"
        refused = service.command("gateway-key", "NOBODY")
        assert (refused.returncode, "NOBODY" in refused.stderr) == (2, True)
        log = service.stop()[1]
        files = b"".join(each.read_bytes() for each in (tmp_path / "state").iterdir())
        for secret in (one[1], two[1], again[1]):
            assert secret.encode() not in files
            assert secret not in log
        assert (tmp_path / "state" / "gateway.key").stat().st_mode & 0o777 == 0o600
    offline = service.command("gateway-key", "MASTER", "--label", "three", "--json")
    assert json.loads(offline.stdout)["key"] == "MASTER.three", "without a service as well"


def test_credentials_refuse_what_is_not_theirs(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path)
    with pytest.raises(ConfigError, match="not a valid label"):
        credentials.issue("MASTER", "a.b", may_trade=True)
    credentials.issue("MASTER", "a", may_trade=True)
    credentials.close()
    (tmp_path / "gateway.key").chmod(0o644)
    with pytest.raises(StoreError, match="Others may read"):
        Credentials(tmp_path)


def test_a_gateway_that_is_not_live_opens_no_order_channel_and_arms_no_switch(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        key = key_of(service, "MASTER", "bot", "--trading")
        asks: tuple[tuple[str, dict[str, str]], ...] = (
            ("CancelAllOrdersAfter", {"timeout": "60"}), ("GetWebSocketsToken", {}),
            ("AddOrder", {**ORDER, "validate": "False"}),
        )  # fmt: skip
        for endpoint, params in asks:
            told = send(service, signed(service, key, endpoint, time.time_ns(), params)).json
            assert told == {"error": ["EGeneral:Permission denied"]}
            assert not [call for call in sim.calls if call.endpoint == endpoint]
        assert service.stop()[0] == 0
