"""G2, G13: many keys in one engine take few descriptors, and where there are too few it says so before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.ownership import Ownership
from engine.ownership.cluster_keys import ClusterKeys
from tests import ROOT

IS_LINUX = sys.platform.startswith("linux")


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def _keys(count: int) -> list[tuple[str, str]]:
    return [(f"ACCOUNT{n}", os.urandom(16).hex()) for n in range(count)]


def _taken(directory: Path, count: int) -> int:
    before = _descriptors()
    owner = Ownership(directory, _keys(count))
    taken = _descriptors() - before
    owner.release()
    assert _descriptors() == before
    return taken


def test_a_key_costs_one_descriptor_at_most(tmp_path: Path) -> None:
    """Its name, on Linux; elsewhere none."""
    one, many = _taken(tmp_path, 1), _taken(tmp_path, 500)
    assert many - one == (499 if IS_LINUX else 0)
    assert one <= 7  # the directory's two, one in each of four places, the key's own


def test_keys_of_a_cluster_cost_none(tmp_path: Path) -> None:
    counts = []
    for count in (1, 500):
        before = _descriptors()
        keys = ClusterKeys("red", _keys(count), tmp_path)
        counts.append(_descriptors() - before)
        keys.release()
    assert counts[0] == counts[1] <= 4


FEW = """
import os, resource, sys
from pathlib import Path
from engine.ownership import Ownership
resource.setrlimit(resource.RLIMIT_NOFILE, (90, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
keys = [(f"ACCOUNT{n}", f"{n:03}" + sys.argv[2]) for n in range(500)]
before, codes = len(os.listdir("/dev/fd")), []
owner = Ownership(Path(sys.argv[1]), keys, warn=lambda code, _: codes.append(code))
for _, key in keys:
    owner.verify(key)
print(os.getpid(), len(os.listdir("/dev/fd")) - before, *codes, flush=True)
sys.stdin.read()
owner.release()
"""
ELSEWHERE = """
import sys
from pathlib import Path
from engine.errors import StoreInUse
from engine.ownership import Ownership
for number in range(0, 500, 100):
    try:
        Ownership(Path(sys.argv[1]), [("MASTER", f"{number:03}" + sys.argv[2])]).release()
        print("taken")
    except StoreInUse as error:
        print(error.pid)
"""


def _python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


@pytest.mark.skipif(not IS_LINUX, reason="only Linux has claims that cost a descriptor")
def test_keys_beyond_what_the_process_may_open_are_held_by_the_lock_files_which_is_said_once(tmp_path: Path) -> None:
    """500 keys where 90 files may be open: no key is without its lock, and a third is left to the rest."""
    name = os.urandom(8).hex()
    command = _python(FEW, str(tmp_path / "one"), name)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, taken, *codes = owner.stdout.readline().split()
        assert (int(taken) <= 40, codes) == (True, ["claims-short"])
        second = _python(ELSEWHERE, str(tmp_path / "two"), name)
        done = subprocess.run(second, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        owner.communicate()
    assert done.stdout.split() == [pid] * 5


SMALL = """
import os, resource, sys
from engine import Engine, EngineError, Settings

def start(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    accounts = [(f"ACCOUNT{n}", sys.argv[2] + str(n), "c2VjcmV0") for n in range(20)]
    engine = Engine(accounts, url="http://127.0.0.1:9", state_dir=sys.argv[1], balances=())
    files = sorted(os.listdir(sys.argv[1])) if os.path.exists(sys.argv[1]) else None
    before = len(os.listdir("/dev/fd"))
    try:
        engine.start()
    except EngineError as error:
        print(type(error).__name__, error)
    else:
        print("started")
        engine.stop()
    assert len(os.listdir("/dev/fd")) <= before + 1, "a descriptor is left"  # the random source may stay open
    return files == (sorted(os.listdir(sys.argv[1])) if os.path.exists(sys.argv[1]) else None)

assert start(40), "something was begun"
start(400)
assert start(40), "something was changed"
start(400)
"""


def test_an_engine_that_may_open_too_few_files_says_so_and_begins_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        _python(SMALL, str(tmp_path / "state"), os.urandom(8).hex()), cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, started, refused_again, started_again = done.stdout.splitlines()
    assert (started, started_again) == ("started", "started")
    for sentence in (refused, refused_again):
        assert sentence.startswith("StoreError An engine of 20 accounts needs ")
        assert "this process may have 40" in sentence
        assert "ulimit -n" in sentence
        assert "LimitNOFILE" in sentence
