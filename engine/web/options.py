"""Where the service listens, and who may use it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError
from engine.values import Secret

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """Where the service listens and who may use it. Raises `ConfigError` for an unsafe combination.

    host, port: the address; port 0 takes a free one.
    names: further names under which browsers and clients may reach it (its Host allow-list).
    token: required of everybody but the gateway's clients; mandatory off loopback.
    certificate, key: files for TLS; mandatory off loopback unless `plain`.
    plain: plain http off loopback, for a proxy in front that ends TLS.
    allow_actions: whether the page offers actions. Who acts shows `acting_token`; without one `token` may act too.
    """

    host: str = "127.0.0.1"
    port: int = 8710
    names: tuple[str, ...] = ()
    token: Secret | None = None
    certificate: Path | None = None
    key: Path | None = None
    plain: bool = False
    allow_actions: bool = False
    acting_token: Secret | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("TLS needs both files: --tls-cert and --tls-key.")
        for token in (self.token, self.acting_token):
            if token is not None and len(token.reveal()) < 16:
                raise ConfigError("The token is shorter than 16 characters: make a long random one.")
        if self.acting_token is not None and not self.allow_actions:
            raise ConfigError("There is a token for actions, and they are not allowed: give --allow-actions as well.")
        if self.allow_actions and self.may_act_with is None:
            raise ConfigError(
                "--allow-actions needs a token: put a long random one into a file and name it with "
                "--acting-token-file, or with --token-file, which then opens the page too."
            )
        if self.is_loopback:
            return
        if self.token is None:
            raise ConfigError(
                f"{self.host} can be reached from other machines, so a token is mandatory: put a long random one into "
                "a file and name it with --token-file."
            )
        if self.certificate is None and not self.plain:
            raise ConfigError(
                f"{self.host} can be reached from other machines, so TLS is mandatory: give --tls-cert and --tls-key, "
                "or --plain-http when a proxy in front of it ends TLS."
            )

    @property
    def may_act_with(self) -> Secret | None:
        """The token that an action needs."""
        return self.acting_token or self.token

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """What a request's Host may be, without the port, in lower case."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(each.lower() for each in (*LOOPBACK_NAMES, host, *self.names))

    @property
    def scheme(self) -> str:
        """``https`` with a certificate, else ``http``."""
        return "https" if self.certificate else "http"
