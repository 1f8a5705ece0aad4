"""Acting from the page: where it is allowed, with the token, from a page of ours, confirmed, and told as an event."""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from engine import Engine, OperatorActed, Order, OrderState, Settings, TradingPaused
from engine.errors import ConfigError
from engine.simulator import Fault, Simulator
from engine.values import Secret
from engine.web.actions.action import ACTIONS
from engine.web.actions.form_token import VALID_FOR, FormTokens
from engine.web.options import WebOptions
from tests.conftest import Events
from tests.stopwatch import PATIENCE
from tests.web.test_security import answer

LOOKS, ACTS = "a-token-to-look-with", "a-token-to-act-with"
RESTS = Order("XBTUSD", "buy", "limit", "0.01", "30000")
SETTINGS = Settings(refresh_every=60.0, local_limits=False, call_timeout=PATIENCE)


class Page(NamedTuple):
    status: int
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """The hidden ones of its form."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', self.text)
        return {name: unescape(value) for name, value in found}


class Browser:
    """What a browser sends for a person who has typed a name and a token."""

    def __init__(self, url: str, token: str | None = ACTS, name: str = "carol") -> None:
        self._host = urlsplit(url).netloc
        credentials = base64.b64encode(f"{name}:{token}".encode()).decode()
        self._usual = {} if token is None else {"authorization": f"Basic {credentials}"}

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Page:
        connection = http.client.HTTPConnection(self._host, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {**self._usual, **headers})
            reply = connection.getresponse()
            return Page(reply.status, reply.read().decode())
        finally:
            connection.close()

    def form(self, action: str, account: str = "MASTER", **more: str) -> Page:
        return self.ask("GET", "/act?" + urlencode({"action": action, "account": account, **more}))

    def post(self, fields: dict[str, str], origin: str | None = None) -> Page:
        named = {"origin": f"http://{self._host}" if origin is None else origin}
        return self.ask("POST", "/act", urlencode(fields), **{name: each for name, each in named.items() if each})

    def act(self, action: str, account: str = "MASTER", **more: str) -> Page:
        """Open the form, type the account's name, and send it."""
        return self.post({**self.form(action, account, **more).fields, "confirm": account})


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SETTINGS, live=True) as running:
        yield running


@contextmanager
def page(engine: Engine, **options: Any) -> Iterator[str]:
    with engine.serve(port=0, **{"allow_actions": True, "token": LOOKS, "acting_token": ACTS, **options}) as service:
        yield service.url


def test_an_order_is_canceled_and_an_event_says_who_did_it(engine: Engine) -> None:
    events = Events()
    engine.subscribe(events)
    receipt = engine.place("MASTER", RESTS, id="signal-42")
    with page(engine) as url:
        browser = Browser(url)
        form = browser.form("cancel", order="signal-42")
        assert "buy 0.01 XBTUSD limit at 30,000" in form.text
        done = browser.post({**form.fields, "confirm": "MASTER"})
        assert (done.status, engine.order("MASTER", receipt.id).state) == (200, OrderState.CANCELED)
        assert "Order signal-42 is canceled" in done.text
        event = events.wait_for(lambda each: isinstance(each, OperatorActed))
        assert (event.account, event.action, event.is_done) == ("MASTER", "cancel an order (signal-42)", True)
        assert event.who == "carol at 127.0.0.1"
        assert "carol at 127.0.0.1" in browser.ask("GET", "/").text
        assert "carol at 127.0.0.1" in browser.ask("GET", "/api/log").text


def test_orders_of_others_are_canceled_one_by_one_or_all(sim: Simulator, engine: Engine) -> None:
    wire = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
    txid = engine.call("MASTER", "AddOrder", wire)["txid"][0]
    engine.call("MASTER", "AddOrder", wire)
    with page(engine) as url:
        assert f"Order {txid} is canceled" in Browser(url).act("cancel", order=txid).text
        assert "Kraken counts 1 canceled order." in Browser(url).act("cancel-all").text
    assert engine.open_orders("MASTER", all=True) == ()


def test_a_token_that_is_typed_as_the_name_is_shown_nowhere(engine: Engine) -> None:
    events = Events()
    engine.subscribe(events)
    with page(engine) as url:
        assert Browser(url, name=ACTS).act("pause-trading").status == 200
        assert ACTS not in Browser(url).ask("GET", "/").text
    assert events.wait_for(lambda each: isinstance(each, OperatorActed)).who == "somebody at 127.0.0.1"


def test_trading_is_paused_and_resumed(engine: Engine) -> None:
    with page(engine) as url:
        assert Browser(url).act("pause-trading").status == 200
        with pytest.raises(TradingPaused):
            engine.place("MASTER", RESTS)
        assert Browser(url).act("resume-trading").status == 200
    assert engine.place("MASTER", RESTS).state is OrderState.PLACED


def test_the_switch_is_armed_and_disarmed_and_a_key_resumed(engine: Engine) -> None:
    with page(engine) as url:
        assert Browser(url).act("arm").status == 200
        assert engine.status().switches == {"MASTER": 60}
        assert Browser(url).act("disarm").status == 200
        assert engine.status().switches == {}
        assert Browser(url).act("resume-key").status == 200


def test_what_fails_is_said_and_told_too(sim: Simulator, engine: Engine) -> None:
    events = Events()
    engine.subscribe(events)
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="CancelAll"))
    with page(engine) as url:
        done = Browser(url).act("cancel-all")
    assert done.status == 409
    assert "Permission denied" in done.text
    assert not events.wait_for(lambda each: isinstance(each, OperatorActed)).is_done


