"""The changes in Kraken's replies, in words: each kind once, with what the engine does about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from engine.doctor.finding import Finding, note
from engine.kraken.drift import MISSING, Drift
from engine.rules.gates.capital import plain
from engine.values import Settings

CHECK = "kraken-changed"

Kind = tuple[str, str, str]

_KNOWN: Mapping[Kind, str] = {
    ("AssetPairs", "fees", MISSING): "AssetPairs no longer lists fees; the engine assumes {fee_bound}, or the fee "
    "that TradeVolume reports for the account.",
    ("AssetPairs", "status", MISSING): "Kraken's AssetPairs leaves out the status of some pairs; the engine trades "
    "them until Kraken says otherwise.",
}  # fmt: skip


def kind_of(drift: Drift) -> Kind:
    """What identifies a kind of change."""
    return drift.endpoint, drift.field, drift.what


def in_percent(part: Decimal) -> str:
    """A fee as a person reads it: 0.008 is 0.8 %."""
    return f"{plain(part * 100)} %"


def change_findings(
    drift: Iterable[Drift], settings: Settings, told: Collection[Kind] = ()
) -> Iterator[Finding]:
    """A note for each change that was not reported before."""
    for each in drift:
        if kind_of(each) not in told:
            known = _KNOWN.get(kind_of(each), f"{each.sentence} The engine ignores it.")
            known = known.replace("{fee_bound}", in_percent(settings.fee_bound))
            yield note(CHECK, f"{known} It was seen {'once' if each.count == 1 else f'{each.count} times'}.")
