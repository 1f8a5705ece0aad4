"""The 60-second test: each line says what was found and what to do, and nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Settings
from engine.cli.doctor import doctor as command
from engine.cli.exits import Exit
from engine.cli.options import Options
from engine.doctor import Finding, Level, examine
from engine.doctor import account as account_check
from engine.doctor import network as network_check
from engine.doctor.key import key_findings
from engine.kraken.key_info import KeyInfo
from engine.ownership import Ownership
from engine.simulator import Fault, Simulator
from engine.store.nonces import file_nonces
from engine.transport import Resolver
from tests.conftest import private_calls
from tests.stopwatch import LONG, Stopwatch, again_if_stalled
from tests.transport.test_tls import Authority, authority
from tests.transport.test_transport import answering, reply, serve

__all__ = ["authority", "serve"]  # fixtures

ANY_HOST = Settings(any_host=True)
HOUR = 3600
NETWORK = (
    "proxy", "dns", "connection", "tls", "kraken", "clock", "system-status", "latency", "assets", "pairs", "prices",
)  # fmt: skip
KEY = (
    "key", "permissions", "withdrawals", "websocket", "orders", "nonce-window", "expiry", "addresses", "tier",
    "balance", "can-trade", "nonce",
)  # fmt: skip
WITHOUT_KEY = ("key", "permissions", "balance", "can-trade", "nonce")


class Found:
    """The findings of one run."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.all = list(findings)

    def __call__(self, check: str, account: str | None = None) -> Finding:
        """The one finding of that check."""
        fitting = [each for each in self.all if each.check == check and each.account == account]
        assert len(fitting) == 1, (check, account, self.all)
        return fitting[0]

    def checks(self, account: str | None = None) -> list[str]:
        return [each.check for each in self.all if each.account == account]

    def of(self, level: Level) -> list[str]:
        return [each.check for each in self.all if each.level is level]


def check_wording(finding: Finding, accounts: Iterable[Account]) -> None:
    """A whole sentence, advice exactly when something is to be done, and no secret (G11)."""
    text = f"{finding.found} {finding.advice or ''}"
    assert text.strip().endswith(".")
    assert bool(finding.advice) is (finding.level in (Level.WARN, Level.BAD))
    for account in accounts:
        assert account.key.reveal() not in text
        assert account.secret.reveal() not in text


def look(sim: Simulator | None, state_dir: Path, accounts: Iterable[Any] | None = None, **more: Any) -> Found:
    read = [Account.of(each) for each in (sim.accounts if accounts is None and sim else accounts or [])]
    if sim is not None:
        more.setdefault("url", sim.url)
    found = Found(examine(read, state_dir=state_dir, **more))
    for finding in found.all:
        check_wording(finding, read)
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def one() -> Iterator[Simulator]:
    """A Kraken with MASTER alone."""
    with Simulator(["MASTER"]) as simulator:
        yield simulator


# All is well


def test_all_is_well(sim: Simulator, state: Path) -> None:
    found = look(sim, state)
    assert [each for each in found.checks() if each != "kraken-changed"] == [*NETWORK, "state-directory", "disk"]
    assert all(found.checks(account.name) == list(KEY) for account in sim.accounts)
    assert found.of(Level.SKIPPED) == ["tls"]
    assert set(found.of(Level.OK)) == {*NETWORK, *KEY, "state-directory", "disk"} - {"tls"}
    assert len(private_calls(sim)) == 5 * len(sim.accounts), "one balance, the key twice, fees, and one order to check"
    assert "18000.00000000" in found("balance", "MASTER").found


def test_money_that_is_not_counted_is_warned_of(one: Simulator, state: Path) -> None:
    one.set_balance("MASTER", {"ZEUR": "5000"})
    found = look(one, state)
    assert found("balance", "MASTER").found.startswith("Cash USD + USDT is 0")
    assert found("cash", "MASTER").level is Level.WARN
    assert 'cash = ["EUR"]' in (found("cash", "MASTER").advice or "")
    assert "cash" not in look(one, state, settings=Settings(cash=("USD", "EUR"))).checks("MASTER")


def test_a_name_in_cash_that_is_not_listed_is_a_wrong_configuration(one: Simulator, state: Path) -> None:
    for account in ("MASTER", None):  # found out while it looks, then known at the start
        finding = look(one, state, settings=Settings(cash=("USD", "EURO")))("configuration", account)
        assert finding.level is Level.BAD
        assert "'EURO'" in finding.found


