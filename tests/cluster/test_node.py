"""Nodes of a cluster on one PostgreSQL: who serves an account, and how lanes move between nodes in order."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine import Account, ConfigError, Engine, LaneElsewhere, Order, OrderState, StoreError, StoreInUse
from engine.cluster import Node
from engine.cluster.database import Database
from engine.cluster.leases import Leases
from engine.cluster.node import STOP_PATIENCE
from engine.errors import LockedOut, OrderUnknown, UnknownName
from engine.kraken.refusal_words import code_of
from engine.simulator import Call, Fault, Simulator
from tests.cluster.nodes import LANES, Bot, eventually, node_of
from tests.cluster.postgresql import Server, frozen
from tests.conftest import private_calls
from tests.stopwatch import AT_ONCE, PATIENCE, Stopwatch

WRITES = {"AddOrder", "CancelOrder", "CancelAllOrdersAfter", "CancelAll"}
ACCOUNTS = [account for accounts in LANES.values() for account in accounts]


@pytest.fixture
def nodes() -> Iterator[ExitStack]:
    """Where nodes are started, so that they stop in the end."""
    with ExitStack() as started:
        yield started


@pytest.fixture
def people(dsn: str) -> Iterator[Leases]:
    """What a person has who looks at the cluster and moves lanes."""
    database = Database(dsn, patience=PATIENCE)
    yield Leases(database)
    database.close()


def order(number: int = 0) -> Order:
    return Order("XBTUSD", "buy", "limit", f"0.0{1000 + number}", "30000")


def serves_all(node: Node, accounts: list[str] = ACCOUNTS) -> bool:
    return all(node.engine(account) for account in accounts)


def elsewhere(node: Node, account: str) -> LaneElsewhere:
    with pytest.raises(LaneElsewhere) as caught:
        node.engine(account)
    return caught.value


def owner_seen_by(node: Node, account: str) -> str | None:
    return elsewhere(node, account).owner


def of_account(sim: Simulator, account: str) -> list[Call]:
    return [call for call in private_calls(sim) if call.account == account]


def test_a_node_serves_an_account_after_one_accepted_read_with_its_key(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    node = nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    for account in ACCOUNTS:
        served = eventually(partial(node.engine, account))
        before = [call for call in of_account(sim, account) if call.executed and call.error is None]
        assert before, "it says so only when Kraken has accepted the key"
        assert before[0].endpoint not in WRITES
        assert served.call(account, "Balance", timeout=PATIENCE)
    with pytest.raises(UnknownName):
        node.engine("CAROL")


def test_until_a_key_is_accepted_its_account_is_not_served_and_nothing_is_written(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    """The others of the lane are."""
    down = sim.fault(Fault.error("EService:Unavailable", account="ALICE"))
    node = nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    eventually(lambda: node.engine("BOB"))
    found = elsewhere(node, "ALICE")
    assert (found.lane, found.owner, found.url) == ("two", "red", "http://red:8710")
    assert "does not serve yet" in str(found)
    assert not [call for call in of_account(sim, "ALICE") if call.endpoint in WRITES]
    down.remove()
    eventually(lambda: node.engine("ALICE"))


def test_an_account_of_another_node_is_named_with_its_owner(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    first = nodes.enter_context(node_of(sim, dsn, tmp_path, "red", {"one": ["MASTER"]}))
    second = nodes.enter_context(node_of(sim, dsn, tmp_path, "blue", {"two": ["ALICE", "BOB"]}))
    eventually(lambda: serves_all(first, ["MASTER"]) and serves_all(second, ["ALICE", "BOB"]))
    eventually(lambda: owner_seen_by(second, "MASTER") == "red")
    found = elsewhere(second, "MASTER")
    assert (found.lane, found.owner, found.url) == ("one", "red", "http://red:8710")
    assert "at http://red:8710" in str(found)


def test_lanes_spread_evenly_and_come_back_when_a_node_stops(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    """The leases last longer than the test: who stops gives them back."""
    red = nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    eventually(lambda: serves_all(red))
    blue = node_of(sim, dsn, tmp_path, "blue")
    with blue:
        eventually(lambda: sorted(map(len, (red.engines, blue.engines))) == [1, 1])
        both = {**red.engines, **blue.engines}
        assert both.keys() == LANES.keys()
    eventually(lambda: serves_all(red))
    with pytest.raises(LaneElsewhere, match="no node has now"):
        blue.engine("MASTER")


def test_a_lane_moves_where_it_is_wanted_and_the_same_id_is_the_same_receipt(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack, people: Leases
) -> None:
    red, blue = (nodes.enter_context(node_of(sim, dsn, tmp_path, name)) for name in ("red", "blue"))
    for wanted, other in ((red, blue), (blue, red), (red, blue)):
        eventually(lambda: people.lanes())
        people.move("one", wanted.name)
        engine = eventually(partial(wanted.engine, "MASTER"))
        receipt = engine.place("MASTER", order(), id="once", timeout=PATIENCE)
        assert receipt.state is OrderState.PLACED
        eventually(lambda other=other, name=wanted.name: owner_seen_by(other, "MASTER") == name)  # type: ignore[misc]
    assert len([row for row in sim.orders("MASTER") if row["status"] == "open"]) == 1
    assert [call.endpoint for call in of_account(sim, "MASTER")].count("AddOrder") == 1
    assert sim.refused_nonces == 0


def test_a_node_that_drains_hands_all_over_and_takes_lanes_again_when_it_may(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack, people: Leases
) -> None:
    red, blue = (nodes.enter_context(node_of(sim, dsn, tmp_path, name)) for name in ("red", "blue"))
    eventually(lambda: sorted(map(len, (red.engines, blue.engines))) == [1, 1])
    people.drain("red")
    eventually(lambda: serves_all(blue))
    assert not red.engines
    assert eventually(lambda: red.status().draining) == ("red",)
    people.undrain("red")
    eventually(lambda: sorted(map(len, (red.engines, blue.engines))) == [1, 1])


def test_a_lane_that_nobody_else_can_take_stays_at_a_node_that_drains(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack, people: Leases
) -> None:
    red = nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    eventually(lambda: serves_all(red))
    people.drain("red")
    eventually(lambda: red.status().draining)
    epochs = [lane.epoch for lane in red.status().lanes]
    seen = red.status()
    eventually(lambda: (red.status().seen or 0.0) < (seen.seen or 0.0) or red.status().lanes != seen.lanes)
    assert serves_all(red)
    assert [lane.epoch for lane in red.status().lanes] == epochs


def test_moving_and_draining_under_load_loses_no_call_beyond_not_sent(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack, people: Leases
) -> None:
    pair = [nodes.enter_context(node_of(sim, dsn, tmp_path, name)) for name in ("red", "blue")]
    eventually(lambda: sorted(len(each.engines) for each in pair) == [1, 1])

    handed_on: list[str] = []

    def place(engine: Engine, number: int) -> None:
        receipt = engine.place("MASTER", order(number % 1000), id=f"m{number}", timeout=PATIENCE)
        try:
            engine.cancel("MASTER", receipt, timeout=PATIENCE)
        except OrderUnknown:
            handed_on.append(receipt.id)

    def is_canceled(name: str) -> bool:
        for each in pair:
            with suppress(LaneElsewhere):
                return each.engine("MASTER").order("MASTER", name).state is OrderState.CANCELED
        return False

    def read(engine: Engine, _: int) -> None:
        engine.call("ALICE", "Balance", timeout=PATIENCE)

    with Bot(pair, "MASTER", place) as bot, Bot(pair, "ALICE", read) as reader:
        for act in (
            partial(people.move, "one", "blue"), partial(people.move, "one", "red"), partial(people.move, "one", None),
            partial(people.drain, "red"), partial(people.undrain, "red"), partial(people.drain, "blue"),
        ):  # fmt: skip
            act()
            bot.wait_for_more()
            reader.wait_for_more()
    assert not bot.others
    assert not reader.others
    for name in handed_on:  # its cancel was begun by one owner, and is done by the next
        eventually(partial(is_canceled, name))
    assert sim.refused_nonces == 0


def test_a_dead_mans_switch_goes_along_and_the_last_node_disarms_it(
    sim: Simulator, dsn: str, tmp_path: Path, people: Leases
) -> None:
    with node_of(sim, dsn, tmp_path, "red") as red:
        eventually(lambda: red.engine("MASTER")).arm("MASTER", 60, timeout=PATIENCE)
        with node_of(sim, dsn, tmp_path, "blue") as blue:
            people.move("one", "blue")
            engine = eventually(lambda: blue.engine("MASTER"))
            eventually(lambda: engine.status().switches == {"MASTER": 60})
        eventually(lambda: eventually(lambda: red.engine("MASTER")).status().switches == {"MASTER": 60})
        feeds = [call for call in of_account(sim, "MASTER") if call.endpoint == "CancelAllOrdersAfter"]
        assert {str(call.params["timeout"]) for call in feeds} == {"60"}
    assert str(of_account(sim, "MASTER")[-1].params["timeout"]) == "0"


def test_a_lockout_goes_along(sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack, people: Leases) -> None:
    """The next node sends nothing with that key, not even its fence."""
    with node_of(sim, dsn, tmp_path, "red") as red:
        engine = eventually(lambda: red.engine("MASTER"))
        sim.fault(Fault.error("EGeneral:Temporary lockout", account="MASTER"))
        eventually(lambda: engine.status().keys["MASTER"].state == "locked-out")
    calls = len(of_account(sim, "MASTER"))
    blue = nodes.enter_context(node_of(sim, dsn, tmp_path, "blue"))
    eventually(lambda: "one" in blue.engines)
    with pytest.raises(LockedOut):
        blue.engines["one"].call("MASTER", "Balance", timeout=PATIENCE)
    eventually(lambda: "the last try said: Kraken has locked" in str(elsewhere(blue, "MASTER")))
    assert code_of(elsewhere(blue, "MASTER")) == "EGeneral:Temporary lockout", "as the gateway says it"
    assert len(of_account(sim, "MASTER")) == calls


def test_a_key_in_two_lanes_is_refused_with_lane_and_owner(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    red = nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    eventually(lambda: serves_all(red))
    master = next(account for account in sim.accounts if account.name == "MASTER")
    same_key = Node(
        [Account("CAROL", master.key, master.secret)], {"three": ["CAROL"]}, dsn, "blue", local=tmp_path / "blue",
        kraken_url=sim.url, patience=PATIENCE,
    )  # fmt: skip
    with Stopwatch() as watch, pytest.raises(StoreInUse, match=r"in use by lane one, owned by node red"):
        same_key.start()
    assert watch.seconds < AT_ONCE
    red.stop()
    nodes.enter_context(same_key)  # nothing was left behind, and a lane that nobody has keeps no key
    eventually(lambda: same_key.engine("CAROL"))


def test_on_one_machine_the_nodes_of_a_cluster_share_a_key_and_nobody_else_has_it(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    alone = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state")
    with alone, pytest.raises(StoreInUse, match="API key"):
        node_of(sim, dsn, tmp_path, "red").start()
    for name in ("red", "blue"):
        nodes.enter_context(node_of(sim, dsn, tmp_path, name))
    with pytest.raises(StoreInUse, match="API key"):
        alone.start()
    with pytest.raises(StoreInUse):
        node_of(sim, dsn, tmp_path, "red").start()


def test_a_node_of_the_same_name_at_another_address_is_refused(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    """On one machine its directory says so; on two, what the database was told a moment ago."""
    nodes.enter_context(node_of(sim, dsn, tmp_path, "red"))
    namesake = node_of(sim, dsn, tmp_path / "elsewhere", "red", url="http://elsewhere:8710")
    with pytest.raises(StoreInUse, match="A node red is in the cluster already, at http://red:8710"):
        namesake.start()


def test_status_tells_of_every_lane_and_holds_no_secret(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    node = node_of(sim, dsn, tmp_path, "red")
    assert not node.status().running
    nodes.enter_context(node)
    eventually(lambda: serves_all(node))
    status = node.status()
    told: dict[str, Any] = json.loads(json.dumps(status.to_dict()))
    assert [(lane["id"], lane["owner"], lane["state"]) for lane in told["lanes"]] == [
        ("one", "red", "serving"), ("two", "red", "serving"),
    ]  # fmt: skip
    assert told["lanes"][1]["served"] == ["ALICE", "BOB"]
    assert all(lane.seconds_left > 0 and lane.epoch == 1 and lane.failure is None for lane in status.lanes)
    assert [(each.lane, each.before) for each in status.takeovers] == [("one", None), ("two", None)]
    assert status.nodes.keys() == {"red"}
    assert status.trouble is None
    for account in sim.accounts:
        assert account.secret not in repr(status) + json.dumps(told)
        assert account.key not in repr(status) + json.dumps(told)


def test_a_key_of_another_lane_cannot_replace_one(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    alone = nodes.enter_context(node_of(sim, dsn, tmp_path, "red", {"one": ["MASTER"]}))
    eventually(lambda: alone.engine("MASTER"))
    other = node_of(sim, dsn, tmp_path, "blue", {"two": ["ALICE"]})
    nodes.enter_context(other)
    served = eventually(lambda: other.engine("ALICE"))
    master = next(account for account in sim.accounts if account.name == "MASTER")
    with pytest.raises(StoreInUse, match="in use by lane one, owned by node red"):
        served.replace_key("ALICE", master.key, master.secret)
    assert other.engine("ALICE").call("ALICE", "Balance", timeout=PATIENCE)


def test_without_postgresql_a_start_is_one_sentence_and_leaves_nothing(sim: Simulator, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        node = node_of(sim, f"host=127.0.0.1 port={nobody.getsockname()[1]} user=nobody", tmp_path, "red")
        with pytest.raises(StoreError, match="PostgreSQL"):
            node.start()
    assert not node.status().running
    node.stop()
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "red"):
        pass


def test_a_node_stops_in_time_while_postgresql_stands_still(
    sim: Simulator, dsn: str, tmp_path: Path, server: Server
) -> None:
    node = node_of(sim, dsn, tmp_path, "red", ttl=2.0, patience=0.8)
    with node:
        eventually(lambda: serves_all(node))
        with frozen(server), Stopwatch() as watch:
            node.stop()
    assert watch.seconds < STOP_PATIENCE + AT_ONCE


@pytest.mark.parametrize(
    ("lanes", "complaint"),
    [
        ({"one": ["MASTER"], "two": ["MASTER", "ALICE", "BOB"]}, "MASTER is in the lanes one and two"),
        ({"one": ["MASTER", "ALICE"]}, "BOB is in no lane"),
        ({"one": ["MASTER", "ALICE", "BOB"], "two": []}, "two has no accounts"),
        ({"a/b": ["MASTER", "ALICE", "BOB"]}, "cannot be a lane's name"),
    ],
)
def test_lanes_that_cannot_be_are_one_sentence(sim: Simulator, lanes: dict[str, list[str]], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Node(sim.accounts, lanes, "host=127.0.0.1", "red")


def test_a_node_takes_only_lanes_of_which_it_has_every_key(
    sim: Simulator, dsn: str, tmp_path: Path, nodes: ExitStack
) -> None:
    some = [account for account in sim.accounts if account.name != "BOB"]
    lanes = {"one": ["MASTER"], "two": ["ALICE"], "three": ["BOB", "ALICE2"]}
    node = nodes.enter_context(
        Node(some, lanes, dsn, "red", kraken_url=sim.url, local=tmp_path / "red", patience=PATIENCE)
    )
    eventually(lambda: node.engines.keys() == {"one", "two"})
    assert elsewhere(node, "BOB").owner is None
