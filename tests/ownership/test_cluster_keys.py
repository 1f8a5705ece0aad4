"""G2 in a cluster: its nodes share an API key on one machine, and nobody else has it."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreInUse
from engine.ownership import Ownership
from engine.ownership.cluster_keys import ClusterKeys
from engine.ownership.key_places import places_of_keys
from tests.ownership.processes import lock_files_of, running


def _be_node(cluster: str, key: str, directory: Path, ready: Connection) -> None:
    keys = ClusterKeys(cluster, [("MASTER", key)], directory)
    ready.send(os.getpid())
    ready.poll(None)
    keys.release()


def another_node(cluster: str, key: str, directory: Path) -> AbstractContextManager[Any]:
    """A process of a node, until it is killed or the block ends."""
    return running(_be_node, cluster, key, directory)


@pytest.fixture
def key() -> str:
    return os.urandom(16).hex()


def test_a_node_shares_the_key_with_one_that_stands_still(key: str, tmp_path: Path) -> None:
    with another_node("red", key, tmp_path) as other:
        os.kill(other.pid, signal.SIGSTOP)
        ClusterKeys("red", [("MASTER", key)], tmp_path).release()


def test_an_engine_is_refused_while_a_node_has_the_key_and_gets_its_pid(key: str, tmp_path: Path) -> None:
    with another_node("red", key, tmp_path) as other:
        with pytest.raises(StoreInUse, match="API key of account MASTER") as caught:
            Ownership(tmp_path / "state", [("MASTER", key)])
        assert caught.value.pid == other.pid
    Ownership(tmp_path / "state", [("MASTER", key)]).release()


def test_a_node_is_refused_while_an_engine_or_another_cluster_has_the_key(key: str, tmp_path: Path) -> None:
    engine = Ownership(tmp_path / "state", [("MASTER", key)])
    with pytest.raises(StoreInUse, match="this process"):
        ClusterKeys("red", [("MASTER", key)], tmp_path)
    engine.release()
    with another_node("blue", key, tmp_path), pytest.raises(StoreInUse, match="another cluster"):
        ClusterKeys("red", [("MASTER", key)], tmp_path)
    ClusterKeys("red", [("MASTER", key)], tmp_path).release()


def test_nodes_in_one_process_share_it_and_the_last_one_frees_it(key: str, tmp_path: Path) -> None:
    first, second = (ClusterKeys("red", [("MASTER", key)], tmp_path) for _ in range(2))
    with pytest.raises(StoreInUse):
        ClusterKeys("blue", [("MASTER", key)], tmp_path)
    first.release()
    first.release()
    with pytest.raises(StoreInUse, match="this process"):
        Ownership(tmp_path / "state", [("MASTER", key)])
    second.release()
    Ownership(tmp_path / "state", [("MASTER", key)]).release()


def test_what_was_refused_holds_nothing(key: str, tmp_path: Path) -> None:
    taken, free = key, key[::-1]
    with another_node("blue", taken, tmp_path), pytest.raises(StoreInUse):
        ClusterKeys("red", [("ALICE", free), ("MASTER", taken)], tmp_path)
    Ownership(tmp_path / "state", [("ALICE", free)]).release()


def test_lock_files_that_somebody_removes_are_made_anew(key: str, tmp_path: Path) -> None:
    keys = ClusterKeys("red", [("MASTER", key)], tmp_path)
    files = [file for place in places_of_keys(tmp_path) for file in lock_files_of(key, place)]
    assert files
    for file in files:
        file.unlink()
    keys.verify()
    assert all(lock_files_of(key, place) for place in places_of_keys(tmp_path))
    with another_node("red", key, tmp_path), pytest.raises(StoreInUse):
        Ownership(tmp_path / "state", [("MASTER", key)])
    keys.release()
