"""Findings on an API key, from what Kraken says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from engine.doctor.finding import Finding, bad, ok, skipped, warn
from engine.kraken.endpoints import PERMISSIONS, PRIVATE
from engine.kraken.key_info import KeyInfo
from engine.values import Settings

EXPIRES_SOON = 14 * 86_400.0  # seconds
_LAST = 253_402_300_799  # the end of the year 9999

_PAGE = "on Kraken's API page (Settings, API)"
_MOVE_MONEY = frozenset({"withdraw-funds", "add-withdraw-address", "update-withdraw-address"})


def key_findings(account: str, info: KeyInfo, settings: Settings, now: float) -> Iterator[Finding]:
    """What an accepted key may and may not do. `now` is in Unix seconds."""
    named = f" It is called '{info.name}' there." if info.name else ""
    yield ok("key", f"Kraken takes the key and its signature.{named}", account)
    if info.permissions is None:
        yield skipped("permissions", "Kraken's reply does not name them", account)
    else:
        yield _permissions(account, info.permissions)
        yield _withdrawals(account, info.permissions, settings)
        yield _websocket(account, info.permissions, settings)
    yield from _orders(account, info)
    yield _unless_unknown("nonce-window", account, info.window, _window)
    yield _unless_unknown("expiry", account, info.valid_until, lambda name, until: _expiry(name, until, now))
    yield _unless_unknown("addresses", account, info.addresses, _addresses)


def _unless_unknown(
    check: str, account: str, value: int | None, judge: Callable[[str, int], Finding]
) -> Finding:
    return skipped(check, "Kraken's reply does not say", account) if value is None else judge(account, value)


def _permissions(account: str, granted: frozenset[str]) -> Finding:
    can = {name: PRIVATE[name].allowed(granted) for name in ("BalanceEx", "AddOrder", "OpenOrders", "ClosedOrders")}
    if not can["BalanceEx"]:
        needed = PERMISSIONS["query-funds"]
        return bad(
            "permissions", "The key may not read balances, so its account can never be available.",
            f"Give it the permission '{needed}' {_PAGE}.", account,
        )  # fmt: skip
    if can["AddOrder"] and not (can["OpenOrders"] and can["ClosedOrders"]):
        needed = f"'{PERMISSIONS['query-open-trades']}' and '{PERMISSIONS['query-closed-trades']}'"
        return warn(
            "permissions", "The key may place orders, but not look up what became of them.",
            f"Give it the permissions {needed} {_PAGE}, or take away '{PERMISSIONS['modify-trades']}'.", account,
        )  # fmt: skip
    trades = "place orders and look them up" if can["AddOrder"] else "not place orders"
    return ok("permissions", f"The key may read balances, and {trades}.", account)


def _orders(account: str, info: KeyInfo) -> Iterator[Finding]:
    """Whether the engine places live orders with the key, for one that may place some."""
    if info.permissions is None or not PRIVATE["AddOrder"].allowed(info.permissions):
        return
    obstacle = info.order_obstacle
    if obstacle is None:
        yield ok("orders", "The engine places orders with this key: it can find out what became of each.", account)
    else:
        what, remedy = obstacle
        yield warn("orders", f"The engine places no orders with this key: {what}.", f"{remedy} {_PAGE}.", account)


def _withdrawals(account: str, granted: frozenset[str], settings: Settings) -> Finding:
    if not granted & _MOVE_MONEY:
        return ok("withdrawals", "The key cannot withdraw.", account)
    if settings.allow_withdrawals:
        return ok("withdrawals", "The key can withdraw, and [settings] allow_withdrawals wants it to.", account)
    return warn(
        "withdrawals", "The key can withdraw funds or change where they may go, and whoever gets hold of it can too.",
        f"Take every permission for withdrawals away from it {_PAGE}: the engine needs none.", account,
    )  # fmt: skip


def _websocket(account: str, granted: frozenset[str], settings: Settings) -> Finding:
    """Push needs it, and nothing else does."""
    if PRIVATE["GetWebSocketsToken"].allowed(granted):
        return ok("websocket", "The key may open Kraken's WebSocket, which push needs.", account)
    needed = PERMISSIONS["create-ws-token"]
    if settings.push:
        told = "The key may not open Kraken's WebSocket, so push is off for it; everything else works."
        return warn("websocket", told, f"Give it the permission '{needed}' {_PAGE}, or turn push off.", account)
    told = f"The key may not open Kraken's WebSocket: push would need '{needed}'. Everything else works without it."
    return ok("websocket", told, account)


def _window(account: str, window: int) -> Finding:
    if window == 0:
        return ok("nonce-window", "The nonce window is 0, as it should be.", account)
    return warn(
        "nonce-window", f"The nonce window is {window}: Kraken may still execute a call that arrives late or twice.",
        f"Set it to 0 {_PAGE}; an order can be doubled otherwise. The engine sends its calls in order.", account,
    )  # fmt: skip


def _expiry(account: str, until: int, now: float) -> Finding:
    if until == 0:
        return ok("expiry", "The key does not expire.", account)
    day = datetime.fromtimestamp(min(until, _LAST), UTC).strftime("%Y-%m-%d %H:%M UTC")
    if until - now > EXPIRES_SOON:
        return ok("expiry", f"The key expires on {day}.", account)
    when = f"expires in {(until - now) / 86_400:.1f} days, on {day}" if until > now else f"expired on {day}"
    return warn("expiry", f"The key {when}.", f"Make a new key {_PAGE}, with a later expiry or none.", account)


def _addresses(account: str, count: int) -> Finding:
    if count == 0:
        return ok("addresses", "The key may be used from any address.", account)
    many = "one address" if count == 1 else f"{count} addresses or ranges"
    return warn(
        "addresses", f"The key is bound to {many}, and this machine's is among them now.",
        f"That is safe as long as the address stays. Before it changes, put the new one on the list {_PAGE}.", account,
    )  # fmt: skip
