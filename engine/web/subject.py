"""What a service serves: one engine, or at a node every account of its cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.app import Engine
from engine.app.remote.remote_engine import RemoteEngine
from engine.app.served import ServedEngine
from engine.app.status import EngineStatus
from engine.values import Secret, Settings
from engine.values.dataclass import dataclass

if TYPE_CHECKING:  # its package needs an extra
    from engine.cluster.node_status import NodeStatus


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a node adds. Each function runs in any thread; `look` and what asks another node wait."""

    status: Callable[[], NodeStatus]
    look: Callable[[], None]
    """Ask the other nodes what they do, for `Subject.engine.status`."""
    here: ServedEngine
    """The accounts that are served here, and nothing else: what other nodes may ask."""
    elsewhere: Callable[[str], RemoteEngine]
    """The node that serves an account which is not served here. Raises `LaneElsewhere` while none can be asked."""
    token: Secret | None
    """What other nodes show; `None`: they cannot ask."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is served, with its directory and settings.

    `engine` is what page and gateway ask, and `programs` what the programs of this user ask. `start` starts it, given
    the URL of the service. `own` gives the engine of an account in this process, and raises `LaneElsewhere` where
    another node serves it. `own_status` tells of this process alone, `served` the accounts that it serves now.
    """

    engine: ServedEngine
    programs: ServedEngine
    start: Callable[[str], object]
    own: Callable[[str], Engine]
    own_status: Callable[[], EngineStatus]
    served: Callable[[], frozenset[str]]
    state_dir: Path
    settings: Settings
    cluster: Cluster | None = None


def subject_of(engine: Engine, state_dir: Path, settings: Settings) -> Subject:
    """One engine."""
    return Subject(
        engine=engine,
        programs=engine,
        start=lambda url: engine.start(),
        own=lambda account: engine,
        own_status=engine.status,
        served=lambda: frozenset(each.account for each in engine.status().accounts),
        state_dir=state_dir,
        settings=settings,
    )
