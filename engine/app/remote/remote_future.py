"""The future of a call that another process makes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

from engine.app.remote.link import AnswerLines
from engine.errors import CallUnknown


class RemoteFuture(Future[Any]):
    """A future whose `cancel()` works while the call waits in the lane, wherever that is.

    `withdraw` asks the service for it: whether the call will certainly not be sent.
    """

    def __init__(self, withdraw: Callable[[], bool]) -> None:
        super().__init__()
        self._withdraw = withdraw

    def cancel(self) -> bool:
        """Withdraw the call, unless it is under way or over; whether that was done. Asks the service."""
        if self.done():
            return self.cancelled()
        return self._withdraw() and super().cancel()

    def settle(self, answer: AnswerLines, lost: CallUnknown) -> None:
        """Wait for the answer; `lost` is how the call ends without one."""
        told: Any = next(iter(answer), {"error": lost})
        answer.close()
        with contextlib.suppress(InvalidStateError):
            if "withdrawn" in told:
                super().cancel()
            if self.cancelled():
                self.set_running_or_notify_cancel()  # tells those who wait for several futures
            elif "error" in told:
                self.set_exception(told["error"])
            else:
                self.set_result(told["result"])
