"""Reads an account's balance replies and decides what of them is believed (promises G6 and G14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.actors.balance.asset_catalogue import AssetNames
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning
from engine.errors import CallError, CallUnknown
from engine.kraken.balances import counted_once, left_out, spendable_total
from engine.rules.balance.auto_earn import AutoEarn, listed_twice
from engine.rules.balance.cash import elsewhere, elsewhere_sentence
from engine.values import AssetBalance

Assets = Mapping[str, AssetBalance]

CONFIRMS_AFTER = 0.5  # seconds between two requests: a hiccup of Kraken's may answer two that follow at once


class BalanceReader:
    """Reads the replies of one account, and warns of what a person should know of them. Lives in the actor's thread."""

    def __init__(
        self,
        account: str,
        names: AssetNames,
        drift: DriftLog,
        publish: Callable[[Any], None],
        auto_earn: AutoEarn = AutoEarn.UNSETTLED,
    ) -> None:
        self._account, self._names, self._drift, self._publish = account, names, drift, publish
        self._auto_earn = auto_earn
        self._empty_since: float | None = None
        self._doubt: CallUnknown | None = None
        self._told: set[tuple[str, ...]] = set()

    def is_doubt(self, error: CallError) -> bool:
        """Whether a reply ended with that error only because a second one has to confirm it."""
        return error is self._doubt

    def read(self, endpoint: str, result: Any, known: Assets, asked_at: float) -> Assets:
        """The assets of a reply that was asked for at `asked_at`, after a balance of `known`.

        Raises `CallUnknown` for one that cannot be read, or is not believed yet: an empty reply after a balance that
        was not empty counts when a second one, asked for later, is empty as well.
        """
        assets = self._names.read(endpoint, result, self._drift.noter(endpoint))
        self._doubt_empty(endpoint, assets, known, asked_at)
        twice = listed_twice(known, assets, self._auto_earn)
        assets = counted_once(assets, twice)
        self._tell_twice(twice)
        self._tell_elsewhere(assets)
        return assets

    def forget(self) -> None:
        """What comes now is of another key."""
        self._empty_since = None

    def shown(self, result: Mapping[str, Any], before: Assets, assets: Assets) -> Assets:
        """The assets for telling changes: one that a reply has and cannot be read has not changed by all it was."""
        missing = left_out(result, assets, self._names.table) & before.keys()
        return {**assets, **{name: before[name] for name in missing}} if missing else assets

    def _doubt_empty(self, endpoint: str, assets: Assets, known: Assets, asked_at: float) -> None:
        if assets or not any(each.total for each in known.values()):
            self._empty_since = None
            return
        since = self._empty_since = asked_at if self._empty_since is None else self._empty_since
        if asked_at - since < CONFIRMS_AFTER:
            self._doubt = CallUnknown(
                f"{endpoint} was answered with no asset at all, after a balance that was not empty: this counts when a "
                "second reply says the same."
            )
            raise self._doubt
        self._empty_since = None

    def _tell_twice(self, names: frozenset[str]) -> None:
        if names and self._is_news("twice", *sorted(names)):
            listed = ", ".join(sorted(names))
            self._publish(EngineWarning("auto-earn-listed-twice", (
                f"Account {self._account}: Kraken seems to list the same {listed} twice, as {listed} and in the row of "
                "Auto Earn (.F); it is counted once, until Kraken's rows say otherwise."
            )))  # fmt: skip

    def _tell_elsewhere(self, assets: Assets) -> None:
        amounts = {name: spendable_total(each) for name, each in assets.items()}
        found = elsewhere(amounts, self._names.cash)
        if found and self._is_news("elsewhere", *sorted(found)):
            self._publish(EngineWarning("cash-elsewhere", elsewhere_sentence(self._account, found, self._names.cash)))

    def _is_news(self, *what: str) -> bool:
        is_new = what not in self._told
        self._told.add(what)
        return is_new
