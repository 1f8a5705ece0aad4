"""What the web endpoints share."""

from __future__ import annotations

from dataclasses import dataclass

from engine.app import Engine
from engine.values import Settings
from engine.web.feed.feed import Feed
from engine.web.gateway.gateway import Gateway
from engine.web.metrics import Metrics
from engine.web.remote_calls import RemoteCalls


@dataclass(frozen=True)
class WebState:
    """One engine and what the web shows of it."""

    engine: Engine
    feed: Feed
    metrics: Metrics
    gateway: Gateway
    settings: Settings
    remote: RemoteCalls
    may_act: bool = False
    """Whether the page offers actions."""
