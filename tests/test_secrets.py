"""G11: a canary key, secret, otp and proxy password go every way there is; then all that was written is searched."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pykka
import pytest

import engine as package
from engine import (
    Account,
    AccountType,
    CallDone,
    CallFailed,
    Engine,
    KrakenBroker,
    KrakenPrivateActor,
    PrivateCall,
    Settings,
)
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import CallError, ConfigError, EngineError, StoreInUse
from engine.kraken.signing import Signer
from engine.simulator import Fault, Simulator
from engine.transport import Transport
from tests import ROOT
from tests.canary import KEY, OTP, PROXY_PASSWORD, SECRET, Written, decodes_to_canary, leaks
from tests.conftest import Events
from tests.hostile import Act, Hostile, Peer, answers, reply, says
from tests.stopwatch import LONG, PATIENCE
from tests.transport.test_tls import Authority

SETTINGS = Settings(refresh_every=0.2, max_age=2.0, call_timeout=PATIENCE, local_limits=False)
ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
PROXY_USER = f"http://operator:{PROXY_PASSWORD}@127.0.0.1"


def canary_account(name: str = "MASTER") -> Account:
    return Account(name, KEY, SECRET, otp=OTP)


class Catcher(logging.Handler):
    """Every log record of the process, as text and with its traceback."""

    def __init__(self, written: Written) -> None:
        super().__init__(logging.NOTSET)
        self._written = written
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        self._written.add(f"log of {record.name}", self.format(record))
        self._written.add(f"arguments of a log of {record.name}", repr(record.args))


@pytest.fixture
def written(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Written]:
    """Collects all; at the end it must hold nothing of the canary."""
    collected = Written()
    caplog.set_level(logging.DEBUG)
    catcher = Catcher(collected)
    root = logging.getLogger()
    root.addHandler(catcher)
    for name in ("urllib3", "requests", "pykka", "sqlitedict", "engine", "concurrent.futures"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield collected
    root.removeHandler(catcher)
    out, err = capfd.readouterr()
    collected.add("stdout", out)
    collected.add("stderr", err)
    for each in warned:
        collected.add("a warning", str(each))
    for thread in threading.enumerate():
        collected.add("a thread's name", thread.name)
    if os.path.exists("/proc/net/unix"):
        collected.add("/proc/net/unix", Path("/proc/net/unix").read_bytes())
    assert len(collected) > 1000, "it looked at nothing"
    found = collected.leaks()
    assert not found, "\n".join(found[:20])


class Everything:
    """A subscriber that keeps all events and shows them."""

    def __init__(self, written: Written) -> None:
        self._written = written

    def __call__(self, event: Any) -> None:
        self._written.show(type(event).__name__, event, depth=1)
        if getattr(event, "error", None) is not None:
            self._written.error("an event", event.error, with_locals=False)


def show_engine(written: Written, engine: Engine) -> None:
    """What an engine shows of itself: to its user, and to any actor of the same program."""
    written.show("engine", engine)
    status = engine.status()
    written.show("status", status)
    written.add("status as JSON", json.dumps(status.to_dict()))
    for name in ("MASTER",):
        written.show("snapshot", engine.balance(name))
    with suppress(EngineError):
        for ref in (engine.private, *engine.balances.values()):
            show_actor(written, ref)


def show_actor(written: Written, ref: pykka.ActorRef[Any]) -> None:
    """Every public attribute of an actor, through its proxy."""
    written.show("ref", ref)
    with suppress(pykka.ActorDeadError):
        proxy = ref.proxy()
        written.show("proxy", proxy, depth=0)
        for path, info in dict(proxy._known_attrs).items():
            if not info.callable:
                with suppress(Exception):
                    value = getattr(proxy, path[0]).get(timeout=PATIENCE)
                    written.show(f"proxy.{path[0]}", value)


def attempt(written: Written, what: str, call: Callable[[], Any]) -> BaseException | None:
    """Make a call; whatever it raises is looked at from all sides."""
    try:
        written.show(f"result of {what}", call(), depth=1)
    except Exception as error:
        written.error(what, error, with_locals=False)
        return error
    return None


def submit_and_wait(engine: Engine, params: dict[str, Any]) -> Any:
    return engine.submit("MASTER", "TradeBalance", params, 0.3).result(PATIENCE)


def use(written: Written, engine: Engine) -> None:
    """All kinds of calls in all the ways there are."""
    for endpoint, params in (
        ("BalanceEx", {}), ("TradeBalance", {"asset": "ZUSD"}), ("AddOrder", ORDER), ("CancelAll", {}),
        ("AddOrderBatch", {"pair": "XBTUSD", "orders": [ORDER, ORDER]}), ("Withdraw", {"asset": "XBT"}),
        ("Ballance", {}), ("TradeBalance", {"x": object()}), ("TradeBalance", {"nonce": 1}),
    ):  # fmt: skip
        attempt(written, endpoint, partial(engine.call, "MASTER", endpoint, params, 0.1))
        call = PrivateCall("MASTER", endpoint, params, 0.1)
        attempt(written, endpoint, partial(engine.private.ask, call, timeout=PATIENCE))
        future = engine.submit("MASTER", endpoint, params, 0.1)
        attempt(written, endpoint, partial(future.result, PATIENCE))
        written.show("future", future, depth=0)
    answered = Events()
    reply_to = type("Receiver", (), {"tell": staticmethod(answered)})()
    engine.private.tell(PrivateCall("MASTER", "TradeBalance", {}, 0.3, reply_to=reply_to))
    answer = answered.wait_for(lambda message: isinstance(message, CallDone | CallFailed))
    written.show("answer", answer)
    if isinstance(answer, CallFailed):
        written.error("an answer", answer.error, with_locals=False)
    attempt(written, "public", lambda: engine.public("Time", timeout=0.3))
    attempt(written, "nobody", lambda: engine.call("NOBODY", "Balance"))
    attempt(written, "nonsense", lambda: engine.private.ask("nonsense", timeout=PATIENCE))
    attempt(written, "proxy", lambda: engine.private.proxy().call("MASTER", "Balance", {}, 0.3).get(timeout=PATIENCE))
    engine.balance("MASTER", max_age=0, timeout=0.3)
    broker = KrakenBroker(AccountType.MASTER, engine=engine)
    attempt(written, "broker", broker.connect)
    attempt(written, "broker", broker.get_account_balance)
    attempt(written, "broker", broker.get_account_balance_detailed)
    written.show("broker", broker)


FAULTS: dict[str, Fault | None] = {
    "none": None,
    "hang": Fault.hang(),
    "delay": Fault.delay(0.08),
    "reset": Fault.reset(),
    "reset-executed": Fault.reset(executed=True),
    "close": Fault.close(),
    "empty": Fault.empty(),
    "truncated": Fault.truncated(),
    "502": Fault.http(502),
    "redirect": Fault.redirect("http://127.0.0.1:9/elsewhere"),
    "garbage": Fault.body(b"\xff\xfe{]"),
    "warning": Fault.warning("WGeneral:Careful"),
    **{
        text: Fault.error(text)
        for text in (
            "EAPI:Invalid key", "EAPI:Invalid signature", "EAPI:Invalid nonce", "EGeneral:Permission denied",
            "EAPI:Rate limit exceeded", "EGeneral:Temporary lockout", "EService:Unavailable", "EFoo:Bar",
            "EOrder:Insufficient funds", "EService:Throttled:9999999999",
        )
    },
}  # fmt: skip


def test_the_canary_is_found_in_every_disguise() -> None:
    """The test of the test."""
    for text in (
        KEY, SECRET, f"x{SECRET[:40]}", repr(SECRET.encode()), OTP, KEY.encode().hex(), KEY.replace("+", "%2B"),
        f"operator:{PROXY_PASSWORD}", repr({"secret": SECRET}), SECRET[::-1], KEY[20:40],
    ):  # fmt: skip
        assert leaks("", text) or leaks("", text.replace("%2B", "+")), text
    assert decodes_to_canary(SECRET)
    assert not leaks("", "nothing of it, nor CanaryKEY alone")


IN_CI = ("none", "reset", "502", "garbage", "EAPI:Invalid key", "EAPI:Invalid nonce")


@pytest.mark.parametrize(
    "name", [name if name in IN_CI else pytest.param(name, marks=pytest.mark.torture) for name in FAULTS]
)
def test_no_path_of_a_call_writes_a_secret(written: Written, tmp_path: Path, name: str) -> None:
    """G11: reprs, errors, tracebacks with locals, logs at DEBUG, events, status, store, over every fault."""
    fault = FAULTS[name]
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        engine = Engine([canary_account()], url=sim.url, state_dir=tmp_path / "s", settings=SETTINGS, live=True)
        engine.subscribe(Everything(written))
        written.show("engine not started", engine)
        with engine:
            engine.call("MASTER", "BalanceEx")
            if fault is not None:
                sim.fault(fault)
            use(written, engine)
            show_engine(written, engine)
            written.directory(tmp_path)
            sim.clear_faults()
        show_engine(written, engine)
        attempt(written, "stopped", lambda: engine.call("MASTER", "Balance"))
        written.directory(tmp_path)


def test_kraken_away_and_a_stop_in_the_middle_write_no_secret(written: Written, tmp_path: Path) -> None:
    """G11: no connection, the first call ever, a stop during a hung call with a queue behind it, a host's stop_all."""
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        with (
            sim.outage(),
            Engine([canary_account()], url=sim.url, state_dir=tmp_path, settings=SETTINGS, live=True) as engine,
        ):
            use(written, engine)
            show_engine(written, engine)
        for turn, by_host in enumerate((False, True), 1):
            engine = Engine([canary_account()], url=sim.url, state_dir=tmp_path, settings=SETTINGS, live=True).start()
            engine.subscribe(Everything(written))
            engine.balance("MASTER", max_age=60)
            sim.fault(Fault.hang(endpoint="Ledgers"))
            futures = [engine.submit("MASTER", "Ledgers", {}, LONG)]
            sim.wait_for_calls(turn, endpoint="Ledgers", ended=False)
            futures += [engine.submit("MASTER", "TradeBalance", {}, LONG) for _ in range(5)]
            if by_host:
                pykka.ActorRegistry.stop_all(block=False)
            else:
                engine.stop()
            for future in futures:
                attempt(written, "a stop", partial(future.result, PATIENCE))
            engine.stop()
            sim.clear_faults()
        written.directory(tmp_path)


