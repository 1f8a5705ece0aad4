"""What an engine is connected to, and whether it may trade: never to be mistaken."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.app.status import EngineStatus


@dataclass(frozen=True, slots=True)
class Mode:
    """`place`: ``kraken``, ``simulator`` or ``other``; `may_trade`: whether orders go out."""

    place: str
    may_trade: bool

    @property
    def name(self) -> str:
        """For the colour of the frame: ``kraken-live``, ``simulator-dry`` and so on."""
        return f"{self.place}-{'live' if self.may_trade else 'dry'}"

    @property
    def word(self) -> str:
        """For the title."""
        what = {"kraken": "LIVE" if self.may_trade else "dry run", "simulator": "simulator", "other": "other host"}
        return what[self.place] + (", dry run" if self.place != "kraken" and not self.may_trade else "")

    @property
    def sentence(self) -> str:
        """For the head of the page."""
        where = {"kraken": "Real Kraken", "simulator": "Simulator", "other": "Not Kraken's own host"}[self.place]
        what = "may trade" if self.may_trade else "dry run: nothing can trade"
        return f"{where} · {what}"


def mode_of(status: EngineStatus) -> Mode:
    """The mode of an engine. What listens on this machine is taken for a simulator."""
    host = (urlsplit(status.url).hostname or "").lower()
    if host == "kraken.com" or host.endswith(".kraken.com"):
        return Mode("kraken", status.live)
    return Mode("simulator" if _is_loopback(host) else "other", status.live)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
