"""What a client of the gateway asks for, read from its request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

PARAMETERS_AT_MOST = 1_000


class Unreadable(ValueError):
    """The body is neither a form nor a JSON object, or names a parameter twice."""

    def __init__(self) -> None:
        super().__init__("The body is not what its Content-Type says, a form or a JSON object, or has a name twice.")


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """The parameters of one signed call; `nonce` is `None` if it is missing or not a whole number."""

    nonce: int | None
    params: Mapping[str, Any]


def read_body(body: bytes, content_type: str) -> GatewayRequest:
    """Read a body as Kraken does: JSON if the content type says so, else a form. Raises `Unreadable`."""
    params = _json(body) if content_type.partition(";")[0].strip().lower() == "application/json" else _form(body)
    nonce = params.pop("nonce", None)
    params.pop("otp", None)  # the engine adds the real one; the gateway's own keys have none
    return GatewayRequest(_number(nonce), params)


def read_query(text: str) -> dict[str, str]:
    """The parameters of a public call. Raises `Unreadable`."""
    return _form(text.encode())


def _number(nonce: Any) -> int | None:
    if isinstance(nonce, bool):
        return None
    text = str(nonce)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 and str(int(text)) == text else None


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), errors="strict",
            max_num_fields=PARAMETERS_AT_MOST,
        )  # fmt: skip
    except ValueError:
        raise Unreadable from None
    return _distinct(pairs)


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_float=Decimal, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(value, dict):
        raise Unreadable
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable
    return found