def test_the_mark_is_told_as_it_was_before(one: Simulator, state: Path) -> None:
    assert "no mark yet" in look(one, state)("nonce", "MASTER").found
    highest = one.nonce("MASTER")
    second = look(one, state)("nonce", "MASTER")
    told = [int(word.strip(",.")) for word in second.found.split() if word.strip(",.").isdigit()]
    assert highest < told[0] < told[1] <= one.nonce("MASTER")


def test_a_permission_to_withdraw_is_warned_of(one: Simulator, state: Path) -> None:
    one.set_permissions("MASTER", {"query-funds", "withdraw-funds"})
    finding = look(one, state)("withdrawals", "MASTER")
    assert finding.level is Level.WARN
    assert "Take every permission for withdrawals away" in (finding.advice or "")
    wanted = look(one, state, settings=Settings(allow_withdrawals=True, tier="pro"))
    assert wanted("withdrawals", "MASTER").level is Level.OK


def test_a_nonce_window_is_warned_of(state: Path) -> None:
    with Simulator(["MASTER"], nonce_window=15) as sim:
        finding = look(sim, state)("nonce-window", "MASTER")
    assert finding.level is Level.WARN
    assert "15" in finding.found


def test_orders_that_cannot_be_looked_up_are_warned_of(one: Simulator, state: Path) -> None:
    one.set_permissions("MASTER", {"query-funds", "modify-trades"})
    finding = look(one, state)("permissions", "MASTER")
    assert finding.level is Level.WARN
    assert "Query open orders & trades" in (finding.advice or "")


def test_maintenance_is_warned_of(one: Simulator, state: Path) -> None:
    one.set_status("maintenance")
    assert look(one, state)("system-status").level is Level.WARN


# Keys that Kraken does not take


def refused(sim: Simulator, state: Path, accounts: Iterable[Any] | None = None) -> Finding:
    """MASTER's key is said to be bad, its other checks are skipped, and nobody else's."""
    found = look(sim, state, accounts)
    assert found.checks("MASTER") == list(WITHOUT_KEY)
    assert found("permissions", "MASTER").level is found("balance", "MASTER").level is Level.SKIPPED
    assert found.of(Level.BAD) == ["key"]
    assert all(found.checks(account.name) == list(KEY) for account in sim.accounts if account.name != "MASTER")
    return found("key", "MASTER")


def of_master(sim: Simulator) -> int:
    return len([call for call in private_calls(sim) if call.account in ("MASTER", None)])


def test_a_revoked_key_is_tried_once(sim: Simulator, state: Path) -> None:
    sim.revoke("MASTER")
    finding = refused(sim, state)
    assert "does not know" in finding.found
    assert "EAPI:Invalid key" in finding.found
    assert of_master(sim) == 1


def test_a_wrong_secret(sim: Simulator, state: Path) -> None:
    master, *others = sim.accounts
    finding = refused(sim, state, [(master.name, master.key, others[0].secret), *others])
    assert "secret does not belong" in finding.found
    assert of_master(sim) == 1


def test_a_lockout_is_not_prolonged(sim: Simulator, state: Path) -> None:
    sim.fault(Fault.error("EGeneral:Temporary lockout", account="MASTER"))
    finding = refused(sim, state)
    assert "locked" in finding.found
    assert "15 minutes" in (finding.advice or "")
    assert of_master(sim) == 1


def test_a_key_that_another_program_uses(sim: Simulator, state: Path) -> None:
    sim.set_nonce("MASTER", time.time_ns() + HOUR * 10**9)
    finding = refused(sim, state)
    assert "EAPI:Invalid nonce" in finding.found
    assert "higher" in finding.found
    asked = {call.endpoint for call in private_calls(sim) if call.account == "MASTER"}
    assert asked == {"BalanceEx"}, "the engine's own fetch backs off; the doctor asks nothing more with the key"


def test_a_nonce_that_is_not_ours_is_seen_though_a_window_lets_ours_pass(state: Path) -> None:
    with Simulator(["MASTER"], nonce_window=2**62) as sim:
        sim.set_nonce("MASTER", time.time_ns() + HOUR * 10**9)
        found = look(sim, state)
    assert found("key", "MASTER").level is Level.OK
    assert found("nonce", "MASTER").level is Level.WARN
    assert "higher than any of ours" in found("nonce", "MASTER").found


