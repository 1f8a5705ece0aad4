"""The whole engine against the simulator with faults: whatever happens, a balance tells the truth (G6, G7, G8)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from engine import BalanceSnapshot, BalanceState, Engine, ReadBalance, Settings, Standing
from engine.simulator import Fault, Simulator
from tests.conftest import Events
from tests.machines import run

NAMES = ("MASTER", "ALICE")
PATIENCE = 30.0
SILENCE = 2.0
PACE = Settings(
    refresh_every=0.05, max_age=3600.0, call_timeout=PATIENCE, cut_read_after=0.02, local_limits=False,
    silence_to_unavailable=SILENCE,
)  # fmt: skip
FAULTS: dict[str, Callable[[str], Fault]] = {
    "refused": lambda name: Fault.error("EService:Unavailable", account=name),
    "unlisted": lambda name: Fault.error("EWhat:Is this", account=name),
    "busy after executing": lambda name: Fault.error("EService:Busy", account=name, executed=True),
    "rate limit": lambda name: Fault.error("EAPI:Rate limit exceeded", account=name),
    "502": lambda name: Fault.http(502, account=name, executed=True),
    "reset": lambda name: Fault.reset(account=name),
    "empty": lambda name: Fault.empty(account=name),
    "truncated": lambda name: Fault.truncated(account=name),
    "no object": lambda name: Fault.body(b"[]", account=name),
    "no result": lambda name: Fault.body(b'{"error":[]}', account=name),
    "zero in rubbish": lambda name: Fault.body(b'{"error":[],"result":{"ZUSD":{"balance":0,"hold":', account=name),
    "odd row of cash": lambda name: Fault.body(
        b'{"error":[],"result":{"XXBT":{"balance":"1","hold_trade":"0"},"ZUSD":{"balance":"x"}}}', account=name
    ),
    "null": lambda name: Fault.body(b'{"error":[],"result":{"ZUSD":{"balance":null}}}', account=name),
}


def became_available(engine: Engine, name: str) -> Callable[[Any], bool]:
    """Whether the account is available now; looked at after every event, since nobody here asks for a refresh."""
    return lambda event: engine.is_available(name)


class BalanceMachine(RuleBasedStateMachine):
    """The model: which amounts each account ever had, what is wrong with it now, and what was shown last."""

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.sim = Simulator(NAMES).start()
        self.ever: dict[str, set[Decimal]] = {name: set() for name in NAMES}
        self.now: dict[str, Decimal] = {}
        self.wrong: dict[str, list[Any]] = {name: [] for name in NAMES}
        self.revoked: set[str] = set()
        self.shown: dict[str, datetime] = {}
        self.orders = 0
        for name in NAMES:
            self.change(name, Decimal(1))
        self.engine = self.begin()

    def begin(self) -> Engine:
        self.available = Events()
        engine = Engine(self.sim.accounts, url=self.sim.url, state_dir=self.directory.name, settings=PACE)
        engine.subscribe(self.available)
        return engine.start()

    def change(self, name: str, amount: Decimal) -> None:
        self.ever[name].add(amount)
        self.now[name] = amount
        self.sim.set_balance(name, {"ZUSD": {"balance": str(amount), "hold_trade": "0.5"}})

    @rule(name=st.sampled_from(NAMES), cents=st.integers(1, 10**12))
    def the_balance_changes(self, name: str, cents: int) -> None:
        self.change(name, Decimal(cents) / 10000)

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(sorted(FAULTS)))
    def something_goes_wrong(self, name: str, kind: str) -> None:
        self.wrong[name].append(self.sim.fault(FAULTS[kind](name)))

    @rule(name=st.sampled_from(NAMES))
    def the_key_is_revoked(self, name: str) -> None:
        self.sim.revoke(name)
        self.revoked.add(name)

    @rule(name=st.sampled_from(NAMES), cents=st.integers(1, 10**12))
    def one_reply_is_empty(self, name: str, cents: int) -> None:
        """A hiccup: nobody ever reads that there is nothing, and the second look tells what there is."""
        if self.wrong[name] or name in self.revoked:
            return
        self.engine.balance(name, max_age=0, timeout=PATIENCE)  # before the first good reply nothing is doubted
        self.sim.fault(Fault.body(b'{"error":[],"result":{}}', account=name, endpoint="BalanceEx", times=1))
        self.change(name, Decimal(cents) / 10000)
        for _ in range(2):  # the fault may hit the refresh that the actor makes by itself
            snapshot = self.engine.balance(name, max_age=0, timeout=PATIENCE)
        if snapshot.error_count == 0:
            assert snapshot.cash == self.now[name]

    @rule(name=st.sampled_from(NAMES), cents=st.integers(1, 10**12))
    def a_fetch_under_way_is_not_joined(self, name: str, cents: int) -> None:
        """What comes was asked for after the call began, though an older reply comes first."""
        if self.wrong[name] or name in self.revoked:
            return
        hang = self.sim.fault(Fault.hang(account=name, endpoint="BalanceEx", times=1, executed=True))
        seen = len([call for call in self.sim.calls if (call.account, call.endpoint) == (name, "BalanceEx")])
        self.sim.wait_for_calls(seen + 1, account=name, endpoint="BalanceEx", ended=False, timeout=PATIENCE)
        self.change(name, Decimal(cents) / 10000)
        asked = self.engine.balances[name].ask(ReadBalance(max_age=0, timeout=PATIENCE), block=False)
        self.engine.balances[name].ask(ReadBalance(), timeout=PATIENCE)  # by now it has been taken in
        hang.remove()
        snapshot = asked.get(timeout=PATIENCE)
        if snapshot.error_count == 0:
            assert snapshot.cash == self.now[name]

    @rule()
    def kraken_falls_silent(self) -> None:
        """No call has failed, and no account is available all the same; then they are again."""
        for name in NAMES:
            if not self.wrong[name] and name not in self.revoked:
                self.available.wait_for(became_available(self.engine, name), PATIENCE)
        hang = self.sim.fault(Fault.hang())
        self.available.wait_for(lambda _: not any(map(self.engine.is_available, NAMES)), PATIENCE)
        assert all(self.engine.balance(name).last_error for name in NAMES)
        hang.remove()
        for name in NAMES:
            if not self.wrong[name] and name not in self.revoked:
                self.available.wait_for(became_available(self.engine, name), PATIENCE)

    @rule(name=st.sampled_from(NAMES))
    def somebody_asks(self, name: str) -> None:
        snapshot = self.engine.balance(name, max_age=0, timeout=PATIENCE)
        if not self.wrong[name] and name not in self.revoked and snapshot.error_count == 0:
            assert snapshot.cash == self.now[name]

    @precondition(lambda self: any(self.wrong.values()) or self.revoked)
    @rule()
    def it_goes_on_until_three_failures(self) -> None:
        for name in NAMES:
            if self.wrong[name] or name in self.revoked:
                self.wait_for(name, lambda snapshot: snapshot.error_count >= 3 or snapshot.standing is Standing.BLOCKED)
                assert not self.engine.is_available(name)

    @rule(name=st.sampled_from(NAMES))
    def a_read_hangs_and_a_cancel_cuts_it(self, name: str) -> None:
        """Our own doing: it counts for nothing, and no balance from before the cancel is FRESH after it."""
        if self.wrong[name] or name in self.revoked:
            return
        self.orders += 1
        txid, errors = f"OAAAAA-AAAAA-{self.orders:06}", self.engine.error_count(name)
        hang = self.sim.fault(Fault.hang(account=name, endpoint="BalanceEx", times=1))
        seen = len([call for call in self.sim.calls if (call.account, call.endpoint) == (name, "BalanceEx")])
        self.sim.wait_for_calls(seen + 1, account=name, endpoint="BalanceEx", ended=False, timeout=PATIENCE)
        self.sim.add_open_order(name, txid)  # not before: it holds money, and no balance may show that here
        asked = datetime.now(UTC)
        self.engine.call(name, "CancelOrder", {"txid": txid}, timeout=PATIENCE)
        snapshot = self.engine.balance(name)
        hang.remove()
        assert snapshot.error_count <= errors
        assert snapshot.state is not BalanceState.FRESH or (snapshot.as_of is not None and snapshot.as_of > asked)

    @rule(name=st.sampled_from(NAMES))
    def the_key_is_replaced(self, name: str) -> None:
        """What was known was the old key's, and is forgotten at once."""
        new = self.sim.replace_key(name)
        self.change(name, self.now[name])
        self.engine.replace_key(name, new.key, new.secret)
        self.revoked.discard(name)
        self.shown.pop(name, None)

    @rule(name=st.sampled_from(NAMES))
    def the_account_goes_and_comes_back(self, name: str) -> None:
        """What was known of it is known again at once, as old as it was; the other goes on."""
        account = self.sim.accounts[NAMES.index(name)]
        self.engine.remove_account(name)
        self.engine.add_account(account)
        if name in self.shown:
            assert self.engine.balance(name).as_of is not None

    @rule()
    def the_engine_is_restarted(self) -> None:
        self.engine.stop()
        self.engine = self.begin()
        for name in NAMES:
            snapshot = self.engine.balance(name)
            if name in self.shown:
                assert snapshot.as_of is not None, "what was known is known again"

    @rule()
    def everything_is_fixed(self) -> None:
        """Every account recovers; a revoked key by `resume`, all else by itself."""
        for name in NAMES:
            for fault in self.wrong[name]:
                fault.remove()
            self.wrong[name].clear()
        for name in tuple(self.revoked):
            self.sim.restore(name)
            self.engine.resume(name)
        self.revoked.clear()
        for name in NAMES:
            self.available.wait_for(became_available(self.engine, name), PATIENCE)
            snapshot = self.engine.balance(name, max_age=0, timeout=PATIENCE)  # one failure leaves it available
            assert (snapshot.cash, snapshot.last_error, snapshot.error_count) == (self.now[name], None, 0)

    def wait_for(self, name: str, holds: Callable[[BalanceSnapshot], bool]) -> BalanceSnapshot:
        for _ in range(200):
            snapshot = self.engine.balance(name, max_age=0, timeout=PATIENCE)
            if holds(snapshot):
                return snapshot
        raise AssertionError(f"{name} never came to it: {snapshot}")

    @invariant()
    def every_balance_tells_the_truth(self) -> None:
        for name in NAMES:
            snapshot = self.engine.balance(name)
            known = snapshot.state is not BalanceState.UNKNOWN
            assert known == (snapshot.cash is not None) == (snapshot.as_of is not None)
            assert not (snapshot.is_available and snapshot.error_count >= PACE.errors_to_unavailable)
            assert known or not snapshot.is_available
            if known:
                assert snapshot.cash in self.ever[name], "an amount that it never had"
                assert snapshot.available_cash == snapshot.cash - Decimal("0.5")
                assert snapshot.as_of is not None
                assert snapshot.as_of >= self.shown.get(name, snapshot.as_of)
                self.shown[name] = snapshot.as_of
            else:
                assert name not in self.shown, "a value has lost its as_of"

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            try:
                self.it_goes_on_until_three_failures()
                self.everything_is_fixed()
            finally:
                self.engine.stop()
                self.sim.close()
                self.directory.cleanup()


def test_no_failure_is_a_zero_and_every_account_recovers() -> None:
    run(BalanceMachine, examples=8, steps=10)


@pytest.mark.torture
def test_the_same_for_long() -> None:
    run(BalanceMachine, examples=200, steps=40)
