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

    signature_error: what a wrong signature is answered with.  otp_error: the same for a wrong or missing one-time
    password; no source tells Kraken's words.
    nonce_window, nonce_reuse: see `Nonces`.
    nonce_spent_by_refusals: which refusals use up the nonce: ``signature``, ``permission``.
    call_limit: the call counter's limit and its decay per second; `None` counts nothing, unless there is a tier.
    decay_every: seconds from one step in which it falls to the next; 0: it falls all the time.
    tier: ``starter``, ``intermediate`` or ``pro``: call counters and trading counters by Kraken's tables.
    hold_on_earn: what orders hold is told on the ``.F`` row, where an account has one.
    snake_case: `GetApiKeyInfo` writes its names so.  echo_id: `AddOrder` repeats the `cl_ord_id`.
    false_validates: an order with the form text ``validate=false`` is only validated, as somebody saw it once.
    minimum_error: what a volume below the pair's minimum is answered with; both ways are told.
    numbers: `BalanceEx` tells amounts as numbers instead of strings.
    empty_result: a refusal has an empty ``result`` beside its ``error``.
    costs: what a call costs, where it differs from the usual.
    lockout_after: offences in a row that lock a key out; `None` never does.
    lockout_for: seconds without any try that end a lockout.
    fees_told: `AssetPairs` has fees in its rows, as it did until 8 September 2026.
    status_always: every row of `AssetPairs` has a ``status``; since 2026 some have none.
    venues_told: rows of `AssetPairs` have an ``execution_venue``, there is a parameter of that name, and orders can
    name pairs of another venue (``XBTUSD:BTNL``), as since April 2026.
    all_venues_listed: `AssetPairs` lists those pairs without being asked for their venue; no source tells.
    wsnames_taken: a pair may be called by its ``wsname`` (``XBT/USD``), and not by today's name (``BTC/USD``).
    names_echoed: a pair that was asked for by a name with a slash is called so in the reply, and not by its id.
    partial_ticker: `Ticker` with an unknown name among others tells those others beside the error. `False`: it tells
    the error and an empty ``result``. Both were seen in 2026.
    public_post: public calls may come by POST.
    public_limit: how many public calls may come at once and how many more each second; `None` does not limit them.
    public_refusal: how a public call too many is answered: ``empty`` (200 with an empty body), ``error``
    (``EGeneral:Too many requests``) or ``429`` (this HTTP status, with ``Retry-After``).
    rate_limit_time: ``EAPI:Rate limit exceeded`` is followed by the Unix time at which to call again.
    fees: what accounts pay, maker and taker, in percent. The usual ones are Kraken's first tier since July 2026.
    gone_error: what a cancel or amend of an order that is over is answered with: ``EOrder:Unknown order`` was seen
    live, ``EOrder:Invalid order`` is what Kraken's own client expects.
    tells_disarmed: `CancelAllOrdersAfter` with 0 tells ``"triggerTime": "0"``; otherwise it is absent.
    empty_amends: an amend that changes nothing is taken, as it was before 2026.
    batch_by_row: an order of a batch that fails its checks is refused by itself, and the others are placed.
    id_with_close: a `cl_ord_id` is taken together with a conditional close.
    null_id: the row of an order without a `cl_ord_id` tells it as null; otherwise it is absent.
    loose_booleans: ``validate`` and ``fee_schedule`` take ``True`` and ``1`` for ``true``.
    soonest_deadline: how many seconds a `deadline` has to be away when the order arrives. Kraken's specification says
    2, and nobody has published what it does below that; the usual 0 takes every deadline that has not passed.
    wall: the exchange's clock, Unix time.  monotonic: what counters and lockouts go by.
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