def test_a_key_that_may_not_read_balances(one: Simulator, state: Path) -> None:
    one.set_permissions("MASTER", {"query-open-trades"})
    found = look(one, state)
    assert found("key", "MASTER").level is Level.OK
    assert found("permissions", "MASTER").level is found("balance", "MASTER").level is Level.BAD
    assert "'Query funds'" in (found("permissions", "MASTER").advice or "")
    assert "'Query funds'" in (found("balance", "MASTER").advice or "")


def test_a_key_that_needs_its_password(one: Simulator, state: Path) -> None:
    """A permission that is there is not asked for: users ticked permissions for hours."""
    one.set_otp("MASTER", "pw-4711")
    finding = look(one, state)("key", "MASTER")
    assert finding.level is Level.BAD
    assert "KRAKEN_API_OTP" in finding.found
    assert "permission '" not in f"{finding.found} {finding.advice}"


def test_one_failed_call_is_made_again(one: Simulator, state: Path) -> None:
    one.fault(Fault.http(502, endpoint="BalanceEx", times=1))
    found = look(one, state)
    assert not found.of(Level.BAD)
    assert found("balance", "MASTER").level is Level.OK


def test_a_kraken_that_does_not_tell_of_keys(one: Simulator, state: Path) -> None:
    one.fault(Fault.error("EGeneral:Unknown method", endpoint="GetApiKeyInfo"))
    found = look(one, state)
    assert found("key", "MASTER").level is found("balance", "MASTER").level is Level.OK
    assert found("permissions", "MASTER").level is Level.SKIPPED


@again_if_stalled
def test_private_calls_that_hang_end_the_test_in_time(sim: Simulator, state: Path) -> None:
    sim.fault(Fault.hang(endpoint="BalanceEx"))
    with Stopwatch() as watch:
        found = look(sim, state, patience=2.0)  # the public calls come first, and a busy machine needs time for them
    assert watch.seconds < 10
    assert found("key", "MASTER").level is Level.BAD
    assert "did not end in time" in found("key", "MASTER").found
    assert found.checks("BOB") == ["key"]
    assert found("key", "BOB").level is Level.SKIPPED


# What GetApiKeyInfo says


def judged(**said: Any) -> Found:
    """By `said` in camel case, for a key that may do all that it has to."""
    permissions = ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades"]
    info = KeyInfo.of({"permissions": permissions, **said})
    findings = Found(key_findings("MASTER", info, Settings(), 1_700_000_000.0))
    for finding in findings.all:
        check_wording(finding, ())
    return findings


@pytest.mark.parametrize(
    ("until", "level", "text"),
    [
        ("0", Level.OK, "does not expire"),
        (1_700_000_000 + 30 * 86_400, Level.OK, "2023-12-14"),
        (str(1_700_000_000 + 86_400), Level.WARN, "in 1.0 days"),
        ("1600000000", Level.WARN, "expired on"),
        ("9" * 20, Level.OK, "9999"),
        ("soon", Level.SKIPPED, ""),
        (True, Level.SKIPPED, ""),
    ],
)
def test_when_the_key_expires(until: object, level: Level, text: str) -> None:
    finding = judged(validUntil=until)("expiry", "MASTER")
    assert finding.level is level
    assert text in finding.found


@pytest.mark.parametrize(
    ("listed", "level"),
    [([], Level.OK), (["192.0.2.1"], Level.WARN), (["192.0.2.0/24", "192.0.3.1"], Level.WARN), (None, Level.SKIPPED)],
)
def test_whether_the_key_is_bound_to_addresses(listed: object, level: Level) -> None:
    finding = judged(ipAllowlist=listed)("addresses", "MASTER")
    assert finding.level is level
    assert "192.0.2" not in finding.found


def test_both_spellings_are_read() -> None:
    camel = {
        "apiKeyName": "mine", "nonceWindow": "15", "validUntil": "0", "ipAllowlist": ["x"], "nonce": "7",
        "permissions": ["query-funds"],
    }  # fmt: skip
    snake = {
        "api_key_name": "mine", "nonce_window": 15, "valid_until": 0, "ip_allowlist": ["x"], "nonce": 7,
        "permissions": ["query-funds"],
    }  # fmt: skip
    assert KeyInfo.of(camel) == KeyInfo.of(snake) == KeyInfo("mine", frozenset({"query-funds"}), 15, 0, 1, 7)


