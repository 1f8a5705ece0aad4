"""`kraken-engine doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import BAD, GOOD, QUIET, console, document
from engine.cli.served import served_engine
from engine.cli.words import as_options
from engine.config import Config
from engine.doctor import Finding, Level, examine

_STYLES = {Level.OK: GOOD, Level.NOTE: "cyan", Level.WARN: "yellow", Level.BAD: BAD, Level.SKIPPED: QUIET}
_LEVEL_WIDTH = 8
LONGEST = 40.0  # seconds that a service looks at one account


@click.command()
@common
@pass_options
def doctor(options: Options) -> int:
    """Test in a minute whether the engine can do its work from here, and say what to do where it cannot.

    Looks at the name lookup, the connection, TLS, Kraken's answer and status, this machine's clock, and the state
    directory; and for each account at its key, the key's permissions, nonce window, expiry and addresses, one balance,
    the nonce mark, and whether it could trade: Kraken checks the smallest order there is (validate) and places nothing.
    What Kraken tells everybody is compared with what this engine knows; a note says what has changed. It only reads at
    Kraken.

    While an engine is running on the same state directory, no key is used: its marks are read, all that needs no key
    is tested, and the process is named; a serve looks at its accounts itself. The exit code is 0 unless something is
    bad.
    """
    found = options.load(need_accounts=False)
    findings = examine(found.accounts, url=found.url, state_dir=found.state_dir, settings=found.settings,
                       owner=_through(found))  # fmt: skip
    findings = map(_in_words, findings)
    seen = list(findings) if options.json else list(_shown(console(), findings))
    is_ok = not any(finding.level is Level.BAD for finding in seen)
    if options.json:
        document({"findings": [finding.to_dict() for finding in seen], "ok": is_ok})
    else:
        console().print(_summary(seen))
    return Exit.DONE if is_ok else Exit.REFUSED


def _through(found: Config) -> Callable[[str], Iterator[Finding]] | None:
    """Has a running service look at an account; `None` without one."""
    service = served_engine(found.state_dir)
    if service is None:
        return None

    def owner(account: str) -> Iterator[Finding]:
        for told in service.ask("doctor", {"account": account}, timeout=LONGEST):
            yield Finding(told["check"], told["account"], Level(told["level"]), told["found"], told["advice"])

    return owner


def _in_words(finding: Finding) -> Finding:
    return replace(finding, found=as_options(finding.found), advice=finding.advice and as_options(finding.advice))


def _shown(out: Console, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, each printed as soon as it is there."""
    for finding in findings:
        out.print(_line(finding))
        yield finding


def _line(finding: Finding) -> Table:
    """One finding, its text folded beside its level."""
    about = finding.check if finding.account is None else f"{finding.account} {finding.check}"
    line = Table.grid(padding=(0, 1))
    line.add_column(width=_LEVEL_WIDTH)
    line.add_column(overflow="fold")
    level = Text(finding.level.value, style=_STYLES[finding.level])
    line.add_row(level, Text.assemble((f"{about}: ", "bold"), finding.found))
    if finding.advice:
        line.add_row("", Text(f"-> {finding.advice}"))
    return line


def _summary(seen: list[Finding]) -> Text:
    number = {level: sum(finding.level is level for finding in seen) for level in Level}
    if number[Level.BAD]:
        return Text(f"{number[Level.BAD]} bad, {number[Level.WARN]} to look at.", style=BAD)
    if number[Level.WARN]:
        return Text(f"Nothing is bad; {number[Level.WARN]} to look at.", style="yellow")
    notes = number[Level.NOTE]
    noted = f" {notes} {'note' if notes == 1 else 'notes'}: Kraken has changed, and the engine copes." if notes else ""
    return Text(f"All is well.{noted}", style=GOOD)
