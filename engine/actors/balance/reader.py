"""Reads an account's balance replies and decides what of them is believed (promises G6 and G14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.actors.balance.asset_names import AssetNames
from engine.actors.drift_log import DriftLog
from engine.actors.events import EngineWarning
from engine.errors import CallError, CallUnknown
from engine.kraken.balances import counted_once, left_out, spendable_total, sum_cash
from engine.rules.balance.auto_earn import AutoEarn, listed_twice
from engine.rules.balance.cash import elsewhere, elsewhere_sentence
from engine.rules.balance.empty_reply import NO_DOUBT
from engine.values import AssetBalance
from engine.values.dataclass import dataclass

Assets = Mapping[str, AssetBalance]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a good reply says."""

    assets: Assets
    cash: Decimal
    available_cash: Decimal | None
    cash_assets: tuple[str, ...]
    unread: frozenset[str]
    """The assets whose rows could not be read."""


class BalanceReader:
    """Reads the replies of one account, and warns of what a person should know of them. Lives in the actor's thread."""

    __slots__ = ("_account", "_auto_earn", "_doubt", "_drift", "_empty", "_names", "_publish", "_told")

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
        self._empty = NO_DOUBT
        self._doubt: CallUnknown | None = None
        self._told: tuple[tuple[str, ...], ...] = ()

    def is_doubt(self, error: CallError | None) -> bool:
        """Whether `read` raised that error only because a second reply has to confirm the first."""
        return error is not None and error is self._doubt

    def read(self, endpoint: str, result: Any, known: Assets, requested_at: float) -> Reading:
        """What a reply says that was requested at `requested_at`, after a balance of `known`.

        Raises `CallUnknown` for a reply that cannot be read, or is not believed yet: an empty one after a balance that
        was not empty counts when a second one, requested later, is empty as well.
        """
        try:
            return self._read(endpoint, result, known, requested_at)
        except CallError:
            raise
        except Exception:  # noqa: BLE001 - an odd reply must not end the refreshing
            raise CallUnknown("Kraken's balance reply cannot be read.") from None

    def forget(self) -> None:
        """The replies that follow are those of another key."""
        self._empty = NO_DOUBT

    def _read(self, endpoint: str, result: Any, known: Assets, requested_at: float) -> Reading:
        assets = self._names.read(endpoint, result, self._drift.noter(endpoint))
        self._doubt_empty(endpoint, assets, known, requested_at)
        twice = listed_twice(known, assets, self._auto_earn)
        assets = counted_once(assets, twice)
        self._warn_of_twice(twice)
        self._warn_of_elsewhere(assets)
        cash_assets = self._names.cash
        cash, free = sum_cash(assets, cash_assets)
        return Reading(assets, cash, free, cash_assets, left_out(result, assets, self._names.table))

    def _doubt_empty(self, endpoint: str, assets: Assets, known: Assets, requested_at: float) -> None:
        had_amounts = any(each.total for each in known.values())
        self._empty = self._empty.after(is_empty=not assets, had_amounts=had_amounts, requested_at=requested_at)
        if self._empty.is_doubted:
            self._doubt = CallUnknown(
                f"Kraken answered {endpoint} with no asset at all, after a balance that was not empty: this counts "
                "when a second reply says the same."
            )
            raise self._doubt

    def _warn_of_twice(self, names: frozenset[str]) -> None:
        if names and self._is_news("twice", *sorted(names)):
            listed = ", ".join(sorted(names))
            self._publish(EngineWarning("auto-earn-listed-twice", (
                f"Account {self._account}: Kraken seems to list the same {listed} twice, as {listed} and in the row of "
                "Auto Earn (.F); it is counted once, until Kraken's rows say otherwise."
            )))  # fmt: skip

    def _warn_of_elsewhere(self, assets: Assets) -> None:
        amounts = {name: spendable_total(each) for name, each in assets.items()}
        found = elsewhere(amounts, self._names.cash)
        if found and self._is_news("elsewhere", *sorted(found)):
            self._publish(EngineWarning("cash-elsewhere", elsewhere_sentence(self._account, found, self._names.cash)))

    def _is_news(self, *what: str) -> bool:
        is_new = what not in self._told
        self._told += (what,) if is_new else ()
        return is_new
