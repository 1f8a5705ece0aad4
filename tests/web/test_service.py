"""`kraken-engine serve` as a whole, in a process of its own: health, metrics, the page, its end."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from engine.simulator import Fault, Simulator
from engine.web.options import WebOptions
from engine.web.serving import _bound
from tests.served import Served, served, until
from tests.stopwatch import PATIENCE
from tests.transport.test_tls import Authority

METRICS = {
    "build_info", "up", "live", "dead_threads", "queue_depth", "calls_under_way", "cuts_total", "nonces_issued_total",
    "nonce_reservations_total", "store_write_seconds", "nonce_lead_seconds", "rate_limit_used_points",
    "rate_limit_points", "clock_skew_seconds", "account_available", "balance_age_seconds",
    "account_consecutive_errors", "key_accepted", "calls_total", "call_errors_total", "warnings_total",
    "call_duration_seconds", "queue_wait_seconds", "dashboard_clients", "gateway_requests_total",
    "unsettled_orders", "gate_decisions_total", "drift_total", "rate_limited_total",
    "push_live", "push_state_seconds", "push_frames_total", "push_gaps_total", "push_connects_total",
}  # fmt: skip


def test_health_metrics_and_page_through_an_outage(sim: Simulator, tmp_path: Path) -> None:
    """An outage of the exchange is no reason to restart the process, and takes the accounts out of service."""
    with served(sim, tmp_path, "--log-format", "json") as service:
        ready = until(lambda: (reply := service.ask("/readyz")).status == 200 and reply)
        assert ready.json == {"status": "ok", "available": ["MASTER", "ALICE", "BOB"], "not_available": {}}
        _check_page(service)
        with sim.outage(Fault.error("EService:Unavailable", endpoint="BalanceEx")):
            until(lambda: not service.ask("/readyz").json["available"])
            out = service.ask("/readyz")
            assert out.status == 503
            assert "EService:Unavailable" in out.json["not_available"]["MASTER"]
            assert service.ask("/healthz").json == {"status": "ok", "troubles": []}
            assert "MASTER, ALICE, BOB are not available" in service.ask("/").text
            _check_metrics(service)
            pages = ("/", "/api/state", "/api/history", "/metrics", "/readyz")
            told = "".join(service.ask(path).text for path in pages)
        until(lambda: service.ask("/readyz").status == 200)
        code, log = service.stop()
    assert code == 0
    for account in sim.accounts:
        assert account.key not in told + log, "G11"
        assert account.secret not in told + log
    records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"event": "availability", "account": "MASTER", "is_available": False}.items() <= next(
        each for each in records if each.get("is_available") is False and each["account"] == "MASTER"
    ).items()
    assert not (tmp_path / "state" / "serve.sock").exists()


def _check_page(service: Served) -> None:
    """G12: amounts are the reply's own digits, and the page needs no script."""
    page = service.ask("/").text
    assert "All accounts are available" in page
    assert "18,000.00000000" in page
    assert "<noscript>" in page
    assert "//cdn" not in page


def _check_metrics(service: Served) -> None:
    reply = service.ask("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {line.split()[2].removeprefix("kraken_engine_") for line in reply.text.splitlines() if line[:6] == "# TYPE"}
    assert names == METRICS
    assert 'kraken_engine_account_available{account="MASTER"} 0.0' in reply.text
    assert 'kraken_engine_call_errors_total{category="MarketUnavailable"}' in reply.text
    _promtool("metrics", text=reply.text)


def _promtool(what: str, *arguments: str, text: str | None = None) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    done = subprocess.run([tool, "check", what, *arguments], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_hung_call_does_not_fail_the_health_check_and_ends_with_the_service(sim: Simulator, tmp_path: Path) -> None:
    """G13: SIGTERM ends it in time, also with a call under way and dashboards that listen."""
    with served(sim, tmp_path) as service, socket.create_connection(("127.0.0.1", service.port), PATIENCE) as listener:
        listener.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = listener.makefile("rb")
        assert b"200" in stream.readline()
        with sim.outage(Fault.hang(endpoint="BalanceEx")):
            until(lambda: "Balance" in json.dumps(service.ask("/api/state").json["cells"]["under-way"]))
            assert service.ask("/healthz").status == 200
            code, _ = service.stop(signal.SIGINT)
        assert code == 0
        assert stream.read().endswith(b"0\r\n\r\n"), "the stream was ended, not cut"


def test_off_loopback_it_wants_a_token_and_tls(sim: Simulator, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.server("localhost")
    pem = str(tmp_path / "server-1.pem")
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length\n", encoding="utf-8")
    with served(sim, tmp_path, "--host", "0.0.0.0", "--token-file", str(token), "--tls-cert", pem,
                "--tls-key", pem) as service:  # fmt: skip
        context = ssl.create_default_context(cafile=authority.file)

        def asked(path: str, *headers: str) -> str:
            with (
                socket.create_connection(("127.0.0.1", service.port), PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as link,
            ):
                lines = "".join(f"{each}\r\n" for each in ("Host: localhost", "Connection: close", *headers))
                link.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
                return link.makefile("rb").read().decode()

        assert " 401 " in asked("/").splitlines()[0]
        assert " 401 " in asked("/metrics", "Authorization: Bearer another-token-of-some-length").splitlines()[0]
        assert " 200 " in asked("/metrics", "Authorization: Bearer a-token-of-some-length").splitlines()[0]
        assert " 200 " in asked("/", "Authorization: Basic OmEtdG9rZW4tb2Ytc29tZS1sZW5ndGg=").splitlines()[0]
        until(lambda: " 200 " in asked("/readyz").splitlines()[0])
        assert "MASTER" not in asked("/readyz"), "a probe without the token is told no name"
        code, log = service.stop()
    assert code == 0
    assert "a-token-of-some-length" not in log


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--host", "0.0.0.0"), "a token is mandatory"),
        (("--host", "0.0.0.0", "--token-file", "{token}"), "TLS is mandatory"),
        (("--tls-cert", "x"), "TLS needs both files"),
        (("--tls-cert", "{token}", "--tls-key", "{token}"), "The TLS certificate or its key cannot be used"),
        (("--port", "{taken}"), "cannot be listened on"),
        (("--token-file", "{empty}"), "is empty"),
    ],
)  # fmt: skip
def test_unsafe_options_are_refused_in_a_sentence(
    sim: Simulator, tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    (tmp_path / "token").write_text("a-token-of-some-length\n", encoding="utf-8")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"token": tmp_path / "token", "empty": tmp_path / "empty", "taken": taken.getsockname()[1]}
        given = tuple(each.format(**known) for each in options)
        with pytest.raises(AssertionError, match=why) as caught, served(sim, tmp_path, *given):
            pass
    assert "Traceback" not in str(caught.value)


def test_replies_are_not_held_back_by_the_kernel() -> None:
    """Without TCP_NODELAY each reply on a kept connection waits 40 ms for the client's acknowledgement."""
    with _bound(WebOptions(port=0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