@pytest.mark.parametrize("damage", ["garbage", "empty", "mode", "link", "directory"])
def test_a_damaged_store_and_two_owners_write_no_secret(written: Written, tmp_path: Path, damage: str) -> None:
    """G11: what is said about files that cannot be used, and about who owns them."""
    state = tmp_path / "s"
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        def make(where: Path = state) -> Engine:
            return Engine([canary_account()], url=sim.url, state_dir=where, settings=SETTINGS)

        with make() as engine:
            engine.call("MASTER", "BalanceEx")
            for other in (state, tmp_path / "other"):
                with pytest.raises(StoreInUse) as caught:
                    make(other).start()
                written.error("a second owner", caught.value, with_locals=False)
        for file in state.glob("*.sqlite"):
            match damage:
                case "garbage":
                    file.write_bytes(b"\0garbage" * 999)
                case "empty":
                    file.write_bytes(b"")
                case "mode":
                    file.chmod(0o666)
                case "link":
                    file.rename(tmp_path / file.name)
                    file.symlink_to(tmp_path / file.name)
                case _:
                    file.unlink()
                    file.mkdir()
        engine = make()
        engine.subscribe(Everything(written))
        with suppress(AssertionError):
            if attempt(written, "start", engine.start) is None:
                attempt(written, "call", lambda: engine.call("MASTER", "BalanceEx"))
                show_engine(written, engine)
        engine.stop()
        written.directory(tmp_path)


