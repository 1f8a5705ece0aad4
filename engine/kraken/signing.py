"""Request bodies and their signatures.

Kraken signs ``path + SHA256(nonce + body)`` with HMAC-SHA512 under the decoded secret (its authentication guide).
The signature covers the exact bytes of the body, so a body is built once and sent unchanged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

from engine.errors import CallNotSent, ConfigError
from engine.kraken.endpoints import Endpoint
from engine.values import Secret
from engine.values.dataclass import dataclass

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Signer:
    """Signs the calls of one API key. Any thread may use it; it shows nothing of the secret or the key.

    Raises `ConfigError` when the secret is not base64.
    """

    __slots__ = ("_inner", "_key", "_outer")

    def __init__(self, secret: Secret, key: Secret = Secret("")) -> None:  # noqa: B008 - frozen
        self._inner, self._outer = _hmac_sha512(_decoded(secret))
        self._key = key.reveal()

    def headers(self, path: str, body: bytes, nonce: int, content_type: str) -> dict[str, str]:
        """The headers of one call: the key, the signature and the type of the body."""
        return {"API-Key": self._key, "API-Sign": self.sign(path, body, nonce), "Content-Type": content_type}

    def sign(self, path: str, body: bytes, nonce: int) -> str:
        """The ``API-Sign`` header. `body` is what is sent, with the same nonce in it."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(path.encode("ascii") + hashlib.sha256(b"%d%b" % (nonce, body)).digest())
        outer.update(inner.digest())
        return binascii.b2a_base64(outer.digest(), newline=False).decode("ascii")

    def __repr__(self) -> str:
        return "Signer(***)"

    def __reduce__(self) -> str:
        raise TypeError("a Signer holds a secret, so it cannot be pickled")


def sign(path: str, body: bytes, nonce: int, secret: Secret) -> str:
    """The ``API-Sign`` header of one call; a `Signer` does it faster for many."""
    return Signer(secret).sign(path, body, nonce)


@dataclass(frozen=True, slots=True)
class Body:
    """The parameters of a call, encoded and waiting for their nonce.

    It is encoded before the nonce is drawn, so that no nonce is spent on parameters that cannot be sent.
    """

    content_type: str
    before_nonce: bytes = field(repr=False)
    after_nonce: bytes = field(repr=False)

    def with_nonce(self, nonce: int) -> bytes:
        """The bytes to sign and to send."""
        return b"%b%d%b" % (self.before_nonce, nonce, self.after_nonce)

    def with_deadline(self, moment: float) -> Body:
        """With a ``deadline``, in Unix seconds: at the end, or in place of the one that is there."""
        text = rfc3339(moment)
        added = _json_with if self.content_type == JSON else _form_with
        return Body(self.content_type, self.before_nonce, added(self.after_nonce, "deadline", text))


def encode(endpoint: Endpoint, params: Mapping[str, object], *, otp: Secret | None = None) -> Body:
    """Encode a private call's parameters, in their order, behind the nonce and the `otp`.

    ``validate=False`` is left out: in form text Kraken has read even ``false`` as "validate only".

    Raises `CallNotSent` for a `nonce` among them and for a value that cannot be encoded.
    """
    if not params and otp is None:
        return _NO_JSON if endpoint.json else _NO_FORM
    sent: dict[str, object] = {} if otp is None else {"otp": otp.reveal()}
    sent |= {k: v for k, v in params.items() if not (k == "validate" and v is False)}
    if endpoint.json:
        text = encode_json(sent)
        return Body(JSON, _NONCE, b'"}' if text == b"{}" else b'",' + text[1:])
    text = encode_form(sent)
    return Body(FORM, b"nonce=", b"&" + text if text else b"")


_NONCE = b'{"nonce":"'
_NO_FORM, _NO_JSON = Body(FORM, b"nonce=", b""), Body(JSON, _NONCE, b'"}')


def _form_with(encoded: bytes, name: str, value: str) -> bytes:
    """A form behind its nonce with one more parameter, whose name has nothing to quote."""
    begin = f"{name}=".encode()
    parts, added = encoded.split(b"&"), begin + _quoted(value, quote_plus, "").encode()
    is_there = any(each.startswith(begin) for each in parts)
    return b"&".join([added if each.startswith(begin) else each for each in parts] + ([] if is_there else [added]))


def _json_with(encoded: bytes, name: str, value: str) -> bytes:
    """A JSON object behind its nonce with one more member."""
    return _json_text({**json.loads(_NONCE + encoded), name: value})[len(_NONCE) :]


