"""Tables in a terminal: they line up, an amount is whole, and nothing that comes from elsewhere steers the terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.output import table
from engine.cli.table import Styled, Table
from engine.cli.terminal import Terminal


def plain(text: str, style: str) -> str:
    return text


def lines(made: Table, width: int = 200) -> list[str]:
    return list(made.lines(width, plain))


def test_columns_line_up_under_headings_of_several_lines() -> None:
    rows = [("MASTER", "1.50", "0"), ("BOB", "18000", "1")]
    made = table("Balances", ("Account", "Cash\nUSD + USDT", "E"), rows, right=(1,))
    assert lines(made) == [
        "Balances",
        "               Cash",
        "Account  USD + USDT  E",
        "──────────────────────",
        "MASTER         1.50  0",
        "BOB           18000  1",
    ]


def test_a_column_is_folded_between_words_where_there_is_no_room() -> None:
    made = table("Gates", ("Gate", "What it saw"), [("capital", "the order costs more than there is")], fold=(1,))
    assert lines(made, 22)[3:] == ["capital  the order", "         costs more", "         than there is"]
    assert lines(made, 22)[2] == "─" * 22
    assert lines(made)[3:] == ["capital  the order costs more than there is"]


@given(
    st.lists(st.tuples(*[st.text("abc- ", max_size=30)] * 2, st.text("0123456789.", min_size=1)), max_size=4),
    st.integers(1, 100),
)
def test_however_narrow_it_is_every_word_and_amount_is_whole(rows: list[tuple[str, str, str]], width: int) -> None:
    made = table("T", ("One", "Two", "Amount"), rows, right=(2,), fold=(0, 1))
    shown = lines(made, width)
    assert max(map(len, shown[1:])) <= max(width, made.needed_width)
    words = [word for row in rows for cell in row for word in cell.split()]
    assert sorted(words) == sorted(word for line in shown[3:] for word in line.split())


def test_what_would_steer_the_terminal_is_written_out() -> None:
    made = table("T", ("What",), [("\x1b[2Jgone\r\x07",), ("a\nb",)])
    assert lines(made)[3:] == [r"\x1b[2Jgone\r\x07", "a", "b"]


@pytest.mark.parametrize(
    ("environment", "shown"),
    [({}, "yes"), ({"FORCE_COLOR": "1"}, "\x1b[1;31myes\x1b[0m"), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "yes")],
)
def test_styles_are_for_terminals(
    environment: dict[str, str], shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    out.print(Styled("yes", "bold red"), "!")
    out.show(table("T", ("A", "B"), [(Styled("yes", "bold red"), "1")]))
    told = capsys.readouterr().out
    assert told.startswith(f"{shown}!\n")
    assert told.endswith(f"\n{shown}  1\n")
    assert re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()[-1] == "yes  1"


def test_the_rule_stays_the_same_while_rich_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """It puts a stream of its own in the place of stdout, which names no encoding."""
    utf8, between = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    monkeypatch.setattr("sys.stdout", utf8)
    out = Terminal()
    monkeypatch.setattr("sys.stdout", between)
    out.show(table("T", ("A",), [("1",)]))
    assert between.getvalue().splitlines() == ["T", "A", "─", "1"]
