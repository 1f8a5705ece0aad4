"""Values shared by all packages: accounts, secrets, settings, amounts, the clock."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, Self

from engine.errors import ConfigError

KRAKEN_URL = "https://api.kraken.com"
KRAKEN_WS_URL = "wss://ws-auth.kraken.com/v2"
MASTER = "MASTER"

SECRET_FROM = 40  # characters
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\s-]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Secret:
    """A string that only `reveal()` shows (promise G11).

    It prints as ``Secret(***)``, cannot be pickled, and compares by value.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Hand it to what needs it and to nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret cannot be pickled: secrets are never written")


def shown(value: object) -> str:
    """A value as a sentence may repeat it: not one that could be a key or a secret in the wrong place.

    Kraken's keys have 56 characters and its secrets 88, all of them of base64.
    """
    text = str(value)
    may_be_secret = len(text) >= SECRET_FROM and _BASE64.fullmatch(text)
    return f"a text of {len(text)} characters" if may_be_secret else repr(text)


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value.strip())


class Value:
    """A base of frozen dataclasses with read-only mappings in them, which can be neither pickled nor copied as such.

    They are pickled with plain dicts and read-only again when they are read; a copy is the value itself.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        parts = self._parts()
        plain = {name: dict(part) for name, part in parts.items() if isinstance(part, MappingProxyType)}
        return _read_back, (type(self), parts | plain, tuple(plain))

    def _parts(self) -> dict[str, Any]:
        """The fields that go into a pickle."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]


def _read_back(kind: type[Any], parts: dict[str, Any], read_only: tuple[str, ...]) -> Any:
    return kind(**{name: MappingProxyType(part) if name in read_only else part for name, part in parts.items()})


def _printed(part: object) -> str:
    return repr(part) if isinstance(part, Secret | None) else shown(part)


