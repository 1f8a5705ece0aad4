"""The settings of an engine, with their defaults and bounds."""

from __future__ import annotations

from dataclasses import field
from decimal import Decimal, InvalidOperation

from engine.errors import ConfigError
from engine.values.account import check_tier
from engine.values.dataclass import dataclass
from engine.values.secret import Secret

KRAKEN_URL = "https://api.kraken.com"
KRAKEN_WS_URL = "wss://ws-auth.kraken.com/v2"
KRAKEN_PUBLIC_WS_URL = "wss://ws.kraken.com/v2"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the engine behaves. Seconds throughout; every default is safe for a new account.

    refresh_every: how often each balance is fetched; less often where `polling_share` says so.
    max_age: a balance older than this is STALE.
    errors_to_unavailable: failures in a row that make an account unavailable.
    silence_to_unavailable: so long without a good reply, and an account is unavailable; where balances are refreshed
        less than twice in that time, two refreshes long.
    call_timeout: how long a private call may take in all, waiting included, when its caller does not say.
    cut_read_after, cut_write_after: how long a hung call may hold up something more urgent.
    order_deadline: how long Kraken may take to accept an order.
    settle_margin: how long after the deadline a lost order may still appear.
    follow_every: how often open orders are looked at.
    tier: Kraken's rate-limit tier, ``starter``, ``intermediate`` or ``pro``.
    local_limits: count calls as Kraken does and keep back what would be refused.
    cash: the names of the assets that count as cash, such as ``USD``, ``EUR``, ``USDT``. Their amounts are added as
        they are, so they should be worth the same.
    polling_share: the largest part of the lane, and of each key's call counter, that refreshing balances may take.
    allow_withdrawals: let `Withdraw` and transfers through.
    fee_bound: the fee that a purchase is counted with where Kraken does not tell the account's own, as a part: 0.008
        is 0.8 %, the highest taker's fee that Kraken publishes (lowest tier). A fee that is told and higher counts
        instead. Kept as a `Decimal`; may be given as a text or a number.
    push: hear of changed balances and orders from Kraken's WebSocket as they happen (extra ``push``). Every doubt about
        it ends in what the engine does without it.
    ws_url: the URL of that WebSocket, for private channels of its version 2.
    ws_public_url: that of its public channels, which tell the gates prices with push. `None`: Kraken's own, or `ws_url`
        when that is not Kraken's own either, such as a simulator's.
    serve_snapshots: give a client of the gateway that accepts an age (``Cache-Control: max-age=5``) a balance that is
        known and younger, instead of a call of its own.
    proxy: ``http://host:port`` of a proxy, or `None`.
    ca_file: a file of CA certificates to trust in place of the usual ones, or `None`.
    any_host: talk to hosts that are not Kraken's.
    switch_interval: for a host that computes in threads: after so many seconds such a thread has to let others run
        (`sys.setswitchinterval`; Python's own is 0.005). It holds for the whole process while the engine runs; `None`
        leaves it alone.
    accounts_per_thread: how many balance actors share a thread; 1 gives each its own. `None`: each has its own up to
        200 accounts, and above that 1,000 share one.
    """

    refresh_every: float = 5.0
    max_age: float = 15.0
    errors_to_unavailable: int = 3
    silence_to_unavailable: float = 60.0
    call_timeout: float = 10.0
    cut_read_after: float = 0.5
    cut_write_after: float = 3.0
    order_deadline: float = 10.0
    settle_margin: float = 60.0
    follow_every: float = 15.0
    tier: str = "starter"
    local_limits: bool = True
    cash: tuple[str, ...] = ("USD", "USDT")
    polling_share: float = 0.5
    allow_withdrawals: bool = False
    fee_bound: Decimal = Decimal("0.008")
    push: bool = False
    ws_url: str = KRAKEN_WS_URL
    ws_public_url: str | None = None
    serve_snapshots: bool = False
    proxy: str | Secret | None = field(default=None, repr=False)  # its URL may carry a password
    ca_file: str | None = None
    any_host: bool = False
    switch_interval: float | None = None
    accounts_per_thread: int | None = None

    def __post_init__(self) -> None:
        for name in (*_POSITIVE, *(("switch_interval",) if self.switch_interval is not None else ())):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
                raise ConfigError(f"The setting {name} is {value!r}: it has to be a positive number.")
        for name in ("local_limits", "allow_withdrawals", "push", "any_host", "serve_snapshots"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"The setting {name} is a switch: True or False.")
        if not isinstance(self.ca_file, str | None) or not isinstance(self.proxy, str | Secret | None):
            raise ConfigError("The settings ca_file and proxy are texts, or None.")
        if not isinstance(self.ws_url, str):
            raise ConfigError("The setting ws_url is a text, such as 'wss://ws-auth.kraken.com/v2'.")
        if not isinstance(self.ws_public_url, str | None):
            raise ConfigError("The setting ws_public_url is a text, such as 'wss://ws.kraken.com/v2', or None.")
        if self.errors_to_unavailable != int(self.errors_to_unavailable):
            raise ConfigError("The setting errors_to_unavailable has to be a whole number.")
        if self.order_deadline > 59:
            raise ConfigError("The setting order_deadline may be 59 seconds at most: Kraken takes no later one.")
        _check_per_thread(self.accounts_per_thread)
        if self.polling_share > 1:
            raise ConfigError("The setting polling_share is a share: more than 0 and at most 1.")
        check_tier(self.tier)
        object.__setattr__(self, "fee_bound", _fee_bound(self.fee_bound))
        names = self.cash if isinstance(self.cash, list | tuple) else (None,)
        if not all(isinstance(name, str) and len(name) <= _LONGEST_ASSET for name in names):
            raise ConfigError("The setting cash is a tuple of asset names, such as ('USD', 'USDT').")
        object.__setattr__(self, "cash", tuple(self.cash))
        if isinstance(self.proxy, str):
            object.__setattr__(self, "proxy", Secret(self.proxy))

    @property
    def public_ws_url(self) -> str:
        """The URL of the public channels. An engine whose accounts are not at Kraken takes no prices from there."""
        return self.ws_public_url or (KRAKEN_PUBLIC_WS_URL if self.ws_url == KRAKEN_WS_URL else self.ws_url)


def _check_per_thread(accounts: int | None) -> None:
    if accounts is not None and (isinstance(accounts, bool) or not isinstance(accounts, int) or accounts < 1):
        raise ConfigError("The setting accounts_per_thread has to be a whole number above 0, or None.")


_POSITIVE = (
    "refresh_every", "max_age", "errors_to_unavailable", "silence_to_unavailable", "call_timeout", "cut_read_after",
    "cut_write_after", "order_deadline", "settle_margin", "follow_every", "polling_share",
)  # fmt: skip


_LONGEST_ASSET = 32  # characters; what is longer is not a name of Kraken's, and may be a secret in the wrong place
_HIGHEST_BOUND = Decimal("0.1")  # far above every fee of Kraken's: a percentage in place of a part is noticed


def _fee_bound(value: object) -> Decimal:
    is_number = isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
    try:
        bound = Decimal(str(value)) if is_number else Decimal("NaN")
    except InvalidOperation:
        bound = Decimal("NaN")
    if not bound.is_finite() or not 0 < bound <= _HIGHEST_BOUND:
        raise ConfigError(
            f"The setting fee_bound is {value!r}: it is a part, more than 0 and at most 0.1, such as '0.008' for 0.8 %."
        )
    return bound