def rfc3339(unix: float) -> str:
    """A moment as Kraken's ``deadline`` takes it, to the millisecond."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_form(params: Mapping[str, object]) -> bytes:
    """Encode parameters as a form or a query string, without a nonce.

    Brackets in names stay as they are, because Kraken's names are literal: ``close[ordertype]``. A `None` is
    left out; a list becomes comma-separated; a number is never written with an exponent.

    Raises `CallNotSent` for a `nonce` among them and for a value that is not a text, a number, a boolean or a list of
    them.
    """
    pairs = ((_name(k), _written(k, v)) for k, v in params.items() if v is not None)
    return "&".join([f"{_quoted(k, quote, '[]')}={_quoted(v, quote_plus, '')}" for k, v in pairs]).encode("ascii")


def encode_json(params: Mapping[str, object]) -> bytes:
    """Encode parameters as a JSON object, without a nonce.

    Decimals and floats become strings, so that no digit is lost. A `None` is left out wherever it is the value
    of a name. Raises `CallNotSent` like `encode_form`; here lists and mappings may be nested.
    """
    body = {_name(k): _nested(k, v, _DEEPEST) for k, v in params.items() if v is not None}
    return _json_text(body)


def _json_text(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _quoted(text: str, quoting: Callable[..., str], safe: str) -> str:
    """What a form has for a text; most have nothing to quote, and are not looked at sign by sign."""
    return text if text.isascii() and text.isalnum() else quoting(text, safe=safe)


_DEEPEST = 8  # AddOrderBatch, Kraken's deepest body, needs 4; a list that contains itself must end
_BLOCK = 128  # bytes that SHA-512 takes at once
_INNER, _OUTER = (bytes(each ^ pad for each in range(256)) for pad in (0x36, 0x5C))
_LONGEST = 400  # digits of a number: far more than any amount has


def _hmac_sha512(key: bytes) -> tuple[Any, Any]:
    """The two hashes of an HMAC (RFC 2104) with the key in them: for each message quicker than an object of hmac."""
    block = (key if len(key) <= _BLOCK else hashlib.sha512(key).digest()).ljust(_BLOCK, b"\0")
    return hashlib.sha512(block.translate(_INNER)), hashlib.sha512(block.translate(_OUTER))


def _decoded(secret: Secret) -> bytes:
    try:
        return base64.b64decode(secret.reveal(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("The API secret is not base64: copy it again as Kraken showed it.") from None


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise CallNotSent("The name of a parameter has to be a text that is not empty.")
    if name == "nonce":
        raise CallNotSent("The engine draws the nonce itself: leave 'nonce' out of the parameters.")
    return _text(name, name)


def _written(name: str, value: object) -> str:
    """A value as form text: a scalar, or a list of scalars with commas between them."""
    if isinstance(value, list | tuple):
        return ",".join(_scalar(name, item) for item in value)
    return _scalar(name, value)


def _nested(name: str, value: object, depth: int) -> object:
    """A value as JSON takes it."""
    if depth == 0:
        raise _refused(name, "is nested too deeply")
    if isinstance(value, Mapping):
        items = ((_name(k), v) for k, v in value.items() if v is not None)
        return {k: _nested(name, v, depth - 1) for k, v in items}
    if isinstance(value, list | tuple):
        return [_nested(name, item, depth - 1) for item in value]
    if isinstance(value, bool):
        return value
    text = _scalar(name, value)
    return int(text) if isinstance(value, int) else text


def _scalar(name: str, value: object) -> str:
    match value:
        case str():
            return _text(name, value)
        case bool():
            return "true" if value else "false"
        case int():
            return _plain(name, Decimal(value))
        case float():
            return _plain(name, Decimal(float.__repr__(value)))
        case Decimal():
            return _plain(name, value)
        case _:
            raise _refused(name, f"cannot be sent as a {type(value).__name__}")


def _text(name: str, value: str) -> str:
    """The text as a plain `str`, without an enum around it."""
    try:
        return value.encode().decode()
    except UnicodeEncodeError:
        raise _refused(name, "holds half a character (a lone surrogate)") from None


def _plain(name: str, value: Decimal) -> str:
    """The number in plain digits, exactly."""
    if not value.is_finite():
        raise _refused(name, "is not a number")
    if len(value.as_tuple().digits) > _LONGEST or abs(value.adjusted()) > _LONGEST:
        raise _refused(name, "is too large or too small to be an amount")
    return format(value, "f")


def _refused(name: object, why: str) -> CallNotSent:
    return CallNotSent(f"Parameter {str(name)[:64]!r} {why}, so nothing was sent.")
