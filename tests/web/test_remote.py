"""The service's end of `Engine.connect`: who may connect, what is read, and who waits for whom."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from engine import AvailabilityChanged, Engine, EngineWarning, Settings
from engine.app.remote import codec
from engine.app.remote.link import VERSION
from engine.errors import CallUnknown, ConfigError, EngineStopped, StoreError, StoreInUse
from engine.ownership.local_socket import SOCKET_NAME, is_served, socket_address
from engine.simulator import Fault, Simulator
from engine.version import __version__
from engine.web.event_lines import KEPT
from engine.web.remote import Lines, _until_done, _written
from tests.conftest import Events
from tests.stopwatch import PATIENCE

PACE = Settings(tier="pro", local_limits=False)


@pytest.fixture
def owner(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE, live=True) as engine:
        engine.serve(port=0)
        yield engine


def raw(directory: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(PATIENCE)
    with socket_address(directory) as address:
        made.connect(address)
    return made


def send(directory: Path, question: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """A question of any kind; the status and the document of the answer."""
    with raw(directory) as made:
        link = http.client.HTTPConnection("localhost")
        link.sock = made
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request("POST", f"/engine/{question}", body, {VERSION: __version__} | given)
        reply = link.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if reply.status == 200 else text


def error_of(told: tuple[int, Any]) -> str:
    assert told[0] == 200, told
    kind: str = told[1]["error"][1]
    return kind


NO_QUESTIONS = (b"", b"garbage", b"\xff\xfe", b"[]", b"12", b"null", b'["list",1]', b'{"account":', b'{"a":["x"]}')
NOT_ASKED: tuple[tuple[str, Any], ...] = (
    ("stop", {}), ("__init__", {}), ("_call", {}), ("add_account", {"account": 1}), ("balance", {}),
    ("status", {"x": 1}), ("place", {"account": "MASTER"}), ("submit", {"token": "1"}), ("submit", {}),
    ("issue", {"account": "MASTER"}), ("withdraw/x", {}),
)  # fmt: skip


def test_what_is_no_question_is_refused_and_harms_nobody(owner: Engine, tmp_path: Path) -> None:
    for body in NO_QUESTIONS:
        assert error_of(send(tmp_path, "balance", body)) == "ConfigError"
    for question, asked in NOT_ASKED:
        status, told = send(tmp_path, question, codec.write(asked))
        assert status == 404 or told["error"][1] == "ConfigError", question
    with Engine.connect(tmp_path) as client:
        assert client.balance("MASTER").account == "MASTER"


def test_what_was_done_and_cannot_be_told_is_unknown() -> None:
    with pytest.raises(CallUnknown, match="was done"):
        _written(object())


def test_bytes_that_are_no_http_end_the_connection_only(owner: Engine, tmp_path: Path) -> None:
    for said in (b"\x00" * 64, b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"POST /engine/status HTTP/1.1\r\n"):
        with raw(tmp_path) as made, contextlib.suppress(OSError):
            made.sendall(said)
    with Engine.connect(tmp_path) as client:
        assert client.status().running


def test_a_question_has_a_longest_size(owner: Engine, tmp_path: Path) -> None:
    with Engine.connect(tmp_path) as client:
        with pytest.raises(ConfigError, match="longer than the service takes"):
            client.call("MASTER", "Balance", {"x": "y" * 70_000})
        assert client.status().running


def test_another_version_is_told_so(owner: Engine, tmp_path: Path) -> None:
    told = send(tmp_path, "hello", b"{}", **{VERSION.replace("-", "_"): "0.0.1"})
    assert error_of(told) == "ConfigError"
    assert "0.0.1" in told[1]["error"][2]


def test_the_engine_is_not_asked_through_tcp(owner: Engine) -> None:
    (service,) = owner._services
    with contextlib.closing(http.client.HTTPConnection(service.url.split("/")[2], timeout=PATIENCE)) as link:
        link.request("POST", "/engine/status", b"{}", {VERSION: __version__})
        assert link.getresponse().status == 405


# Slow ones


def test_who_waits_for_kraken_holds_up_nobody_else(sim: Simulator, owner: Engine, tmp_path: Path) -> None:
    """More questions that hang than an event loop's own pool has threads."""
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    with Engine.connect(tmp_path) as client, ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(client.call, "MASTER", "TradeBalance", timeout=4 * PATIENCE) for _ in range(60)]
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False, timeout=PATIENCE)
        assert client.status().running
        assert client.cancel_all("MASTER", PATIENCE) == 0
        hang.remove()
        assert [each.exception() for each in asked] == [None] * 60, "the one that was cut is made again"


