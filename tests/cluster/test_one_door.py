"""Any node answers for every account of the cluster: what another node serves is asked there, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import krakenex
import pytest

from engine import Engine, LaneElsewhere, Order, OrderState
from engine.app.remote import codec
from engine.app.remote.link import PATH, VERSION
from engine.cli.program import main
from engine.cluster.database import Database
from engine.cluster.leases import Leases
from engine.errors import OrderUnknown, UnknownName
from engine.simulator import Fault, Simulator
from engine.version import __version__
from tests.cluster.conftest import Servers
from tests.cluster.lanes import expire
from tests.cluster.served_nodes import COMMAND, LANES, TOKEN, ServedNode, pair, start_node
from tests.conftest import private_calls
from tests.served import until
from tests.stopwatch import LONG, PATIENCE

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}


class Cluster(NamedTuple):
    """Two nodes: red serves MASTER, blue serves ALICE and BOB."""

    sim: Simulator
    red: ServedNode
    blue: ServedNode
    database: Database

    def config(self) -> str:
        return str(self.red.state.parents[3] / "node.toml")

    def key(self, account: str) -> krakenex.API:
        """A stock client of red's gateway."""
        with Engine.connect(self.red.state) as service:
            found = service.service("issue", account=account, label="bot", may_trade=True)
        client = krakenex.API(found["key"], found["secret"])
        client.uri = self.red.url
        return client

    def calls(self, account: str, endpoint: str) -> int:
        """How many such calls Kraken has got for an account."""
        return sum((each.account, each.endpoint) == (account, endpoint) for each in private_calls(self.sim))


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """The same as of every test, but that the simulator's threads are those of all tests here."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("simulator"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Both nodes, for all tests."""
    servers = Servers()
    with ExitStack() as undo:
        undo.callback(servers.stop)
        sim, dsn = undo.enter_context(Simulator()), servers.start().dsn
        database = undo.enter_context(closing(Database(dsn, patience=PATIENCE)))
        yield Cluster(sim, *pair(sim, dsn, tmp_path_factory.mktemp("cluster"), undo), database)


def test_a_stock_client_at_one_node_trades_for_an_account_of_another(cluster: Cluster) -> None:
    client = cluster.key("ALICE")
    before = cluster.calls("ALICE", "AddOrder")
    placed = client.query_private("AddOrder", {**ORDER, "cl_ord_id": "mine-1"})
    assert placed["error"] == []
    (txid,) = placed["result"]["txid"]
    assert cluster.calls("ALICE", "AddOrder") == before + 1
    found = client.query_private("OpenOrders")["result"]["open"]
    assert found[txid]["cl_ord_id"] == "mine-1", "the client's own name"
    assert client.query_private("CancelOrder", {"cl_ord_id": "mine-1"})["result"] == {"count": 1}
    assert client.query_private("Balance")["result"]["USD.F"] == "4200.5000"
    assert client.query_public("Time")["error"] == []


def test_an_order_that_kraken_refuses_is_refused_in_the_same_words(cluster: Cluster) -> None:
    told = cluster.key("BOB").query_private("AddOrder", {**ORDER, "volume": "5"})
    assert told["error"] == ["EOrder:Insufficient funds"]


