"""The headline: the truth of the last seconds in one sentence, with its time and its cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from engine.app.status import EngineStatus
from engine.errors import UnknownName
from engine.kraken.endpoints import private_endpoint
from engine.rules.balance.silence import SILENT
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.rules.order.order import OrderReceipt
from engine.rules.order.states import OrderState
from engine.web.page.absent import Absent
from engine.web.page.cell import Age, Cell, Moment, Piece, cell
from engine.web.page.names import few

LATE_FACTOR, LATE_GRACE = 1.5, 2.0  # of a refresh interval, and seconds for the reply itself
NOTHING: Mapping[tuple[str, str], datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Headline:
    """The sentence, what it means for balances and orders, and the beginning of the tab's title."""

    sentence: Cell
    consequence: Cell
    title: str

    @property
    def state(self) -> str:
        """``good``, ``warn`` or ``bad``."""
        return self.sentence.state


def late_accounts(status: EngineStatus) -> dict[str, float | None]:
    """Accounts without a good reply in their last refresh interval: seconds since the last one, `None` for never."""
    found: dict[str, float | None] = {}
    for each in status.accounts:
        heard, interval = status.heard.get(each.account), status.refresh_intervals.get(each.account)
        if interval is not None and (heard is None or heard > LATE_FACTOR * interval + LATE_GRACE):
            found[each.account] = heard
    return found


def _is_all(late: Mapping[str, float | None], status: EngineStatus) -> bool:
    """Whether no account whose balance is kept up to date was heard of in time."""
    kept = [each.account for each in status.accounts if each.account in status.refresh_intervals]
    return bool(kept) and all(name in late for name in kept)


def headline(
    status: EngineStatus, orders: Sequence[OrderReceipt], unsettled: Mapping[tuple[str, str], datetime] = NOTHING,
    absent: Absent | None = None,
) -> Headline:  # fmt: skip
    """What is to be known first, the worst first.

    `unsettled`: since when orders are, by account and id. `absent`: what is to be said of accounts of the cluster of
    which nothing is known.
    """
    late = late_accounts(status)
    out = [each for each in status.accounts if not each.is_available]
    unknown = [each for each in orders if each.state is OrderState.UNKNOWN]
    first = min((unsettled[each.account, each.id] for each in unknown if (each.account, each.id) in unsettled),
                default=None)  # fmt: skip
    state, title, pieces = _sentence(status, unknown, first, late, out, absent)
    return Headline(cell(*pieces, state=state), _consequence(status, late, out), title)


def _sentence(
    status: EngineStatus, unknown: Sequence[OrderReceipt], first: datetime | None, late: dict[str, float | None],
    out: list[BalanceSnapshot], absent: Absent | None,
) -> tuple[str, str, list[Piece]]:
    number = len(status.accounts)
    if not status.running:
        return "bad", "engine stopped", ["The engine has stopped."]
    if status.lane is not None and status.lane.is_lost:
        lost = "Nothing is sent: the state directory or a key is not this engine's any more."
        return "bad", "restart the engine", [lost]
    if absent is not None and (absent.state == "bad" or not number):
        return absent.state, absent.title, [absent.sentence]
    if not number:
        return "warn", "no account", ["There is no account."]
    if _is_all(late, status) or status.silent_since is not None:
        return _silence(status, late, out)
    if out:
        return "bad", f"{_few(out)} not available", _not_available(status, out)
    if unknown:
        what = "1 order is unknown" if len(unknown) == 1 else f"{len(unknown)} orders are unknown"
        whose = ", ".join(dict.fromkeys(each.account for each in unknown))
        when: list[Piece] = []
        if first is not None:
            age = Age(max(0.0, (status.as_of - first).total_seconds()), is_silent=True)
            when = [" since ", Moment(first), " (", age, ")"]
        return "bad", what, [f"{what} ({whose})", *when, ". Kraken is asked whether it has placed it."]
    if late:
        name, seconds = max(late.items(), key=lambda item: item[1] or 0.0)
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        return "warn", f"{name}{more} late", [f"No good reply for {name}{more}", *_since(status, seconds), "."]
    if status.paused:
        name, since = next(iter(status.paused.items()))
        more = f" and {len(status.paused) - 1} more" if len(status.paused) > 1 else ""
        return "warn", f"{name} paused", [f"Trading of {name}{more} is paused since ", Moment(since), "."]
    if absent is not None and absent.state == "warn":
        return absent.state, absent.title, [absent.sentence]
    here = " here" if absent is not None else ""
    sentence = f"All accounts{here} are available." if number > 1 else f"The account{here} is available."
    more = f" {absent.sentence}" if absent is not None else ""
    return "good", f"{number} of {number} available", [sentence + more]