def test_a_submitted_call_is_withdrawn_when_its_program_goes_away() -> None:
    """Nobody waits for it any more, so it is not made if it still waits."""
    async def gone() -> bool:
        future: Future[Any] = Future()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            pass

        await Lines(_until_done(future), gone=future.cancel)({}, receive, send)
        return future.cancelled()

    assert asyncio.run(gone())


def follows_and_never_reads(directory: Path) -> socket.socket:
    """A program that follows the events, and has read nothing but that it does."""
    made = raw(directory)
    head = f"POST /engine/events HTTP/1.1\r\nhost: x\r\n{VERSION}: {__version__}\r\ncontent-length: 2\r\n\r\n{{}}"
    made.sendall(head.encode())
    assert made.recv(12) == b"HTTP/1.1 200"
    return made


def said(number: int) -> AvailabilityChanged:
    """An event that nobody logs."""
    return AvailabilityChanged("NOBODY", False, f"{number} {'x' * 200}")


def test_a_client_that_never_reads_loses_the_oldest_events_and_is_told_how_many(
    sim: Simulator, tmp_path: Path
) -> None:
    """It holds up neither the lane nor the others, and memory is bounded."""
    many, reads = KEPT + 5000, Events()
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE, balances=())  # no events of its own
    with engine, engine.serve(port=0), follows_and_never_reads(tmp_path) as slow, Engine.connect(tmp_path) as client:
        client.subscribe(reads)
        for number in range(many):
            engine._state.publish(said(number))
            if number % 1000 == 0:
                assert client.balance("MASTER").account == "MASTER"
        reads.wait_for(lambda event: event == said(many - 1))
        received = b""
        while f"{many - 1} x".encode() not in received[-4096:]:
            received += slow.recv(1 << 20)
    heard = [codec.read(line) for line in received.split(b"\n") if line.startswith(b'["')]
    lost = [int(each.message.split(":")[1].split()[0]) for each in heard if isinstance(each, EngineWarning)]
    numbers = [int(each.reason.split()[0]) for each in heard if getattr(each, "account", "") == "NOBODY"]
    assert numbers == sorted(numbers)
    assert sum(lost) == many - len(numbers) > 0


def test_the_service_ends_although_a_client_never_reads(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        service = engine.serve(port=0)
        with follows_and_never_reads(tmp_path):
            for number in range(3000):
                engine._state.publish(said(number))
            assert service.stop(PATIENCE)


# Who may connect

AS_NOBODY = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
if sys.argv[2] == "connect":
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(sys.argv[1] + "/serve.sock")
        made.sendall(b"POST /engine/hello HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
        print(made.recv(100))
    except OSError as error:
        print(type(error).__name__)
else:
    made = socket.socket(socket.AF_UNIX)
    made.bind(sys.argv[1] + "/serve.sock")
    os.chmod(sys.argv[1] + "/serve.sock", 0o666)
    made.listen()
    print("listens", flush=True)
    sys.stdin.read()
"""


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")


@pytest.fixture
def public() -> Iterator[Path]:
    """A state directory that everybody can enter; pytest's own ones are below a directory that nobody else can."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@needs_root
def test_another_user_is_not_heard(sim: Simulator, public: Path) -> None:
    """Also where the file would let him in: the kernel tells who he is."""
    with Engine(sim.accounts, url=sim.url, state_dir=public, settings=PACE) as engine, engine.serve(port=0):
        public.chmod(0o755)
        (public / SOCKET_NAME).chmod(0o666)
        command = [sys.executable, "-c", AS_NOBODY, str(public), "connect"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.stdout.strip() in ("b''", "ConnectionResetError", "BrokenPipeError"), done
        with Engine.connect(public) as client:
            assert client.status().running


@needs_root
def test_another_users_service_is_told_nothing(public: Path) -> None:
    public.chmod(0o777)
    command = [sys.executable, "-c", AS_NOBODY, str(public), "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        assert not is_served(public)
        with pytest.raises(StoreError, match="another user"):
            Engine.connect(public)
        process.communicate(timeout=PATIENCE)


def test_a_socket_file_that_nobody_listens_on_is_no_service(sim: Simulator, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / SOCKET_NAME))
    with pytest.raises(EngineStopped, match="No service runs"):
        Engine.connect(tmp_path)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=PACE) as engine:
        with pytest.raises(StoreInUse):
            Engine.connect(tmp_path)
        engine.serve(port=0)
        with Engine.connect(tmp_path) as client:
            assert client.status().running
