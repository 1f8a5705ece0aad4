"""Whether an order can be seen with the key that its account has now: only its own account's lists tell of it."""

from __future__ import annotations

from collections.abc import Callable

from engine.actors.events import EngineWarning
from engine.actors.order.lookup import Lookups
from engine.errors import CallError
from engine.kraken.key_info import KeyInfo
from engine.rules.order.lists import LookupSteps
from engine.rules.order.placement import Placement

ASK_AGAIN = 30.0  # seconds

_OTHER_KEY = (
    "Order {id!r} of account {account} was placed with another API key than the account has now, and this key cannot "
    "see it: nothing is looked up, canceled or concluded with it. Give account {account} the API key {placed} again, "
    "or another one of the same Kraken account; it has {now} (names as `nonce show` has them)."
)


class Identity:
    """Compares the key that placed an order with the one its account has. Lives in the actor's thread.

    Another key will do where Kraken says that both belong to one account. `changed` is called with the account when
    that was learnt; `key_of` gives an account's key by its name.
    """

    def __init__(
        self,
        lookups: Lookups,
        key_of: Callable[[str], str | None],
        later: Callable[[float, Callable[[], object]], None],
        changed: Callable[[str], None],
        publish: Callable[[object], None],
    ) -> None:
        self._lookups, self._key_of, self._later = lookups, key_of, later
        self._changed, self._publish = changed, publish
        self._owners: dict[str, str | None] = {}
        self._asking: set[str] = set()
        self._told: set[tuple[str, str | None]] = set()

    def fits(self, row: Placement) -> bool:
        """Whether the account's key sees the order; if not, warns of it, or asks Kraken whose key it is."""
        key = self._key_of(row.account)
        if key == row.key_id:
            return True
        if key is not None and row.owner is not None:
            if self._owners.get(key) == row.owner:
                return True
            if key not in self._owners:
                self._ask(row.account, key)
                return False
        self._tell(row, key)
        return False

    def is_other(self, row: Placement) -> bool:
        """Whether the account's key certainly does not see the order; `False` while that is being asked."""
        key = self._key_of(row.account)
        is_asked = key is not None and row.owner is not None and key not in self._owners
        return not is_asked and self.sentence(row) is not None

    def sentence(self, row: Placement) -> str | None:
        """Whose key is needed, for a person; `None` where the account has it."""
        key = self._key_of(row.account)
        if key == row.key_id or (key is not None and row.owner and self._owners.get(key) == row.owner):
            return None
        return _OTHER_KEY.format(
            id=row.id, account=row.account, placed=row.key_id[:8], now=key[:8] if key else "none, it was removed"
        )

    def _tell(self, row: Placement, key: str | None) -> None:
        if (row.cl_ord_id, key) not in self._told:
            self._told.add((row.cl_ord_id, key))
            self._publish(EngineWarning("order-other-key", self.sentence(row) or ""))

    def _ask(self, account: str, key: str) -> None:
        """Ask Kraken whose account the key belongs to."""
        if key in self._asking:
            return
        self._asking.add(key)

        def told(owner: str | None) -> None:
            self._asking.discard(key)
            self._owners[key] = owner
            self._changed(account)

        def failed(_: CallError) -> None:
            self._later(ASK_AGAIN, lambda: self._again(account, key))

        self._lookups.begin(account, _whose(), told, failed, goes_on=True)

    def _again(self, account: str, key: str) -> None:
        self._asking.discard(key)
        self._changed(account)


def _whose() -> LookupSteps:
    result = yield "GetApiKeyInfo", {}
    return KeyInfo.of(result).owner