def test_a_key_of_today_may_place_orders() -> None:
    """Promise G14: as Kraken's reference of 2026 shows it; what is only shown may be odd or gone."""
    today = {
        "apiKeyName": "bot", "apiKey": "k", "nonce": "1772000000000000000", "nonceWindow": 0, "iban": "AA11 N84G",
        "permissions": ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "something-new"],
        "validUntil": "0", "queryFrom": "0", "queryTo": "0", "createdTime": "1770000000", "ipAllowlist": [],
        "lastUsed": None,
    }  # fmt: skip
    assert KeyInfo.of(today).order_obstacle is None
    fine: tuple[dict[str, Any], ...] = (
        {"validUntil": {}, "ipAllowlist": "any", "apiKeyName": None, "nonce": [], "lastUsed": 7, "x": 1},
        {"nonceWindow": "0"}, {"nonceWindow": Decimal("0.0")}, {"nonceWindow": None, "nonce_window": "0"},
        {"queryFrom": None, "queryTo": ""},
    )  # fmt: skip
    for more in fine:
        assert KeyInfo.of({**today, **more}).order_obstacle is None, more
    obstacles: tuple[dict[str, Any], ...] = (
        {"nonceWindow": "5"}, {"nonceWindow": 1}, {"nonceWindow": "soon"}, {"permissions": None},
        {"queryFrom": "2024-01-01"}, {"queryTo": Decimal("1.5")},
    )  # fmt: skip
    for more in obstacles:
        assert KeyInfo.of({**today, **more}).order_obstacle is not None, more


def test_what_cannot_be_read_is_left_out() -> None:
    odd = KeyInfo.of({"apiKeyName": 7, "permissions": "all", "nonceWindow": -1, "validUntil": {}, "nonce": "1.5"})
    assert odd == KeyInfo(None, None, None, None, None, None)
    assert KeyInfo.of({"apiKeyName": "two\nlines\x1b[2J"}).name == "two lines?[2J"


# The way to Kraken


def unreachable(found: Found, check: str) -> Finding:
    """That check is bad, the later ones of the network are skipped, and so is all that needs a key."""
    after = NETWORK[NETWORK.index(check) + 1 :]
    assert [found(each).level for each in after] == [Level.SKIPPED] * len(after)
    assert found.of(Level.BAD) == [check]
    assert found("state-directory").level is Level.OK
    assert found.checks("MASTER") == list(WITHOUT_KEY)
    assert found("key", "MASTER").level is Level.SKIPPED
    assert found("nonce", "MASTER").level is Level.OK
    return found(check)


def test_kraken_away(one: Simulator, state: Path) -> None:
    look(one, state)
    with one.outage():
        found = look(one, state)
    assert "refuses connections" in unreachable(found, "connection").found
    assert "The mark is" in found("nonce", "MASTER").found


def test_a_name_that_is_not_found(one: Simulator, state: Path) -> None:
    def nothing(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = look(None, state, one.accounts, resolver=Resolver(nothing))
    finding = unreachable(found, "dns")
    assert "api.kraken.com" in finding.found
    assert "Name or service not known" in finding.found


def test_a_name_server_that_is_silent(one: Simulator, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_check, "NAME_PATIENCE", 0.2)
    over = threading.Event()

    def silent(*_: Any, **__: Any) -> list[Any]:
        over.wait(LONG)
        return []

    found = look(None, state, one.accounts, resolver=Resolver(silent))
    over.set()
    assert "No name server answered" in unreachable(found, "dns").found


def test_a_server_without_tls(one: Simulator, state: Path) -> None:
    found = look(one, state, url=one.url.replace("http:", "https:"), settings=ANY_HOST)
    assert "TLS failed" in unreachable(found, "tls").found


def test_a_certificate_of_somebody_else(one: Simulator, state: Path, serve: Any, authority: Authority) -> None:
    server = serve(answering(reply()), authority.server("127.0.0.1"))
    found = look(None, state, one.accounts, url=f"https://127.0.0.1:{server.port}", settings=ANY_HOST)
    finding = unreachable(found, "tls")
    assert "certificate is not accepted" in finding.found
    assert "may not be Kraken" in (finding.advice or "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Fault.http(502), "502"),
        (Fault.close(), "closed"),
        (Fault.redirect("https://login.example/"), "redirect"),
        (Fault.body(b"<html><title>Sign in</title>"), "Sign in"),
    ],
)
def test_something_that_answers_in_place_of_kraken(one: Simulator, state: Path, answer: Fault, text: str) -> None:
    with one.outage(answer):
        found = look(one, state)
    finding = found("kraken")
    assert finding.level is Level.BAD
    assert text in finding.found
    assert found("connection").level is Level.OK
    assert found("key", "MASTER").level is Level.SKIPPED
    assert not private_calls(one)


