"""The command line as a user runs it: exit codes, one document under --json, and never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Engine, Settings, errors
from engine.cli import main
from engine.cli.balances import show_balances
from engine.cli.exits import HELP, advice, exit_code
from engine.cli.output import console, seconds_in_words
from engine.cli.units import unit_of
from engine.ownership import Ownership
from engine.simulator import Fault, Simulator
from engine.store.nonces import file_nonces, read_marks
from engine.values import MASTER
from engine.version import __version__
from tests import ROOT
from tests.stopwatch import PATIENCE, Stopwatch, again_if_stalled

SECRET = "bm90LWEtc2VjcmV0LWF0LWFsbA=="
KEY = os.urandom(8).hex()  # a key is claimed machine-wide
ACCOUNTS = {"KRAKEN_API_KEY": KEY, "KRAKEN_API_SECRET": SECRET}
MILLISECONDS = 1_700_000_000_000
YEAR_NS = 31_557_600 * 10**9

Environment = dict[str, str]


@dataclass
class Ran:
    """One finished command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def _environment(tmp_path: Path, **more: str) -> Environment:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KRAKEN_", "XDG_"))}
    return {
        **inherited, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "KRAKEN_ENGINE_STATE": str(tmp_path / "state"),
        "KRAKEN_SPOT_URL": "http://127.0.0.1:9", **more,
    }  # fmt: skip


def _of(simulator: Simulator, tmp_path: Path) -> Environment:
    """The environment that makes the simulator's accounts known."""
    found = _environment(tmp_path, KRAKEN_SPOT_URL=simulator.url)
    for account in simulator.accounts:
        prefix = "KRAKEN_API" if account.name == MASTER else f"KRAKEN_USER_{account.name}_API"
        found |= {f"{prefix}_KEY": account.key, f"{prefix}_SECRET": account.secret}
    return found


