"""Whether the outcome of one of the account's orders is unknown: until it is known, its market takes no other."""

from __future__ import annotations

from collections.abc import Iterator

from engine.app import Engine
from engine.doctor.finding import Finding, warn
from engine.errors import CallError

CHECK = "unsettled-orders"
LOOK_UP = (
    "It is looked up while an engine runs; kraken-engine order {account} {id} waits for that and says what became of "
    "it. Do not place it again under another id."
)
_UNKNOWN = (
    "It is not known whether Kraken has order {id!r} on {pair}; until it is, no other order of this account goes out "
    "on that market."
)


def unsettled_findings(engine: Engine, account: str, seconds: float) -> Iterator[Finding]:
    """One finding for each placement of the account whose outcome is unknown; Kraken is asked only if there is one."""
    if not engine.reserved(account):
        return
    try:
        receipts = engine.open_orders(account, seconds)
    except CallError as error:
        yield warn(CHECK, f"Open orders could not be looked at: {error}", "Run this again in a minute.", account)
        return
    for each in receipts:
        if not each.state.is_settled:
            found = _UNKNOWN.format(id=each.id, pair=each.order.pair)
            yield warn(CHECK, found, LOOK_UP.format(account=account, id=each.id), account)
