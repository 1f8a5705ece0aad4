"""What Kraken answered: a result, or exactly one typed error (promises G5 and G6).

Nothing is guessed. A result is only what came in a readable envelope without an error; a refusal is only what
Kraken is known to send when it has done nothing. All else, for a call that writes, is unknown.

What each error string means stands in `refusals`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from engine.errors import CallError, CallRefused, CallUnknown, InvalidArguments, RateLimited, UnknownMethod
from engine.kraken.endpoints import Endpoint
from engine.kraken.refusals import LOCKOUT_SECONDS, UNLISTED, Effect, Meaning, meaning_of, normal
from engine.kraken.strict_json import read_strictly


@dataclass(frozen=True, slots=True)
class Reply:
    """A good reply: Kraken's `result` as it came, floats as exact `Decimal`, and the warnings beside it.

    missing: the errors beside it that say why a name which was asked for has no row (`Endpoint.by_row`).
    """

    result: Any
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def read_reply(status: int, body: bytes, endpoint: Endpoint, *, now: float | None = None) -> Reply:
    """Read one HTTP answer of Kraken's.

    `now` is the wall clock in Unix seconds; with it, a throttled call says how long to wait.

    Guarantees: returns a `Reply` or raises a `CallRefused` or `CallUnknown`, never anything else, whatever the bytes
    are; a reply with an error in it never becomes a `Reply`, but where the error is about a name that was asked for and
    the rows of others stand beside it (`Endpoint.by_row`). Errors name the endpoint, and no account.
    """
    try:
        return _read(status, body, endpoint, now)
    except CallError as error:
        raise error.about(None, endpoint.name) from None


# --- the envelope ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Envelope:
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    result: Any


def _read(status: int, body: bytes, endpoint: Endpoint, now: float | None) -> Reply:
    if not (200 <= status < 300 or 400 <= status < 500):
        _raise_unknown(endpoint, f"{_STATUS.get(status // 100, 'HTTP')} {status} and {_what_came(body)}")
    envelope = _envelope(body)
    if envelope is None:
        _raise_unreadable(status, body, endpoint)
    is_partial = _is_partial(envelope, endpoint)
    if envelope.errors and not is_partial:
        _raise_error(envelope, endpoint, now)
    if status >= 300:
        _raise_unknown(endpoint, f"HTTP {status} without an error in it")
    if not isinstance(envelope.result, endpoint.shape):
        _raise_unknown(endpoint, f"no error, and {_JSON_NAMES.get(type(envelope.result), 'something')} as its result")
    return Reply(envelope.result, envelope.warnings, envelope.errors if is_partial else ())


def _is_partial(envelope: _Envelope, endpoint: Endpoint) -> bool:
    """Whether errors beside rows are only about other names: Ticker was seen to answer an unknown pair like that.

    A fault of Kraken's is about every row, so then none counts; and of a private reply nothing counts but a whole one.
    """
    return endpoint.by_row and bool(envelope.result) and all(_is_about_a_name(code) for code in envelope.errors)


def _is_about_a_name(code: str) -> bool:
    meaning = meaning_of(code)
    return normal(code).startswith("equery:") or (meaning is not None and meaning.error is InvalidArguments)


_STATUS = {3: "a redirect, which is not followed, HTTP", 5: "a failure of Kraken's servers, HTTP"}
_JSON_NAMES: Mapping[type, str] = {
    type(None): "nothing",
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    Decimal: "a number",
}


def _envelope(body: bytes) -> _Envelope | None:
    """Kraken's envelope, or `None` when the body is not one."""
    try:
        value = read_strictly(body)
    except (ValueError, ArithmeticError, RecursionError):
        return None
    entries = value.get("error") if isinstance(value, dict) else None
    entries = [entries] if isinstance(entries, str) else entries  # seen: {"error":"EFunding:No funding method"}
    if not isinstance(entries, list) or len(entries) > _MOST_ERRORS:
        return None
    if not all(isinstance(e, str) and 0 < len(e) <= _LONGEST_ERROR and e.strip() for e in entries):
        return None
    entries = [_TOKEN.sub("…", e) for e in entries]  # what the server repeats of a request may be the key
    warnings = tuple(e for e in entries if e.startswith("W"))
    return _Envelope(tuple(e for e in entries if not e.startswith("W")), warnings, value.get("result"))


def _raise_unreadable(status: int, body: bytes, endpoint: Endpoint) -> NoReturn:
    """No envelope came. A read that was turned away at the door changed nothing, so it may say so."""
    turned_away = None if endpoint.writes else _TURNED_AWAY.get(status)
    if turned_away is None:
        _raise_unknown(endpoint, f"HTTP {status} and {_what_came(body)}")
    error, why = turned_away
    raise error(f"{endpoint.name} got HTTP {status} and {_what_came(body)}: {why}.")


_TURNED_AWAY: Mapping[int, tuple[type[CallRefused], str]] = {
    404: (UnknownMethod, "this server has no such endpoint"),
    429: (RateLimited, "too many calls came from here, so wait before the next one"),
}


_MOST_ERRORS, _LONGEST_ERROR = 100, 10_000  # Kraken sends one or two, of a line at most


# --- errors ---------------------------------------------------------------------------------------------------


def _raise_error(envelope: _Envelope, endpoint: Endpoint, now: float | None) -> NoReturn:
    """Raise what Kraken's errors mean together: an unknown effect outweighs a refusal, else the first decides."""
    known = [(code, meaning_of(code)) for code in envelope.errors]
    open_ = [code for code, meaning in known if meaning is None or meaning.effect is Effect.UNKNOWN]
    waits = [wait for code, meaning in known if (wait := _wait(code, meaning, now)) is not None]
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
    so = "it may have been done, so look before trying again" if endpoint.writes else "nothing can be learnt from it"
    sentence = f"{endpoint.name} was answered with {came}: {so}."
    raise CallUnknown(sentence, kraken_code=kraken_code, retry_after=retry_after)


def _wait(code: str, meaning: Meaning | None, now: float | None) -> float | None:
    """Seconds until another try makes sense, where Kraken says so or it is known."""
    until = _THROTTLED.match(normal(code))
    if until is None or now is None:
        return None if meaning is None else meaning.retry_after
    return min(max(float(until[1]) - now, 0.0), LOCKOUT_SECONDS)  # a wrong clock of ours must not mean hours


_THROTTLED = re.compile(r"eservice:throttled:([0-9]{1,12})(?![0-9])")


# --- what a person reads --------------------------------------------------------------------------------------

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{24,}")


def _what_came(body: bytes) -> str:
    """Name a body that could not be used, without repeating anything that may be secret (promise G11).

    JSON is not quoted: a broken reply of GetWebSocketsToken holds a token. Long words are left out of all else.
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
