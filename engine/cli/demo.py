"""`kraken-engine demo`."""

from __future__ import annotations

import click
from rich.status import Status
from rich.text import Text

from engine.cli.balances import show_balances
from engine.cli.drawing import drawing
from engine.cli.exits import Exit
from engine.cli.options import Options, common, pass_options
from engine.cli.output import BAD, GOOD, console, document, say, table
from engine.cli.table import Styled
from engine.cli.terminal import Terminal
from engine.cli.trade import show_report
from engine.demo import Audience, Check, Report, run
from engine.demo.report import Rows
from engine.rules.gates.report import GateReport

_TITLES = {
    "balances": "1. Balances of all accounts through one lane",
    "kill -9": "2. Engines killed with kill -9 in the middle of a call",
    "outage": "3. Kraken hangs, then is gone",
    "recovery": "4. Kraken is back",
    "gates": "5. From balance to trade: the five gates",
    "push": "6. Push: balances as they change",
}


@click.command()
@common
@pass_options
def demo(options: Options) -> int:
    """Show the main job on the built-in simulator. Needs no key, no network and no configuration.

    MASTER and two users: their balances through one lane; engines killed with kill -9 and restarted within the same
    second; an outage, during which the last known balances stay; the recovery; the five gates before a trade; and push.
    Every claim is checked while it runs, and the exit code is 0 only if all of them held. It uses neither your state
    directory nor your credentials.
    """
    if options.json:
        report = run(_Quiet())
        document(report.to_dict())
    else:
        out = console()
        with drawing().status("") as status:
            report = run(_OnTerminal(out, status))
        _sum_up(out, report)
    return Exit.DONE if report.is_good else Exit.REFUSED


class _Quiet(Audience):
    """Names each part on stderr, and prints nothing else."""

    def act(self, title: str) -> None:
        say(_TITLES[title])

    def step(self, text: str) -> None:
        pass

    def balances(self, title: str, rows: Rows) -> None:
        pass

    def gates(self, report: GateReport) -> None:
        pass

    def check(self, check: Check) -> None:
        pass


class _OnTerminal(Audience):
    """Prints everything when it happens."""

    def __init__(self, out: Terminal, status: Status) -> None:
        self._out = out
        self._status = status

    def act(self, title: str) -> None:
        self._out.print()
        self._out.print(Styled(_TITLES[title], "bold"))
        self._status.update(Text(_TITLES[title]))

    def step(self, text: str) -> None:
        self._out.print(f"   {text}")

    def balances(self, title: str, rows: Rows) -> None:
        show_balances(self._out, title, rows)

    def gates(self, report: GateReport) -> None:
        show_report(self._out, report.to_dict())

    def check(self, check: Check) -> None:
        self._out.print(_verdict(check), f"  {check.promise}: {check.seen}")


def _sum_up(out: Terminal, report: Report) -> None:
    rows = [(check.act, check.promise, check.seen, _verdict(check)) for check in report.checks]
    out.print()
    columns = ("Part", "Promise", "Seen", "")
    out.show(table("What was promised and what was seen", columns, rows, fold=(1, 2)))
    kept = sum(check.kept for check in report.checks)
    sentence = f"{kept} of {len(report.checks)} promises seen kept, in {report.seconds:.1f} s, on the simulator."
    out.print(Styled(sentence, GOOD if report.is_good else BAD))


def _verdict(check: Check) -> Styled:
    return Styled("ok", GOOD) if check.kept else Styled("FAILED", BAD)