@pytest.mark.parametrize("name", ["502", "reset", "EAPI:Invalid nonce", "EOrder:Insufficient funds", "hang"])
def test_an_error_brings_no_locals_of_the_lane_with_it(written: Written, tmp_path: Path, name: str) -> None:
    """G11: reports of errors attach the locals of every frame, and those of the lane hold key, otp and signed body."""
    fault = FAULTS[name]
    assert fault is not None
    written.add("enough", " " * 1000)
    errors: list[BaseException] = []
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        engine = Engine([canary_account()], url=sim.url, state_dir=tmp_path / "s", settings=SETTINGS, live=True)
        events = Events()
        engine.subscribe(events)
        with engine:
            engine.call("MASTER", "BalanceEx")
            sim.fault(fault)
            wrong: tuple[dict[str, Any], ...] = ({}, {"x": object()}, {"nonce": 1})
            for params in wrong:
                call = PrivateCall("MASTER", "TradeBalance", params, 0.3)
                for way in (
                    partial(engine.call, "MASTER", "TradeBalance", params, 0.3),
                    partial(engine.private.ask, call, timeout=PATIENCE),
                    partial(submit_and_wait, engine, params),
                ):
                    with pytest.raises(EngineError) as caught:
                        way()
                    errors.append(caught.value)
            sim.clear_faults()
        errors += [event.error for event in events.seen if getattr(event, "error", None) is not None]
    for error in errors:
        written.error(name, error)