def test_it_is_confirmed_by_the_account_s_name(engine: Engine) -> None:
    with page(engine) as url:
        browser = Browser(url)
        fields = browser.form("pause-trading").fields
        for typed in ("", "master", "ALICE"):
            again = browser.post({**fields, "confirm": typed})
            assert (again.status, "not the name of the account" in again.text) == (400, True)
        assert engine.status().paused == {}
        assert browser.post({**again.fields, "confirm": " MASTER "}).status == 200, "that form is good as well"


def test_a_form_is_good_for_what_it_was_shown_for(engine: Engine) -> None:
    with page(engine) as url:
        browser = Browser(url)
        fields = {**browser.form("pause-trading").fields, "confirm": "MASTER"}
        alice = {"account": "ALICE", "confirm": "ALICE"}
        for forged in ({"action": "cancel-all"}, alice, {"token": "1.2"}, {"token": ""}):
            assert browser.post({**fields, **forged}).status == 400
    assert engine.status().paused == {}


def test_a_request_of_another_site_or_without_an_origin_does_nothing(engine: Engine) -> None:
    with page(engine) as url:
        browser = Browser(url)
        fields = {**browser.form("pause-trading").fields, "confirm": "MASTER"}
        for origin in ("", "null", "http://evil.example", "http://127.0.0.1:1"):
            assert browser.post(fields, origin).status == 403
    assert engine.status().paused == {}


def test_it_needs_the_token_that_may_act(engine: Engine) -> None:
    with page(engine) as url:
        fields = {**Browser(url).form("pause-trading").fields, "confirm": "MASTER"}
        for token in (None, LOOKS, "a-token-that-is-wrong"):
            assert Browser(url, token).post(fields).status == 401
        assert Browser(url, LOOKS).ask("GET", "/").status == Browser(url, ACTS).ask("GET", "/").status == 200
    with page(engine, acting_token=None) as url:
        assert Browser(url, LOOKS).act("pause-trading").status == 200, "one token for both"
    assert engine.status().paused


def test_the_forms_are_for_the_token_that_may_act(engine: Engine) -> None:
    """Who only looks is offered no action, and a way to log in for them."""
    offered = "/act?action=pause-trading&amp;account=MASTER"
    with page(engine) as url:
        looks, acts = Browser(url, LOOKS), Browser(url, ACTS)
        assert offered in acts.ask("GET", "/").text
        assert "Log in to act" not in acts.ask("GET", "/").text
        assert "/act?" not in looks.ask("GET", "/").text
        assert 'href="/act"' in looks.ask("GET", "/").text
        assert looks.form("pause-trading").status == looks.ask("GET", "/act").status == 401
        assert acts.ask("GET", "/act").status == 303
    with page(engine, token=None) as url:
        assert "/act?" not in Browser(url, None).ask("GET", "/").text
    with page(engine, acting_token=None) as url:
        assert offered in Browser(url, LOOKS).ask("GET", "/").text


def test_it_is_off_by_default(engine: Engine) -> None:
    with page(engine, allow_actions=False, acting_token=None) as url:
        browser = Browser(url, LOOKS)
        assert browser.form("pause-trading").status == 404
        assert browser.post({"action": "pause-trading", "account": "MASTER", "confirm": "MASTER"}).status == 405
        assert "/act" not in browser.ask("GET", "/").text


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "sell-all"}, {"action": "cancel"}, {"action": "arm", "account": "NOBODY"},
        {"action": "arm", "order": "x"},
    ],
)  # fmt: skip
def test_a_form_about_something_unknown_is_not_found(engine: Engine, asked: dict[str, str]) -> None:
    with page(engine) as url:
        named = {"account": "MASTER", **asked}
        assert Browser(url).form(named.pop("action"), named.pop("account"), **named).status == 404
        assert Browser(url).ask("POST", "/act", "\xff", origin=url.rstrip("/")).status == 404


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_says_what_it_does_before_it_is_done(engine: Engine, action: str) -> None:
    with page(engine) as url:
        form = Browser(url).form(action, **({"order": "x<b>"} if ACTIONS[action].is_on_order else {}))
    text = unescape(form.text)
    assert ACTIONS[action].meaning in text
    assert "Type MASTER to confirm" in text
    assert "Simulator · may trade" in text
    assert "x<b>" not in form.text


def test_a_form_token_ends() -> None:
    now = [1000.0]
    tokens = FormTokens(lambda: now[0])
    token = tokens.issue("a", "b")
    assert tokens.is_good(token, "a", "b")
    assert not tokens.is_good(token, "ab")
    assert not FormTokens(lambda: now[0]).is_good(token, "a", "b"), "that is another process"
    now[0] += VALID_FOR + 1
    assert not tokens.is_good(token, "a", "b")


def test_options_that_would_be_unsafe_are_refused() -> None:
    for options in ({"allow_actions": True}, {"acting_token": Secret(ACTS)},
                    {"allow_actions": True, "acting_token": Secret("short")}):  # fmt: skip
        with pytest.raises(ConfigError):
            WebOptions(**options)
    acting = WebOptions(allow_actions=True, acting_token=Secret(ACTS))
    assert answer(acting, "/act", "POST")[0] == 403
    assert answer(acting, "/act", "POST", origin="http://localhost:8710")[0] == 401
    bearer = f"Bearer {ACTS}"
    assert answer(acting, "/act", "POST", origin="http://localhost:8710", authorization=bearer)[0] == 200
    assert answer(acting, "/", "POST", origin="http://localhost:8710", authorization=bearer)[0] == 405
