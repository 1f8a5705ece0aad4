"""What the gateway refuses: in Kraken's words, with a sentence, and in the log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    CallRefused,
    CallUnknown,
    ConfigError,
    CounterFull,
    DeadlinePassed,
    EngineError,
    KeyRefused,
    LaneElsewhere,
    LockedOut,
    MailboxFull,
    NoncesUsedUp,
    NotLive,
    OrderRejected,
    OtherKey,
    PairUnsettled,
    PermissionDenied,
    WrongParameter,
)
from engine.kraken.refusal_words import BUSY, UNAVAILABLE, code_of
from engine.simulator import Fault, Simulator
from engine.web.gateway.refusals import SAY_AGAIN, RefusalLog
from engine.web.gateway.replay import ReplayGuard
from engine.web.gateway.responses import HEADER, failure
from tests.served import served, until
from tests.stopwatch import PATIENCE
from tests.web.gateway.asking import Asker, send, signed

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.001"}
PERMANENT: tuple[EngineError, ...] = (
    KeyRefused("no").in_krakens_words("EGeneral:Permission denied"), PermissionDenied("no"), NotLive("no"),
    NoncesUsedUp("no"), WrongParameter("no", name="price"), OrderRejected("no"), ConfigError("no"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongParameter("no", name="userref"), "EGeneral:Invalid arguments:userref"),
        (CounterFull("full").in_krakens_words("EOrder:Rate limit exceeded"), "EOrder:Rate limit exceeded"),
        (CounterFull("full"), "EAPI:Rate limit exceeded"), (MailboxFull("full"), "EAPI:Rate limit exceeded"),
        (PairUnsettled("wait"), "EService:Busy"), (DeadlinePassed("late"), "EService:Busy"),
        (LaneElsewhere("wait", "one"), "EService:Unavailable"),
        (LaneElsewhere("locked", "one", kraken_word="EGeneral:Temporary lockout"), "EGeneral:Temporary lockout"),
        (LockedOut("wait"), "EGeneral:Temporary lockout"), (OtherKey("wait"), "EService:Busy"),
        (CallRefused("no", kraken_code="EFoo:Bar"), "EFoo:Bar"),
    ],
    ids=str,
)  # fmt: skip
def test_each_refusal_has_krakens_word_for_the_same(error: EngineError, code: str) -> None:
    assert code_of(error) == code
    told = failure(error)
    assert (HEADER in told.headers) is (code != "EFoo:Bar"), "Kraken's own need no explanation of ours"


@pytest.mark.parametrize("error", PERMANENT, ids=lambda each: type(each).__name__)
def test_what_is_permanent_is_no_matter_of_time(error: EngineError) -> None:
    assert code_of(error) not in (UNAVAILABLE, BUSY)


def test_a_sentence_fits_into_a_header() -> None:
    told = failure(ConfigError("two\nlines, an é and\r\nX-Other: header " + "x " * 1000))
    assert told.headers[HEADER].startswith("two lines, an ? and X-Other: header x x x")
    assert len(told.headers[HEADER]) == 500
    assert HEADER not in failure(CallUnknown("open")).headers


def test_the_log_has_each_refusal_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    shown: list[tuple[str, str]] = []
    log = RefusalLog(lambda: now[0], lambda who, text: shown.append((who, text)))
    for sentence in ("one", "one", "two"):
        log.refused("MASTER.bot", "AddOrder", "EGeneral:Invalid arguments:x", sentence)
    log.failed("MASTER.bot", "AddOrder", CallRefused("no", kraken_code="EOrder:Insufficient funds"))
    assert [text.rpartition(": ")[2] for _, text in shown] == ["one", "two"]
    assert [record.getMessage() for record in caplog.records] == [f"gateway: {text}" for _, text in shown]
    now[0] += SAY_AGAIN
    log.failed("MASTER.bot", "AddOrder", ConfigError("one"))
    log.refused("MASTER.bot", "AddOrder", "EGeneral:Invalid arguments:x", "one")
    assert len(caplog.records) == 3
    for number in range(3_000):
        log.refused("MASTER.bot", "AddOrder", "E", str(number))


def test_a_smaller_unit_of_nonces_is_named() -> None:
    now = 1_800_000_000.0
    guard = ReplayGuard(0)
    assert guard.admit(int(now * 1e9), "a", now)
    assert not guard.admit(int(now * 1e3), "b", now)
    assert "milliseconds" in (told := guard.why_not(int(now * 1e3), now))
    assert "nanoseconds" in told
    assert "lower" not in guard.why_not(int(now * 1e9), now)
    assert "64 bits" in guard.why_not(2**70, now)
    assert "something else than time" in guard.why_not(17, now)


def test_a_second_program_with_another_unit_is_told_so(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service:
        bot = Asker(service, "bot", "MASTER", "--read-only")
        bot.result("Balance")
        told = send(service, signed(service, bot.key, "Balance", int(time.time() * 1000)))
        assert told.json == {"error": ["EAPI:Invalid nonce"]}
        assert "milliseconds" in told.headers["x-engine-refusal"]
        shown = service.ask("/api/log").text
        assert "gateway: Balance by MASTER.bot was refused" in shown, "also on the dashboard"
        log = service.stop()[1]
    assert "milliseconds" in log
    assert "MASTER.bot" in log


def test_the_fall_of_a_counter_is_waited_for(sim: Simulator, tmp_path: Path) -> None:
    """Kraken says that the market's counter is full; the next order waits for it, and is not refused."""
    sim.set_balance("MASTER", {"ZUSD": "900000", "XXBT": "9"})
    settings = f'[settings]\ntier = "starter"\ncall_timeout = {PATIENCE}\nrefresh_every = 600\n'
    with served(sim, tmp_path, "--live", settings=settings) as service:
        bot = Asker(service, "bot")
        sim.fault(Fault.error("EOrder:Rate limit exceeded", endpoint="AddOrder", times=1))
        assert bot.call("AddOrder", **ORDER).json == {"error": ["EOrder:Rate limit exceeded"]}
        placed = bot.call("AddOrder", **ORDER).json
        assert (placed["error"], len(sim.placements("MASTER"))) == ([], 1)
        assert [call.endpoint for call in sim.calls].count("AddOrder") == 2
        reads = [bot.call("TradeBalance", asset="ZUSD") for _ in range(5)]
        assert [told.json["error"] for told in reads] == [[]] * 5, "the call counter takes four at once"
        assert not [call.error for call in sim.calls if call.error not in (None, "EOrder:Rate limit exceeded")]
        assert service.stop()[0] == 0


def test_a_known_balance_is_given_to_a_client_that_accepts_its_age(sim: Simulator, tmp_path: Path) -> None:
    settings = "[settings]\nrefresh_every = 600\nlocal_limits = false\nserve_snapshots = true\n"
    with served(sim, tmp_path, "--live", settings=settings) as service:
        bot = Asker(service, "bot", "ALICE")
        fresh = bot.result("BalanceEx")

        def asked() -> int:
            return sum(call.endpoint.startswith("Balance") and call.account == "ALICE" for call in sim.calls)

        def known(endpoint: str, seconds: int) -> Any:
            path, body, headers = signed(service, bot.key, endpoint, time.time_ns() + 10**9)
            return service.ask(path, method="POST", body=body, **headers, Cache_Control=f"max-age={seconds}").json

        def needs_no_call() -> bool:
            before = asked()
            known("BalanceEx", 600)
            return asked() == before

        until(needs_no_call)
        before = asked()
        assert known("BalanceEx", 600) == {"error": [], "result": fresh}
        assert known("Balance", 600)["result"] == {name: row["balance"] for name, row in fresh.items()}
        assert asked() == before
        assert known("Balance", 0)["error"] == []
        assert asked() == before + 1
        assert service.stop()[0] == 0