ECHOES: dict[str, Callable[[str], bytes]] = {
    "error": lambda text: reply(json.dumps({"error": [f"EFoo:{text}"]}).encode()),
    "known-error": lambda text: reply(json.dumps({"error": [f"EOrder:Invalid price:{text}"]}).encode()),
    "html-title": lambda text: reply(f"<html><title>{text}</title></html>".encode(), "502 Bad Gateway"),
    "plain-text": lambda text: reply(f"denied for {text}".encode(), "403 Forbidden"),
    "status-line": lambda text: reply(b"", f"503 {text}"),
    "location": lambda text: reply(b"", "302 Found", f"Location: http://127.0.0.1:9/{text}"),
    "header": lambda text: reply(b"{", "200 OK", f"X-Echo: {text}", f"Content-Encoding: {text}"),
    "not-http": lambda text: f"{text} {text}\r\n\r\n".encode(),
    "bad-length": lambda text: f"HTTP/1.1 200 OK\r\nContent-Length: {text}\r\n\r\n".encode(),
    "bad-chunk": lambda text: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n".encode(),
    "date": lambda text: reply(b"{}", "200 OK", f"Date: {text}"),
    "json": lambda text: reply(json.dumps({"error": 1, "key": text}).encode()),
}


@pytest.mark.parametrize("where", ECHOES)
def test_a_server_that_repeats_the_key_does_not_get_it_written(written: Written, tmp_path: Path, where: str) -> None:
    """G11: what a server, or a box on the way, echoes of a request goes into no error, log or event."""
    server = Hostile()
    targets = frozenset({"TradeBalance", "AddOrder", "BalanceEx"})
    try:
        with Engine([canary_account()], url=server.url, state_dir=tmp_path, settings=SETTINGS, live=True) as engine:
            engine.subscribe(Everything(written))
            engine.balance("MASTER", max_age=60)
            server.misbehave(on_call=says(ECHOES[where](KEY)), targets=targets)
            for endpoint in ("TradeBalance", "AddOrder"):
                attempt(written, endpoint, partial(engine.call, "MASTER", endpoint, {}, 0.3))
            engine.balance("MASTER", max_age=0, timeout=0.5)
            show_engine(written, engine)
            server.behave()
        written.directory(tmp_path)
    finally:
        server.close()


def _tunnel(target: int) -> Act:
    """A proxy that passes everything on to a local port."""

    def act(peer: Peer) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer._sock.recv(4096)
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target)) as onward:
            back = threading.Thread(target=_pump, args=(onward, peer._sock))
            back.start()
            _pump(peer._sock, onward)
            back.join()

    return act


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