@again_if_stalled
def test_a_kraken_that_hangs(one: Simulator, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_check, "REPLY_PATIENCE", 0.2)
    with one.outage(Fault.hang()):
        found = look(one, state)
    assert "time ran out" in unreachable(found, "kraken").found


@pytest.mark.parametrize("result", [b"{}", b'{"unixtime":"noon"}', b'{"unixtime":null}'])
def test_a_kraken_without_a_time_counts_as_reachable(one: Simulator, state: Path, result: bytes) -> None:
    """Promise G14: the time is nice to have, since every reply has a date."""
    one.fault(Fault.body(b'{"error":[],"result":%b}' % result, endpoint="Time"))
    found = look(one, state)
    assert found("kraken").level is Level.WARN
    assert "does not tell the time" in found("kraken").found
    assert found("clock").level is Level.SKIPPED
    assert found("balance", "MASTER").level is Level.OK


def test_a_rate_limited_kraken_counts_as_reachable(one: Simulator, state: Path) -> None:
    one.fault(Fault.error("EGeneral:Too many requests", endpoint="Time", times=1))
    found = look(one, state)
    assert found("kraken").level is Level.WARN
    assert found("clock").level is Level.SKIPPED
    assert found("balance", "MASTER").level is Level.OK


@pytest.mark.parametrize(
    ("off", "level", "text"),
    [(HOUR, Level.BAD, "behind"), (-HOUR, Level.BAD, "ahead of"), (60, Level.WARN, "behind")],
)
def test_a_clock_that_is_wrong(state: Path, off: int, level: Level, text: str) -> None:
    with Simulator(["MASTER"], wall=lambda: time.time() + off) as sim:
        look(sim, state)
        found = look(sim, state, settings=Settings(local_limits=False))
    assert found("clock").level is level
    assert text in found("clock").found
    assert "timedatectl" in (found("clock").advice or "")
    assert found("balance", "MASTER").level is Level.OK
    assert found("nonce", "MASTER").level is Level.OK, "a mark by Kraken's time is not ahead"


# The state directory


def test_an_owned_directory(one: Simulator, state: Path) -> None:
    look(one, state)
    before = len(private_calls(one))
    owner = Ownership(state)
    try:
        found = look(one, state)
    finally:
        owner.release()
    assert found("state-directory").level is Level.OK
    assert f"process {os.getpid()}" in found("state-directory").found
    assert "To test the keys as well, stop it" in found("state-directory").found
    assert [found(check).level for check in NETWORK if check != "tls"] == [Level.OK] * (len(NETWORK) - 1)
    assert found.checks("MASTER") == list(WITHOUT_KEY)
    assert found("key", "MASTER").level is Level.SKIPPED
    assert "The mark is" in found("nonce", "MASTER").found
    assert not found.of(Level.BAD)
    assert len(private_calls(one)) == before


def test_a_key_that_another_engine_has(one: Simulator, state: Path, tmp_path: Path) -> None:
    account = Account.of(one.accounts[0])
    owner = Ownership(tmp_path / "other", [(account.name, account.key_id)])
    try:
        found = look(one, state)
    finally:
        owner.release()
    assert found("state-directory").level is Level.BAD
    assert str(os.getpid()) in found("state-directory").found
    assert not private_calls(one)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_directory_that_cannot_be_used(one: Simulator, state: Path, is_open: bool) -> None:
    state.write_text("a file")
    if not is_open:
        one.stop()
    found = look(one, state)
    assert found("state-directory").level is Level.BAD
    assert found("key", "MASTER").level is Level.SKIPPED


