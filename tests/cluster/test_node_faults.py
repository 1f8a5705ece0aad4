"""Nodes in processes of their own that are killed or stand still, and a PostgreSQL that stands still."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from engine import CallNotSent, Engine, EngineError, LaneElsewhere, Order, OrderReceipt, OrderState, OrderUnknown
from engine.simulator import Call, Fault, Simulator
from tests.cluster.nodes import Bot, FarNode, eventually, far_nodes, node_of
from tests.cluster.postgresql import Server, frozen
from tests.conftest import private_calls
from tests.stopwatch import PATIENCE, again_if_stalled

WRITES = {"AddOrder", "EditOrder", "AmendOrder", "CancelOrder", "CancelAll", "CancelAllOrdersAfter"}
UNHURRIED = {"ttl": 4.0, "patience": 2.0}
"""No lease runs out because a busy machine lets a process wait."""

KILLS = 50

_numbers = count(1)


def new_order() -> tuple[Order, str]:
    """An order that no other is like, and an id for it."""
    number = next(_numbers)
    return Order("XBTUSD", "buy", "limit", f"0.0{1000 + number}", "30000"), f"order-{number}"


def placed(sim: Simulator, order: Order) -> int:
    """How many such orders the exchange has accepted."""
    volume = str(order.volume)
    accepted = [call for call in private_calls(sim) if call.executed and call.error is None]
    return sum(call.endpoint == "AddOrder" and call.params["volume"] == volume for call in accepted)


def calls_since(sim: Simulator, account: str, moment: float) -> list[Call]:
    return [call for call in private_calls(sim) if call.account == account and call.started > moment]


def settled(nodes: Sequence[FarNode], order: Order, id: str) -> OrderReceipt:
    """Place it at whichever node serves, again under the same id, until it is known what became of it."""
    turn = cycle(nodes)

    def ask() -> OrderReceipt | None:
        try:
            receipt: OrderReceipt = next(turn).do("MASTER", "place", "MASTER", order, id=id, timeout=1.0)
        except OrderUnknown:
            return None
        return receipt

    found = eventually(ask)
    assert found is not None
    return found


def is_not_placed(nodes: Sequence[FarNode], order: Order, id: str) -> bool:
    """Whether the node that serves says that there is no such order, as it does for ever then."""
    failures = []
    for node in nodes:
        try:
            node.do("MASTER", "place", "MASTER", order, id=id, timeout=1.0)
        except EngineError as error:
            failures.append(str(error))
    return any("was not placed" in each for each in failures)


def hung_order(sim: Simulator, node: FarNode, order: Order, id: str, *, executed: bool) -> Future[Any]:
    """Place an order whose call hangs at the exchange, before or after it has taken effect; it is there now."""
    sim.fault(Fault.hang(endpoint="AddOrder", account="MASTER", executed=executed, times=1))
    asked = node.ask("MASTER", "place", "MASTER", order, id=id, timeout=PATIENCE)
    eventually(lambda: any(call.params.get("volume") == str(order.volume) for call in private_calls(sim)))
    return asked


def epoch_of(lane: str, node: FarNode) -> int:
    """How often a lane has changed hands, as a node sees it."""
    return next(int(each.epoch) for each in node.do("", "status").lanes if each.id == lane)


def both(nodes: list[FarNode]) -> tuple[FarNode, FarNode]:
    """The node that serves MASTER and the other one, when each has a lane, so that none moves any more."""
    eventually(lambda: [sum(map(node.serves, ("MASTER", "ALICE"))) for node in nodes] == [1, 1])
    owner = next(node for node in nodes if node.serves("MASTER"))
    return owner, next(node for node in nodes if node is not owner)


@again_if_stalled
def check_kill(sim: Simulator, dsn: str, tmp_path: Path, taken: list[float], **options: float) -> None:
    """`taken` gets the seconds from the kill of the owner to the first call that Kraken accepts from the other node."""
    kept, lost = new_order(), new_order()
    with far_nodes(sim, dsn, tmp_path, f"red{kept[1]}", f"blue{kept[1]}", **options) as nodes:
        owner, other = both(nodes)
        receipt, untouched = settled([owner], *kept), epoch_of("two", other)
        asked = hung_order(sim, owner, *lost, executed=True)
        owner.end()
        killed = time.monotonic()
        with pytest.raises(EngineError):
            asked.result(PATIENCE)
        eventually(lambda: other.serves("MASTER"))
        assert settled([other], *kept).txids == receipt.txids
        found = settled([other], *lost)
        assert found.state is OrderState.PLACED
        assert placed(sim, kept[0]) == placed(sim, lost[0]) == 1
        after = calls_since(sim, "MASTER", killed)
        assert after[0].endpoint not in WRITES
        assert after[0].error is None
        assert sim.refused_nonces == 0
        assert epoch_of("two", other) == untouched, "no lane is handed to a node that has just died"
    sim.clear_faults()
    taken.append(after[0].started - killed)


def test_when_the_owner_is_killed_another_node_serves_with_the_same_orders(
    sim: Simulator, dsn: str, tmp_path: Path
) -> None:
    """The same id is the same receipt, what the old owner did not know is settled, and a read comes first."""
    check_kill(sim, dsn, tmp_path, [], **UNHURRIED)


@again_if_stalled
def check_zombie(sim: Simulator, dsn: str, tmp_path: Path, **options: float) -> None:
    late, fresh, never = new_order(), new_order(), new_order()
    with far_nodes(sim, dsn, tmp_path, f"red{late[1]}", f"blue{late[1]}", **options) as nodes:
        owner, other = both(nodes)
        hold = sim.fault(Fault.hang(endpoint="AddOrder", account="MASTER", times=1))
        asked = owner.ask("MASTER", "place", "MASTER", late[0], id=late[1], timeout=PATIENCE)
        eventually(lambda: any(call.params.get("volume") == str(late[0].volume) for call in private_calls(sim)))
        owner.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        eventually(lambda: other.serves("MASTER"))
        hold.remove()  # the late bytes arrive: signed by the old owner, after the new one's first accepted read
        assert settled([other], *fresh).state is OrderState.PLACED
        unasked = owner.ask("MASTER", "place", "MASTER", never[0], id=never[1], timeout=PATIENCE)
        owner.signal(signal.SIGCONT)
        with pytest.raises(LaneElsewhere):
            unasked.result(PATIENCE)
        eventually(lambda: _seen_elsewhere(owner, other))
        with pytest.raises(EngineError):
            asked.result(PATIENCE)
        eventually(lambda: is_not_placed(nodes, *late))
        assert (placed(sim, late[0]), placed(sim, never[0]), placed(sim, fresh[0])) == (0, 0, 1)
        assert calls_since(sim, "MASTER", stopped)[0].endpoint not in WRITES


def _seen_elsewhere(node: FarNode, owner: FarNode) -> bool:
    """Whether a node has stopped the lane of MASTER, and knows whose it is."""
    lane = node.do("", "status").lanes[0]
    return bool(lane.state == "elsewhere" and lane.owner == owner.name)


def test_an_owner_that_stood_still_stops_by_itself_and_its_late_order_is_refused(
    sim: Simulator, dsn: str, tmp_path: Path
) -> None:
    check_zombie(sim, dsn, tmp_path, **UNHURRIED)


def test_while_postgresql_stands_still_calls_end_and_go_on_by_themselves_afterwards(
    sim: Simulator, dsn: str, tmp_path: Path, server: Server
) -> None:
    """They go on below the mark that is durable; then nothing is sent until PostgreSQL answers again."""
    with node_of(sim, dsn, tmp_path, "red", ttl=2.0, patience=0.8) as node:

        def read(engine: Engine, _: int) -> None:
            engine.call("MASTER", "Balance", timeout=PATIENCE)

        with Bot([node], "MASTER", read) as bot:
            bot.wait_for_more()
            with frozen(server):
                eventually(partial(_is_refused, node))
                sent = len(private_calls(sim))
                tried = bot.not_sent + bot.elsewhere
                eventually(lambda: bot.not_sent + bot.elsewhere > tried + 20)
                assert len(private_calls(sim)) == sent
                eventually(lambda: node.status().trouble)
            bot.wait_for_more()
        assert not bot.others
        assert sim.refused_nonces == 0


def _is_refused(node: Any) -> bool:
    """Whether nothing is sent any more, since no nonce can be made durable or the lease may be over."""
    try:
        node.engine("MASTER").call("MASTER", "Balance", timeout=PATIENCE)
    except (CallNotSent, LaneElsewhere):
        return True
    return False


@pytest.mark.torture
def test_fifty_kills_lose_and_double_no_order(sim: Simulator, dsn: str, tmp_path: Path) -> None:
    taken: list[float] = []
    sim.set_balance("MASTER", {"ZUSD": "90000000"})
    for _ in range(KILLS):
        check_kill(sim, dsn, tmp_path, taken)
    taken.sort()
    print(f"Until the first accepted call: median {taken[KILLS // 2]:.2f} s, at most {taken[-1]:.2f} s.")


@pytest.mark.torture
def test_twenty_owners_that_stand_still_place_nothing_late(sim: Simulator, dsn: str, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "90000000"})
    for _ in range(20):
        check_zombie(sim, dsn, tmp_path)