PROXIES: dict[str, Act | None] = {
    "works": None,
    "407": answers(reply(b"", "407 Proxy Authentication Required")),
    "502": answers(reply(b"nothing", "502 Bad Gateway")),
    "echo": says(f"HTTP/1.1 403 {PROXY_PASSWORD} {KEY}\r\nX-A: {PROXY_PASSWORD}\r\n\r\n".encode()),
    "garbage": says(b"SSH-2.0\r\n"),
    "talks": says(b"HTTP/1.1 200 OK\r\n\r\nand more"),
    "reset": Peer.reset,
    "silent": Peer.hold,
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxys_password_is_written_nowhere(
    written: Written, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """G11: through a proxy that works and through those that do not, over TLS to what says it is Kraken."""
    patience = PATIENCE if name == "works" else 0.3
    authority = Authority(tmp_path_factory.mktemp("authority"))
    kraken, proxy = Hostile(authority.server()), Hostile()
    settings = Settings(
        refresh_every=0.2, call_timeout=1.0, local_limits=False, ca_file=authority.file,
        proxy=f"{PROXY_USER}:{proxy.port}",
    )  # fmt: skip
    try:
        proxy.misbehave(at_accept=PROXIES[name] or _tunnel(kraken.port), targets=frozenset())
        written.add("settings", f"{settings!r} {settings}")
        engine = Engine([canary_account()], state_dir=tmp_path, settings=settings, live=True)
        engine.subscribe(Everything(written))
        with engine:
            for endpoint in ("TradeBalance", "AddOrder"):
                attempt(written, endpoint, partial(engine.call, "MASTER", endpoint, {}, patience))
            show_engine(written, engine)
        written.directory(tmp_path)
        assert bool(kraken.arrived) is (name == "works")
    finally:
        proxy.close()
        kraken.close()


def test_settings_show_no_proxy_password_in_any_way(written: Written) -> None:
    """G11: also not in their parts and copies, which reports of errors like to attach."""
    written.add("enough", " " * 1000)
    written.show("settings", Settings(proxy=f"{PROXY_USER}:9"), depth=0)


def _behind(proxy: str) -> Engine:
    return Engine([canary_account()], settings=Settings(proxy=proxy))


BAD: dict[str, Callable[[], object]] = {
    "name": lambda: Account("NO GOOD", KEY, SECRET),
    "secret": lambda: Account("MASTER", KEY, SECRET + "!"),
    "padding": lambda: Account("MASTER", KEY, SECRET[:-3]),
    "key": lambda: Account("MASTER", KEY + "\n\x01", SECRET),
    "tier": lambda: Account("MASTER", KEY, SECRET, tier="gold"),
    "swapped": lambda: Account(KEY, "MASTER", SECRET),
    "triple": lambda: Account.of((KEY, SECRET)),
    "twice": lambda: Engine([("A", KEY, SECRET), ("B", KEY, SECRET)]),
    "not-an-account": lambda: Engine([SECRET]),  # type: ignore[list-item]
    "proxy-scheme": lambda: _behind(f"https://u:{PROXY_PASSWORD}@x:1").start(),
    "proxy-port": lambda: _behind(f"http://u:{PROXY_PASSWORD}@x").start(),
    "proxy-space": lambda: _behind(f"http://u:{PROXY_PASSWORD} @x:1").start(),
    "url": lambda: Engine([canary_account()], url=f"https://u:{KEY}@api.kraken.com"),
    "url-query": lambda: Engine([canary_account()], url=f"https://api.kraken.com?key={KEY}"),
    "state": lambda: Engine([canary_account()], state_dir="/proc/nowhere").start(),
    "environment": lambda: Engine.from_env({"KRAKEN_API_KEY": KEY, "KRAKEN_API_SECRET": SECRET + "*"}),
    "half": lambda: Engine.from_env({"KRAKEN_API_KEY": KEY}),
    "user-name": lambda: Engine.from_env({"KRAKEN_USER_A B_API_KEY": KEY, "KRAKEN_USER_A B_API_SECRET": SECRET}),
    "swapped-file": lambda: Engine.from_env({"KRAKEN_API_KEY_FILE": SECRET, "KRAKEN_API_SECRET": SECRET}),
}


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("swapped", "swapped-file", "url-query")])
def test_what_is_said_about_wrong_credentials_does_not_repeat_them(written: Written, name: str) -> None:
    """G11: the sentence, the traceback, and what hangs behind the error. The caller's own locals are the caller's."""
    written.add("enough", " " * 1000)
    with pytest.raises(EngineError) as caught:
        BAD[name]()
    written.error(name, caught.value, with_locals=False)


