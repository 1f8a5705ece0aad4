"""`Engine`'s methods that guard orders while nobody looks: the dead man's switch."""

from __future__ import annotations

from engine.actors.order.messages import ArmSwitch
from engine.app.orders import OrderMethods
from engine.errors import ConfigError, NotLive


class SafeguardMethods(OrderMethods):
    """The dead man's switches of an `Engine`. Thread-safe."""

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """Arm the account's dead man's switch (Kraken's CancelAllOrdersAfter), and renew it while the engine is well.

        Kraken cancels **all** open orders of the account, also those placed by hand or by other programs, when it was
        not renewed for `seconds` (3 to 86,399): the engine died, its machine is cut off, or its journal cannot be
        written. It is renewed three times in that time, through the lane. Returns when Kraken has confirmed it; a
        `CallError` says that it has not, and the engine keeps trying until `disarm`.

        It stays armed over a crash: the next live engine on this state directory renews it, with an `EngineWarning`.
        `stop()` disarms it. Disarm it before Kraken's maintenance, during which it cannot be renewed. Raises `NotLive`.
        """
        self._set_switch(account, seconds, timeout)

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """Disarm the account's dead man's switch; returns when Kraken has confirmed it.

        Raises a `CallError` when the first try fails: the disarm is then repeated until it is confirmed, also by the
        next engine on this state directory, and an `EngineWarning` says so.
        """
        self._set_switch(account, 0, timeout)

    def _set_switch(self, account: str, seconds: int, timeout: float | None) -> None:
        self._state.check_account(account)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not (seconds == 0 or 3 <= seconds < 86_400):
            raise ConfigError(f"{seconds!r}: a dead man's switch takes a whole number of seconds from 3 to 86399.")
        if seconds and not self._live:
            raise NotLive("A dead man's switch cancels orders, and this engine is not live: start it with live=True.")
        self._ask(ArmSwitch(account, seconds), self._deadline(timeout))
