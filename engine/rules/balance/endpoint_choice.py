"""Which endpoint a balance is requested from: BalanceEx, which alone knows holds, or Balance where it is not served."""

from __future__ import annotations

from dataclasses import replace

from engine.errors import CallError, LockedOut, PermissionDenied, UnknownMethod
from engine.values.dataclass import dataclass

EXTENDED, PLAIN = "BalanceEx", "Balance"
TRY_EXTENDED_EVERY = 20
"""Requests: while Balance serves, BalanceEx is tried once in so many."""


@dataclass(frozen=True, slots=True)
class EndpointChoice:
    """The endpoint of the newest request. Immutable."""

    name: str = EXTENDED
    serving: str = EXTENDED
    """The one that gave the last good reply."""
    requests: int = 0

    def sent(self) -> EndpointChoice:
        """One more request."""
        requests = self.requests + 1
        return replace(self, name=EXTENDED if requests % TRY_EXTENDED_EVERY == 0 else self.serving, requests=requests)

    def fallen_back(self) -> EndpointChoice:
        """One more request, for Balance."""
        return replace(self, name=PLAIN, requests=self.requests + 1)

    def served(self) -> EndpointChoice:
        """The reply was good."""
        return replace(self, serving=self.name)

    def is_unsupported(self, error: CallError) -> bool:
        """Whether the error says that this server or key has no BalanceEx.

        While Balance serves, a breaker that holds BalanceEx back says that too.
        """
        if self.name != EXTENDED:
            return False
        is_held_back = isinstance(error, LockedOut) and self.serving == PLAIN
        return is_held_back or isinstance(error, UnknownMethod | PermissionDenied)
