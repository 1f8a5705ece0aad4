"""`Engine`'s methods that keep an account from harm: a dead man's switch, and a pause of its trading."""

from __future__ import annotations

from engine.actors.order.messages import ArmSwitch, PauseTrading, ResumeTrading
from engine.app.client_orders import ClientOrderMethods
from engine.errors import ConfigError, NotLive


class SafeguardMethods(ClientOrderMethods):
    """The safeguards of an `Engine`. Thread-safe."""

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

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """Let no order of the account go out until `resume_trading`, also after a restart. Returns when it is durable.

        From then on `place`, and every call that places or changes an order, raises `TradingPaused` before it is sent;
        a placement that waits in the lane ends as *not sent*. One under way is not stopped, open orders stay open, and
        cancels go on. Everybody who places orders through this engine is kept back: `place`, `call`, plans and the
        gateway. Raises `StoreError` when it cannot be written down; then nothing has changed.
        """
        self._state.check_account(account)
        self._ask(PauseTrading(account), self._deadline(timeout))

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """Let the account's orders go out again after `pause_trading`; returns when that is durable.

        Does nothing for an account that is not paused. (`resume` is about a key that Kraken refused.) Raises
        `StoreError` when it cannot be written down; then the account stays paused.
        """
        self._state.check_account(account)
        self._ask(ResumeTrading(account), self._deadline(timeout))

    def _set_switch(self, account: str, seconds: int, timeout: float | None) -> None:
        self._state.check_account(account)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not (seconds == 0 or 3 <= seconds < 86_400):
            raise ConfigError(f"{seconds!r}: a dead man's switch takes a whole number of seconds from 3 to 86399.")
        if seconds and not self._live:
            raise NotLive("A dead man's switch cancels orders, and this engine is not live: start it with live=True.")
        self._ask(ArmSwitch(account, seconds), self._deadline(timeout))
