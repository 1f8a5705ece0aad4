"""The accounts: is it available, what does it hold, how old is that, and what has changed in a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.app.status import EngineStatus
from engine.kraken.balances import spendable_total
from engine.rules.balance.availability import Standing
from engine.rules.balance.cash import elsewhere, in_words, line_to_count
from engine.rules.balance.history import BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.balance.valuation import CURRENCIES, worth
from engine.values import AssetBalance
from engine.web.page.cell import Age, Cell, Due, Link, Moment, Number, Piece, Row, Strong, Worth, cell, joined
from engine.web.page.headline import late_accounts, told_cause
from engine.web.page.number import UNKNOWN, number, of_asset, signed
from engine.web.page.seen import Quotes, Seen

_WORDS = {
    Standing.UNKNOWN: ("warn", "no reply yet"),
    Standing.AVAILABLE: ("good", "available"),
    Standing.DEGRADED: ("warn", "available, with errors"),
    Standing.UNAVAILABLE: ("bad", "not available"),
    Standing.RECOVERING: ("bad", "not available, trying"),
    Standing.BLOCKED: ("bad", "key refused"),
}
NO_MONEY = frozenset({"FEE"})
"""What has no price: Kraken's fee credits."""
DAY = 86_000.0  # seconds; points are five minutes apart
_STATES = {"fresh": "good", "stale": "warn", "unknown": "bad"}


def account_rows(seen: Seen) -> list[Row]:
    """One row for each account."""
    late = late_accounts(seen.status)
    cause = told_cause(seen.status)
    return [_row(each, seen, cause, is_late=each.account in late) for each in seen.status.accounts]


def cash_title(status: EngineStatus) -> str:
    """The head of the column of cash, which names what it counts."""
    return f"Cash {in_words(next((each.cash_assets for each in status.accounts), ()))}"


def asset_rows(snapshot: BalanceSnapshot, quotes: Quotes) -> list[Row]:
    """One row for each asset of an account."""
    return [
        Row(name, (cell(name), *(cell(of_asset(part, name, quotes.decimals)) for part in _parts(each))))
        for name, each in sorted(snapshot.assets.items())
    ]


def _row(snapshot: BalanceSnapshot, seen: Seen, cause: str, *, is_late: bool) -> Row:
    name, decimals = snapshot.account, _cash_decimals(snapshot, seen.quotes)
    age = "never" if snapshot.age is None else Age(snapshot.age)
    cells = (
        cell(name),
        _standing(snapshot, seen, cause, is_late=is_late),
        _total(snapshot, seen.quotes),
        _cash(snapshot, decimals),
        cell(number(snapshot.available_cash, decimals)),
        cell(number(_held(snapshot), decimals)),
        cell(age, state=_STATES[snapshot.state.value]),
        _day(snapshot, seen),
        cell(*_actions(seen.status, name) if seen.may_act else ()),
    )
    return Row(name, cells, cells[1].state, {"account": name})


def _standing(snapshot: BalanceSnapshot, seen: Seen, cause: str, *, is_late: bool) -> Cell:
    """The state of an account and why, unless it is the `cause` that the headline tells. What is good by a fact that is
    stale is grey."""
    status = seen.status
    state, word = _WORDS[snapshot.standing] if status.running else ("bad", "engine stopped")
    if state == "good" and is_late:
        state, word = "old", f"{word} at the last reply"
    pieces: list[Piece] = [Strong(word)]
    key = status.keys.get(snapshot.account)
    why = snapshot.last_error or (key.sentence if key is not None and key.state != "open" else "")
    if why and cause and why.endswith(cause):
        why = ""
    pieces += [f": {why.removesuffix('.')}"] if why else []
    if snapshot.error_count:
        pieces.append(f" ({snapshot.error_count} {'error' if snapshot.error_count == 1 else 'errors'} in a row")
        due = snapshot.next_attempt
        if due is not None and status.running:
            pieces += [", next attempt ", Due((due - status.as_of).total_seconds())]
        pieces.append(")")
    since = status.paused.get(snapshot.account)
    if since is not None:
        pieces += [". Trading is paused since ", Moment(since)]
    seconds = status.switches.get(snapshot.account)
    if seconds is not None:
        pieces.append(f". Dead man's switch: {f'armed with {seconds} s' if seconds else 'being disarmed'}")
    not_counted = _not_counted(snapshot)
    if not_counted:
        pieces.append(f". {not_counted}")
    return cell(*pieces, state="warn" if state == "good" and since is not None else state)


