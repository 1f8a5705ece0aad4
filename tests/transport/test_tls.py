"""TLS and the proxy: who is trusted, and that nothing ever leaves in clear."""

from __future__ import annotations

import base64
import contextlib
import datetime
import gc
import ipaddress
import random
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from engine.errors import CallNotSent, CallUnknown, ConfigError, ConnectFailed
from engine.transport import HttpReply, Transport, TransportPool
from engine.transport.resolver import Resolver
from engine.transport.tls import _usual_file
from engine.transport.wire import Wire
from engine.values import Settings
from tests.stopwatch import AT_ONCE, LONG, PATIENCE, SOON, Stopwatch, again_if_stalled
from tests.transport.test_transport import (
    BODY,
    CANARY,
    DATE,
    GRACE,
    Background,
    Connect,
    Names,
    Peer,
    Script,
    Serve,
    Server,
    answering,
    background,
    call,
    check_text,
    connect,
    cut_at_random,
    in_time,
    names,
    once,
    open_files,
    reply,
    serve,
    silent,
    until,
)

__all__ = ["background", "connect", "names", "serve"]  # fixtures

HOST = "api.kraken.com"
URL = f"https://{HOST}"
To = Callable[[Server], Resolver]


class Authority:
    """Issues certificates as a real one does, in a folder."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self._folder = folder
        self._count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = str(folder / f"{name.replace(' ', '-')}.pem")
        Path(self.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        *,
        critical: bool = False,
        days: tuple[int, int] = (-1, 1),
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(extension, critical=critical)
            .sign(self._key, hashes.SHA256())
        )

    def server(self, host: str = HOST, days: tuple[int, int] = (-1, 1)) -> ssl.SSLContext:
        """What a server needs to be `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        try:
            label: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            label = x509.DNSName(host)
        certificate = self._sign(name, key, x509.SubjectAlternativeName([label]), days=days)
        self._count += 1
        file = self._folder / f"server-{self._count}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def settings(authority: Authority) -> Settings:
    return Settings(ca_file=authority.file)


@pytest.fixture
def to(names: Names) -> To:
    """A resolver that sends every name to this server."""

    def point(server: Server) -> Resolver:
        names.ports = (server.port,)
        return Resolver(names)

    return point


# Who is trusted


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_with_the_right_certificate_is_kept(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To, version: ssl.TLSVersion
) -> None:
    context = authority.server()
    context.maximum_version = context.minimum_version = version
    server = serve(answering(reply(b"abc")), context)
    transport = connect(URL, settings, resolver=to(server))
    for _ in range(4):
        assert call(transport) == HttpReply(200, b"abc", DATE, "application/json")
    assert server.connections == 1
    assert server.requests[0].headers["host"] == HOST
    assert server.requests[0].headers["api-key"] == CANARY


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_and_localhost_are_verified_as_well(
    serve: Serve, connect: Connect, authority: Authority, host: str
) -> None:
    server = serve(answering(reply()), authority.server(host))
    settings = Settings(ca_file=authority.file, any_host=True)
    assert call(connect(f"https://{host}:{server.port}", settings)).status == 200
    other = "localhost" if host == "127.0.0.1" else "127.0.0.1"
    with pytest.raises(ConnectFailed, match="certificate is not accepted"):
        call(connect(f"https://{other}:{server.port}", settings))


def refused(transport: Transport, server: Server, why: str) -> None:
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match=why) as caught:
        call(transport)
    assert watch.seconds < SOON
    check_text(caught.value)
    assert not server.requests
    assert CANARY.encode() not in b"".join(server.pieces)
    assert transport._wire._sock is None


def test_another_host_is_refused(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(answering(reply()), authority.server("www.kraken.com"))
    refused(connect(URL, settings, resolver=to(server)), server, "not accepted .Hostname mismatch")


def test_an_expired_certificate_is_refused(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(answering(reply()), authority.server(days=(-9, -1)))
    refused(connect(URL, settings, resolver=to(server)), server, "not accepted .certificate has expired")


def test_a_certificate_of_tomorrow_is_refused(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(answering(reply()), authority.server(days=(1, 9)))
    refused(connect(URL, settings, resolver=to(server)), server, "not accepted .certificate is not yet valid")


def test_an_unknown_authority_is_refused(
    serve: Serve, connect: Connect, settings: Settings, to: To, tmp_path: Path
) -> None:
    server = serve(answering(reply()), Authority(tmp_path, "Somebody Else").server())
    refused(connect(URL, settings, resolver=to(server)), server, "certificate is not accepted")


def test_a_self_signed_certificate_is_refused(
    serve: Serve, connect: Connect, settings: Settings, to: To, tmp_path: Path
) -> None:
    server = serve(answering(reply()), Authority(tmp_path, HOST).server())
    refused(connect(URL, settings, resolver=to(server)), server, "certificate is not accepted")


def test_a_private_authority_is_trusted_by_ca_file_only(
    serve: Serve, connect: Connect, authority: Authority, to: To, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, authority.file)
    server = serve(answering(reply()), authority.server())
    refused(connect(URL, resolver=to(server)), server, "certificate is not accepted")


def test_the_usual_authorities_are_those_of_requests() -> None:
    assert _usual_file() == DEFAULT_CA_BUNDLE_PATH


def test_a_session_cannot_be_talked_out_of_verifying(
    serve: Serve, connect: Connect, to: To, authority: Authority
) -> None:
    server = serve(answering(reply()), authority.server())
    transport = connect(URL, resolver=to(server))
    transport._session.verify = False
    refused(transport, server, "certificate is not accepted")


def test_old_tls_is_refused(serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To) -> None:
    context = authority.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(answering(reply()), context)
    refused(connect(URL, settings, resolver=to(server)), server, "TLS failed")


def test_a_server_without_tls_is_refused(serve: Serve, connect: Connect, settings: Settings, to: To) -> None:
    server = serve(lambda peer: peer.send(reply()))
    refused(connect(URL, settings, resolver=to(server)), server, "TLS failed")


def test_a_server_that_hangs_up_in_the_handshake_is_refused(
    serve: Serve, connect: Connect, settings: Settings, to: To
) -> None:
    for script in (Peer.reset, lambda peer: peer.sock.recv(10)):
        server = serve(script)
        refused(connect(URL, settings, resolver=to(server)), server, "No connection to api.kraken.com:443")


def test_a_reset_between_connecting_and_tls_leaves_no_socket_open(
    serve: Serve, connect: Connect, settings: Settings, to: To, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = Wire._secure

    def secure_after_the_reset(wire: Wire, tls: ssl.SSLContext) -> None:
        until(lambda: wire._poll.poll(0))
        secure(wire, tls)

    monkeypatch.setattr(Wire, "_secure", secure_after_the_reset)
    server = serve(Peer.reset)
    before = open_files()
    for _ in range(3):
        refused(connect(URL, settings, resolver=to(server)), server, "No connection to api.kraken.com:443")
    gc.collect()
    until(lambda: open_files() <= before)


def test_an_invalid_ca_file_is_a_configuration_error(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"\x00garbage")
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    key = tmp_path / "key.pem"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for file in (garbage, empty, key, tmp_path, tmp_path / "missing.pem", "", "a\0b"):
        with pytest.raises(ConfigError, match=r"ca_file.*\.$"):
            Transport(settings=Settings(ca_file=str(file)))


def test_certificates_are_read_once_per_pool(
    serve: Serve,
    authority: Authority,
    settings: Settings,
    to: To,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []
    load = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *a, **k: (read.append(a), load(*a, **k)))
    everybody = threading.Barrier(4)

    def script(peer: Peer) -> None:
        while peer.read():
            everybody.wait(PATIENCE)
            peer.send(reply())

    server = serve(script, authority.server())
    pool = TransportPool(URL, settings, resolver=to(server))
    for future in [background(pool.get, "/0/public/Time", deadline=in_time(PATIENCE)) for _ in range(4)]:
        assert future.result(PATIENCE).status == 200
    pool.close()
    assert server.connections == 4
    assert len(read) == 1


# Names and addresses, now that they can be verified


@pytest.mark.parametrize("fault", ["fails", "is silent"])
@again_if_stalled
def test_the_address_that_worked_last_bridges_a_resolver_that(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, names: Names, fault: str
) -> None:
    names.error = None
    names.gate.set()
    server = serve(once(reply(b"{}", "200 OK", "Connection: close")), authority.server())
    names.ports = (server.port,)
    transport = connect(URL, settings, resolver=Resolver(names))
    call(transport)
    if fault == "fails":
        names.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    else:
        names.gate.clear()
    for _ in range(2):
        with Stopwatch() as watch:
            assert call(transport, 3.0 if fault == "is silent" else LONG).status == 200
        assert watch.seconds < 2.0
    assert server.connections == 3


def test_an_address_that_failed_to_verify_is_not_remembered(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, names: Names
) -> None:
    server = serve(answering(reply()), authority.server("evil.test"))
    names.ports = (server.port,)
    transport = connect(URL, settings, resolver=Resolver(names))
    with pytest.raises(ConnectFailed, match="certificate is not accepted"):
        call(transport)
    names.error = OSError("no")
    with pytest.raises(ConnectFailed):
        call(transport)
    assert server.connections == 1


# The end of a connection


def closing(*, says_goodbye: bool) -> Script:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"y" * 1000)
        if says_goodbye:
            assert isinstance(peer.sock, ssl.SSLSocket)
            with contextlib.suppress(OSError):  # the client does not answer it
                peer.sock.unwrap()

    return script


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_body_that_ends_with_its_connection_needs_the_goodbye_of_tls(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To, version: ssl.TLSVersion
) -> None:
    context = authority.server()
    context.maximum_version = version
    server = serve(closing(says_goodbye=True), context)
    assert call(connect(URL, settings, resolver=to(server))).body == b"y" * 1000
    server = serve(closing(says_goodbye=False), context)
    with pytest.raises(CallUnknown, match="broken off") as caught:
        call(connect(URL, settings, resolver=to(server)))
    check_text(caught.value)


def test_a_connection_closed_while_idle_is_replaced_before_the_write(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(once(reply()), authority.server())
    transport = connect(URL, settings, resolver=to(server))
    for count in range(1, 4):
        call(transport)
        until(lambda: transport._wire._poll.poll(0))
        assert server.connections == len(server.requests) == count


def test_bytes_behind_a_reply_end_the_connection(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(answering(reply(b"1") + reply(b"junk")), authority.server())
    transport = connect(URL, settings, resolver=to(server))
    assert [call(transport).body for _ in range(3)] == [b"1"] * 3


def test_a_large_body_goes_both_ways(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    server = serve(answering(reply(b"y" * 3_000_000)), authority.server())
    body = random.Random(1).randbytes(2_000_000)
    answer = connect(URL, settings, resolver=to(server)).post("/", body, {}, deadline=in_time(PATIENCE))
    assert (server.requests[0].body == body, len(answer.body)) == (True, 3_000_000)


@again_if_stalled
def test_a_drip_under_tls_ends_at_the_deadline(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To
) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        while not peer.server.over.wait(0.01):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    server = serve(script, authority.server())
    with Stopwatch() as watch, pytest.raises(CallUnknown, match="time ran out"):
        call(connect(URL, settings, resolver=to(server)), 0.4)
    assert watch.seconds < 0.4 + GRACE


# The cut


def test_a_cut_under_tls_is_at_once_and_the_next_call_is_fresh(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, to: To, background: Background
) -> None:
    def script(peer: Peer) -> None:
        if peer.server.connections == 1:
            silent(peer)
        answering(reply(b"next"))(peer)

    server = serve(script, authority.server())
    transport = connect(URL, settings, resolver=to(server))
    future = background(call, transport)
    assert server.asked.wait(PATIENCE)
    with Stopwatch() as watch:
        assert transport.cut()
        with pytest.raises(CallUnknown) as caught:
            future.result(PATIENCE)
    assert watch.seconds < AT_ONCE
    check_text(caught.value)
    assert call(transport).body == b"next"


class Wiretap:
    """Passes connections on to a server and keeps every byte that the client sent."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._clients: list[socket.socket] = []
        self._run(self._accept)

    def _run(self, target: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._over.is_set():
                client.close()
                return
            self._clients.append(client)
            self._run(self.carry, client)

    def carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server.port)) as server:
            back = self._run(self._pump, server, client, None)
            self._pump(client, server, self.heard)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, record: list[bytes] | None) -> None:
        try:
            while piece := source.recv(65536):
                if record is not None:
                    record.append(piece)
                sink.sendall(piece)
        except OSError:
            pass
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._over.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._listener.close()


@pytest.fixture
def after() -> Iterator[contextlib.ExitStack]:
    """What is to be ended after the test."""
    with contextlib.ExitStack() as stack:
        yield stack


def test_the_cut_leaves_the_layer_of_tls_alone(
    serve: Serve,
    connect: Connect,
    authority: Authority,
    settings: Settings,
    to: To,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SSLSocket.shutdown takes it away first, and what is being sent meanwhile goes out in clear."""
    called: list[object] = []
    monkeypatch.setattr(ssl.SSLSocket, "shutdown", lambda *arguments: called.append(arguments))
    server = serve(silent, authority.server())
    transport = connect(URL, settings, resolver=to(server))
    future = background(call, transport)
    assert server.asked.wait(PATIENCE)
    assert transport.cut()
    with pytest.raises(CallUnknown):
        future.result(PATIENCE)
    assert not called


def test_whenever_a_cut_comes_nothing_leaves_in_clear(
    serve: Serve, connect: Connect, authority: Authority, settings: Settings, names: Names, after: contextlib.ExitStack
) -> None:
    server = serve(answering(reply()), authority.server())
    tap = after.enter_context(contextlib.closing(Wiretap(server)))
    names.ports = (tap.port,)
    transport = connect(URL, settings, resolver=Resolver(names))
    # Several records a body, so that a cut can fall between two; up to 0.1 s, since a busy machine has to finish one.
    outcomes = cut_at_random(
        transport, lambda number: b"%d&%s" % (number, CANARY.encode() * 5000), seed=7, shortest=0.0001
    )
    assert all(outcomes.values()), {kind.__name__: len(bodies) for kind, bodies in outcomes.items()}
    assert CANARY.encode() not in b"".join(tap.heard)
    seen = [request.body for request in server.requests]
    assert len(seen) == len(set(seen))
    assert not set(outcomes[CallNotSent]) & set(seen)


def test_close_leaves_nothing_open(serve: Serve, authority: Authority, settings: Settings, to: To) -> None:
    server = serve(answering(reply()), authority.server())
    bad = serve(answering(reply()), authority.server("evil.test"))
    before = open_files()
    for _ in range(3):
        transport = Transport(URL, settings, resolver=to(server))
        call(transport)
        transport.close()
        transport = Transport(URL, settings, resolver=to(bad))
        with pytest.raises(ConnectFailed):
            call(transport)
        transport.close()
    until(lambda: open_files() <= before)


# The proxy


class ConnectProxy(Wiretap):
    """A proxy that connects everybody who knows the password to one server."""

    def carry(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        self.asked = head
        if b"Proxy-Authorization: Basic " + base64.b64encode(f"me:{CANARY}@".encode()) not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        super().carry(client)


def test_the_proxy_carries_tls_that_it_cannot_read(
    serve: Serve, connect: Connect, authority: Authority, names: Names, after: contextlib.ExitStack
) -> None:
    server = serve(answering(reply(b"abc")), authority.server())
    proxy = after.enter_context(contextlib.closing(ConnectProxy(server)))
    settings = Settings(ca_file=authority.file, proxy=f"http://me:{CANARY}%40@127.0.0.1:{proxy.port}")
    transport = connect(URL, settings, resolver=Resolver(names))
    for _ in range(3):
        assert call(transport).body == b"abc"
    assert server.connections == 1
    assert proxy.asked.startswith(b"CONNECT api.kraken.com:443 HTTP/1.1\r\nHost: api.kraken.com:443\r\n")
    assert "proxy-authorization" not in server.requests[0].headers
    assert server.requests[0].body == BODY
    assert CANARY.encode() not in b"".join(proxy.heard)
    assert names.calls == 0  # the proxy resolves the name


def test_the_server_behind_a_proxy_is_verified(
    serve: Serve, connect: Connect, authority: Authority, after: contextlib.ExitStack
) -> None:
    server = serve(answering(reply()), authority.server("evil.test"))
    proxy = after.enter_context(contextlib.closing(ConnectProxy(server)))
    settings = Settings(ca_file=authority.file, proxy=f"http://me:{CANARY}%40@127.0.0.1:{proxy.port}")
    refused(connect(URL, settings), server, "certificate is not accepted")


def test_a_wrong_password_for_the_proxy_is_said_and_not_shown(
    serve: Serve, connect: Connect, authority: Authority, after: contextlib.ExitStack
) -> None:
    server = serve(answering(reply()), authority.server())
    proxy = after.enter_context(contextlib.closing(ConnectProxy(server)))
    settings = Settings(ca_file=authority.file, proxy=f"http://me:{CANARY}@127.0.0.1:{proxy.port}")
    refused(connect(URL, settings), server, "wants a valid user name and password")
    assert server.connections == 0
