"""Reads Kraken's replies about the uncertain facts. Each reading returns an answer and the observation, in words.

Raises `NotSettled` if a reply settles nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.kraken.assets import AssetTable
from engine.kraken.facts import NotSettled
from engine.kraken.shapes import is_amount
from engine.values import Bucket
from engine.values.dataclass import dataclass

Reading = tuple[str, str]

SHOWN, OLD, ALTNAME = "BTC/USD", "XBT/USD", "XBTUSD"
SPELLINGS = (ALTNAME, "XXBTZUSD", SHOWN, OLD, "BTCUSD", "xbtusd")
FEE_CREDITS = "FEE"  # in balances, but only good for fees
_TOLERANCE = Decimal("0.02")  # prices move between two calls


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """One public reply, unchanged: its errors, and its result beside them."""

    errors: tuple[str, ...] = ()
    result: Any = None


def read_names(answers: Mapping[str, PublicAnswer]) -> Reading:
    """By the answer of AssetPairs to each spelling of one pair."""
    if not _rows(answers[ALTNAME]):
        raise NotSettled(f"Kraken does not answer {ALTNAME}, so nothing can be compared.")
    words = {name: _word(name, answer) for name, answer in answers.items()}
    answer = {"refused": "refused", "echoed": "echoed"}.get(words[SHOWN], "by-id")
    return answer, "; ".join(f"{name} is {word}" for name, word in words.items()) + "."


def _word(name: str, answer: PublicAnswer) -> str:
    rows = _rows(answer)
    if not rows:
        return "refused"
    if name in rows:
        return "the id" if name.isalnum() else "echoed"
    return f"taken, and answered as {next(iter(rows))}"


def read_ticker(answer: PublicAnswer) -> Reading:
    """By Ticker's answer to one known and one unknown name."""
    if _rows(answer):
        return "kept", "The known name's row came" + (" beside the error." if answer.errors else " without an error.")
    if answer.errors:
        return "lost", "The whole call was refused."
    raise NotSettled("Neither a row nor an error came.")


def read_venues(answer: PublicAnswer) -> Reading:
    """By the whole list of AssetPairs."""
    rows = _rows(answer)
    if not rows:
        raise NotSettled("Kraken does not list its pairs now.")
    others = sum(
        ":" in name or (isinstance(row, Mapping) and row.get("execution_venue", "international") != "international")
        for name, row in rows.items()
    )
    return ("listed" if others else "not-listed"), f"{others} of {len(rows)} pairs are of another venue."


def read_post(answer: PublicAnswer) -> Reading:
    """By the answer to a public call that was sent as POST."""
    if isinstance(answer.result, Mapping) and "unixtime" in answer.result:
        return "taken", "Time answered a POST."
    if answer.errors:
        return "refused", f"Kraken said {answer.errors[0][:60]!r}."
    raise NotSettled("The answer is not a reply of Kraken's.")


def read_fee(result: Any, names: Sequence[str]) -> Reading:
    """By TradeVolume, asked with ``fee_schedule=true`` for the pair of those names."""
    if not isinstance(result, Mapping):
        raise NotSettled("Kraken's TradeVolume reply cannot be read.")
    name, own = _named(result.get("fees"), names)
    fee = _number(own.get("fee") if isinstance(own, Mapping) else None)
    active = _active(result.get("schedules"), names)
    told = f"The account pays {_plain(fee)} %" if fee is not None else "No fee is told"
    tier = f"its active tier says {_plain(active)} %" if active is not None else "no tier is marked as active"
    seen = f"{told} as a taker{f', by the name {name}' if name else ''}; {tier}."
    if fee is None and active is None:
        return "not-told", seen
    return ("in-doubt" if fee is not None and active is not None and fee != active else "told"), seen


def _named(rows: Any, names: Sequence[str]) -> tuple[str | None, Any]:
    found = (each for each in rows if each in names) if isinstance(rows, Mapping) else iter(())
    name = next(found, None)
    return name, rows[name] if name is not None else None