WRONG_FILES = {
    "unclosed": f'[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}',
    "unquoted": f'[accounts.MASTER]\nkey = "{KEY}"\nsecret = {SECRET}',
    "bad-secret": f'[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}!"',
    "list": f'[accounts.MASTER]\nkey = "{KEY}"\nsecret = ["{SECRET}"]',
    "text": f'[accounts]\nMASTER = "{KEY}:{SECRET}"',
    "password": f'[settings]\nproxy = 5\n[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}"\npassword = "{OTP}"',
    "typo": f'[settings]\nproxy = "{PROXY_USER}"\n[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}"\nnothing = 1',
    "proxy-list": f'[settings]\nproxy = ["{PROXY_USER}"]\n[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}"',
    "otp-number": f'[accounts.MASTER]\nkey = "{KEY}"\nsecret = "{SECRET}"\notp = 4711\n"{OTP}" = 3',
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_what_is_said_about_a_wrong_file_does_not_repeat_it(written: Written, tmp_path: Path, name: str) -> None:
    """G11: a parser likes to quote the line."""
    text = WRONG_FILES[name]
    written.add("enough", " " * 1000)
    file = tmp_path / "engine.toml"
    file.write_text(text)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        Engine.from_env({}, config_file=file, state_dir=tmp_path / "s").start()
    if f'"{OTP}" =' not in text:  # the name of an entry is repeated, and that is not a secret
        written.error("a file", caught.value, with_locals=False)
    assert isinstance(caught.value, ConfigError), repr(caught.value)


def test_no_public_object_shows_a_secret(written: Written, tmp_path: Path) -> None:
    """G11: reprs, parts, copies and pickles of what a program holds in its hands, and of a lone actor's attributes."""
    account = canary_account()
    written.show("account", account)
    written.show("signer", Signer(account.secret))
    call = PrivateCall("MASTER", "Balance", {"otp": OTP})  # a pickle of it holds what its maker put into it
    for each in (call, CallDone(call, {}), CallFailed(call, CallError("no"))):
        for how in (repr, str, format):
            written.add(f"{how.__name__} of a call with an otp", how(each))
    assert "endpoint='Balance'" in repr(call)
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        transport = Transport(sim.url)
        written.show("transport", transport)
        transport.close()
        ref = KrakenPrivateActor.start([account], url=sim.url, state_dir=tmp_path, settings=SETTINGS)
        ref.ask(PrivateCall("MASTER", "BalanceEx"), timeout=PATIENCE)
        show_actor(written, ref)
        for envelope in range(3):
            attempt(written, "nonsense", partial(ref.ask, envelope, timeout=PATIENCE))
        stop_actor(ref)
        assert wait_finished(ref, PATIENCE)
    for name in package.__all__:
        written.add(name, repr(getattr(package, name)))
    written.directory(tmp_path)


# The command line, as a subprocess with the environment that a user gives it

COMMANDS = [
    ("balances", "--verbose", "--json"),
    ("doctor", "--json"),
    ("call", "MASTER", "TradeBalance", "asset=ZUSD", "--json"),
    ("call", "MASTER", "AddOrder", "pair=XBTUSD", "--verbose"),
    ("call", "NOBODY", "Balance", "--json", "--verbose"),
    ("nonce", "show", "--json"),
    ("nonce", "raise", "MASTER", "5", "--json"),
]


@pytest.mark.parametrize("world", ["good", "away", "refused", "nonsense", "broken-secret", "damaged"])
def test_the_command_line_prints_no_secret(written: Written, tmp_path: Path, world: str) -> None:
    """G11: stdout and stderr of a process that has the canary in its environment, with Python's own debugging on."""
    pytest.importorskip("click")
    faults = {"refused": Fault.error("EAPI:Invalid key"), "nonsense": Fault.body(KEY.encode() + b"<{")}
    with Simulator([("MASTER", KEY, SECRET)]) as sim:
        if world in faults:
            sim.fault(faults[world])
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")},
            "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONDEVMODE": "1",
            "KRAKEN_ENGINE_STATE": str(tmp_path / "s"),
            "KRAKEN_SPOT_URL": "http://127.0.0.1:9" if world == "away" else sim.url,
            "KRAKEN_API_KEY": KEY, "KRAKEN_API_SECRET": SECRET + ("!" if world == "broken-secret" else ""),
        }  # fmt: skip
        if world == "damaged":
            (tmp_path / "s").mkdir(mode=0o700)
            for name in ("nonces.sqlite", "nonces-copy.sqlite", "balances.sqlite"):
                (tmp_path / "s" / name).write_bytes(b"garbage" * 1000)
                (tmp_path / "s" / name).chmod(0o600)
        for command in COMMANDS if world == "good" else COMMANDS[:1]:
            timeout = ("--timeout", "1") if command[0] in ("balances", "call") else ()
            done = subprocess.run(
                [sys.executable, "-m", "engine", *command, *timeout],
                env=environment, capture_output=True, timeout=60, check=False, cwd=tmp_path,
            )  # fmt: skip
            written.add(f"stdout of {command}", done.stdout)
            written.add(f"stderr of {command}", done.stderr)
            assert b"Traceback" not in done.stderr, (command, done.stderr.decode())
        written.directory(tmp_path)
    written.add("enough", " " * 1000)