def _run(*arguments: str, env: Environment, python: Sequence[str] = ("-m", "engine")) -> Ran:
    """Run it as a process. Holds for every run: no traceback, and no secret in what it says."""
    command = [sys.executable, "-W", "error", *python, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=60, check=False)
    for stream in (done.stdout, done.stderr):
        assert "Traceback" not in stream
        assert "Exception ignored" not in stream
        assert all(value not in stream for name, value in env.items() if name.endswith("_SECRET"))
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line inside this process."""

    def run(*arguments: str, env: Environment) -> Ran:
        for name in [name for name in os.environ if name.startswith("KRAKEN_")]:
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        code = main(arguments)
        said = capsys.readouterr()
        assert all(value not in said.out + said.err for name, value in env.items() if name.endswith("_SECRET"))
        return Ran(code, said.out, said.err)

    return run


# Wrong from the start: one sentence and an exit code, as a process.


def _toml(text: str) -> Callable[[Path], list[str]]:
    def arguments(tmp_path: Path) -> list[str]:
        (tmp_path / "engine.toml").write_text(text)
        return ["--config", str(tmp_path / "engine.toml")]

    return arguments


WRONG: dict[str, tuple[Environment, Callable[[Path], list[str]], int, str]] = {
    "no accounts": ({}, lambda _: [], 2, "There is no account"),
    "half a key": ({"KRAKEN_API_KEY": "k"}, lambda _: [], 2, "KRAKEN_API_SECRET is not set"),
    "secret not base64": (
        {"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "not/base64!"}, lambda _: [], 2, "is not base64",
    ),
    "secret file missing": (
        {"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET_FILE": "/nowhere/secret"}, lambda _: [], 2, "cannot be read",
    ),
    "http to a stranger": (ACCOUNTS, lambda _: ["--url", "http://example.com"], 2, "Plain http"),
    "https to a stranger": (ACCOUNTS, lambda _: ["--url", "https://example.com"], 2, "not one of Kraken's hosts"),
    "bad TOML": (ACCOUNTS, _toml(f'[accounts.MASTER\nsecret = "{SECRET}"'), 2, "is not valid TOML"),
    "no such config": (ACCOUNTS, lambda _: ["--config", "/nowhere.toml"], 2, "cannot be read"),
    "state dir is a file": (ACCOUNTS, lambda _: ["--state-dir", str(ROOT / "setup.cfg")], 3, "is a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(case: str, tmp_path: Path) -> None:
    environment, arguments, code, sentence = WRONG[case]
    ran = _run("balances", "--json", *arguments(tmp_path), env=_environment(tmp_path, **environment))
    assert ran.code == code
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.err.strip().endswith(ran.document["error"]["message"])


@pytest.mark.parametrize("library", ["click", "rich"])
def test_missing_library_is_one_sentence(library: str, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules[sys.argv.pop(1)] = None; "
        "from engine.__main__ import main; sys.exit(main())"
    )
    ran = _run(library, "demo", env=_environment(tmp_path), python=("-c", code))
    assert ran.code == 2
    assert ran.err == f"kraken-engine: {library} is not installed: run pip install '.[cli]' in the clone.\n"


def test_ctrl_c_while_it_loads_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "import engine; sys.meta_path.insert(0, Slow())\n"
        "from engine.__main__ import main; sys.exit(main())"
    )
    ran = _run("demo", "--json", env=_environment(tmp_path), python=("-c", code))
    assert (ran.code, ran.err) == (130, "kraken-engine: Interrupted.\n")
    assert ran.document == {"error": {"type": "Interrupted", "message": "Interrupted."}}


def test_no_command_line_is_a_help_text_and_help_tells_every_exit_code(tmp_path: Path) -> None:
    assert _run(env=_environment(tmp_path)).code == 2
    helped = _run("--help", env=_environment(tmp_path))
    assert helped.code == 0
    for line in HELP.splitlines()[2:]:
        assert line in helped.out


def test_version_is_that_of_the_package(cli: Callable[..., Ran], tmp_path: Path) -> None:
    ran = cli("--version", env=_environment(tmp_path))
    assert (ran.code, ran.out) == (0, f"kraken-engine, version {__version__}\n")


def test_help_tells_the_default_of_timeout(cli: Callable[..., Ran], tmp_path: Path) -> None:
    for command in ("balances", "call"):
        assert "[10, or call_timeout" in cli(command, "-h", env=_environment(tmp_path)).out


def test_wrong_usage_has_a_type_of_its_own(cli: Callable[..., Ran], tmp_path: Path) -> None:
    for arguments in (["no-such"], ["call"], ["balances", "--no-such"], ["balances", "--timeout", "x"]):
        ran = cli("--json", *arguments, env=_environment(tmp_path))
        assert (ran.code, ran.document["error"]["type"]) == (2, "WrongUsage")


def test_every_command_has_help(cli: Callable[..., Ran], tmp_path: Path) -> None:
    for command in (["demo"], ["balances"], ["call"], ["nonce"], ["simulate"], ["nonce", "show"], ["nonce", "import"],
                    ["nonce", "raise"]):  # fmt: skip
        helped = cli(*command, "-h", env=_environment(tmp_path))
        assert helped.code == 0
        assert "Usage: kraken-engine " + " ".join(command) in helped.out


def test_wrong_usage_is_2(cli: Callable[..., Ran], tmp_path: Path) -> None:
    env = _environment(tmp_path, **ACCOUNTS)
    for arguments in (["no-such"], ["call"], ["call", "MASTER", "Balance", "novalue"], ["balances", "--timeout", "0"],
                      ["balances", "--url", ""], ["balances", "--state-dir", ""], ["balances", "--timeout", "inf"],
                      ["call", "MASTER", "Balance", "otp=123"], ["nonce", "raise", "MASTER", "x"],
                      ["call", "MASTER", "Balance", "asset=ZUSD", "asset=ZEUR"],
                      ["simulate", "--accounts", "A-B"], ["simulate", "--accounts", "A,A"]):  # fmt: skip
        ran = cli(*arguments, env=env)
        assert ran.code == 2, arguments
        assert not ran.out
        assert ran.err


# balances


def test_balances_json_is_the_contract(sim: Simulator, tmp_path: Path) -> None:
    """The JSON of `balances`, exactly as the contract has it."""
    ran = _run("balances", "--json", env=_of(sim, tmp_path))
    assert (ran.code, ran.err) == (0, "")
    assert ran.document.keys() == {"accounts"}
    master, alice, bob = ran.document["accounts"]
    assert master.keys() == {
        "account", "state", "cash", "available_cash", "is_available", "error_count", "last_error", "as_of",
        "age_seconds", "assets",
    }  # fmt: skip
    assert [each["account"] for each in (master, alice, bob)] == ["MASTER", "ALICE", "BOB"]
    assert (master["state"], master["is_available"], master["error_count"]) == ("fresh", True, 0)
    assert Decimal(master["cash"]) == 18_000
    assert Decimal(master["available_cash"]) == 17_500
    assert Decimal(alice["cash"]) == Decimal("4200.5")
    assert {name: Decimal(value) for name, value in master["assets"]["XBT"].items()} == {
        "total": Decimal("0.75"), "available": Decimal("0.65"), "held": Decimal("0.1"),
    }  # fmt: skip


def test_balances_on_a_terminal_are_a_table(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    ran = cli("balances", "--assets", env=_of(sim, tmp_path))
    assert ran.code == 0
    for text in ("ALICE", "FRESH", "4200.5000", "XBT", "0.6500000000"):
        assert text in ran.out


def test_balances_name_the_assets_of_cash_and_money_that_is_none(
    cli: Callable[..., Ran], sim: Simulator, tmp_path: Path
) -> None:
    """The document's keys stay; what to configure is on stderr."""
    sim.set_balance("BOB", {"ZEUR": "5000"})
    ran = cli("balances", env=_of(sim, tmp_path))
    assert "USD + USDT" in ran.out
    assert 'warning: Account BOB holds EUR' in ran.err
    assert 'cash = ["EUR"]' in " ".join(ran.err.split())
    document = cli("balances", "--json", env=_of(sim, tmp_path))
    assert "cash_assets" not in document.document["accounts"][2]
    assert "EUR" in document.err