def test_a_program_at_one_node_uses_the_accounts_of_all(cluster: Cluster) -> None:
    with Engine.connect(cluster.red.state) as client:
        assert client.live
        order = Order("XBTUSD", "buy", "limit", "0.01", "30000")
        receipt = client.place("ALICE", order, id="signal-1", timeout=PATIENCE)
        assert receipt.state is OrderState.PLACED
        assert client.place("ALICE", order, id="signal-1", timeout=PATIENCE) == receipt
        assert client.order("ALICE", "signal-1") == receipt
        assert [each.id for each in client.open_orders("ALICE")] == ["signal-1"]
        assert client.cancel("ALICE", receipt, PATIENCE).state is OrderState.CANCELED
        assert client.balance("BOB").account == "BOB"
        assert client.is_available("BOB")
        assert client.error_count("BOB") == 0
        assert client.call("BOB", "TradeBalance")["eb"]
        assert client.submit("BOB", "Balance").result(PATIENCE)
        assert client.gates("ALICE", timeout=PATIENCE).account == "ALICE"
        assert {each.account for each in client.status().accounts} == {"MASTER", "ALICE", "BOB"}
        with pytest.raises(UnknownName):
            client.balance("CAROL")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("call", "ALICE", "Balance"), "4200.5000"),
        (("balances",), "BOB"),
        (("orders", "BOB"), "No open order: BOB."),
        (("resume", "ALICE"), "Account ALICE is available."),
        (("status",), "ALICE"),
    ],
)
def test_commands_at_one_node_use_the_accounts_of_all(
    cluster: Cluster, words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert command(cluster, monkeypatch, *words) == 0
    assert told in capsys.readouterr().out


def command(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """A command line of the user that runs red."""
    monkeypatch.delenv("KRAKEN_ENGINE_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in cluster.red.environment.items():
        if name == "HOME" or name.startswith("KRAKEN"):
            monkeypatch.setenv(name, value)
    return main([*words, "--config", cluster.config()])


def test_the_doctor_examines_an_account_where_it_is(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(cluster, monkeypatch, "doctor", "--json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {each["check"] for each in found if each["account"] == "ALICE"} >= {"key", "nonce"}


def test_the_page_tells_of_all_lanes_and_accounts(cluster: Cluster) -> None:
    page = until(lambda: "BOB" in (text := cluster.red.ask("/").text) and text)
    assert "The lanes of the cluster" in page
    lanes = cluster.red.lanes()
    owners = {lane: "".join(row["c"][1]["p"]) for lane, row in lanes.items()}
    assert owners == {"one": "red", "two": "blue"}
    assert "".join(lanes["two"]["c"][8]["p"]) == cluster.blue.url


def test_the_metrics_tell_of_lanes_by_their_names(cluster: Cluster) -> None:
    red, blue = cluster.red, cluster.blue
    assert red.metric("lane_epoch", lane="two") == blue.metric("lane_epoch", lane="two")
    assert 0 < (red.metric("lane_lease_seconds_left", lane="one") or 0) <= LONG
    assert (blue.metric("lane_takeovers_total", lane="two") or 0) >= 1
    assert red.metric("lane_served_accounts", lane="two") == 0
    assert red.metric("cluster_reachable") == 1
    assert red.metric("account_available", account="ALICE") is None, "each account is told of by one node"


def ask(node: ServedNode, question: str, token: str | None = TOKEN, **asked: Any) -> tuple[int, Any]:
    """What a node answers to another one."""
    headers = {VERSION: __version__} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    reply = node.ask(f"{PATH}{question}", method="POST", body=codec.write(asked), **headers)
    return reply.status, codec.read(reply.text.encode()) if reply.status == 200 else reply.text


def test_what_was_passed_on_is_never_passed_on_again(cluster: Cluster) -> None:
    before = cluster.calls("MASTER", "TradesHistory")
    status, told = ask(cluster.blue, "call", account="MASTER", endpoint="TradesHistory", params=None, timeout=5.0)
    assert status == 200
    assert isinstance(told["error"], LaneElsewhere)
    assert (told["error"].lane, told["error"].owner, told["error"].url) == ("one", "red", cluster.red.url)
    assert cluster.calls("MASTER", "TradesHistory") == before
    _, told = ask(cluster.red, "doctor", account="ALICE")
    assert isinstance(told["error"], LaneElsewhere)


@pytest.mark.parametrize("token", [None, "", "another-token-of-the-same-length-as-the-right"])
def test_who_has_not_the_token_is_not_answered(cluster: Cluster, token: str | None) -> None:
    assert ask(cluster.blue, "balance", token, account="ALICE", max_age=None, timeout=1.0)[0] == 401
    assert cluster.blue.ask(f"{PATH}hello").status in (401, 404)


@pytest.mark.parametrize("question", ["issue", "revoke", "gateway-keys", "nothing"])
def test_other_nodes_ask_for_accounts_only(cluster: Cluster, question: str) -> None:
    status, told = ask(cluster.blue, question)
    assert status == 200
    assert "does not understand this question" in str(told["error"])


def test_the_token_is_nowhere_to_be_read(cluster: Cluster) -> None:
    rows = cluster.database.run(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'kraken_engine' ORDER BY 1"
    )
    dump = "".join(str(cluster.database.run(f"SELECT * FROM kraken_engine.{name}")) for (name,) in rows)
    assert "red" in dump
    shown = "".join(cluster.red.ask(path).text for path in ("/", "/api/state", "/metrics", "/api/log", "/readyz"))
    for secret in (TOKEN, *(part for each in cluster.sim.accounts for part in (each.key, each.secret))):
        assert secret not in dump
        assert secret not in shown


def test_a_node_without_lanes_answers_for_all_and_no_order_is_doubled_when_the_owner_dies(cluster: Cluster) -> None:
    """What was under way to the owner is unknown, later calls are not sent, and the successor settles the order."""
    sim, red, blue = cluster.sim, cluster.red, cluster.blue
    leases, gateway = Leases(cluster.database), cluster.key("ALICE")
    placed = len(sim.orders("ALICE"))
    order = Order("XBTUSD", "buy", "limit", "0.01", "30000")
    leases.drain("red")
    until(lambda: blue.serves("one"))
    with ThreadPoolExecutor(1) as pool, Engine.connect(red.state) as client:
        until(lambda: client.is_available("MASTER"))
        assert client.call("MASTER", "Balance")
        assert red.ask("/readyz").status == 200, "it answers for all accounts"
        sim.fault(Fault.hang(executed=True, endpoint="AddOrder", account="ALICE"))
        placing = pool.submit(client.place, "ALICE", order, id="signal-7", timeout=PATIENCE)
        until(lambda: len(sim.orders("ALICE")) > placed)
        blue.process.kill()
        blue.process.wait()
        with pytest.raises(OrderUnknown) as lost:
            placing.result(PATIENCE)
        assert lost.value.receipt.id == "signal-7"
        sim.clear_faults()
        sent = cluster.calls("ALICE", "AddOrder")
        assert gateway.query_private("AddOrder", ORDER)["error"] == ["EService:Unavailable"]
        assert not client.is_available("ALICE")
        for lane in LANES:
            leases.move(lane, None)
            expire(leases, lane)
        leases.undrain("red")
        until(lambda: red.serves("two"))
        receipt = client.place("ALICE", order, id="signal-7", timeout=PATIENCE)
        assert receipt.state is OrderState.PLACED
        assert [each["txid"] for each in sim.orders("ALICE")[placed:]] == list(receipt.txids)
        assert cluster.calls("ALICE", "AddOrder") == sent, "it was sent once"
        assert gateway.query_private("Balance")["error"] == [], "the gateway goes on"


def test_the_command_serves_a_node(dsn: str, tmp_path: Path, sim: Simulator) -> None:
    with ExitStack() as undo:
        node = start_node(sim, dsn, tmp_path, "solo", undo, COMMAND)
        until(lambda: node.ask("/readyz").json.get("available") == ["MASTER", "ALICE", "BOB"])
        assert node.lanes().keys() == {"one", "two"}
        ended = node.command("cluster", "status", "--json", "--config", str(tmp_path / "solo" / "node.toml"))
        assert [each["url"] for each in json.loads(ended.stdout)["lanes"]] == [node.url, node.url]
        code, log = node.stop()
    assert code == 0
    assert TOKEN not in log


def test_the_terminal_names_the_accounts_of_which_nothing_is_known(
    leases: Leases, dsn: str, tmp_path: Path, sim: Simulator
) -> None:
    """In the words of the page, never as if there were no account."""
    for lane, accounts in LANES.items():
        leases.claim(lane, "blue", "http://127.0.0.1:9", list(accounts))
    told = "Node blue, which serves MASTER, ALICE, BOB, has not told how they are."
    with ExitStack() as undo:
        node = start_node(sim, dsn, tmp_path, "solo", undo)
        words = ("--config", str(tmp_path / "solo" / "node.toml"))
        until(lambda: told in node.ask("/").text)
        for name in ("status", "watch"):
            shown = " ".join(node.command(name, *words).stdout.replace("│", " ").split())
            assert told in shown
            assert "There is no account" not in shown
        ended = node.command("status", "--json", *words)
        assert json.loads(ended.stdout)["accounts"] == []
        assert f"{told} kraken-engine cluster status says" in ended.stderr
