"""What Kraken answered: a result, or exactly one typed error (promises G5 and G6).

Nothing is guessed. Only a readable envelope without an error is a result; only what Kraken is known to send when it has
done nothing is a refusal. For a call that writes, everything else is unknown.

`refusals` says what each error string means.

Required of a reply: unambiguous JSON, its ``error``, and a ``result`` of the endpoint's shape; without one of them the
reply is unusable. All other fields are ignored, and noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from engine.errors import (
    CallError,
    CallRefused,
    CallUnknown,
    InvalidArguments,
    NoResult,
    RateLimited,
    UnknownMethod,
)
from engine.kraken.drift import NEW, ODD, Note, field_name, unnoted
from engine.kraken.endpoints import CallClass, Endpoint
from engine.kraken.refusals import UNLISTED, Effect, category, meaning_of, normal
from engine.kraken.strict_json import read_strictly
from engine.kraken.waits import TOO_MANY_REQUESTS, wait_in_error, wait_in_header

OK = 200
PARTIAL_CONTENT = 206  # HTTP; a part of a reply, however well it reads


class KrakenReply(NamedTuple):
    """A good reply: Kraken's unchanged `result`, floats as exact `Decimal`, and the warnings beside it.

    missing: the errors beside it, which say why a requested name has no row (`Endpoint.by_row`).
    """

    result: Any
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def read_reply(
    status: int, body: bytes, endpoint: Endpoint, *,
    now: float | None = None, retry_after: str | None = None, note: Note = unnoted,
) -> KrakenReply:  # fmt: skip
    """Read one HTTP answer of Kraken's.

    `now` is the wall clock in Unix seconds; with it, a throttled call says how long to wait. `retry_after` is the
    header of that name. `note` is told of fields beside ``error`` and ``result``, of a result of another shape than
    the endpoint's, and of errors that are not in the table (field ``error``, with the category where that is known).

    Guarantees: returns a `KrakenReply` or raises a `CallRefused` or `CallUnknown`, never anything else, whatever the
    bytes are; a reply with an error in it never becomes a `KrakenReply`, but where the error is about a name that was
    asked for and the rows of others stand beside it (`Endpoint.by_row`). Errors name the endpoint, and no account. A
    reply that has neither an error nor a result is a `NoResult`. After an HTTP 429, which no page of Kraken's names and
    a server in between may send, `CallError.retry_after` is at least a second; a write may have been done then, unless
    an error of Kraken's in the body says that it was not. The same holds for any other status of 4xx, such as 408 and
    425.
    """
    try:
        value = _value(body)
        if status == OK and _is_plain(value, endpoint):
            return KrakenReply(value["result"])
        return _read(status, body, value, endpoint, now, note)
    except CallError as error:
        if status == TOO_MANY_REQUESTS:
            error.retry_after = max(error.retry_after or 0.0, wait_in_header(retry_after, now))
        raise error.about(None, endpoint.name) from None


_UNREADABLE = object()


def _value(body: bytes) -> Any:
    """The JSON value of a body, or `_UNREADABLE`."""
    try:
        return read_strictly(body)
    except (ValueError, ArithmeticError, RecursionError):
        return _UNREADABLE


def _is_plain(value: Any, endpoint: Endpoint) -> bool:
    """Whether a reply has nothing but a result of the right shape, as nearly all have."""
    return (
        isinstance(value, dict) and len(value) == len(_FIELDS) and value.get("error") == []
        and isinstance(value.get("result", _UNREADABLE), endpoint.shape)
    )  # fmt: skip


# --- the envelope ---------------------------------------------------------------------------------------------


class _Envelope(NamedTuple):
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    result: Any
    has_result: bool


def _read(
    status: int, body: bytes, value: Any, endpoint: Endpoint, now: float | None, note: Note
) -> KrakenReply:  # fmt: skip
    is_whole = 200 <= status < 300 and status != PARTIAL_CONTENT
    if not (is_whole or 400 <= status < 500):
        _raise_unknown(endpoint, f"{_STATUS.get(status // 100, 'HTTP')} {status} and {_what_came(body)}")
    envelope = _envelope(value, note)
    if envelope is None:
        _raise_unreadable(status, body, endpoint)
    is_partial = bool(envelope.errors) and _is_partial(envelope, endpoint)
    if envelope.errors and not is_partial:
        _raise_error(envelope, endpoint, now)
    if status >= 300:
        _raise_unknown(endpoint, f"HTTP {status} without an error in it")
    if envelope.result is None and not (envelope.has_result and _NULL in endpoint.shape):
        _raise_no_result(endpoint)
    if not isinstance(envelope.result, endpoint.shape):
        note("result", ODD)
        _raise_unknown(endpoint, f"no error, and {_JSON_NAMES.get(type(envelope.result), 'something')} as its result")
    return KrakenReply(envelope.result, envelope.warnings, envelope.errors if is_partial else ())


def _is_partial(envelope: _Envelope, endpoint: Endpoint) -> bool:
    """Whether errors beside rows are only about other names, as Ticker answers for an unknown pair.

    A fault at Kraken concerns every row, so then none counts; a private reply counts only as a whole.
    """
    return endpoint.by_row and bool(envelope.result) and all(_is_about_a_name(code) for code in envelope.errors)


def _is_about_a_name(code: str) -> bool:
    meaning = meaning_of(code)
    return normal(code).startswith("equery:") or (meaning is not None and meaning.error is InvalidArguments)


_STATUS = {3: "a redirect, which is not followed, HTTP", 5: "a failure of Kraken's servers, HTTP"}
_NULL = type(None)
_JSON_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    Decimal: "a number",
}


def _raise_no_result(endpoint: Endpoint) -> NoReturn:
    """Seen of accounts that were never funded; that cannot be told from a fault at Kraken."""
    why = "it is a fault of Kraken's"
    if not endpoint.public and not endpoint.writes:
        why = f"the account was never funded, or {why}"
    came = f"neither an error nor a result, which means that {why}"
    raise NoResult(f"{endpoint.name} was answered with {came}: {_advice(endpoint)}.")


def _envelope(value: Any, note: Note) -> _Envelope | None:
    """Kraken's envelope, or `None` when the value is not one."""
    entries = value.get("error") if isinstance(value, dict) else None
    entries = [entries] if isinstance(entries, str) else entries  # seen: {"error":"EFunding:No funding method"}
    if not isinstance(entries, list) or len(entries) > _MOST_ERRORS:
        return None
    if not all(isinstance(e, str) and 0 < len(e) <= _LONGEST_ERROR and e.strip() for e in entries):
        return None
    entries = [_TOKEN.sub("…", e) for e in entries]  # the server may repeat the key
    warnings = tuple(e for e in entries if _WARNING.match(e))
    errors = tuple(e for e in entries if not _WARNING.match(e))
    for field in _new_in(value, errors):
        note(field, NEW)
    return _Envelope(errors, warnings, value.get("result"), "result" in value)


