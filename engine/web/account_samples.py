"""Metrics with one sample for each account, as text: with thousands of accounts that is nearly all of a scrape.

`prometheus_client` judges every name and label again at each scrape, which takes six times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.app.status import EngineStatus
from engine.rules.stream.subscription import StreamState

Values = Mapping[str, float]


def account_samples(status: EngineStatus, unsettled: Mapping[str, int]) -> str:
    """All of them in the text format. `unsettled`: how many orders are, by account."""
    parts = (*_keys(status), *_balances(status), *_streams(status), _gauge(
        "unsettled_orders", "Orders of which it is not known whether Kraken has them.",
        {each.account: unsettled.get(each.account, 0) for each in status.accounts},
    ))  # fmt: skip
    labels: dict[str, str] = {}
    return "".join([part.text(labels) for part in parts])


class _Family:
    """One metric. Its values are finite numbers."""

    def __init__(self, name: str, told: str, kind: str, values: Values) -> None:
        self._name, self._told, self._kind, self._values = f"kraken_engine_{name}", told, kind, values

    def text(self, labels: dict[str, str]) -> str:
        """Line by line; `labels` keeps the text of each account's label for the next metric."""
        name = self._name
        for account in self._values.keys() - labels.keys():
            labels[account] = _label(account)
        lines = [f"{name}{labels[account]} {float(value)!r}\n" for account, value in self._values.items()]
        return f"# HELP {name} {self._told}\n# TYPE {name} {self._kind}\n{''.join(lines)}"


def _label(account: str) -> str:
    escaped = account.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{{account="{escaped}"}}'


def _gauge(name: str, told: str, values: Values) -> _Family:
    return _Family(name, told, "gauge", values)


def _total(name: str, told: str, values: Values) -> _Family:
    return _Family(f"{name}_total", told, "counter", values)


def _keys(status: EngineStatus) -> Iterable[_Family]:
    if status.lane is None:
        return ()
    keys = tuple(status.lane.keys.items())
    return (
        _total("nonces_issued", "Nonces issued.", {name: key.nonces for name, key in keys}),
        _gauge("nonce_lead_seconds", "By how much the next nonce is above the clock.",
               {name: key.lead for name, key in keys}),
        _gauge("rate_limit_used_points", "Points on Kraken's call counter, as counted here.",
               {name: key.level for name, key in keys}),
        _gauge("rate_limit_points", "The points at which Kraken refuses.", {name: key.limit for name, key in keys}),
        _total("rate_limited", "Calls that Kraken limited although the count here had room.",
               {name: key.limited for name, key in keys}),
    )  # fmt: skip


def _balances(status: EngineStatus) -> Iterable[_Family]:
    accounts = status.accounts
    ages = {each.account: age for each in accounts if (age := each.age) is not None}
    return (
        _gauge("account_available", "1 while the account is available.",
               {each.account: each.is_available for each in accounts}),
        _gauge("balance_age_seconds", "The age of the last good balance; absent without one.", ages),
        _gauge("account_consecutive_errors", "Failures in a row.",
               {each.account: each.error_count for each in accounts}),
        _gauge("key_accepted", "1 while Kraken takes the account's key.",
               {name: key.state in ("open", "product-refused") for name, key in status.keys.items()}),
    )  # fmt: skip


def _streams(status: EngineStatus) -> Iterable[_Family]:
    reports, now = status.push, status.as_of
    return (
        _gauge("push_live", "1 while the account's stream is believed.",
               {each.account: each.state is StreamState.LIVE for each in reports}),
        _gauge("push_state_seconds", "For how long the account's stream is in its state.",
               {each.account: max(0.0, (now - each.since).total_seconds()) for each in reports}),
        _total("push_frames", "Frames of the account's stream.", {each.account: each.frames for each in reports}),
        _total("push_gaps", "How often a stream was believed and then missed something, or may have.",
               {each.account: each.gaps for each in reports}),
        _total("push_connects", "Connections to the stream that were tried.",
               {each.account: each.connects for each in reports}),
    )  # fmt: skip
