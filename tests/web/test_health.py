"""Why a service is not ready is said, also where no account is to blame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.actors.lane.report import LaneReport
from engine.cluster.node_status import NodeStatus
from engine.values import Secret
from engine.web.health import LOST, no_work
from engine.web.subject import Cluster
from tests.web.page.status import status_of

TOKEN = Secret("a-token-that-all-nodes-of-this-cluster-share")
NOBODY = replace(status_of(), accounts=())


def cluster(token: Secret | None = TOKEN, trouble: str | None = None) -> Cluster:
    node = NodeStatus("red", None, True, True, (), {}, (), (), {}, 0.0, trouble)
    nothing: Any = None
    return Cluster(status=lambda: node, look=lambda: None, here=nothing, elsewhere=nothing, token=token)


@pytest.mark.parametrize(
    ("status", "of", "reason"),
    [
        (status_of(), None, None),
        (NOBODY, None, "There is no account."),
        (status_of(lane=LaneReport({}, None, 0, 0.0, is_lost=True)), None, LOST),
        (replace(status_of(), running=False), None, "The engine is not running."),
        (status_of(), cluster(None), None),
        (NOBODY, cluster(), None),
        (NOBODY, cluster(trouble="PostgreSQL does not answer."), "PostgreSQL does not answer."),
    ],
)
def test_it_says_why_nobody_is_served(status: Any, of: Cluster | None, reason: str | None) -> None:
    assert no_work(status, of) == reason


def test_a_node_without_accounts_that_can_ask_no_other_is_not_ready() -> None:
    reason = no_work(NOBODY, cluster(None))
    assert reason is not None
    assert reason.startswith("No account is served here now, and this node cannot ask the others")
    assert "token_file" in reason