def _total(snapshot: BalanceSnapshot, quotes: Quotes) -> Cell:
    if snapshot.as_of is None:
        return cell("unknown", state="bad")
    amounts = {name: each.total for name, each in snapshot.assets.items() if name not in NO_MONEY}
    found = {each: worth(amounts, each, quotes.prices) for each in CURRENCIES}
    shown = {each: number(found[each].total, quotes.decimals.get(each, 2)) for each in CURRENCIES}
    missing = set.intersection(*(set(each.missing) for each in found.values()))
    told = {each: UNPRICED if set(found[each].missing) - missing else shown[each] for each in CURRENCIES}
    if missing and len(missing) == sum(1 for each in amounts.values() if each):
        return cell("no price")
    beside = f" without {', '.join(sorted(missing)[:3])}{' and more' if len(missing) > 3 else ''}" if missing else ""
    return cell(Worth(told), beside, state="warn" if missing else "plain")


UNPRICED = Number("no price", "Kraken's prices lead to no value in this currency")


def _cash(snapshot: BalanceSnapshot, decimals: int | None) -> Cell:
    if snapshot.cash is None:
        return cell(UNKNOWN, state="bad")
    return cell(number(snapshot.cash, decimals), state="warn" if _not_counted(snapshot) else "plain")


def _not_counted(snapshot: BalanceSnapshot) -> str:
    """The money that cash does not count, with the line to configure."""
    amounts = {name: spendable_total(each) for name, each in snapshot.assets.items()}
    found = elsewhere(amounts, snapshot.cash_assets)
    if not found:
        return ""
    return f"{', '.join(found)} not counted; to count it, configure {line_to_count(found, snapshot.cash_assets)}"


def _held(snapshot: BalanceSnapshot) -> Decimal | None:
    if snapshot.available_cash is None:
        return None
    held = [snapshot.assets[name].held for name in snapshot.cash_assets if name in snapshot.assets]
    return None if None in held else sum((each for each in held if each is not None), Decimal(0))


def _day(snapshot: BalanceSnapshot, seen: Seen) -> Cell:
    """What has come and gone in 24 hours, at today's prices: a price that rose does not change what is held."""
    before = seen.day_ago.get(snapshot.account)
    if before is None or snapshot.as_of is None:
        return cell("no history yet")
    changes = _changes(before, snapshot)
    told: dict[str, Number] = {}
    for each in CURRENCIES:
        found = worth(changes, each, seen.quotes.prices)
        told[each] = UNPRICED if found.missing else signed(found.total, seen.quotes.decimals.get(each, 2))
    is_young = (snapshot.as_of - before.as_of).total_seconds() < DAY
    return cell(Worth(told), *((" since\u00a0", Moment(before.as_of)) if is_young else ()))


def _changes(before: BalancePoint, snapshot: BalanceSnapshot) -> Mapping[str, Decimal]:
    now = {name: each.total for name, each in snapshot.assets.items()}
    names = {*now, *before.assets} - NO_MONEY
    return {name: now.get(name, Decimal(0)) - before.assets.get(name, Decimal(0)) for name in names}


def _cash_decimals(snapshot: BalanceSnapshot, quotes: Quotes) -> int | None:
    """Those of the first cash asset, which the others are counted as; `None` until they are known."""
    return quotes.decimals.get(next(iter(snapshot.cash_assets), ""))


def _parts(balance: AssetBalance) -> Iterable[Decimal | None]:
    return balance.total, balance.available, balance.held


def _actions(status: EngineStatus, name: str) -> list[Piece]:
    """The ways to act on an account, each to a page that says what it does."""
    key = status.keys.get(name)
    offered = [("cancel-all", "Cancel all…", f"Cancel all orders of {name}")]
    if name in status.paused:
        offered.append(("resume-trading", "Resume trading…", f"Resume trading of {name}"))
    else:
        offered.append(("pause-trading", "Pause trading…", f"Pause trading of {name}"))
    if key is not None and key.state != "open":
        offered.append(("resume-key", "Resume key…", f"Resume the key of {name}"))
    if status.switches.get(name):
        offered.append(("disarm", "Disarm switch…", f"Disarm switch of {name}: the dead man's switch"))
    else:
        offered.append(("arm", "Arm switch…", f"Arm switch of {name}: the dead man's switch"))
    links = [Link(text, f"/act?action={action}&account={name}", label) for action, text, label in offered]
    return joined(links, " ")
