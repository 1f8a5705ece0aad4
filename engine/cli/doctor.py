"""`kraken-engine doctor`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import click

from engine.app.remote.remote_engine import RemoteEngine
from engine.cli.cluster_findings import BY_NODES, cluster_findings
from engine.cli.engines import served_engine
from engine.cli.exits import Exit
from engine.cli.finding_lines import shown
from engine.cli.options import Options, common, pass_options
from engine.cli.output import BAD, GOOD, console, document
from engine.cli.settle import settle as settle_facts
from engine.cli.table import Styled
from engine.cli.terminal import Terminal
from engine.doctor import Finding, Level, examine
from engine.doctor.finding import bad
from engine.errors import ConfigError

CORRECT_SETTING = "Correct it; everything else is tested all the same."
LONGEST = 40.0  # seconds that a service looks at one account


@click.command()
@common
@click.option("--settle", metavar="ACCOUNT", help="Ask Kraken, with this key, what none of its pages says.")
@click.option("--place", is_flag=True, help="With --settle and --live: the one question that takes a real order.")
@click.option("--yes", is_flag=True, help="With --place: do not ask before the order is placed.")
@pass_options
def doctor(options: Options, settle: str | None, place: bool, yes: bool) -> int:
    """Test in a minute whether the engine can do its work from here, and say what to do where it cannot.

    Looks at the name lookup, the connection, TLS, Kraken's answer and status, this machine's clock, and the state
    directory; and for each account at its key, the key's permissions, nonce window, expiry and addresses, one balance,
    the nonce mark, and whether it could trade: Kraken checks the smallest order there is (validate) and places nothing.
    What Kraken tells everybody is compared with what this engine knows; a note says what has changed. It only reads at
    Kraken.

    In a cluster it looks at PostgreSQL as well, and the node of this machine tests the keys; no key is used while that
    is not running.

    While an engine is running on the same state directory, no key is used: its marks are read, all that needs no key
    is tested, and the process is named; a serve looks at its accounts itself. The exit code is 0 unless something is
    bad.

    With --settle, which takes half a minute, Kraken is asked what none of its pages says for certain: how it names
    pairs, what the account pays, whether it takes an order as this engine sends it (only checked, with validate), which
    wallets there are. Nothing is placed. What was learnt is printed, and kept in the state directory, where the engine
    uses it. A question that cannot be asked is not settled, and the others go on. The exit code is 1 when an answer
    keeps the engine from its work, or nothing at all was settled. With --place as well, one real order is placed and
    canceled, after you have confirmed it.
    """
    if settle is not None:
        return settle_facts(options, settle, place=place, yes=yes)
    if place or yes:
        raise ConfigError("--place and --yes belong to --settle ACCOUNT.")
    faults: list[str] = []
    found = options.load(need_accounts=False, need_token=True, faults=faults)
    with served_engine(found) or contextlib.nullcontext() as service:
        is_alone = found.cluster is not None and service is None
        findings = itertools.chain(
            (bad("configuration", fault, CORRECT_SETTING) for fault in faults),
            cluster_findings(found, is_served=service is not None),
            examine(
                found.accounts, url=found.url, state_dir=found.state_dir, settings=found.settings,
                owner=_owner(service), keys_used_by=BY_NODES if is_alone else None,
            ),
        )  # fmt: skip
        seen = list(findings) if options.json else list(_shown(console(), findings))
    is_ok = not any(finding.level is Level.BAD for finding in seen)
    if options.json:
        document({"findings": [finding.to_dict() for finding in seen], "ok": is_ok})
    else:
        console().print(_summary(seen))
    return Exit.DONE if is_ok else Exit.REFUSED


def _owner(service: RemoteEngine | None) -> Callable[[str], Iterator[Finding]] | None:
    """Has a running service look at an account; `None` without one."""
    if service is None:
        return None

    def owner(account: str) -> Iterator[Finding]:
        for told in service.service("doctor", LONGEST, account=account):
            yield Finding(told["check"], told["account"], Level(told["level"]), told["found"], told["advice"])

    return owner


def _shown(out: Terminal, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, each printed as soon as it is there."""
    for finding in findings:
        shown(out, finding)
        yield finding


def _summary(seen: list[Finding]) -> Styled:
    number = {level: sum(finding.level is level for finding in seen) for level in Level}
    if number[Level.BAD]:
        return Styled(f"{number[Level.BAD]} bad, {number[Level.WARN]} to look at.", style=BAD)
    if number[Level.WARN]:
        return Styled(f"Nothing is bad; {number[Level.WARN]} to look at.", style="yellow")
    notes = number[Level.NOTE]
    noted = f" {notes} {'note' if notes == 1 else 'notes'}: Kraken has changed, and the engine copes." if notes else ""
    return Styled(f"All is well.{noted}", style=GOOD)
