"""What the web endpoints share."""

from __future__ import annotations

from dataclasses import dataclass

from engine.app.served import ServedEngine
from engine.values import Settings
from engine.web.feed.feed import Feed
from engine.web.gateway.gateway import Gateway
from engine.web.metrics import Metrics
from engine.web.remote_calls import RemoteCalls
from engine.web.subject import Subject


@dataclass(frozen=True)
class WebState:
    """What is served, and what the web shows of it. `engine` is what these endpoints ask."""

    engine: ServedEngine
    subject: Subject
    feed: Feed
    metrics: Metrics
    gateway: Gateway
    remote: RemoteCalls
    may_act: bool = False
    """Whether the page offers actions."""

    @property
    def settings(self) -> Settings:
        """The engine's."""
        return self.subject.settings
