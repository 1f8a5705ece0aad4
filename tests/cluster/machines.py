"""What the machine of a node has for it: a configuration file, and the files of its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.simulator import Simulator

LANES: Mapping[str, Sequence[str]] = {"one": ["MASTER"], "two": ["ALICE", "BOB"]}


def configured(directory: Path, sim: Simulator, dsn: str, lanes: Mapping[str, Sequence[str]] = LANES) -> Path:
    """The configuration file of a node, whose keys are in files beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    token = directory / "token.txt"
    token.touch(0o600)
    token.write_text("a-token-that-all-nodes-of-this-cluster-share")
    lines = [f"url = {json.dumps(sim.url)}", "[cluster]", f"dsn = {json.dumps(dsn)}", f'token_file = "{token}"']
    for name, accounts in lanes.items():
        lines += [f"[lanes.{name}]", f"accounts = {json.dumps(list(accounts))}"]
    for account in sim.accounts:
        if any(account.name in accounts for accounts in lanes.values()):
            lines.append(f"[accounts.{account.name}]")
            for part, text in (("key", account.key), ("secret", account.secret)):
                file = directory / f"{account.name}.{part}.txt"
                file.write_text(text)
                lines.append(f"{part}_file = {json.dumps(str(file))}")
    file = directory / "node.toml"
    file.write_text("\n".join(lines) + "\n")
    return file
