"""An SSL socket that closes itself when its connection is reset too early."""

from __future__ import annotations

import errno
import ssl


class TlsSocket(ssl.SSLSocket):
    """An SSLSocket that is not left open when the connection is reset just before it is wrapped."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Called by wrap_socket alone, which looks for data on a socket without a peer and forgets to close it."""
        try:
            return super().recv(buflen, flags)
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                self.close()
            raise
