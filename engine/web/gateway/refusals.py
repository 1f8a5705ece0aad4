"""What the gateway refuses by itself: told to the client, and written to the log."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from engine.errors import EngineError
from engine.kraken.refusal_words import code_of, is_own

logger = logging.getLogger(__name__)

SAY_AGAIN = 60.0  # seconds until the same refusal is written to the log again
REMEMBERED = 1_000


class GatewayRefusal(Exception):
    """A call that the gateway itself refuses, with Kraken's error string and a sentence for a person."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class RefusalLog:
    """Writes each refusal of the gateway's to the log, the same one once in a while. Not thread-safe.

    Kraken's own refusals are the client's business and are not written here. `show` is told the same: the name of the
    gateway's key and a sentence.
    """

    def __init__(self, monotonic: Callable[[], float], show: Callable[[str, str], None]) -> None:
        self._monotonic, self._show = monotonic, show
        self._said: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def refused(self, who: str, endpoint: str, code: str, sentence: str) -> None:
        """A call was refused. `who` is the name of the gateway's key."""
        now, what = self._monotonic(), (who, endpoint, sentence)
        if now - self._said.get(what, float("-inf")) < SAY_AGAIN:
            return
        self._said[what] = now
        self._said.move_to_end(what)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        text = f"{endpoint} by {who} was refused with {code}: {sentence}"
        logger.warning("gateway: %s", text)
        self._show(who, text)

    def failed(self, who: str, endpoint: str, error: EngineError) -> None:
        """A call failed; written to the log where the engine has refused it."""
        if is_own(error):
            self.refused(who, endpoint, code_of(error), str(error))