def _active(schedules: Any, names: Sequence[str]) -> Decimal | None:
    ladders = schedules if isinstance(schedules, list) else []
    tiers = (tier for each in ladders if isinstance(each, Mapping) and each.get("pair") in names
             for tier in _listed(each.get("tiers")))  # fmt: skip
    active = (tier for tier in tiers if isinstance(tier, Mapping) and tier.get("active") is True)
    return next((_number(tier.get("taker_fee")) for tier in active), None)


def read_auto_earn(rows: Any, equivalent: Any, prices: Mapping[str, Decimal]) -> Reading:
    """By BalanceEx and the equivalent balance of TradeBalance, both in one currency.

    `prices` are of one unit of each asset, by plain name, in that currency.
    """
    apart, base = _worth(rows, prices)
    earn = apart - base
    if not earn:
        raise NotSettled("The account has no Auto-Earn row with money in it.")
    whole, slack = _number(equivalent), _TOLERANCE * apart
    if whole is None:
        raise NotSettled("TradeBalance does not tell the equivalent balance.")
    if earn <= 4 * slack:
        raise NotSettled("What the Auto-Earn rows hold is too little beside the rest to be told apart.")
    if abs(whole - apart) <= slack:
        return "apart", "The equivalent balance is that of both rows together."
    if abs(whole - base) <= slack:
        return "in-base", "The equivalent balance is that of the assets' own rows alone."
    raise NotSettled("The equivalent balance fits neither reading.")


def earning(rows: Any) -> dict[str, tuple[Decimal, Decimal]]:
    """The amounts of an asset's own row and of its Auto-Earn row, by plain name; other rows are not in it."""
    table = AssetTable.shipped()
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for name, row in rows.items() if isinstance(rows, Mapping) else ():
        plain, bucket = table.locate(name)
        amount = row.get("balance") if isinstance(row, Mapping) else None
        more = _number(amount)
        if more is not None and bucket in (Bucket.SPOT, Bucket.EARN_AUTO) and plain != FEE_CREDITS:
            base, earn = found.get(plain, (Decimal(0), Decimal(0)))
            found[plain] = (base + more, earn) if bucket is Bucket.SPOT else (base, earn + more)
    return {plain: amounts for plain, amounts in found.items() if any(amounts)}


def _worth(rows: Any, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
    amounts = earning(rows)
    unknown = sorted(amounts.keys() - prices.keys())
    if unknown:
        raise NotSettled(f"The price of {', '.join(unknown[:5])} is not known.")
    base = sum((own * prices[name] for name, (own, _) in amounts.items()), Decimal(0))
    return base + sum((earn * prices[name] for name, (_, earn) in amounts.items()), Decimal(0)), base


def wallets_of(result: Any) -> list[str]:
    """The ids of the wallets in a ListWalletAccounts reply. They are personal: they go into no text and no file."""
    rows = result.get("accounts") if isinstance(result, Mapping) else result
    return [str(row["account_id"]) for row in _listed(rows) if isinstance(row, Mapping) and row.get("account_id")]


def read_wallets(plain: Any, each: Iterable[Any]) -> Reading:
    """By Balance without a wallet's id, and with the id of each wallet."""
    whole, parts = _amounts(plain), [_amounts(one) for one in each]
    together: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            together[name] = together.get(name, Decimal(0)) + amount
    seen = f"The account has {len(parts)} wallets."
    if all(part == parts[0] for part in parts):  # Kraken ignored the id, so the wallets cannot be distinguished
        return "several", seen
    if whole == together:
        return "several-all", seen
    return ("several-some" if whole in parts else "several"), seen


def _amounts(balance: Any) -> dict[str, Decimal]:
    rows = balance.items() if isinstance(balance, Mapping) else ()
    return {name: Decimal(amount) for name, amount in rows if is_amount(amount) and Decimal(amount)}


def _rows(answer: PublicAnswer) -> Mapping[str, Any]:
    return answer.result if isinstance(answer.result, Mapping) else {}


def _number(value: Any) -> Decimal | None:
    return Decimal(value) if is_amount(value) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(percent: Decimal) -> str:
    text = format(percent, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
