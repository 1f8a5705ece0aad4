"""The systemd unit that `init` writes: `serve` under this user, with the keys as systemd's credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from engine.values import MASTER


class KeyFiles(NamedTuple):
    """Where the two texts of an account's API key are."""

    account: str
    key: Path
    secret: Path


_UNIT = """\
# Install it as root:  cp {unit} /etc/systemd/system/ && systemctl enable --now {name}
# The log:             journalctl -u {name} -p warning

[Unit]
Description=kraken-engine: one private lane to Kraken
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
{credentials}
# It may read only. Add --live at the end when it is to place orders.
ExecStart={python} -m engine serve --config {config} --log-format json
WorkingDirectory={working}
TimeoutStopSec=30
Restart=on-failure
RestartSec=2
# 2 is a wrong configuration, 3 a state directory that another engine owns: starting again repairs neither.
RestartPreventExitStatus=2 3
LimitNOFILE=65536

UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={state}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


def systemd_unit(unit: Path, *, user: str, config: Path, state: Path, keys: Iterable[KeyFiles]) -> str:
    """The text of a unit that runs `serve` with this configuration as `user`.

    systemd reads the key files as root and hands copies over that only the service can read.
    """
    return _UNIT.format(
        unit=_quoted(unit), name=unit.stem, user=user, config=_quoted(config), state=_quoted(state),
        python=_quoted(Path(sys.executable)), working=_escaped(state), credentials="\n".join(_credentials(keys)),
    )  # fmt: skip


def _credentials(keys: Iterable[KeyFiles]) -> Iterable[str]:
    for each in keys:
        prefix = "KRAKEN_API" if each.account == MASTER else f"KRAKEN_USER_{each.account}_API"
        for part, path in (("KEY", each.key), ("SECRET", each.secret)):
            credential = f"{each.account}.{part.lower()}"
            yield f"LoadCredential={credential}:{_escaped(path)}"
            yield f"Environment={prefix}_{part}_FILE=%d/{credential}"


def _escaped(path: Path) -> str:
    """A path as a whole value: systemd reads % as the begin of a specifier."""
    return str(path).replace("%", "%%")


def _quoted(path: Path) -> str:
    """A path as one word."""
    text = _escaped(path)
    plain = text.replace("/", "").replace(".", "").replace("-", "").replace("_", "").replace("%", "")
    if plain.isalnum():
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'
