"""Where push may connect to."""

from __future__ import annotations

import pytest

from engine import ConfigError, Engine, Settings
from engine.stream.address import check_ws_urls
from engine.values.settings import KRAKEN_PUBLIC_WS_URL


@pytest.mark.parametrize("url", [
    "wss://ws-auth.kraken.com/v2", "wss://uws.kraken.com/v2/private", "ws://127.0.0.1:8000/v2", "ws://localhost:80",
])  # fmt: skip
def test_kraken_and_this_machine_may_be_reached(url: str) -> None:
    private, public = check_ws_urls(Settings(ws_url=url, ws_public_url=url))
    assert (private.url, public.url) == (url, url)


@pytest.mark.parametrize("url", [
    "ws://ws-auth.kraken.com/v2", "wss://example.com/v2", "wss://user:word@ws-auth.kraken.com/v2", "https://kraken.com",
    "wss://ws-auth.kraken.com/v2?token=word", "wss://ws-auth.kraken.com/v2#word", "ws-auth.kraken.com", "wss:///v2",
    "wss://ws-auth.kraken.com/v 2", "wss://kraken.com.example.com/",
])  # fmt: skip
def test_anything_else_is_refused_in_a_sentence_without_secrets(url: str) -> None:
    for name in ("ws_url", "ws_public_url"):
        with pytest.raises(ConfigError) as caught:
            check_ws_urls(Settings(**{name: url}))  # type: ignore[arg-type]
        assert f"The setting {name} " in str(caught.value)
        assert "word" not in str(caught.value).replace("password", "")


def test_another_host_may_be_asked_for() -> None:
    addresses = check_ws_urls(Settings(ws_url="wss://example.com/v2", any_host=True))
    assert [each.host for each in addresses] == ["example.com", "example.com"]


def test_prices_come_from_where_the_accounts_are() -> None:
    """A simulated account that is traded by real prices would be worse than none."""
    assert check_ws_urls(Settings())[1].url == KRAKEN_PUBLIC_WS_URL
    assert check_ws_urls(Settings(ws_url="ws://127.0.0.1:8000/v2"))[1].url == "ws://127.0.0.1:8000/v2"


def test_an_engine_looks_at_it_only_with_push() -> None:
    Engine([], settings=Settings(ws_url="ws://example.com"))
    with pytest.raises(ConfigError, match="ws_url"):
        Engine([], settings=Settings(ws_url="ws://example.com", push=True))