def test_cash_that_kraken_does_not_list_is_wrong_usage(
    cli: Callable[..., Ran], sim: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[settings]\ncash = ["USD", "EURO"]\n')
    for _ in range(2):  # first when Kraken has told its list, then from the start on
        ran = cli("balances", "--config", str(file), env=_of(sim, tmp_path))
        assert ran.code == 2
        assert "'EURO'" in ran.err
    assert "'EURO'" in cli("doctor", "--config", str(file), env=_of(sim, tmp_path)).out


def test_one_bad_account_ends_with_1_and_is_never_shown_as_0(
    cli: Callable[..., Ran], sim: Simulator, tmp_path: Path
) -> None:
    """G6: `cash` is null exactly when the state is unknown."""
    sim.revoke("BOB")
    ran = cli("balances", "--json", env=_of(sim, tmp_path))
    assert ran.code == 1
    for each in ran.document["accounts"]:
        assert (each["cash"] is None) == (each["state"] == "unknown") == (each["account"] == "BOB")
    bob = ran.document["accounts"][2]
    assert "EAPI:Invalid key" in bob["last_error"]
    assert (bob["is_available"], bob["error_count"], bob["as_of"], bob["age_seconds"]) == (False, 1, None, None)
    assert "unknown" in cli("balances", env=_of(sim, tmp_path)).out


def test_balances_without_kraken_are_the_last_known(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    env = _of(sim, tmp_path)
    assert cli("balances", env=env).code == 0
    sim.stop()
    ran = cli("balances", "--json", "--timeout", "1", env=env)
    assert ran.code == 1
    assert [each["state"] for each in ran.document["accounts"]] == ["stale"] * 3
    assert Decimal(ran.document["accounts"][1]["cash"]) == Decimal("4200.5")


def test_accounts_are_asked_at_the_same_time(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang(endpoint="BalanceEx"))
    with Stopwatch() as watch:
        ran = cli("balances", "--timeout", "1", env=_of(sim, tmp_path))
    assert ran.code == 1
    assert watch.seconds < 2.5, "one second for all of them, not for each"


@again_if_stalled
def test_a_kraken_that_never_answers_is_reported(cli: Callable[..., Ran], silent: Environment) -> None:
    """The cause is there although it comes when the time is over."""
    ran = cli("balances", "--json", "--timeout", "1", env=silent)
    assert ran.code == 1
    (master,) = ran.document["accounts"]
    assert (master["state"], master["error_count"]) == ("unknown", 1)
    assert master["last_error"]


def test_amounts_are_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "account": "A_LONG_NAME_OF_AN_ACCOUNT", "state": "unknown", "age_seconds": 90.0, "is_available": False,
        "cash": "123456789012.12345678", "available_cash": "123456789012.12345678", "error_count": 3,
        "last_error": "EAPI:Invalid key " * 10,
    }  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_balances(console(), "Balances", [row])
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    line = next(line for line in out.splitlines() if line.startswith("A_LONG_NAME_OF_AN_ACCOUNT "))
    assert line.count("123456789012.12345678") == 2
    assert "UNKNOWN" in line
    assert "A_LONG_NAME_OF_AN_ACCOUNT: EAPI:Invalid key" in out


def test_a_usual_balance_fits_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "account": "MASTER", "state": "unknown", "age_seconds": 90.0, "is_available": False,
        "cash": "18000.00000000", "available_cash": "17500.00000000", "error_count": 3, "last_error": None,
    }  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_balances(console(), "Balances", [row])
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "18000.00000000" in out
    assert "17500.00000000" in out


