"""Where push may connect to."""

from __future__ import annotations

import pytest

from engine import ConfigError, Engine, Settings
from engine.stream.address import check_ws_url


@pytest.mark.parametrize("url", [
    "wss://ws-auth.kraken.com/v2", "wss://uws.kraken.com/v2/private", "ws://127.0.0.1:8000/v2", "ws://localhost:80",
])  # fmt: skip
def test_kraken_and_this_machine_may_be_reached(url: str) -> None:
    assert check_ws_url(Settings(ws_url=url)).url == url


@pytest.mark.parametrize("url", [
    "ws://ws-auth.kraken.com/v2", "wss://example.com/v2", "wss://user:word@ws-auth.kraken.com/v2", "https://kraken.com",
    "wss://ws-auth.kraken.com/v2?token=word", "wss://ws-auth.kraken.com/v2#word", "ws-auth.kraken.com", "wss:///v2",
    "wss://ws-auth.kraken.com/v 2", "wss://kraken.com.example.com/",
])  # fmt: skip
def test_anything_else_is_refused_in_a_sentence_without_secrets(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_ws_url(Settings(ws_url=url))
    assert "ws_url" in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


def test_another_host_may_be_asked_for() -> None:
    assert check_ws_url(Settings(ws_url="wss://example.com/v2", any_host=True)).host == "example.com"


def test_an_engine_looks_at_it_only_with_push() -> None:
    Engine([], settings=Settings(ws_url="ws://example.com"))
    with pytest.raises(ConfigError, match="ws_url"):
        Engine([], settings=Settings(ws_url="ws://example.com", push=True))
