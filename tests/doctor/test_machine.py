"""The way out through a proxy, and the room on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.doctor import Level
from engine.doctor import machine as checked
from engine.doctor.machine import MIB, disk_finding, proxy_finding
from engine.transport.address import check_proxy


def test_a_proxy_that_is_used_is_named_without_its_password() -> None:
    finding = proxy_finding(check_proxy("http://me:hidden@proxy.example.com:3128"), {})
    assert (finding.level, finding.found) == (Level.OK, "The proxy proxy.example.com:3128 is used.")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_used_and_that_is_said(name: str) -> None:
    finding = proxy_finding(None, {name: "http://me:hidden@proxy:3128"})
    assert finding.level is Level.WARN
    assert name in finding.found
    assert "hidden" not in finding.found + (finding.advice or "")


def test_no_proxy_is_well() -> None:
    assert proxy_finding(None, {"HTTPS_PROXY": ""}).level is Level.OK


@pytest.mark.parametrize(("free", "level"), [
    (5_000, Level.OK), (200, Level.OK), (199, Level.WARN), (10, Level.WARN), (9, Level.BAD), (0, Level.BAD),
])  # fmt: skip
def test_the_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    """A disk of that size cannot be had in a test, so what the system says of it is replaced."""
    def usage(_: Any) -> Any:
        return SimpleNamespace(free=free * MIB)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert checked.disk_finding(tmp_path / "not" / "made" / "yet").level is level


def test_the_real_disk(tmp_path: Path) -> None:
    assert "MiB left" in disk_finding(tmp_path).found
