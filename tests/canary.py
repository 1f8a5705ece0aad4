"""Credentials that give themselves away: in whatever form they turn up in something written, they are found."""

from __future__ import annotations

import base64
import binascii
import contextlib
import copy
import dataclasses
import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import engine

PACKAGE = str(Path(engine.__file__).parent)
WINDOW = 16  # so many characters in a row are a leak: a text may be cut short
DECODED = b"canary:decoded-bytes-of-the-API-secret:0123456789:not-for-anybody:end"

KEY = f"CanaryKEY+7ZqX/0uKq1n5LrTvYb8Wd2Hc6Js4Mg9Fp3Ae+Rk/{os.urandom(8).hex()}"  # a key is claimed machine-wide
SECRET = base64.b64encode(DECODED).decode()
OTP = "canary-otp+47/11=Zx9"
PROXY_PASSWORD = "canary-proxy-password-17-Zq"
SAID = {"key": KEY, "secret": SECRET, "otp": OTP, "proxy password": PROXY_PASSWORD, "decoded secret": DECODED.decode()}


def _forms(value: bytes) -> Iterator[bytes]:
    """The ways in which a value may be written."""
    yield from (value[at : at + WINDOW] for at in range(max(1, len(value) - WINDOW + 1)))
    yield value[::-1]
    yield from (value.hex().encode(), value.hex().upper().encode(), value.hex(":").encode())
    text = value.decode()
    yield from (quote(text, safe="").encode(), quote_plus(text).encode())
    yield from (str(list(value)).encode(), base64.b32encode(value).rstrip(b"="))
    for skew in range(3):  # base64 of something that has the value in it
        encoded = base64.b64encode(b"\0" * skew + value)[4 * (skew > 0) : -4]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


NEEDLES = {form: name for name, value in SAID.items() for form in _forms(value.encode())}


def leaks(where: str, written: bytes | str) -> list[str]:
    """What of the canary stands in there."""
    data = written.encode("utf-8", "surrogateescape") if isinstance(written, str) else written
    if not any(data.find(form) >= 0 for form in NEEDLES):
        return []
    found = {(name, data.find(form)) for form, name in NEEDLES.items() if form in data}
    name, at = min(found, key=lambda each: each[1])
    return [f"{where}: the {name} in …{data[max(0, at - 60) : at + 60]!r}…"]


class Written:
    """Everything that was written, and where."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, bytes | str]] = []

    def add(self, where: str, written: bytes | str) -> None:
        self._pieces.append((where, written))

    def leaks(self) -> list[str]:
        return [leak for where, written in self._pieces for leak in leaks(where, written)]

    def __len__(self) -> int:
        return sum(len(written) for _, written in self._pieces)

    def directory(self, path: Path) -> None:
        """Every file below, and the names of all."""
        for file in sorted(path.rglob("*")):
            self.add("a file's name", str(file))
            if file.is_file():
                with contextlib.suppress(FileNotFoundError):
                    self.add(f"file {file.name}", file.read_bytes())

    def show(self, where: str, value: Any, *, depth: int = 2) -> None:
        """Every way in which a value shows itself: its texts, its public parts, its copies, its pickle."""
        for how in (repr, str, ascii, format):
            with contextlib.suppress(Exception):
                self.add(f"{how.__name__}({where})", how(value))
        copies: tuple[Callable[[Any], bytes | str], ...] = (
            pickle.dumps,
            lambda each: repr(copy.deepcopy(each)),
            lambda each: repr(copy.copy(each)),
        )
        for duplicate in copies:
            with contextlib.suppress(Exception):
                self.add(f"a copy or pickle of {where}", duplicate(value))
        with contextlib.suppress(TypeError):
            self.add(f"vars({where})", repr(vars(value)))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            with contextlib.suppress(Exception):
                self.add(f"asdict({where})", repr(dataclasses.asdict(value)))
        if depth:
            for name in dir(value):
                if not name.startswith("_"):
                    with contextlib.suppress(Exception):
                        part = getattr(value, name)
                        if not callable(part):
                            self.show(f"{where}.{name}", part, depth=depth - 1)

    def error(self, where: str, error: BaseException, *, with_locals: bool = True) -> None:
        """An exception as tools show it: its text, its parts, its traceback, and that with everybody's locals."""
        self.show(f"the error of {where}", error)
        self.add(f"the traceback of {where}", "".join(traceback.format_exception(error)))
        chain: list[BaseException] = [error]
        for each in chain:
            chain += [link for link in (each.__cause__, each.__context__) if link is not None and link not in chain]
            if with_locals:
                shown = traceback.TracebackException.from_exception(each, capture_locals=True)
                for frame in shown.stack:
                    if frame.filename.startswith(PACKAGE):  # what the caller's own frames hold is the caller's
                        told = "\n".join(f"{name} = {text}" for name, text in (frame.locals or {}).items())
                        self.add(f"locals of {frame.name} ({Path(frame.filename).name}) after {where}", told)


def decodes_to_canary(text: str) -> bool:
    """Whether a text is base64 of the canary: the test of the test."""
    with contextlib.suppress(binascii.Error, ValueError):
        return bool(leaks("", base64.b64decode(text)))
    return False
