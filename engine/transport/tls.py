"""TLS that is always verified."""

from __future__ import annotations

import errno
import ssl

from engine.errors import ConfigError


class TlsSocket(ssl.SSLSocket):
    """An SSLSocket that is not left open when the connection is reset just before it is wrapped."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Some data. wrap_socket looks for them on a socket that may have no peer, and forgets to close that one."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError:  # only of a socket that is wrapped
            raise
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                self.close()
            raise


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies certificate and host name. Raises `ConfigError` for a CA file that cannot be used.

    Made once per route: reading the certificates takes 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TlsSocket
    file = _usual_file() if ca_file is None else ca_file
    try:
        context.load_verify_locations(file)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"The CA file {file!r} cannot be used ({reason}): it has to be a PEM file of certificates "
            "that can be read. Correct the setting ca_file, or leave it out for the usual ones."
        ) from None
    return context


def _usual_file() -> str:
    """That of requests, which takes it from certifi as well."""
    from certifi import where  # noqa: PLC0415 - only where there is TLS

    return where()
