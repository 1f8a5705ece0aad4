"""Dead man's switches: Kraken cancels all orders of an account when it has not heard from this engine for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import field
from typing import Any, NamedTuple

import pykka

from engine.actors.events import EngineWarning
from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.journal import Journal
from engine.actors.order.safeguards import Safeguards
from engine.actors.runtime.waiters import Waiters
from engine.errors import CallError, CallUnknown, EngineStopped, StoreError
from engine.rules.backoff import Backoff
from engine.values.dataclass import dataclass

ENDPOINT = "CancelAllOrdersAfter"
FEEDS = 3  # within the switch's time, so that two may be lost
BACKOFF = Backoff(first=1.0, longest=30.0)  # until a lost disarm is sent again


class Fed(NamedTuple):
    """Marks a call that feeds or disarms."""

    account: str
    turn: int


@dataclass(eq=False, slots=True)
class Switch:
    """One account's switch: the seconds it is armed with, 0 while it is being disarmed."""

    account: str
    seconds: int
    turn: int = 0
    failures: int = 0
    is_asking: bool = False
    askers: Waiters[None, None] = field(default_factory=Waiters)


class DeadManSwitch:
    """The switches of one engine. Lives in the thread of the actor that has the journal.

    - What is to be armed or disarmed is durable before it is sent, and forgotten when a disarm is confirmed.
    - A feed is sent only after the journal could be written; it goes through the lane, in the cancel class. So the
      switch goes off when this engine hangs, or its disk.
    - A disarm that is lost is sent again until it is confirmed, and reported.
    """

    def __init__(
        self,
        journal: Journal,
        private: Any,
        me: Any,
        later: Callable[[float, Callable[[], object]], None],
        publish: Callable[[Any], None],
        *,
        live: bool,
        safeguards: Safeguards,
    ) -> None:
        self._journal, self._private, self._me, self._safeguards = journal, private, me, safeguards
        self._later, self._publish, self._live = later, publish, live
        self._switches: dict[str, Switch] = {}

    def restore(self) -> None:
        """Take up the switches of a run before: what was armed is fed again, what was being disarmed is disarmed.

        An engine that is not live feeds none: Kraken will cancel the orders, as was wanted.
        """
        for account, seconds in self._journal.switches.items():
            if seconds and not self._live:
                self._warn("dead-man-not-fed", f"Account {account} has an armed dead man's switch from the run before. "
                           "This engine is not live and does not feed it: Kraken cancels all orders.")  # fmt: skip
                continue
            if seconds:
                self._warn("dead-man-armed", f"The dead man's switch of {account} is armed from the run before.")
            self._switches[account] = Switch(account, seconds)
            self._send(self._switches[account])

    def set(self, account: str, seconds: int) -> Future[None] | None:
        """Arm it, or disarm it with 0; the future is settled when Kraken has confirmed it or the first try failed.

        `None` when there is nothing to disarm. Raises `StoreError` when the journal cannot be written.
        """
        switch = self._switches.get(account)
        if switch is None and not seconds:
            return None
        self._journal.keep_switch(account, seconds)
        if switch is None:
            switch = self._switches[account] = Switch(account, seconds)
        switch.seconds, switch.failures = seconds, 0
        asker = switch.askers.add(None)
        switch.is_asking = False  # an answer still under way belongs to the request before
        self._send(switch)
        return asker

    def disarm_all(self) -> Future[None]:
        """Disarm whatever is armed; completed when each is disarmed or its first try has failed."""
        all_done: Future[None] = Future()
        pending: list[Future[None]] = []
        for account in tuple(self._switches):
            with contextlib.suppress(StoreError):  # disarmed by the next start
                pending += filter(None, [self.set(account, 0)])
        left = len(pending)
        if not left:
            all_done.set_result(None)

        def one_done(_: Future[None]) -> None:
            nonlocal left
            left -= 1
            if not left:
                all_done.set_result(None)

        for each in pending:
            each.add_done_callback(one_done)
        return all_done

    def take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to a feed or a disarm."""
        account, turn = message.call.tag
        switch = self._switches.get(account)
        if switch is None or turn != switch.turn:
            return
        switch.is_asking = False
        if isinstance(message, CallFailed):
            self._failed(switch, message.error)
        else:
            self._done(switch)

    def end(self, error: CallError) -> None:
        """Answer whoever waits: nothing is sent any more."""
        for switch in self._switches.values():
            switch.askers.fail(error)

    def _send(self, switch: Switch) -> None:
        switch.turn += 1
        switch.is_asking = True
        self._safeguards.arm(switch.account, switch.seconds)
        try:
            if switch.seconds:
                self._journal.keep_switch(switch.account, switch.seconds)  # without a journal no switch is fed
        except StoreError as error:
            self._failed(switch, CallUnknown(f"The journal cannot be written: {error}"))
            return
        patience = max(1.0, switch.seconds / FEEDS) if switch.seconds else None
        call = PrivateCall(
            switch.account, ENDPOINT, {"timeout": switch.seconds}, patience, reply_to=self._me,
            tag=Fed(switch.account, switch.turn), disarms=not switch.seconds,
        )  # fmt: skip
        try:
            self._private.tell(call)
        except (pykka.ActorDeadError, KeyError):
            self._failed(switch, EngineStopped("The lane is not running."))

    def _done(self, switch: Switch) -> None:
        if switch.failures:
            self._warn("dead-man-fed", f"The dead man's switch of account {switch.account} is confirmed again.")
        switch.failures = 0
        if switch.seconds:
            self._again(switch, switch.seconds / FEEDS)
        else:
            del self._switches[switch.account]
            self._safeguards.disarmed(switch.account)
            self._journal.forget_switch(switch.account)
        switch.askers.answer(None)

    def _failed(self, switch: Switch, error: CallError) -> None:
        switch.is_asking = False
        switch.failures += 1
        if switch.failures == 1:
            code, told = ("dead-man-not-fed", "fed") if switch.seconds else ("dead-man-not-disarmed", "disarmed")
            self._warn(code, f"The dead man's switch of account {switch.account} could not be {told}, so Kraken may "
                       f"cancel all its orders; it is tried again. {error}")  # fmt: skip
        pause = BACKOFF.pause(switch.failures - 1)
        if switch.seconds:
            pause = min(pause, switch.seconds / FEEDS)
        self._again(switch, max(pause, error.retry_after or 0.0))
        switch.askers.fail(error)

    def _again(self, switch: Switch, pause: float) -> None:
        turn = switch.turn
        self._later(pause, lambda: self._send(switch) if turn == switch.turn and not switch.is_asking else None)

    def _warn(self, code: str, sentence: str) -> None:
        self._publish(EngineWarning(code, sentence))
