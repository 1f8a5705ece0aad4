"""The accounts: is it available, what does it hold, how old is that, and what has changed in a day."""

from __future__ import annotations

from engine.app.status import EngineStatus
from engine.rules.balance.availability import Standing
from engine.rules.balance.cash import in_words
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.web.page.cell import Age, Cell, Due, Link, Moment, Piece, Row, Strong, cell, joined
from engine.web.page.headline import late_accounts, told_cause
from engine.web.page.seen import Seen

_WORDS = {
    Standing.UNKNOWN: ("warn", "no reply yet"),
    Standing.AVAILABLE: ("good", "available"),
    Standing.DEGRADED: ("warn", "available, with errors"),
    Standing.UNAVAILABLE: ("bad", "not available"),
    Standing.RECOVERING: ("bad", "not available, trying"),
    Standing.BLOCKED: ("bad", "key refused"),
}
_STATES = {"fresh": "good", "stale": "warn", "unknown": "bad"}


def account_rows(seen: Seen) -> list[Row]:
    """One row for each account."""
    late = late_accounts(seen.status)
    cause = told_cause(seen.status)
    return [_row(each, seen, cause, is_late=each.account in late) for each in seen.status.accounts]


def cash_title(status: EngineStatus) -> str:
    """The head of the column of cash, which names what it counts."""
    counted = next((each.cash_assets for each in status.accounts), ())
    return f"Cash {in_words(counted)}" if counted else "Cash"


def _row(snapshot: BalanceSnapshot, seen: Seen, cause: str, *, is_late: bool) -> Row:
    name, holding = snapshot.account, seen.holding(snapshot)
    age = "never" if snapshot.age is None else Age(snapshot.age)
    cells = (
        cell(name),
        _standing(snapshot, seen, cause, holding.not_counted, is_late=is_late),
        holding.total,
        holding.cash,
        holding.available,
        holding.held,
        cell(age, state=_STATES[snapshot.state.value]),
        holding.day,
        cell(*_actions(seen.status, name) if seen.may_act else ()),
    )
    return Row(name, cells, cells[1].state, {"account": name})


def _standing(snapshot: BalanceSnapshot, seen: Seen, cause: str, not_counted: str, *, is_late: bool) -> Cell:
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
    if not_counted:
        pieces.append(f". {not_counted}")
    return cell(*pieces, state="warn" if state == "good" and since is not None else state)


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
