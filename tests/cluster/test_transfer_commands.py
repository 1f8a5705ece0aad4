"""`kraken-engine cluster import` and `export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import Account
from engine.cli.program import main
from engine.cluster.leases import Leases
from engine.ownership import Ownership
from engine.store.nonces import file_nonces, read_marks
from tests.cluster.test_transfer import LIVE, in_directory

SECRET = "c2VjcmV0"


@pytest.fixture
def config(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a cluster of three lanes; here are the keys of two."""
    for name in ("KRAKEN_ENGINE_STATE", "KRAKEN_ENGINE_CLUSTER", "KRAKEN_API_KEY", "KRAKEN_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "engine.toml"
    lines = ["[cluster]", f'dsn = "{dsn}"']
    for lane, account in (("one", "MASTER"), ("two", "ALICE")):
        lines += [f"[accounts.{account}]", f'key = "{tmp_path} {account}"', f'secret = "{SECRET}"']
        lines += [f"[lanes.{lane}]", f'accounts = ["{account}"]']
    lines += ["[lanes.three]", 'accounts = ["BOB"]']
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    return file


def account(tmp_path: Path) -> Account:
    return Account("MASTER", f"{tmp_path} MASTER", SECRET)


def filled(directory: Path, key_id: str) -> None:
    directory.mkdir(mode=0o700)
    nonces = file_nonces(directory)
    nonces.skip_to(key_id, 5000)
    nonces.close()


def run(config: Path, *words: str) -> int:
    return main(["cluster", *words, "--config", str(config)])


def test_a_directory_goes_into_a_lane_and_back(
    config: Path, leases: Leases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key_id, state = account(tmp_path).key_id, tmp_path / "state"
    filled(state, key_id)
    assert run(config, "import", str(state), "--lane", "one", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "marks": 1, "limits": 0, "orders": 0, "older": 0, "left": [], "same": 0, "switches": 0, "pauses": 0,
    }  # fmt: skip
    assert [(row.id, row.owner, row.seconds_left) for row in leases.lanes()] == [("one", None, 0.0)]
    assert run(config, "export", str(tmp_path / "new"), "--lane", "one") == 0
    assert "1 nonce mark, " in capsys.readouterr().out
    assert read_marks(tmp_path / "new")[key_id] >= 5000


def test_what_is_refused_is_said(
    config: Path, leases: Leases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert run(config, "import", str(state), "--lane", "one") == 2
    assert "There is no engine's state in" in capsys.readouterr().err
    filled(state, account(tmp_path).key_id)
    assert run(config, "import", str(state), "--lane", "four") == 2
    assert "There is no lane 'four' in the configuration: it has one, two, three." in capsys.readouterr().err
    owner = Ownership(state)
    assert run(config, "import", str(state), "--lane", "one") == 3
    assert "is in use by this process" in capsys.readouterr().err
    owner.release()
    assert run(config, "import", str(state), "--lane", "three") == 2
    assert "The keys of lane three are not all here: its accounts are BOB." in capsys.readouterr().err


def test_it_is_told_what_was_taken_what_was_not_and_what_to_do_next(
    config: Path, leases: Leases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master, state = account(tmp_path), tmp_path / "state"
    filled(state, master.key_id)
    with in_directory(state, [master]) as kept:
        kept.journal.begin(LIVE, None)
        for name in ("MASTER", "ALICE", "CAROL"):
            kept.journal.keep_switch(name, 60)
        kept.journal.keep_pause("MASTER", 10.0)
    assert run(config, "import", str(state), "--lane", "one") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Taken over into lane one: 1 nonce mark, counters and lockouts of 0 keys, 1 order, 1 dead man's switch, "
        "1 pause.",
        "Not taken over: account ALICE, which is in lane two.",
        "Not taken over: account CAROL, which is in no lane of the configuration.",
        "Not taken over: balances and their history, which are fetched anew, and the keys of the gateway.",
        f"Next: kraken-engine cluster import {state} --lane two",
        f"Start no engine on {state} any more. When every lane is done, start the nodes (kraken-engine serve "
        "--cluster), and make the gateway's keys anew at one of them (kraken-engine gateway-key).",
    ]
    assert run(config, "import", str(state), "--lane", "one") == 0
    told = capsys.readouterr().out
    assert "Nothing new was taken over into lane one." in told
    assert "Left as it was: 1 order, there already." in told
    assert run(config, "export", str(tmp_path / "new"), "--lane", "one") == 0
    assert "Start no node with these keys any more." in capsys.readouterr().out
