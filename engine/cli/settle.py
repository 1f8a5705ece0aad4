"""`kraken-engine doctor --settle ACCOUNT`."""

from __future__ import annotations

import sys

import click

from engine.actors.fact_file import keep_facts
from engine.cli.exits import Exit
from engine.cli.finding_lines import shown
from engine.cli.options import Options, account_named
from engine.cli.output import console, document, say
from engine.doctor.fact_finder import PAUSE, FactFinder, finding_of
from engine.doctor.finding import Finding, Level
from engine.errors import ConfigError
from engine.kraken.facts import Learnt
from engine.values import SYSTEM_CLOCK

WORD = "place"
_BEFORE = (
    "This places one real order on {account}: the smallest there is, post-only, to buy at half of the price. It is "
    "canceled right after, and is not filled unless the market falls by half in that second."
)


def settle(options: Options, name: str, *, place: bool, yes: bool, pause: float = PAUSE) -> int:
    """Ask Kraken what is uncertain, print each answer, and keep what was learnt in the state directory.

    `pause`: seconds between two calls. Raises `StoreInUse` while another engine owns the directory or the key.
    """
    found = options.load()
    account = account_named(found, name)
    if place:
        _confirm(options, name, yes)
    engine = options.engine(found, account, balances=())
    learnt: list[Learnt] = []
    findings: list[Finding] = []
    with engine:
        finder = FactFinder(engine, name, url=found.url, settings=found.settings, clock=SYSTEM_CLOCK, pause=pause)
        try:
            for told in finder.learn(place=place):
                learnt += [told] if isinstance(told, Learnt) else []
                findings.append(finding_of(told))
                if not options.json:
                    shown(console(), findings[-1])
        finally:  # also what was learnt before an interruption
            keep_facts(found.state_dir, learnt)
    is_ok = bool(learnt) and not any(each.level is Level.BAD for each in findings)
    if options.json:
        document({"findings": [each.to_dict() for each in findings], "ok": is_ok,
                  "facts": {each.key: each.to_dict() for each in learnt}})  # fmt: skip
    else:
        console().print(f"{len(learnt)} of {len(findings)} are settled; the answers are kept in {found.state_dir}.")
    return Exit.DONE if is_ok else Exit.REFUSED


def _confirm(options: Options, name: str, yes: bool) -> None:
    """Raise `ConfigError` unless a person, or the command line, says that a real order may be placed."""
    if not options.live:
        raise ConfigError("--place places a real order: give --live as well.")
    say(_BEFORE.format(account=name))
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("--place asks for a word at a terminal, and there is none: add --yes if you mean it.")
    if click.prompt(f"Type '{WORD}' to go on", default="", show_default=False, err=True).strip() != WORD:
        raise ConfigError("Nothing was placed.")
