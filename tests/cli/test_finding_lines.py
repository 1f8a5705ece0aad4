"""A finding of the doctor in a terminal: what is to be copied stays whole, and nothing in it steers the terminal."""

from __future__ import annotations

import pytest

from engine.cli.finding_lines import shown
from engine.cli.terminal import Terminal
from engine.doctor import Finding, Level


@pytest.mark.parametrize("columns", ["50", "10"])
def test_it_is_folded_between_words_beside_its_level(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": columns}.items():
        monkeypatch.setenv(name, value)
    path = "/srv/a-directory-whose-path/takes-more-than-fifty-columns/of-every-line"
    finding = Finding("disk", "MASTER", Level.BAD, f"The disk of {path} is full.", "Run kraken-engine doctor again.")
    shown(Terminal(), finding)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bad      MASTER disk: ")
    assert all(line.startswith(" " * 9) and line == line.rstrip() for line in lines[1:])
    told = " ".join(line[9:] for line in lines)
    assert told == f"MASTER disk: The disk of {path} is full. -> Run kraken-engine doctor again."
    assert any(path in line for line in lines)


def test_what_would_steer_the_terminal_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown(Terminal(), Finding("key", "MASTER", Level.OK, "It is called '\x1b[2J' there."))
    assert capsys.readouterr().out == "ok       MASTER key: It is called '\\x1b[2J' there.\n"