def _new_in(value: Mapping[str, Any], errors: Iterable[str]) -> Iterable[str]:
    """The unknown parts of an envelope; never the text of an error, which may repeat what was sent."""
    yield from (field_name(name) for name in list(value.keys() - _FIELDS)[:_MOST_NEW])
    for kind in {category(code) for code in errors if meaning_of(code) is None}:
        yield f"error.{kind}" if kind else "error"


_FIELDS = frozenset({"error", "result"})
_WARNING = re.compile("W[A-Z][A-Za-z]* ?:")  # anything else counts as an error
_MOST_NEW = 10  # fields noted per envelope; more would take the lane's time


def _raise_unreadable(status: int, body: bytes, endpoint: Endpoint) -> NoReturn:
    """Raise for a reply without an envelope. A refused read has changed nothing, so it is a refusal."""
    refusal = None if endpoint.writes else _HTTP_REFUSALS.get(status)
    if refusal is None:
        fast = ", as Kraken answers who asks too fast" if endpoint.public and status < 300 and not body.strip() else ""
        _raise_unknown(endpoint, f"HTTP {status} and {_what_came(body)}{fast}")
    error, why = refusal
    raise error(f"{endpoint.name} got HTTP {status} and {_what_came(body)}: {why}.")


_HTTP_REFUSALS: Mapping[int, tuple[type[CallRefused], str]] = {
    404: (UnknownMethod, "this server has no such endpoint"),
    TOO_MANY_REQUESTS: (RateLimited, "too many calls came from here, so wait before the next one"),
}


_MOST_ERRORS, _LONGEST_ERROR = 100, 10_000  # Kraken sends one or two, of a line at most


# --- errors ---------------------------------------------------------------------------------------------------


def _raise_error(envelope: _Envelope, endpoint: Endpoint, now: float | None) -> NoReturn:
    """Raise the error for all codes together: an unknown effect outweighs a refusal, else the first code decides."""
    known = [(code, meaning_of(code)) for code in envelope.errors]
    open_ = [code for code, meaning in known if meaning is None or meaning.effect is Effect.UNKNOWN]
    waits = [wait for code, meaning in known if (wait := wait_in_error(code, meaning, now)) is not None]
    retry_after = max(waits, default=None)
    if endpoint.writes and (open_ or envelope.result):
        code = (open_ or envelope.errors)[0]
        beside = "" if open_ else " beside a result"
        _raise_unknown(endpoint, f"{_quoted(code)}{beside}", kraken_code=code, retry_after=retry_after)
    code, meaning = known[0]
    meaning = meaning or UNLISTED
    advice = meaning.advice.replace("{permissions}", endpoint.permission_text or "that is needed")
    sentence = f"Kraken refused {endpoint.name} with {_quoted(code)}{advice and f': {advice}'}."
    raise meaning.error(sentence, kraken_code=code, retry_after=retry_after)


def _raise_unknown(
    endpoint: Endpoint, came: str, *, kraken_code: str | None = None, retry_after: float | None = None
) -> NoReturn:
    sentence = f"{endpoint.name} was answered with {came}: {_advice(endpoint)}."
    raise CallUnknown(sentence, kraken_code=kraken_code, retry_after=retry_after)


def _advice(endpoint: Endpoint) -> str:
    if endpoint.call_class is CallClass.CANCEL:
        return "it may have been done, and sending it again is harmless"
    return "it may have been done, so look before trying again" if endpoint.writes else "nothing can be learnt from it"


# --- what a person reads --------------------------------------------------------------------------------------

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{24,}")


def _what_came(body: bytes) -> str:
    """Describe an unusable body without repeating anything that may be secret (promise G11).

    JSON is not quoted: a broken reply of GetWebSocketsToken holds a token. Elsewhere long words are left out.
    """
    text = body[:4096].decode("utf-8", "replace").strip()
    if not text:
        return "an empty body"
    if text[0] in '{["':
        return f"{len(body)} bytes of JSON that are not a whole reply of Kraken's"
    title = _TITLE.search(text)
    if title is not None and title[1].strip():
        return f"an HTML page titled {_quoted(_TOKEN.sub('…', title[1]), 80)}"
    return "a page of HTML or XML" if text[0] == "<" else f"the text {_quoted(_TOKEN.sub('…', text), 80)}"


def _quoted(text: str, longest: int = 200) -> str:
    """The text in quotes, on one line, printable, and not too long."""
    line = " ".join(text[: 4 * longest].split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return f"'{line if len(line) <= longest else line[: longest - 1] + '…'}'"
