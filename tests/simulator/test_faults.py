"""The simulator's faults, one by one, as a client meets them on the wire."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import krakenex
import pytest
import requests

from engine.simulator import Call, Fault, Simulator
from tests.stopwatch import again_if_stalled

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
EXECUTED = [False, True]


def seconds(call: Call) -> float:
    """How long the simulator took over a call."""
    assert call.ended is not None
    return call.ended - call.started


class Client(krakenex.API):
    """krakenex with a nonce that does not depend on the time of day."""

    def __init__(self, sim: Simulator, name: str = "MASTER") -> None:
        account = next(account for account in sim.accounts if account.name == name)
        super().__init__(account.key, account.secret)
        self.uri = sim.url
        self._count = itertools.count(1)

    def _nonce(self) -> int:
        return next(self._count)

    def place(self) -> Any:
        return self.query_private("AddOrder", dict(ORDER), timeout=10)

    def reply(self, endpoint: str = "Balance") -> requests.Response:
        """The reply as it came, whatever it is."""
        body = f"nonce={self._nonce()}"
        path = f"/0/private/{endpoint}"
        sign = self._sign({"nonce": int(body[6:])}, path)
        answer: requests.Response = self.session.post(
            self.uri + path,
            data=body,
            headers={
                "API-Key": self.key,
                "API-Sign": sign,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            timeout=10,
            allow_redirects=False,
        )
        return answer


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    made = Client(sim)
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as made:
        yield made


def only_call(sim: Simulator) -> Call:
    (call,) = sim.wait_for_calls(1)
    return call


def check_effect(sim: Simulator, executed: bool) -> None:
    """The order was placed exactly if it should have been, and the record says so."""
    call = only_call(sim)
    assert (call.executed, len(sim.placements("MASTER"))) == (executed, int(executed))
    assert sim.nonce("MASTER") == int(executed)


# Waiting


@pytest.mark.parametrize("executed", EXECUTED)
def test_a_delay_holds_the_call_before_or_after_it_is_executed(
    sim: Simulator, client: Client, pool: ThreadPoolExecutor, executed: bool
) -> None:
    scripted = sim.fault(Fault.delay(3600, executed=executed))
    placed = pool.submit(client.place)
    (call,) = sim.wait_for_calls(1, ended=False, executed=executed)
    assert (call.executed, call.ended) == (executed, None)
    scripted.remove()
    assert placed.result(10)["error"] == []
    call = only_call(sim)
    assert (call.executed, call.fault) == (True, "delay")


@pytest.mark.parametrize("executed", EXECUTED)
def test_a_hung_call_goes_on_when_the_fault_is_removed(
    sim: Simulator, client: Client, pool: ThreadPoolExecutor, executed: bool
) -> None:
    sim.fault(Fault.hang(executed=executed))
    placed = pool.submit(client.place)
    sim.wait_for_calls(1, ended=False, executed=executed)
    assert len(sim.placements("MASTER")) == int(executed)
    sim.clear_faults()
    assert placed.result(10)["result"]["txid"] == [sim.placements("MASTER")[0].txid]


def test_a_delay_takes_its_time(sim: Simulator, client: Client) -> None:
    sim.fault(Fault.delay(0.05, times=1))
    client.place()
    client.place()
    slow, quick = sim.calls
    assert seconds(slow) >= 0.05
    assert quick.fault is None


def test_a_delayed_call_is_executed_even_if_its_client_has_gone(
    sim: Simulator, client: Client
) -> None:
    scripted = sim.fault(Fault.delay(3600))
    with pytest.raises(requests.ReadTimeout):
        client.query_private("AddOrder", dict(ORDER), timeout=0.05)
    scripted.remove()
    check_effect(sim, executed=True)


def test_jitter_is_random_within_its_bounds_and_repeats_with_its_seed() -> None:
    jitters = [Fault.jitter(0.5, 2, seed=7) for _ in range(2)]
    pauses = [[fault.pause() for _ in range(100)] for fault in jitters if fault.pause]
    assert pauses[0] == pauses[1]
    assert all(0.5 <= pause <= 2 for pause in pauses[0])
    assert len(set(pauses[0])) > 90


@again_if_stalled
def test_jitter_lets_calls_overtake_each_other(pool: ThreadPoolExecutor) -> None:
    with Simulator() as sim:
        overtake(sim, pool)


def overtake(sim: Simulator, pool: ThreadPoolExecutor) -> None:
    """ALICE's call comes first and waits long, BOB's second and waits less."""
    chance = random.Random(15)
    first, second = chance.uniform(0, 0.5), chance.uniform(0, 0.5)
    assert first > second + 0.4  # what this seed deals out
    sim.fault(Fault.jitter(0, 0.5, seed=15))
    clients = [Client(sim, name) for name in ("ALICE", "BOB")]
    calls = []
    for number, client in enumerate(clients, 1):
        calls.append(pool.submit(client.query_private, "Balance"))
        sim.wait_for_calls(number, ended=False)
    assert all(call.result(10)["error"] == [] for call in calls)
    for client in clients:
        client.close()
    alice, bob = sim.calls
    assert alice.started < bob.started
    assert alice.ended is not None
    assert bob.ended is not None
    assert alice.ended > bob.ended


# No reply


@pytest.mark.parametrize("executed", EXECUTED)
def test_a_reset_cuts_the_connection(sim: Simulator, client: Client, executed: bool) -> None:
    sim.fault(Fault.reset(executed=executed))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        client.place()
    check_effect(sim, executed)


@pytest.mark.parametrize("executed", EXECUTED)
def test_a_close_ends_the_connection_without_an_answer(
    sim: Simulator, client: Client, executed: bool
) -> None:
    sim.fault(Fault.close(executed=executed))
    with pytest.raises(requests.ConnectionError, match="without response"):
        client.place()
    check_effect(sim, executed)


# Another reply


@pytest.mark.parametrize("executed", EXECUTED)
@pytest.mark.parametrize("status", [502, 504, 520])
def test_the_proxy_answers_with_html(
    sim: Simulator, client: Client, status: int, executed: bool
) -> None:
    sim.fault(Fault.http(status, executed=executed))
    with pytest.raises(requests.HTTPError):
        client.place()
    assert client.response.status_code == status
    assert client.response.headers["Content-Type"].startswith("text/html")
    assert client.response.headers["Server"] == "cloudflare"
    assert f"Error code {status}" in client.response.text
    check_effect(sim, executed)


@pytest.mark.parametrize("executed", EXECUTED)
def test_an_empty_body(sim: Simulator, client: Client, executed: bool) -> None:
    sim.fault(Fault.empty(executed=executed))
    with pytest.raises(requests.JSONDecodeError):
        client.place()
    assert (client.response.status_code, client.response.content) == (200, b"")
    check_effect(sim, executed)


@pytest.mark.parametrize("executed", EXECUTED)
def test_any_bytes(sim: Simulator, client: Client, executed: bool) -> None:
    raw = b'{"error":[],"result":'
    sim.fault(Fault.body(raw, status=418, content_type="text/tea", executed=executed))
    with pytest.raises(requests.HTTPError):
        client.place()
    assert client.response.content == raw
    assert client.response.headers["Content-Type"] == "text/tea"
    check_effect(sim, executed)


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect(sim: Simulator, client: Client, status: int) -> None:
    sim.fault(Fault.redirect("http://elsewhere.invalid/", status=status))
    reply = client.reply()
    assert (reply.status_code, reply.headers["Location"]) == (status, "http://elsewhere.invalid/")
    assert not only_call(sim).executed


@pytest.mark.parametrize("executed", EXECUTED)
def test_a_kraken_error_comes_from_the_exchange_so_the_nonce_is_spent(
    sim: Simulator, client: Client, executed: bool
) -> None:
    sim.fault(Fault.error("EService:Unavailable", executed=executed))
    assert client.place() == {"error": ["EService:Unavailable"]}
    call = only_call(sim)
    assert (call.error, call.executed) == ("EService:Unavailable", executed)
    assert len(sim.placements("MASTER")) == int(executed)
    assert sim.nonce("MASTER") == 1


def test_what_the_exchange_refuses_is_refused_under_a_fault_too(
    sim: Simulator, client: Client
) -> None:
    sim.set_nonce("MASTER", 100)
    sim.fault(Fault.error("EService:Busy", executed=True, times=1))
    sim.fault(Fault.error("EService:Busy"))
    for _ in range(2):
        assert client.place() == {"error": ["EAPI:Invalid nonce"]}
    assert sim.refused_nonces == 2


def test_a_warning_stands_beside_the_result(sim: Simulator, client: Client) -> None:
    sim.fault(Fault.warning("WDatabase:No change"))
    reply = client.place()
    assert reply["error"] == ["WDatabase:No change"]
    assert reply["result"]["txid"]


def test_public_calls_meet_errors_as_well(sim: Simulator, client: Client) -> None:
    sim.fault(Fault.error("EGeneral:Too many requests", endpoint="Time"))
    assert client.query_public("Time") == {"error": ["EGeneral:Too many requests"]}
    assert client.query_public("SystemStatus")["error"] == []


# The right reply, badly delivered


@pytest.mark.parametrize("executed", EXECUTED)
@pytest.mark.parametrize("sent", [None, 0, 5])
def test_a_body_that_ends_too_early(
    sim: Simulator, client: Client, sent: int | None, executed: bool
) -> None:
    sim.fault(Fault.truncated(sent=sent, executed=executed))
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.place()
    check_effect(sim, executed)
    connection.request("GET", "/0/public/Time")
    with pytest.raises(http.client.IncompleteRead) as cut:
        connection.getresponse().read()
    connection.close()
    assert 0 < len(cut.value.partial) < 100 if sent is None else len(cut.value.partial) == sent


@pytest.mark.parametrize("make", [Fault.drip_body, Fault.drip_headers])
def test_a_reply_that_comes_in_drops_is_whole_in_the_end(
    sim: Simulator, client: Client, make: Any
) -> None:
    sim.fault(make(size=40, every=0.002))
    assert client.place()["result"]["txid"]
    assert client.place()["result"]["txid"]  # over the same connection
    assert sim.connections == 1


@pytest.mark.parametrize("make", [Fault.drip_body, Fault.drip_headers])
def test_drops_are_far_apart(sim: Simulator, make: Any) -> None:
    sim.fault(make(size=40, every=0.05))
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        began = time.monotonic()
        sock.sendall(b"GET /0/public/Time HTTP/1.1\r\nConnection: close\r\n\r\n")
        parts = list(iter(lambda: sock.recv(65536), b""))
        taken = time.monotonic() - began
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    dripped = body if make == Fault.drip_body else head
    assert taken >= 0.05 * (len(dripped) // 40)
    assert len(parts) > 1


@again_if_stalled
def test_a_dripping_call_is_in_flight_until_its_last_drop(
    sim: Simulator, client: Client, pool: ThreadPoolExecutor
) -> None:
    sim.fault(Fault.drip_body(size=1000, every=0.5, times=1))
    slow: Future[Any] = pool.submit(client.place)
    sim.wait_for_calls(1, ended=False)
    other = Client(sim, "ALICE")
    other.place()
    other.close()
    slow.result(10)
    assert sim.highest_in_flight == 2


# The script


def test_a_fault_strikes_only_the_calls_it_is_for(sim: Simulator, client: Client) -> None:
    alice = Client(sim, "ALICE")
    scripted = sim.fault(Fault.error("EService:Busy", endpoint="Balance", account="ALICE", times=2))
    assert client.query_private("Balance")["error"] == []
    assert alice.query_private("BalanceEx")["error"] == []
    errors = [alice.query_private("Balance")["error"] for _ in range(3)]
    alice.close()
    assert errors == [["EService:Busy"], ["EService:Busy"], []]
    assert scripted.used == 2


def test_an_account_is_known_by_its_key_even_if_the_signature_is_wrong(
    sim: Simulator, client: Client
) -> None:
    sim.fault(Fault.http(502, account="MASTER"))
    client.secret = sim.accounts[1].secret
    assert client.reply().status_code == 502


def test_faults_strike_in_the_order_they_were_added_one_per_call(
    sim: Simulator, client: Client
) -> None:
    sim.fault(Fault.error("EService:Busy", times=1))
    sim.fault(Fault.error("EService:Unavailable", times=1))
    errors = [client.query_private("Balance")["error"] for _ in range(3)]
    assert errors == [["EService:Busy"], ["EService:Unavailable"], []]
    assert [call.fault for call in sim.calls] == ["error", "error", None]


def test_delay_and_jitter_combine_with_another_fault(sim: Simulator, client: Client) -> None:
    sim.fault(Fault.jitter(0, 0.001))
    sim.fault(Fault.delay(0.02, executed=True))
    sim.fault(Fault.http(502, executed=True))
    assert client.reply().status_code == 502
    call = only_call(sim)
    assert (call.fault, call.executed) == ("jitter+delay+http 502", True)
    assert seconds(call) >= 0.02


def test_removed_faults_strike_no_more(sim: Simulator, client: Client) -> None:
    scripted = [sim.fault(Fault.error("EService:Busy")), sim.fault(Fault.error("EService:Timeout"))]
    scripted[0].remove()
    scripted[0].remove()
    assert client.query_private("Balance")["error"] == ["EService:Timeout"]
    sim.clear_faults()
    assert client.query_private("Balance")["error"] == []


def test_an_invalid_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Fault.reset(times=0)
    with pytest.raises(ValueError, match="negative"):
        Fault.delay(-1)
    with pytest.raises(ValueError, match="negative"):
        Fault.jitter(2, 1)


# Outages


def test_during_an_outage_connections_are_refused(sim: Simulator, client: Client) -> None:
    client.place()
    with sim.outage(), pytest.raises(requests.ConnectionError, match="refused"):
        client.place()
    assert client.place()["error"] == []
    assert [call.nonce for call in sim.calls] == [1, 3]


def test_an_outage_may_look_like_any_fault(sim: Simulator, client: Client) -> None:
    sim.fault(Fault.error("EService:Busy"))
    with sim.outage(Fault.http(520)):
        assert client.reply().status_code == 520
    assert json.loads(client.reply().text) == {"error": ["EService:Busy"]}


def test_new_connections_can_be_made_to_fail(sim: Simulator, client: Client) -> None:
    other = Client(sim, "ALICE")
    client.place()
    sim.fail_new_connections()
    assert client.place()["error"] == []  # it is connected already
    with pytest.raises(requests.ConnectionError):
        other.place()
    sim.fail_new_connections(False)
    assert other.place()["error"] == []
    other.close()