def _silence(
    status: EngineStatus, late: dict[str, float | None], out: list[BalanceSnapshot]
) -> tuple[str, str, list[Piece]]:
    """Nobody has had a good reply in the last interval."""
    heard = [seconds for seconds in status.heard.values() if seconds is not None]
    if not heard and status.silent_since is None and not out_for_good(out):
        return "warn", "no reply yet", ["No reply of Kraken's yet."]
    is_answered = status.refusing or _is_failing(status)
    what = "Kraken has given no good reply" if is_answered else "Kraken has not answered"
    seconds = min(heard) if heard else _seconds_since(status, status.silent_since)
    pieces: list[Piece] = [what, *_since(status, seconds), "."]
    is_bad = bool(out) or any(each.state is not BalanceState.FRESH for each in status.accounts)
    return "bad" if is_bad else "warn", "no good reply" if is_answered else "Kraken silent", pieces


def out_for_good(out: Sequence[BalanceSnapshot]) -> bool:
    """Whether an account is out for a reason, and not only because nothing has come yet."""
    return any(each.error_count or each.last_error for each in out)


def _is_failing(status: EngineStatus) -> bool:
    """Whether calls have ended with an error, other than that nothing came."""
    told = [each.last_error for each in status.accounts if each.error_count and each.last_error]
    return any(not each.startswith(SILENT) for each in told)


def told_cause(status: EngineStatus) -> str:
    """Why those are out that are, or all that are late: told once, below the headline, when it is the same for them."""
    out = [each for each in status.accounts if not each.is_available]
    if _is_all(late_accounts(status), status):
        return _common_cause(status.accounts)
    return _common_cause(out)


def _common_cause(snapshots: Sequence[BalanceSnapshot]) -> str:
    """What those in trouble all say, when they say the same; silence alone says no more than the headline does."""
    told = {each.last_error for each in snapshots if each.last_error}
    text = told.pop() if len(told) == 1 else ""
    if text.startswith(SILENT):
        text = text.partition(" UTC.")[2].strip()
    return text


def _not_available(status: EngineStatus, out: Sequence[BalanceSnapshot]) -> list[Piece]:
    """Who, and since when there was no good reply for any of them."""
    heard = [status.heard[each.account] for each in out if each.account in status.heard]
    what = f"{_few(out)} {'is' if len(out) == 1 else 'are'} not available"
    if len(heard) < len(out):
        return [f"{what}."]
    return [f"{what}, without a good reply", *_since(status, min(heard)), "."]


def _consequence(status: EngineStatus, late: dict[str, float | None], out: Sequence[BalanceSnapshot]) -> Cell:
    """How old the balances are, whether anything is being placed, and what Kraken or the network says."""
    ages = [each.age for each in status.accounts if each.age is not None]
    pieces: list[Piece] = []
    if ages:
        pieces += [_how_old(status, late, len(ages)), Age(max(ages)), " old. "]
    if status.accounts and (out or not late):
        available = sum(each.is_available and status.running for each in status.accounts)
        pieces.append(f"{available} of {len(status.accounts)} available. ")
    cause = told_cause(status)
    return cell(*pieces, _placing(status), f" {cause}" if cause else "")


def _how_old(status: EngineStatus, late: Mapping[str, float | None], number: int) -> str:
    """What the age of the oldest balance is said of."""
    if number == 1:
        return "The balance is "
    if not late:
        return "Balances are at most "
    return "Balances are " if _is_all(late, status) else "The oldest balance is "


def _placing(status: EngineStatus) -> str:
    if not status.live:
        return "Nothing can be placed: this is a dry run."
    waiting = status.waiting.get("order", 0)
    if status.under_way is not None and _places(status.under_way[1]):
        return "An order is being placed now."
    return f"{waiting} orders wait to be placed." if waiting else "Nothing is being placed."


def _places(endpoint: str) -> bool:
    try:
        return private_endpoint(endpoint).places
    except UnknownName:
        return False


def _since(status: EngineStatus, seconds: float | None) -> list[Piece]:
    if seconds is None:
        return [" since the engine started"]
    since = status.as_of - timedelta(seconds=seconds - 0.5)  # to the nearest second, so that it stands still
    return [" since ", Moment(since.replace(microsecond=0)), " (", Age(seconds, is_silent=True), ")"]


def _seconds_since(status: EngineStatus, since: datetime | None) -> float | None:
    return None if since is None else (status.as_of - since).total_seconds()


def _few(out: Sequence[BalanceSnapshot]) -> str:
    return few([each.account for each in out])
