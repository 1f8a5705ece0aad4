"""What Kraken has changed in its replies, in words: each kind once, and what the engine does in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from engine.doctor.finding import Finding, note
from engine.kraken.drift import MISSING, Drift

CHECK = "kraken-changed"
FEE_BOUND = "0.8 %"  # Kraken's published taker fee of its lowest tier since July 2026

Kind = tuple[str, str, str]

_KNOWN: Mapping[Kind, str] = {
    ("AssetPairs", "fees", MISSING): f"Kraken no longer tells fees in AssetPairs; the engine counts with {FEE_BOUND}, "
    "or with what TradeVolume says that the account pays.",
    ("AssetPairs", "status", MISSING): "Kraken's AssetPairs leaves out the status of some pairs; the engine trades "
    "them until Kraken says otherwise.",
}  # fmt: skip


def kind_of(drift: Drift) -> Kind:
    """What is told once."""
    return drift.endpoint, drift.field, drift.what


def change_findings(drift: Iterable[Drift], told: Collection[Kind] = ()) -> Iterator[Finding]:
    """A note for each change that was not told before."""
    for each in drift:
        if kind_of(each) not in told:
            known = _KNOWN.get(kind_of(each)) or f"{each.sentence} The engine passes it over."
            yield note(CHECK, f"{known} It was seen {'once' if each.count == 1 else f'{each.count} times'}.")
