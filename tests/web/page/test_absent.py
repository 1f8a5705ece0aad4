"""Accounts of a cluster of which a node's page knows nothing are named, never passed over as if there were none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.cluster.node_status import LaneStatus, NodeStatus
from engine.web.page.absent import absent_accounts
from engine.web.page.headline import Headline, headline
from engine.web.page.seen import Seen
from engine.web.page.view import view_of
from tests.web.page.status import account_of, status_of

FAILURE = "Account ALICE has no key here."
TROUBLE = "PostgreSQL does not answer."


def lane(owner: str | None, *accounts: str, **facts: Any) -> LaneStatus:
    usual = {"epoch": 1, "url": None, "seconds_left": 5.0, "state": "elsewhere", "served": (), "wanted": None,
             "failure": None}  # fmt: skip
    return LaneStatus(id="-".join(accounts), owner=owner, accounts=accounts, **{**usual, **facts})


def node(*lanes: LaneStatus, trouble: str | None = None) -> NodeStatus:
    return NodeStatus("red", None, True, True, lanes, {}, (), (), {}, 0.0, trouble)


RED, BLUE, FREE = lane("red", "MASTER"), lane("blue", "ALICE", "BOB"), lane(None, "ALICE", failure=FAILURE)


def told(known: tuple[str, ...], found: NodeStatus, *, asks_others: bool = True, **facts: Any) -> Headline:
    status = replace(status_of(*(account_of(name) for name in known or ("NOBODY",))), **facts)
    status = status if known else replace(status, accounts=())
    return headline(status, (), absent=absent_accounts(status, found, asks_others=asks_others))


@pytest.mark.parametrize(
    ("known", "found", "state", "sentence"),
    [
        (("MASTER",), node(RED), "good", "The account is available."),
        ((), node(BLUE), "warn", "Node blue, which serves ALICE, BOB, has not told how they are."),
        (("MASTER",), node(RED, BLUE), "warn", "Node blue, which serves ALICE, BOB, has not told how they are."),
        ((), node(lane("red", "MASTER", state="fencing")), "warn", "This node is taking over MASTER."),
        (("MASTER",), node(RED, FREE), "bad", f"No node serves ALICE. {FAILURE}"),
        ((), node(lane(None, "A", "B", "C", "D")), "bad", "No node serves A, B, C and 1 more."),
        ((), node(BLUE, trouble=TROUBLE), "bad", f"No account is served here. {TROUBLE}"),
        (("MASTER",), node(RED, FREE, trouble=TROUBLE), "bad",
         f"No node serves ALICE, as far as this one can tell. {TROUBLE}"),
    ],
)  # fmt: skip
def test_accounts_of_which_nothing_is_known_are_named(
    known: tuple[str, ...], found: NodeStatus, state: str, sentence: str
) -> None:
    shown = told(known, found)
    assert (shown.state, shown.sentence.text) == (state, sentence)
    assert "There is no account" not in shown.sentence.text


def test_a_node_that_can_ask_no_other_says_where_to_look() -> None:
    beside = "Node blue serves ALICE, BOB: look there, since this node has no token of the cluster to ask with."
    alone = told((), node(BLUE), asks_others=False)
    assert (alone.state, alone.title) == ("warn", "no account here")
    assert alone.sentence.text == f"No account is served here. {beside}"
    both = told(("MASTER",), node(RED, BLUE), asks_others=False)
    assert (both.state, both.sentence.text) == ("good", f"The account here is available. {beside}")


def test_a_stopped_engine_is_said_first_and_no_count_is_told_of_nobody() -> None:
    assert told((), node(BLUE), running=False).sentence.text == "The engine has stopped."
    assert "0 of 0" not in told((), node(BLUE)).consequence.text


def test_the_page_tells_of_them() -> None:
    seen = Seen(replace(status_of(), accounts=()), node=node(BLUE), asks_others=True)
    assert "blue" in view_of(seen).cells["headline"].text
