"""The behaviours on which sources about Kraken disagree, or which have changed over the years."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from engine.simulator.call_limits import Monotonic
from engine.simulator.trading_limits import TIERS

PUBLIC_REFUSALS = frozenset({"empty", "error", "429"})
REFUSALS_THAT_MAY_SPEND = frozenset({"signature", "permission"})


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Alternatives of Kraken's behaviour, so that a test can choose either.

    The defaults are Kraken as of November 2026, and the stricter way where sources differ. `of_2025` is Kraken as of
    November 2025.

    signature_error: the answer to a wrong signature. otp_error: the answer to a wrong or missing one-time password; no
    source gives Kraken's.
    nonce_window, nonce_reuse: see `NonceTracker`.
    nonce_spent_by_refusals: the refusals that use up the nonce: ``signature``, ``permission``.
    call_limit: the maximum of the call counter and its decay per second; `None`: no limit, unless there is a tier.
    decay_every: the seconds between two steps of the decay; 0: it decays continuously.
    tier: ``starter``, ``intermediate`` or ``pro``: call counters and trading counters by Kraken's tables.
    hold_on_earn: holds of orders are shown on the ``.F`` row of accounts that have one.
    snake_case: `GetApiKeyInfo` uses snake case. echo_id: `AddOrder` returns the `cl_ord_id`.
    false_validates: the form text ``validate=false`` makes an order a dry run, as was seen once.
    minimum_error: the answer to a volume below the pair's minimum; sources give two.
    numbers: `BalanceEx` has amounts as numbers instead of strings.
    empty_result: a refusal has an empty ``result`` beside its ``error``.
    costs: the costs of calls that differ from the usual.
    lockout_after: failures in a row that lock a key out; `None`: never.
    lockout_for: seconds without any call that end a lockout.
    fees_told: `AssetPairs` has fees in its rows, as until 8 September 2026.
    status_always: every row of `AssetPairs` has a ``status``; since 2026 some have none.
    venues_told: rows of `AssetPairs` have an ``execution_venue``, which is also a parameter, and orders can name pairs
    of another venue (``XBTUSD:BTNL``), as since April 2026.
    all_venues_listed: `AssetPairs` lists those pairs without the parameter; no source says which is right.
    wsnames_taken: pairs are accepted by their ``wsname`` (``XBT/USD``) instead of today's name (``BTC/USD``).
    names_echoed: a pair requested by a name with a slash has that name as its key in the reply, instead of its id.
    partial_ticker: `Ticker` with one unknown name returns the other rows beside the error; `False`: the error and an
    empty ``result``. Both were seen in 2026.
    public_post: public calls are accepted as POST.
    public_limit: the number of public calls at once, and how many more per second; `None`: no limit.
    public_refusal: the answer beyond that: ``empty`` (200 with an empty body), ``error``
    (``EGeneral:Too many requests``) or ``429`` (that HTTP status, with ``Retry-After``).
    rate_limit_time: ``EAPI:Rate limit exceeded`` is followed by the Unix time of the next try.
    fees: maker and taker fee in percent. The defaults are Kraken's first tier since July 2026.
    gone_error: the answer to a cancel or amend of an ended order: ``EOrder:Unknown order`` was seen live,
    ``EOrder:Invalid order`` is what Kraken's own client expects.
    tells_disarmed: `CancelAllOrdersAfter` with 0 returns ``"triggerTime": "0"``; otherwise that field is absent.
    empty_amends: an amend that changes nothing is accepted, as before 2026.
    batch_by_row: an order of a batch that fails its checks is refused alone, and the others are placed.
    id_with_close: a `cl_ord_id` is accepted together with a conditional close.
    null_id: the row of an order without a `cl_ord_id` has null there; otherwise the field is absent.
    loose_booleans: ``validate`` and ``fee_schedule`` accept ``True`` and ``1`` for ``true``.
    soonest_deadline: the least seconds to a `deadline` when the order arrives. Kraken's specification says 2, and
    nobody has published what happens below that; the default 0 accepts every deadline that has not passed.
    wall: the exchange's clock, Unix time. monotonic: the clock of counters and lockouts.
    """

    signature_error: str = "EAPI:Invalid signature"
    otp_error: str = "EGeneral:Permission denied"
    nonce_window: int = 0
    nonce_reuse: bool = False
    nonce_spent_by_refusals: Collection[str] = ("permission",)
    call_limit: tuple[float, float] | None = None
    decay_every: float = 0.0
    tier: str | None = None
    hold_on_earn: bool = False
    snake_case: bool = False
    echo_id: bool = False
    false_validates: bool = False
    minimum_error: str = "EGeneral:Invalid arguments:volume minimum not met"
    numbers: bool = False
    empty_result: bool = False
    costs: Mapping[str, float] = field(default_factory=dict)
    lockout_after: int | None = None
    lockout_for: float = 900.0
    fees_told: bool = False
    status_always: bool = False
    venues_told: bool = True
    all_venues_listed: bool = False
    wsnames_taken: bool = False
    names_echoed: bool = True
    partial_ticker: bool = True
    public_post: bool = False
    public_limit: tuple[float, float] | None = None
    public_refusal: str = "empty"
    rate_limit_time: bool = False
    fees: tuple[str, str] = ("0.4000", "0.8000")
    gone_error: str = "EOrder:Unknown order"
    tells_disarmed: bool = True
    empty_amends: bool = False
    batch_by_row: bool = False
    id_with_close: bool = False
    null_id: bool = True
    loose_booleans: bool = False
    soonest_deadline: float = 0.0
    wall: Callable[[], float] = time.time
    monotonic: Monotonic = time.monotonic

    def __post_init__(self) -> None:
        if not set(self.nonce_spent_by_refusals) <= REFUSALS_THAT_MAY_SPEND:
            raise ValueError(f"only {sorted(REFUSALS_THAT_MAY_SPEND)} refusals can spend a nonce")
        if self.tier is not None and self.tier not in TIERS:
            raise ValueError(f"a tier is one of {sorted(TIERS)}")
        if self.public_refusal not in PUBLIC_REFUSALS:
            raise ValueError(f"public_refusal is one of {sorted(PUBLIC_REFUSALS)}")

    @classmethod
    def of_2025(cls, **differences: Any) -> Self:
        """Kraken as of November 2025; `differences` are other values by name."""
        return cls(**{**OF_2025, **differences})


OF_2025: Mapping[str, Any] = {
    "fees_told": True, "status_always": True, "venues_told": False, "wsnames_taken": True, "names_echoed": False,
}  # fmt: skip
