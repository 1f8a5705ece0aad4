"""The API call in a request, parsed as the exchange parses it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from engine.simulator.wire import Request

_PATH = re.compile(r"/0/(public|private)/((?:Earn/)?[A-Za-z0-9]+)")
_METHODS = {"public": "GET", "private": "POST"}


class ApiCall(NamedTuple):
    """One call, as it arrived.

    private, endpoint: which call; a path that is not one of an API call is the endpoint as a whole.
    path: what the signature covers besides the nonce and the body.
    params: the parameters without nonce; `None` when the body could not be read.
    nonce: the text of the nonce in the body, or `None`.
    key, sign: the two headers, empty when missing.
    body: the exact bytes that came.
    fits: the HTTP method is the one for this kind of call.
    """

    private: bool
    endpoint: str
    path: str
    params: dict[str, Any] | None
    nonce: str | None
    key: str
    sign: str
    body: bytes
    fits: bool

    @classmethod
    def of(cls, request: Request) -> ApiCall:
        """Parse a request; nothing is checked."""
        path, _, query = request.target.partition("?")
        match = _PATH.fullmatch(path)
        kind, endpoint = match.groups() if match else ("public", path)
        private = kind == "private"
        params = _body_params(request) if private or request.method == "POST" else _form(query)
        nonce = params.pop("nonce", None) if params and private else None
        return cls(
            private=private,
            endpoint=endpoint,
            path=path,
            params=params,
            nonce=nonce if isinstance(nonce, str) else None,
            key=request.headers.get("api-key", ""),
            sign=request.headers.get("api-sign", ""),
            body=request.body,
            fits=request.method == _METHODS[kind],
        )

    def is_signed_with(self, secret: str) -> bool:
        """Check API-Sign over the exact bytes of the body."""
        prefix = (self.nonce or "").encode()
        message = self.path.encode() + hashlib.sha256(prefix + self.body).digest()
        digest = hmac.new(base64.b64decode(secret), message, hashlib.sha512).digest()
        return hmac.compare_digest(base64.b64encode(digest), self.sign.encode("latin-1", "replace"))


def _body_params(request: Request) -> dict[str, Any] | None:
    declared = request.headers.get("content-type", "application/x-www-form-urlencoded")
    read = _READERS.get(declared.partition(";")[0].strip().lower())
    try:
        return read(request.body.decode()) if read else None
    except ValueError:
        return None


def _form(text: str) -> dict[str, Any]:
    return dict(parse_qsl(text, keep_blank_values=True))


def _json(text: str) -> dict[str, Any]:
    # Numbers stay text, so that an amount reads the same whichever way it was written.
    found = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("a body of parameters is an object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_READERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "application/x-www-form-urlencoded": _form,
    "application/json": _json,
}
