"""The gateway's responses: Kraken's envelope, and the gateway's own refusals in the words that Kraken has for the same.

A client reads from Kraken's words what it may do next: wait, give up, or fix the call. Why the engine refuses it is
told besides, as a sentence in the header ``X-Engine-Refusal``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from engine.errors import CallUnknown, EngineError
from engine.kraken.json_text import written
from engine.kraken.refusal_words import code_of, is_own

HEADER = "X-Engine-Refusal"
LONGEST = 500  # characters of a sentence in the header


def done(result: Any, warnings: Sequence[str] = ()) -> Response:
    """An unchanged result, with Kraken's warnings beside it."""
    return _json(f'{{"error":{json.dumps(list(warnings)) if warnings else "[]"},"result":{written(result)}}}')


def refusal(code: str, sentence: str = "") -> Response:
    """An error of Kraken's, or with a sentence one of the engine's in the same form."""
    response = _json(f'{{"error":[{json.dumps(code)}]}}')
    if sentence:
        plain = " ".join(sentence.split()).encode("ascii", "replace").decode()
        response.headers[HEADER] = plain[:LONGEST]
    return response


def failure(error: EngineError) -> Response:
    """A call that was not done.

    An unknown outcome is HTTP 504 without an error list: an error would tempt a client to send the call again.
    """
    if isinstance(error, CallUnknown):
        return Response("The outcome is unknown: look it up before anything is sent again.\n", 504,
                        media_type="text/plain")  # fmt: skip
    return refusal(code_of(error), str(error) if is_own(error) else "")


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