# While another engine owns the state directory


def _silent_server() -> socket.socket:
    """A Kraken that takes connections and never answers."""
    return socket.create_server(("127.0.0.1", 0))


def _at(server: socket.socket, tmp_path: Path) -> Environment:
    return _environment(tmp_path, KRAKEN_SPOT_URL=f"http://127.0.0.1:{server.getsockname()[1]}", **ACCOUNTS)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Environment]:
    """An environment whose Kraken takes connections and never answers."""
    with _silent_server() as server:
        yield _at(server, tmp_path)


@pytest.fixture
def owned(sim: Simulator, tmp_path: Path) -> Iterator[Environment]:
    """An environment whose state directory a running engine owns."""
    settings = Settings(local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=settings) as engine:
        for account in sim.accounts:
            assert engine.balance(account.name, max_age=5).is_available
        yield _of(sim, tmp_path)


def test_balances_and_nonce_show_read_what_another_engine_owns_and_say_so(owned: Environment, tmp_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    ran = _run("balances", "--json", env=owned)
    while any(each["cash"] is None for each in ran.document["accounts"]) and time.monotonic() < deadline:
        ran = _run("balances", "--json", env=owned)  # it keeps a balance soon after it has it
    assert ran.code == 1
    assert str(os.getpid()) in ran.err
    assert "read from its store" in ran.err
    assert {each["state"] for each in ran.document["accounts"]} == {"stale"}
    shown = _run("nonce", "show", "--json", env=owned)
    assert shown.code == 0
    assert str(os.getpid()) in shown.err
    assert [each["account"] for each in shown.document["keys"]] == ["MASTER", "ALICE", "BOB"]


@pytest.mark.parametrize(
    "arguments", [["call", "MASTER", "Balance"], ["nonce", "raise", "MASTER", "5"], ["nonce", "import", "{file}"]]
)
def test_the_others_name_the_owner(owned: Environment, tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "nonce.txt"
    file.write_text("5")
    ran = _run(*(each.format(file=file) for each in arguments), env=owned)
    assert ran.code == 3
    assert not ran.out
    assert f"process {os.getpid()}" in ran.err


def test_a_key_in_use_elsewhere_is_refused_with_its_owner(owned: Environment, tmp_path: Path) -> None:
    ran = _run("balances", "--state-dir", str(tmp_path / "other"), env=owned)
    assert ran.code == 3
    assert f"The API key of account MASTER is in use by process {os.getpid()}" in ran.err


# call


def test_call_prints_krakens_result(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    ran = cli("call", "MASTER", "TradeBalance", "asset=ZUSD", env=_of(sim, tmp_path))
    assert (ran.code, ran.err) == (0, "")
    assert Decimal(ran.document["eb"]) > 0
    called = next(call for call in sim.calls if call.endpoint == "TradeBalance")
    assert called.params == {"asset": "ZUSD"}
    assert len([call for call in sim.calls if call.private]) == 1, "no balance is fetched besides"


def test_a_new_endpoint_is_called_with_its_class(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    """Promise G14: what this program does not know needs no release."""
    sim.fault(Fault.body(b'{"error":[],"result":{"a":1}}', endpoint="ListThings"))
    env = _of(sim, tmp_path)
    assert cli("call", "MASTER", "ListThings", "--class", "read", env=env).document == {"a": 1}
    refusals = ((["ListThings"], "--class"), (["ListThings", "--class", "order"], "--live"),
                (["AddOrder", "--class", "read"], "'order'"), (["X", "--class", "odd"], "odd"))  # fmt: skip
    for arguments, words in refusals:
        ran = cli("call", "MASTER", *arguments, env=env)
        assert ran.code == 2, arguments
        assert words in ran.err


def test_numbers_with_a_fraction_stay_exact(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    """G12."""
    sim.fault(Fault.body(b'{"error":[],"result":{"x":0.10000000000000000001}}', endpoint="TradeBalance"))
    assert cli("call", "MASTER", "TradeBalance", env=_of(sim, tmp_path)).document == {"x": "0.10000000000000000001"}


CALLS: dict[str, tuple[Fault | None, list[str], int, tuple[str, ...]]] = {
    "refused": (
        Fault.error("EGeneral:Permission denied", endpoint="TradeBalance"), ["MASTER", "TradeBalance"], 1,
        ("EGeneral:Permission denied", "Kraken did nothing."),
    ),
    "unknown account": (None, ["BOBBY", "Balance"], 2, ("There is no account 'BOBBY'", "MASTER, ALICE, BOB")),
    "unknown endpoint": (None, ["MASTER", "Balanec"], 2, ("did you mean 'Balance'?",)),
    "not live": (None, ["MASTER", "AddOrder", "pair=XBTUSD"], 2, ("not live", "--live")),
    "a nonce": (None, ["MASTER", "Balance", "nonce=5"], 2, ("leave 'nonce' out",)),
    "a bad parameter": (None, ["MASTER", "Balance", "x=\udcff"], 2, ("Parameter 'x'",)),
    "a withdrawal": (None, ["MASTER", "Withdraw", "--live"], 2, ("[settings] allow_withdrawals = true",)),
    "unknown": (
        Fault.close(executed=True, endpoint="AddOrder"),
        ["MASTER", "AddOrder", "pair=XBTUSD", "type=buy", "ordertype=limit", "price=1", "volume=1", "--live"], 5,
        ("look it up",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_every_outcome_has_its_exit_code(
    case: str, cli: Callable[..., Ran], sim: Simulator, tmp_path: Path
) -> None:
    fault, arguments, code, sentences = CALLS[case]
    if fault is not None:
        sim.fault(fault)
    ran = cli("call", "--timeout", "30", "--json", *arguments, env=_of(sim, tmp_path))
    assert ran.code == code
    assert ran.document.keys() == {"error"}
    for sentence in sentences:
        assert sentence in ran.err
    assert "may be made again" not in ran.err
    assert "True" not in ran.err


def test_used_up_nonces_are_2(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    env = _of(sim, tmp_path)
    assert cli("nonce", "raise", "MASTER", str(2**63 - 2), "--yes", env=env).code == 0
    assert cli("call", "MASTER", "Balance", env=env).code == 0, "the last one"
    ran = cli("call", "MASTER", "Balance", env=env)
    assert ran.code == 2
    assert "make a new key" in ran.err
    assert "may be made again" not in ran.err


PASSING = (
    errors.ConnectFailed, errors.CounterFull, errors.DeadlinePassed, errors.EngineStopped, errors.MailboxFull,
    errors.PairUnsettled,
)  # fmt: skip


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_4_and_may_be_made_again(kind: type[errors.CallNotSent]) -> None:
    assert exit_code(kind("Not now.")) == 4
    assert list(advice(kind("Not now."))) == ["Nothing reached Kraken: the same call may be made again."]


def test_a_lockout_is_4_and_a_refused_key_is_1() -> None:
    lockout = errors.LockedOut("Kraken has locked this key out.", retry_after=60.0)
    assert exit_code(lockout) == 4
    assert list(advice(lockout)) == ["Nothing reached Kraken.", "Another try makes sense in 60 s."]
    refused = errors.KeyRefused("Kraken refuses this key.", retry_after=60.0)
    assert exit_code(refused) == 1
    assert list(advice(refused)) == ["Nothing reached Kraken."]


@pytest.mark.parametrize("kind", [errors.InvalidKey, errors.InvalidSignature, errors.PermissionDenied])
def test_nobody_is_told_to_wait_for_what_waiting_does_not_end(kind: type[errors.CallRefused]) -> None:
    assert list(advice(kind("Kraken refused Balance.", retry_after=60.0))) == ["Kraken did nothing."]


def test_a_key_that_is_held_back_is_refused_by_its_type(sim: Simulator, tmp_path: Path) -> None:
    """The second call is not sent: what it ends with says so, and not that it may be made again."""
    sim.revoke("MASTER")
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", balances=()) as engine:
        kinds: list[type[BaseException]] = []
        for _ in range(4):
            with pytest.raises(errors.CallError) as raised:
                engine.call("MASTER", "Balance", timeout=1)
            kinds.append(type(raised.value))
    assert kinds[0] is errors.InvalidKey
    assert kinds[-1] is errors.KeyRefused


def test_a_disk_that_keeps_no_nonce_is_3() -> None:
    error = errors.NonceNotDurable("No nonce could be made durable: the disk is full.")
    error.__cause__ = errors.StoreError("the disk is full.")
    assert exit_code(error) == 3


def test_settings_are_named_as_the_file_does(cli: Callable[..., Ran], tmp_path: Path) -> None:
    env = _environment(tmp_path, **ACCOUNTS)
    assert "[settings] any_host = true" in cli("balances", "--url", "https://example.com", env=env).err
    doctor = cli("doctor", "--url", "https://example.com", env=env)
    assert "[settings] any_host = true" in doctor.out
    assert "Settings" not in doctor.out + doctor.err


def test_not_sent_is_4(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    with sim.outage():
        ran = cli("call", "MASTER", "Balance", "--timeout", "1", env=_of(sim, tmp_path))
    assert ran.code == 4
    assert "Nothing reached Kraken" in ran.err


def test_the_engines_warnings_are_said(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    sim.set_nonce("MASTER", time.time_ns() + YEAR_NS)
    ran = cli("call", "MASTER", "Balance", env=_of(sim, tmp_path))
    assert ran.code == 1
    assert "EAPI:Invalid nonce" in ran.err
    assert "kraken-engine nonce import" in ran.err
    assert "warning: " in ran.err


def test_an_unexpected_error_is_a_sentence_too(
    cli: Callable[..., Ran], sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "call", broken)
    ran = cli("call", "MASTER", "Balance", "--json", env=_of(sim, tmp_path))
    assert ran.code == 70
    assert ran.document["error"]["type"] == "Fault"
    assert "ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in cli("--verbose", "call", "MASTER", "Balance", env=_of(sim, tmp_path)).err


def test_verbose_tells_how_each_call_ended_once(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="OpenOrders"))
    for endpoint, outcome in (("TradeBalance", "done"), ("OpenOrders", "refused")):
        told = cli("--verbose", "call", "--verbose", "MASTER", endpoint, env=_of(sim, tmp_path)).err
        assert told.count(f" INFO MASTER {endpoint} {outcome}, 0.") == 1, told


# nonce


def _nonce_environment(tmp_path: Path) -> tuple[Environment, str]:
    return _environment(tmp_path, **ACCOUNTS), Account(MASTER, KEY, SECRET).key_id


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1_700_000_000, "looks like seconds"), (MILLISECONDS, "looks like milliseconds"),
        (MILLISECONDS * 1000, "looks like microseconds"), (MILLISECONDS * 10**5, "looks like tens of nanoseconds"),
        (MILLISECONDS * 10**6, "looks like nanoseconds"), (4711, "looks like no clock's time in any unit"),
    ],
)  # fmt: skip
def test_import_takes_any_unit_as_it_is(
    number: int, words: str, cli: Callable[..., Ran], tmp_path: Path
) -> None:
    env, key_id = _nonce_environment(tmp_path)
    (tmp_path / "bot.nonce").write_text(f" {number}\n")
    ran = cli("nonce", "import", str(tmp_path / "bot.nonce"), env=env)
    assert ran.code == 0
    assert words in ran.out
    assert "one-way" in ran.out
    assert read_marks(tmp_path / "state") == {key_id: number}


def test_a_mark_is_never_lowered(cli: Callable[..., Ran], tmp_path: Path) -> None:
    env, key_id = _nonce_environment(tmp_path)
    assert cli("nonce", "raise", "MASTER", str(MILLISECONDS), "--json", env=env).document == {
        "account": "MASTER", "key_id": key_id, "number": str(MILLISECONDS), "unit": "milliseconds",
        "mark_before": None, "mark": str(MILLISECONDS), "lead_seconds": pytest.approx(-time.time(), rel=0.01),
        "changed": True,
    }  # fmt: skip
    lower = cli("nonce", "raise", "MASTER", "5", env=env)
    assert lower.code == 0
    assert "Nothing changed" in lower.out
    assert read_marks(tmp_path / "state") == {key_id: MILLISECONDS}
    Ownership(tmp_path / "state").release()


def test_a_number_far_ahead_needs_confirmation(cli: Callable[..., Ran], tmp_path: Path) -> None:
    env, key_id = _nonce_environment(tmp_path)
    far = time.time_ns() + YEAR_NS
    refused = cli("nonce", "raise", "MASTER", str(far), env=env)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert read_marks(tmp_path / "state") == {}
    assert cli("nonce", "raise", "MASTER", str(far), "--yes", env=env).code == 0
    assert read_marks(tmp_path / "state") == {key_id: far}
    for number in (2**63 - 1, 2**63, 10**30):
        never = cli("nonce", "raise", "MASTER", str(number), env=env)
        assert never.code == 2
        assert "cannot be a nonce" in never.err
        assert "--yes" not in never.err


@pytest.mark.parametrize("text", ["", "abc", "-5", "1 2", "1.5", "9" * 200, "\u0663"])
def test_a_file_that_holds_no_number_is_refused(text: str, cli: Callable[..., Ran], tmp_path: Path) -> None:
    env, _ = _nonce_environment(tmp_path)
    (tmp_path / "bot.nonce").write_text(text)
    ran = cli("nonce", "import", "--yes", str(tmp_path / "bot.nonce"), env=env)
    assert ran.code == 2
    assert cli("nonce", "import", "/nowhere", env=env).code == 2
    assert read_marks(tmp_path / "state") == {}


def test_an_imported_number_of_nanoseconds_is_passed_by_the_next_call(
    cli: Callable[..., Ran], sim: Simulator, tmp_path: Path
) -> None:
    env = _of(sim, tmp_path)
    used = time.time_ns() + 3600 * 10**9
    sim.set_nonce("ALICE", used)
    assert cli("call", "ALICE", "Balance", env=env).code == 1
    (tmp_path / "bot.nonce").write_text(str(used))
    assert cli("nonce", "import", "--account", "ALICE", str(tmp_path / "bot.nonce"), env=env).code == 0
    assert cli("call", "ALICE", "Balance", env=env).code == 0
    assert sim.nonce("ALICE") > used


def test_nonce_show_needs_no_network_and_no_account(cli: Callable[..., Ran], tmp_path: Path) -> None:
    env, key_id = _nonce_environment(tmp_path)
    assert cli("nonce", "show", "--json", env=env).document["keys"] == [
        {"account": "MASTER", "key_id": key_id, "mark": None, "lead_seconds": None}
    ]
    assert not (tmp_path / "state").exists(), "showing makes nothing"
    nothing = cli("nonce", "show", env=_environment(tmp_path))
    assert (nothing.code, nothing.out) == (
        0, f"There is no mark in {tmp_path / 'state'}, and no account is configured.\n",
    )  # fmt: skip
    file = cli("--state-dir", str(ROOT / "setup.cfg"), "nonce", "show", env=env)
    assert file.code == 3
    assert "is a file" in file.err
    (tmp_path / "state").mkdir(mode=0o700)
    with contextlib.closing(file_nonces(tmp_path / "state")) as nonces:
        nonces.issue("the-key-of-another")
        nonces.issue(key_id)
    shown = cli("nonce", "show", "--json", env=env).document
    assert shown["state_dir"] == str(tmp_path / "state")
    assert [each["account"] for each in shown["keys"]] == ["MASTER", None]
    assert all(isinstance(each["mark"], str) and abs(each["lead_seconds"]) < 60 for each in shown["keys"])
    alone = cli("nonce", "show", env=_environment(tmp_path))
    assert alone.code == 0
    assert "(not configured)" in alone.out


def test_units() -> None:
    now = 1_800_000_000 * 10**9
    for exponent, unit in ((9, "seconds"), (6, "milliseconds"), (3, "microseconds"), (1, "tens of nanoseconds"),
                           (0, "nanoseconds")):  # fmt: skip
        assert unit_of(now // 10**exponent, now) == unit
        assert unit_of(now // 10**exponent * 2, now) == unit
    assert unit_of(0, now) is None
    assert unit_of(now * 1000, now) is None


def test_spans_in_words() -> None:
    spans = {None: "-", 0.0: "0.0 s", 119.0: "119.0 s", -7200.0: "-2.0 h", 600.0: "10.0 min", 864000.0: "10.0 d"}
    assert {span: seconds_in_words(span) for span in spans} == spans


# Ends from outside


@contextlib.contextmanager
def _process(*arguments: str, env: Environment) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_hung_call_cleanly(ending: signal.Signals, sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang(endpoint="TradeBalance"))
    with _process("call", "MASTER", "TradeBalance", "--json", env=_of(sim, tmp_path)) as process:
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        process.send_signal(ending)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert json.loads(out) == {"error": {"type": "Interrupted", "message": "Interrupted."}}
    assert "Interrupted." in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["call", "MASTER", "TradeBalance"], ["balances"]])
@again_if_stalled
def test_ctrl_c_ends_at_once_though_kraken_never_answers(arguments: list[str], tmp_path: Path) -> None:
    """Also while the engine asks for Kraken's time, before its first call."""
    with _silent_server() as server, _process(*arguments, "--verbose", env=_at(server, tmp_path)) as process:
        server.settimeout(PATIENCE)
        connection = server.accept()[0]
        with connection:
            assert connection.recv(1000), "it waits for an answer"
            time.sleep(0.3)  # Python misses a signal in the moment before its main thread begins to wait
            process.send_signal(signal.SIGINT)
            with Stopwatch() as watch:
                process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert watch.seconds < 4.0, "not at the end of the call, which has ten seconds"


def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither its directories nor its processes, when a service manager or `timeout` ends it."""
    with _process("demo", env=_environment(tmp_path, TMPDIR=str(tmp_path))) as process:
        assert process.stdout is not None
        while "kill 1 of" not in (line := process.stdout.readline()):
            assert line
        assert list(tmp_path.glob("kraken-engine-*"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not list(tmp_path.glob("kraken-engine-*"))


@pytest.mark.parametrize("arguments", [["balances"], ["balances", "--json"], ["--help"], ["nonce", "show"]])
def test_output_that_cannot_be_written_is_one_sentence(
    arguments: list[str], sim: Simulator, tmp_path: Path
) -> None:
    for where, sentence in ((">&-", "no standard output"), (">/dev/full", "No space left on device")):
        if not Path("/dev/full").exists() and where != ">&-":
            continue
        done = subprocess.run(
            ["sh", "-c", f'"$@" {where}', "sh", sys.executable, "-m", "engine", *arguments],
            capture_output=True, text=True, env=_of(sim, tmp_path), cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 74
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_closed_output_pipe_causes_no_traceback(sim: Simulator, tmp_path: Path) -> None:
    for arguments in (["balances"], ["balances", "--json"], ["nonce", "show"], ["--help"]):
        with _process(*arguments, env=_of(sim, tmp_path)) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            err = process.stderr.read()
            assert process.wait(PATIENCE) == 141, err
            assert err == ""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_simulate_prints_what_to_paste_and_ends_cleanly(
    ending: signal.Signals, cli: Callable[..., Ran], tmp_path: Path
) -> None:
    with _process("simulate", "--accounts", "MASTER,CAROL", env=_environment(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(7)]
        process.stderr.readline()
        pasted = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        ran = cli("balances", "--json", env=pasted)
        assert [each["account"] for each in ran.document["accounts"]] == ["MASTER", "CAROL"]
        assert ran.code == 0
        process.send_signal(ending)
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""
    assert not Path(pasted["KRAKEN_ENGINE_STATE"]).exists()


def test_simulate_says_when_its_port_is_taken(cli: Callable[..., Ran], sim: Simulator, tmp_path: Path) -> None:
    ran = cli("simulate", "--port", str(sim.port), env=_environment(tmp_path))
    assert ran.code == 2
    assert f"Port {sim.port} cannot be used" in ran.err
