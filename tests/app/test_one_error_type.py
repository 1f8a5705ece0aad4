"""Whatever the engine's methods raise is an `EngineError`; and an order goes out at most once whatever fails where."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Engine, Order, OrderState, Settings
from engine.actors.lane.limits import Limits
from engine.actors.lane.priority_mailbox import PriorityMailbox
from engine.actors.order.journal import Journal
from engine.app.state import AppState
from engine.errors import CallNotSent, CallUnknown, EngineError
from engine.kraken.signing import Signer
from engine.ownership import Ownership
from engine.simulator import Simulator
from engine.store import Store
from engine.store.nonces import Nonces
from engine.transport import Transport, TransportPool
from tests.stopwatch import PATIENCE

SEAMS: tuple[tuple[type[Any], str], ...] = (
    (Store, "put_all"), (Store, "put"), (Store, "remove"), (Store, "documents"),
    (Nonces, "issue"), (Ownership, "check"), (Ownership, "verify"), (Ownership, "claim_key"), (Signer, "sign"),
    (Limits, "check"), (Limits, "after"), (Limits, "add"), (Limits, "resume"),
    (Transport, "post"), (TransportPool, "get"),
    (Journal, "plan"), (Journal, "send"), (Journal, "save"), (Journal, "find"), (Journal, "rows"), (Journal, "row"),
    (PriorityMailbox, "put"), (PriorityMailbox, "begin"), (AppState, "check_account"), (AppState, "ref"),
)  # fmt: skip
ERRORS = (OSError(errno.EMFILE, "Too many open files"), MemoryError(), RecursionError("too deep"))
_numbers = itertools.count()
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def _order() -> Order:
    return Order("XBTUSD", "buy", "limit", "0.01", str(20_000 + next(_numbers)))


def _asks(engine: Engine, placed: Any) -> dict[str, Callable[[], Any]]:
    bob = Account("NEW", os.urandom(8).hex(), "c2VjcmV0")
    return {
        "call": lambda: engine.call("MASTER", "TradeBalance", timeout=1),
        "submit": lambda: engine.submit("MASTER", "TradeBalance", {}, 1).result(PATIENCE),
        "public": lambda: engine.public("Ticker", {"pair": "ETHUSD"}, timeout=1),
        "balance": lambda: engine.balance("MASTER", max_age=0, timeout=0.2),
        "history": lambda: engine.history("MASTER"),
        "order": lambda: engine.order("MASTER", "before"),
        "open_orders": lambda: engine.open_orders("MASTER", timeout=0.3),
        "reserved": lambda: engine.reserved("MASTER"),
        "cancel": lambda: engine.cancel("MASTER", placed, timeout=0.3),
        "cancel_all": lambda: engine.cancel_all("ALICE", timeout=1),
        "arm": lambda: engine.arm("BOB", 60, timeout=0.3),
        "gates": lambda: engine.gates("MASTER", timeout=0.3),
        "status": engine.status,
        "is_available": lambda: engine.is_available("MASTER"),
        "resume": lambda: engine.resume("MASTER"),
        "add_account": lambda: engine.add_account(bob),
    }


def _each() -> list[Any]:
    """Every error at every seam; all but one at each are for the long run."""
    found = []
    for (number, seam), (place, error) in itertools.product(enumerate(SEAMS), enumerate(ERRORS)):
        marks = () if place == number % len(ERRORS) else (pytest.mark.torture,)
        name = f"{type(error).__name__}-{seam[0].__name__}.{seam[1]}"
        found.append(pytest.param(seam, error, id=name, marks=marks))
    return found


@pytest.mark.parametrize(("seam", "error"), _each())
def test_every_seam(sim: Simulator, tmp_path: Path, seam: tuple[type[Any], str], error: Exception) -> None:
    settings = Settings(refresh_every=3600, local_limits=False, call_timeout=2, settle_margin=0.1, order_deadline=2)

    def fail(*_: object, **__: object) -> Any:
        raise error.__class__(*error.args)

    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, live=True) as engine:
        before = engine.place("MASTER", _order(), id="before")
        had, lost, taken = len(sim.placements("MASTER")), 0, 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*seam, fail)
            for _ in range(2):
                try:
                    engine.place("MASTER", _order(), timeout=0.5)
                    taken += 1
                except CallUnknown:
                    lost += 1
                except CallNotSent:
                    pass
            for ask in _asks(engine, before).values():
                with contextlib.suppress(EngineError):
                    ask()
        assert taken <= len(sim.placements("MASTER")) - had <= taken + lost
        engine.cancel_all("MASTER", timeout=PATIENCE)
        assert engine.place("ALICE", _order(), timeout=PATIENCE).state is OrderState.PLACED
        engine.disarm("BOB", timeout=PATIENCE)


def test_arguments_that_do_not_fit_are_still_a_type_error(tmp_path: Path) -> None:
    engine = Engine([("MASTER", "key", "c2VjcmV0")], state_dir=tmp_path)
    for ask in (lambda: engine.call(), lambda: engine.place("MASTER", 1, 2, 3)):  # type: ignore[call-arg, arg-type]
        with pytest.raises(TypeError):
            ask()


def test_what_a_signal_handler_of_the_host_raises_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual time limit: an alarm whose handler raises TimeoutError."""

    def handler(*_: object) -> None:
        raise TimeoutError("the host's")

    def ring(*_: object) -> None:
        signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(AppState, "check_account", ring)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(TimeoutError, match="the host's"):
            Engine([("MASTER", "key", "c2VjcmV0")], state_dir=tmp_path, balances=()).history("MASTER")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_ends_a_program_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AppState, "check_account", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Engine([("MASTER", "key", "c2VjcmV0")], state_dir=tmp_path).history("MASTER")
