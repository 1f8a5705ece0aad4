"""Findings on this machine: the way out through a proxy, and the room on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.doctor.finding import Finding, bad, ok, skipped, warn
from engine.transport.address import Proxy

LITTLE, NOTHING = 200, 10  # MiB
MIB = 1024 * 1024

_FREE = "Free space on that disk: on a full one the engine sends nothing but cancels."
_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def proxy_finding(proxy: Proxy | None, environ: Mapping[str, str]) -> Finding:
    """Which proxy is used, and whether the environment names one that is not."""
    if proxy is not None:
        return ok("proxy", f"The proxy {proxy.host}:{proxy.port} is used.")
    named = next((name for name in _VARIABLES if environ.get(name)), None)
    if named is not None:
        return warn(
            "proxy", f"The environment names a proxy in {named}, and the engine does not use it.",
            "If this machine reaches the internet only through it, give it as [settings] proxy.",
        )  # fmt: skip
    return ok("proxy", "No proxy is used.")


def disk_finding(directory: Path) -> Finding:
    """How much room the disk of the state directory, or of where it is to be made, has."""
    there = next(each for each in (directory, *directory.parents) if each.exists())
    try:
        free = shutil.disk_usage(there).free // MIB
        inodes = os.statvfs(there)
    except OSError as error:
        return skipped("disk", f"the system does not say ({error.strerror})")
    if inodes.f_files and not inodes.f_favail:
        return bad("disk", f"The disk of {directory} has room for no further file.", _FREE)
    if free < NOTHING:
        return bad("disk", f"The disk of {directory} is full: {free} MiB are left.", _FREE)
    if free < LITTLE:
        return warn("disk", f"The disk of {directory} is nearly full: {free} MiB are left.", _FREE)
    return ok("disk", f"The disk of {directory} has {free:,} MiB left.")
