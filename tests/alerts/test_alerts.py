"""Alerts arrive at real receivers, hold nothing up, and show no secret."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import ConfigError, Engine
from engine.alerts import Alerts, AlertSettings
from engine.alerts.alarms import Alert
from engine.alerts.outbox import KEPT_FOR, WAITING, Address, Outbox
from engine.simulator import Fault, Simulator
from engine.values import Secret
from tests.alerts.receivers import mail_server, webhook
from tests.cli.test_cli import _environment, _of, _run
from tests.conftest import Events

pytest.importorskip("apprise", reason="apprise is not installed: pip install '.[alerts]'")

SECRET = "tok3nThatNobodyMaySee"
ALERT = Alert("test", "a title", "a text")


def address(port: int, path: str = SECRET) -> Secret:
    return Secret(f"json://127.0.0.1:{port}/{path}")


def settings(port: int, **more: Any) -> AlertSettings:
    return AlertSettings((address(port),), after=0.0, **more)


def test_an_outage_and_its_end_reach_a_webhook(sim: Simulator, engine: Engine, events: Events) -> None:
    with webhook() as (received, port):
        alerts = Alerts(engine, settings(port), tick=0.02)
        alerts.start()
        try:
            with sim.outage(Fault.http(502)):
                received.wait_for_title("kraken-engine: not available (")
            events.wait_for(lambda event: getattr(event, "is_available", False))
            received.wait_for_title("kraken-engine: over: not available (")
        finally:
            alerts.stop()


def test_a_receiver_that_hangs_holds_up_neither_calls_nor_events(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    with webhook() as (received, port):
        received.hold = threading.Event()
        alerts = Alerts(engine, settings(port), tick=0.02)
        alerts.start()
        try:
            with sim.outage(Fault.http(502)):
                events.wait_for(lambda event: getattr(event, "is_available", True) is False)
            events.forget()
            engine.call("MASTER", "TradeBalance", {"asset": "ZUSD"})
            events.wait_for(lambda event: getattr(event, "endpoint", "") == "TradeBalance")
        finally:
            received.hold.set()
            alerts.stop()


def test_a_mail_arrives() -> None:
    with mail_server() as (received, port):
        url = f"mailto://127.0.0.1:{port}?from=engine@example.com&to=me@example.com&mode=insecure"
        assert Address(Secret(url), 1).send(ALERT)
        (mail,) = received.wait_for(1)
    assert "Subject: a title" in mail
    assert "a text" in mail


def test_ntfy_is_spoken_to() -> None:
    with webhook() as (received, port):
        assert Address(Secret(f"ntfy://127.0.0.1:{port}/topic"), 1).send(ALERT)
        (told,) = received.wait_for(1)
    assert (told["topic"], told["title"], told["message"]) == ("topic", "a title", "a text")


def test_what_is_not_accepted_is_tried_again_in_order_and_dropped_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with webhook() as (received, port):
        outbox = Outbox([Address(address(port), 1)])
        received.status = 500
        outbox.add(ALERT, 0.0)
        outbox.add(Alert("test", "second", "x"), 0.0)
        for now in (0.0, 1.0, 4.9):
            outbox.work(now)
        assert len(received.messages) == 1, "it waits before it tries again"
        received.status = 200
        outbox.work(5.0)
        outbox.work(5.0)
        assert [each["title"] for each in received.messages] == ["a title", "a title", "second"]
        received.status = 500
        outbox.add(ALERT, 10.0)
        outbox.work(10.0)
        outbox.work(10.0 + KEPT_FOR + 1)
        outbox.work(10.0 + 2 * KEPT_FOR)
        assert len(received.messages) == 5, "after an hour nobody wants to read it"
    assert "alert-dropped" in caplog.text
    assert SECRET not in caplog.text


def test_what_waits_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox([Address(Secret("json://127.0.0.1:9"), 1)])
    for number in range(WAITING + 10):
        outbox.add(Alert("test", str(number), ""), 0.0)
    assert caplog.text.count("alert-dropped") == 10


def test_telegram_and_the_others_are_known_and_not_shown() -> None:
    """Telegram's host cannot be pointed elsewhere, so only the address is tried."""
    url = f"tgram://123456789:{SECRET}abcdefghijkl/12315544/"
    assert SECRET not in Address(Secret(url), 2).name
    assert Address(Secret(url), 2).name == "telegram (address 2)"


@pytest.mark.parametrize(("table", "sentence"), [
    ({}, "has no address"),
    ({"urls": "json://x"}, "urls is a list of texts"),
    ({"urls": ["json://x"], "colour": 1}, "unknown entry: colour"),
    ({"urls": ["json://x"], "kinds": ["fire"]}, "kinds takes unavailable"),
    ({"urls": ["json://x"], "after": "1"}, "after is a number"),
    ({"urls": ["json://x"], "after": float("nan")}, "after is a number"),
    ({"urls": ["json://x"], "repeat_after": 0}, "repeat_after is at least 1"),
    ({"urls": ["json://x"], "at_most_per_hour": True}, "at_most_per_hour is a whole number"),
    ({"urls_file": "/nowhere"}, "urls_file names"),
    ({"urls_file": 3}, "urls_file is a text"),
])  # fmt: skip
def test_a_wrong_table_is_one_sentence(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        AlertSettings.read(table)


def test_an_address_that_apprise_does_not_know_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="address 3") as caught:
        Address(Secret(f"nonsense{SECRET}"), 3)
    assert SECRET not in str(caught.value)


def test_addresses_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text(f"# mine\njson://localhost/{SECRET}\n\nntfy://localhost/x\n")
    read = AlertSettings.read({"urls_file": str(tmp_path / "urls"), "kinds": ["silence"]})
    assert [each.reveal() for each in read.urls] == [f"json://localhost/{SECRET}", "ntfy://localhost/x"]
    assert SECRET not in repr(read)


def _config(tmp_path: Path, *ports: int) -> str:
    urls = json.dumps([f"json://127.0.0.1:{port}/{SECRET}" for port in ports])
    (tmp_path / "c.toml").write_text(f"[alerts]\nurls = {urls}\n")
    return str(tmp_path / "c.toml")


def test_the_command_sends_a_test_to_each_address(tmp_path: Path) -> None:
    with webhook() as (received, port), webhook() as (refusing, other):
        refusing.status = 403
        ran = _run("alert", "test", "--json", "--config", _config(tmp_path, port, other), env=_environment(tmp_path))
        assert ran.code == 1
        assert [each["accepted"] for each in ran.document["addresses"]] == [True, False]
        assert received.messages[0]["title"] == "kraken-engine: a test"
    assert SECRET not in ran.out + ran.err


def test_the_command_says_what_is_missing(sim: Simulator, tmp_path: Path) -> None:
    ran = _run("alert", "test", env=_of(sim, tmp_path))
    assert ran.code == 2
    assert "The configuration has no [alerts]" in ran.err
    code = "import sys; sys.modules['apprise'] = None; from engine.__main__ import main; sys.exit(main())"
    arguments = ("alert", "test", "--config", _config(tmp_path, 9))
    ran = _run(*arguments, env=_environment(tmp_path), python=("-c", code))
    assert ran.code == 2
    assert ran.err == "kraken-engine: apprise is not installed: run pip install '.[alerts]' in the clone.\n"


def test_no_library_logs_an_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "engine")
    assert not Address(address(9), 1).send(ALERT)
    assert SECRET not in "".join(each.getMessage() for each in caplog.records if each.name.startswith("engine"))