def test_a_mark_far_ahead(one: Simulator, state: Path) -> None:
    owner = Ownership(state)
    nonces = file_nonces(owner.directory)
    nonces.skip_to(Account.of(one.accounts[0]).key_id, time.time_ns() + 86_400 * 10**9)
    nonces.close()
    owner.release()
    finding = look(one, state)("nonce", "MASTER")
    assert finding.level is Level.WARN
    assert "24.0 h ahead of the clock" in finding.found


def test_used_up_nonces_want_a_new_key_and_no_other_disk(one: Simulator, state: Path) -> None:
    owner = Ownership(state)
    nonces = file_nonces(owner.directory)
    nonces.skip_to(Account.of(one.accounts[0]).key_id, 2**63 - 2)
    nonces.issue(Account.of(one.accounts[0]).key_id)  # the last
    nonces.close()
    owner.release()
    found = look(one, state)
    assert "used up" in found("key", "MASTER").found
    assert "Replace this key" in (found("key", "MASTER").advice or "")
    assert "Fix the disk" not in (found("key", "MASTER").advice or "")
    assert "years ahead of the clock" in found("nonce", "MASTER").found


def test_lost_marks_are_told(one: Simulator, state: Path) -> None:
    look(one, state)
    for file in state.glob("nonces*.sqlite"):
        file.write_bytes(b"not a database at all")
    found = look(one, state)
    assert found("nonces-lost").level is Level.WARN
    assert found("nonce").level is Level.BAD
    assert found("balance", "MASTER").level is Level.OK


# Configuration, and what nobody foresaw


def test_no_account(one: Simulator, state: Path) -> None:
    found = look(one, state, [])
    assert found("configuration").level is Level.BAD
    assert found("kraken").level is Level.OK


def test_an_invalid_configuration(one: Simulator, state: Path) -> None:
    assert look(one, state, url="ftp://nowhere").of(Level.BAD) == ["configuration"]
    master = one.accounts[0]
    twice = [master, ("ALICE", master.key, master.secret)]
    assert "same API key" in look(one, state, twice)("configuration").found


def test_a_check_that_fails_itself_is_a_finding(
    sim: Simulator, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(account: str, *_: Any) -> Iterator[Finding]:
        if account == "ALICE":
            raise ZeroDivisionError(sim.accounts[1].secret)
        return iter(())

    monkeypatch.setattr(account_check, "key_findings", broken)
    found = look(sim, state)
    assert found("doctor", "ALICE").level is Level.BAD
    assert "ZeroDivisionError" in found("doctor", "ALICE").found
    assert found("balance", "BOB").level is Level.OK


def test_giving_up_early_stops_the_engine(one: Simulator, state: Path) -> None:
    findings = examine(map(Account.of, one.accounts), url=one.url, state_dir=state)
    next(finding for finding in findings if finding.check == "state-directory")
    findings.close()  # type: ignore[attr-defined]
    Ownership(state).release()


# The command


@pytest.fixture
def configured(one: Simulator, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MASTER in the environment."""
    for name in [each for each in os.environ if each.startswith("KRAKEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KRAKEN_API_KEY", one.accounts[0].key)
    monkeypatch.setenv("KRAKEN_API_SECRET", one.accounts[0].secret)
    monkeypatch.setenv("KRAKEN_SPOT_URL", one.url)
    monkeypatch.setenv("KRAKEN_ENGINE_STATE", str(state))


def run(*arguments: str) -> int:
    return int(command.main(list(arguments), standalone_mode=False, obj=Options()))


@pytest.mark.usefixtures("configured")
def test_the_document(one: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    one.set_permissions("MASTER", {"query-funds", "withdraw-funds"})
    assert run("--json") == Exit.DONE, "a warning is no failure"
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"findings", "ok"}
    assert document["ok"] is True
    for finding in document["findings"]:
        assert set(finding) == {"check", "account", "level", "found", "advice"}
        assert finding["level"] in ("ok", "note", "warn", "bad", "skipped")
    one.revoke("MASTER")
    assert run("--json") == Exit.REFUSED
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.usefixtures("configured")
def test_what_a_person_reads(one: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == Exit.DONE
    assert "All is well." in capsys.readouterr().out
    one.revoke("MASTER")
    assert run() == Exit.REFUSED
    out, err = capsys.readouterr()
    assert "bad      MASTER key: Kraken does not know the API key." in out
    assert "         -> Copy the key again" in out
    assert "1 bad, 0 to look at." in out
    assert one.accounts[0].key not in out + err
    assert one.accounts[0].secret not in out + err