def _wrong_with(name: object, key: object, secret: object, otp: object) -> str | None:
    """What is wrong with the parts of an account, in a sentence that repeats none of them."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{shown(name)} cannot name an account: use 1 to 64 letters, digits, '-' or '_'."
    for part, value in (("API key", key), ("API secret", secret)):
        if not isinstance(value, str | Secret) or not _secret(value).reveal():
            return f"Account {name} has no {part}: give both the key and its secret."
    if not isinstance(otp, str | Secret | None):
        return f"The otp of account {name} has to be a text."
    assert isinstance(key, str | Secret)
    assert isinstance(secret, str | Secret)
    text = _secret(key).reveal()
    if not text.isascii() or not text.isprintable():
        return f"The API key of account {name} has invalid characters: copy it again."
    try:
        decoded = base64.b64decode(_secret(secret).reveal(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return None if decoded else (
        f"The API secret of account {name} is not base64: copy it again as Kraken showed it."
    )


@dataclass(frozen=True)
class Account:
    """One Kraken account: a name of yours and one API key with its secret.

    `key` and `secret` may be given as strings; they are kept as `Secret`. `tier` is the account's rate-limit
    tier (`None`: that of `Settings`). `otp` is the static two-factor password of a key that has one.

    Raises `ConfigError` when a part is missing or the secret is not base64.
    """

    name: str
    key: Secret
    secret: Secret
    tier: str | None = field(default=None, kw_only=True)
    otp: Secret | None = field(default=None, kw_only=True)

    def __init__(
        self,
        name: str,
        key: str | Secret,
        secret: str | Secret,
        *,
        tier: str | None = None,
        otp: str | Secret | None = None,
    ) -> None:
        wrong = _wrong_with(name, key, secret, otp)
        if wrong is not None:
            del name, key, secret, otp  # reports of errors show the locals of frames
            raise ConfigError(wrong)
        set_field = object.__setattr__
        set_field(self, "name", name)
        set_field(self, "key", _secret(key))
        set_field(self, "secret", _secret(secret))
        set_field(self, "tier", None if tier is None else check_tier(tier))
        set_field(self, "otp", None if otp is None else _secret(otp))

    def __repr__(self) -> str:
        """Without the key, the secret and the otp; also of one that is not complete, as a broken subclass makes."""
        known = {each.name: getattr(self, each.name) for each in fields(self) if hasattr(self, each.name)}
        return f"{type(self).__name__}({', '.join(f'{name}={_printed(known[name])}' for name in known)})"

    @classmethod
    def of(cls, value: Account | Sequence[str]) -> Account:
        """An `Account` as it is, or one made from a ``(name, key, secret)`` sequence."""
        if isinstance(value, Account):
            return value
        if isinstance(value, str) or len(value) != 3:
            raise ConfigError("An account is an Account, or a (name, key, secret) triple.")
        return cls(*value)

    @cached_property
    def key_id(self) -> str:
        """A name for the API key that is safe to write down: a hash, the same on every machine."""
        return hashlib.sha256(b"kraken-engine api key\0" + self.key.reveal().encode()).hexdigest()[:32]


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
    proxy: ``http://host:port`` of a proxy, or `None`.
    ca_file: a file of CA certificates to trust in place of the usual ones, or `None`.
    any_host: talk to hosts that are not Kraken's.
    switch_interval: for a host that computes in threads: after so many seconds such a thread has to let others run
        (`sys.setswitchinterval`; Python's own is 0.005). It holds for the whole process while the engine runs; `None`
        leaves it alone.
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
    proxy: str | Secret | None = field(default=None, repr=False)  # its URL may carry a password
    ca_file: str | None = None
    any_host: bool = False
    switch_interval: float | None = None

    def __post_init__(self) -> None:
        for name in (*_POSITIVE, *(("switch_interval",) if self.switch_interval is not None else ())):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
                raise ConfigError(f"The setting {name} is {value!r}: it has to be a positive number.")
        for name in ("local_limits", "allow_withdrawals", "push", "any_host"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"The setting {name} is a switch: True or False.")
        if not isinstance(self.ca_file, str | None) or not isinstance(self.proxy, str | Secret | None):
            raise ConfigError("The settings ca_file and proxy are texts, or None.")
        if not isinstance(self.ws_url, str):
            raise ConfigError("The setting ws_url is a text, such as 'wss://ws-auth.kraken.com/v2'.")
        if self.errors_to_unavailable != int(self.errors_to_unavailable):
            raise ConfigError("The setting errors_to_unavailable has to be a whole number.")
        if self.order_deadline > 59:
            raise ConfigError("The setting order_deadline may be 59 seconds at most: Kraken takes no later one.")
        if self.polling_share > 1:
            raise ConfigError("The setting polling_share is a share: more than 0 and at most 1.")
        check_tier(self.tier)
        object.__setattr__(self, "fee_bound", _fee_bound(self.fee_bound))
        names = self.cash if isinstance(self.cash, list | tuple) else (None,)
        if not all(isinstance(name, str) for name in names):
            raise ConfigError("The setting cash is a tuple of asset names, such as ('USD', 'USDT').")
        object.__setattr__(self, "cash", tuple(self.cash))
        if isinstance(self.proxy, str):
            object.__setattr__(self, "proxy", Secret(self.proxy))


_POSITIVE = (
    "refresh_every", "max_age", "errors_to_unavailable", "silence_to_unavailable", "call_timeout", "cut_read_after",
    "cut_write_after", "order_deadline", "settle_margin", "follow_every", "polling_share",
)  # fmt: skip


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


def check_tier(tier: str) -> str:
    """Return the tier. Raises `ConfigError` if Kraken has no such tier."""
    if tier not in ("starter", "intermediate", "pro"):
        raise ConfigError(f"invalid tier {shown(tier)}: use starter, intermediate or pro.")
    return tier


class Bucket(Enum):
    """The wallet that a balance row speaks of."""

    SPOT = "spot"
    EARN_AUTO = "auto earn"
    BONDED = "bonded"
    OPT_IN = "opt-in rewards"
    PARKED = "parachain"
    TOKENISED = "tokenised"
    HOLD = "on hold"
    UNKNOWN = "unknown"

    @property
    def spendable(self) -> bool:
        """Whether an order on the base asset can use it; Kraken documents this for `.F` rows."""
        return self in (Bucket.SPOT, Bucket.EARN_AUTO)


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One row of Kraken's reply under its own name."""

    name: str
    bucket: Bucket
    balance: Decimal
    held: Decimal | None = None
    """`None`: the endpoint that answered does not know holds."""
    credit: Decimal = Decimal(0)
    """Credit line less credit used."""


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """One asset over all its rows.

    `total`: everything. `available`: what an order could use now, or `None` when holds are not known. `held`: reserved
    by open orders, or `None`. `rows`: Kraken's rows as they came. `earn_in_base`: the plain row seems to hold what the
    Auto-Earn row (``.F``) lists once more, so that only the plain row counts.
    """

    total: Decimal
    available: Decimal | None
    held: Decimal | None
    rows: tuple[BalanceRow, ...] = ()
    earn_in_base: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What Kraken says of a pair in AssetPairs: what it trades, in which steps, and what it takes now."""

    id: str
    """By which Kraken's answers are keyed, such as ``XXBTZUSD``."""
    altname: str
    wsname: str
    """With a slash, such as ``XBT/USD``; empty where Kraken gives none."""
    base: str
    """The asset that is traded, by Kraken's own name."""
    quote: str
    """The asset that pays for it."""
    status: str
    """``online``, ``cancel_only``, ``post_only``, ``limit_only`` or ``reduce_only``; empty where Kraken tells none."""
    tick_size: Decimal
    """The step of a price."""
    pair_decimals: int
    lot_decimals: int
    """Decimals of a volume."""
    cost_decimals: int
    ordermin: Decimal
    """The least volume of an order."""
    costmin: Decimal
    """The least worth of an order, in the quote asset."""
    fee: Decimal | None = None
    """The highest fee that AssetPairs tells, as a part: 0.004 is 0.4 %. `None` where it tells none."""
    asset_class: str = "currency"
    """Of what is traded: ``currency``, or ``tokenized_asset`` for a share."""
    venue: str = ""
    """Where it is traded when that is not Kraken's own exchange, such as ``BTNL``."""


@dataclass(frozen=True, slots=True)
class Ticker:
    """The best prices of a pair, and the last one that was traded."""

    ask: Decimal
    bid: Decimal
    last: Decimal | None
    """`None` for a pair that was never traded."""


class Clock(Protocol):
    """Where time comes from; tests hand in one that they turn themselves."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 by the wall clock, which may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    wall_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


SYSTEM_CLOCK: Clock = SystemClock()
