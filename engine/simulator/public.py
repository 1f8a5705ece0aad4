"""The public endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from engine.simulator.market import Row, asset_rows, pair_rows, ticker_rows
from engine.simulator.refusal import Refused

STATUSES = frozenset({"online", "maintenance", "cancel_only", "post_only"})

Params = Mapping[str, Any]


class PublicDesk:
    """Answers public calls. `wall` is the exchange's clock."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.status = "online"
        self.endpoints: Mapping[str, Callable[[Params], Any]] = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": _assets,
            "AssetPairs": _asset_pairs,
            "Ticker": _ticker,
        }

    def _time(self, _: Params) -> dict[str, Any]:
        now = int(self._wall())
        date = formatdate(now, usegmt=True)  # Tue, 11 Nov 2025 00:17:04 GMT
        return {"unixtime": now, "rfc1123": f"{date[:12]}{date[14:25]} +0000"}

    def _system_status(self, _: Params) -> dict[str, str]:
        now = datetime.fromtimestamp(int(self._wall()), UTC)
        return {"status": self.status, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}


def _assets(params: Params) -> dict[str, Row]:
    if params.get("aclass", "currency") != "currency":
        return {}
    return _known(asset_rows(_names(params, "asset")), "EQuery:Unknown asset")


def _asset_pairs(params: Params) -> dict[str, Row]:
    return _known(pair_rows(_names(params, "pair")), "EQuery:Unknown asset pair")


def _ticker(params: Params) -> dict[str, Row]:
    return _known(ticker_rows(_names(params, "pair")), "EQuery:Unknown asset pair")


def _names(params: Params, name: str) -> Iterable[str] | None:
    return params[name].split(",") if name in params else None


def _known(rows: dict[str, Row] | None, otherwise: str) -> dict[str, Row]:
    if rows is None:
        raise Refused(otherwise)
    return rows
