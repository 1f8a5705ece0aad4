"""Every example runs without a key, checks itself, and stays short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {
    "ccxt_loop": "Orders on the exchange: 1; the bot knows it: True",
    "freqtrade_launcher": "The host's own kraken placed O",
    "krakenex_before_and_after": "After: 1 orders of one, and the bot knows 1 of them",
    "asyncio_bot": "Cancelled: 10 of 10",
    "custom_gate": "Small orders        denied       It costs 6834.24; 360.00 at most may.",
    "five_gates": "1 order on the exchange: O",
    "paper_bot": "60 passes, 5 orders",
    "crash_and_restart": "0 nonces refused",
    "embed_in_your_system": "asked inside the actor: cash 18000",
    "many_accounts": "ERIN's balance changed by {'USD': Decimal('100.0000')}",
    "place_and_lose_the_reply": "Orders on the exchange: 1",
    "outage": "available: False, errors: 3",
    "served_plan": "Orders on the exchange: 1",
    "sixty_second_test": "available:      True",
    "web_app": "1 receipt for 8 requests, 1 order",
    "workers": "4 workers: 12 orders on the exchange",
}


def test_there_is_one_of_each() -> None:
    assert {path.stem for path in EXAMPLES} >= SAYS.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_without_a_key(path: Path, tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
    environment = {**inherited, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert SAYS.get(path.stem, "") in done.stdout
    assert list(tmp_path.iterdir()) == [], "an example leaves nothing behind"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
