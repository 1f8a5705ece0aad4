"""The dashboard in a real browser. Screenshots go to `.screenshots/`, for a person to look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.served import served
from tests.stopwatch import PATIENCE

CHROMIUM = shutil.which("chromium")
SHOTS = ROOT / ".screenshots"
EVIL = "<img src=x onerror=alert(1)>"

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)")


@contextmanager
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One page, which remembers what its console said."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.told: list[str] = []
        self.page.on("console", lambda message: self.told.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.told.append(f"ran: {dialog.message}"), dialog.dismiss()))
        self.page.goto(url)

    def shows(self, text: str) -> None:
        """Wait until it can be seen."""
        self.page.get_by_text(text).first.wait_for()

    def link(self, state: str) -> None:
        """Wait until the page says so of its link to the service."""
        self.page.wait_for_selector(f"body[data-link={state}]")


def test_the_page_shows_an_outage_and_the_recovery_as_they_happen(sim: Simulator, tmp_path: Path) -> None:
    SHOTS.mkdir(exist_ok=True)
    sim.set_balance("MASTER", {"ZUSD": "18000.0000", EVIL: "1.5"})
    with served(sim, tmp_path, "--live") as service, chromium() as browser:
        wide = {"viewport": {"width": 1280, "height": 800}}
        light = Tab(browser, service.url, color_scheme="light", **wide)
        others = {
            "dark": Tab(browser, service.url, color_scheme="dark", **wide),
            "phone": Tab(browser, service.url, viewport={"width": 390, "height": 844}, has_touch=True),
        }
        light.link("live")
        light.shows("All accounts are available")
        for name, tab in {"light": light, **others}.items():
            tab.link("live")
            tab.page.wait_for_selector(".chart canvas")
            tab.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
        assert others["phone"].page.evaluate("document.documentElement.scrollWidth") <= 390
        _keyboard(light.page)
        light.page.locator("summary", has_text="MASTER").click()  # its assets
        light.page.locator("#assets th", has_text=EVIL).wait_for()

        with sim.outage(Fault.error(f"EService:Busy {EVIL}", endpoint="BalanceEx")):
            light.shows("MASTER, ALICE, BOB are not available")
            light.shows(f"'EService:Busy {EVIL}'")
            for name, tab in {"light": light, **others}.items():
                tab.shows("MASTER, ALICE, BOB are not available")
                tab.page.screenshot(path=SHOTS / f"{name}-outage.png", full_page=True)
            assert light.page.locator("h1 .glyph").inner_text() == "✕", "not by colour alone"
        light.shows("All accounts are available")
        age = light.page.locator("[data-cell=a-MASTER-age] .text")
        assert "old" in age.inner_text()

        said = [each for tab in (light, *others.values()) for each in tab.told]
        assert said == [], "what came as text ran, or something failed"

        service.process.kill()
        light.link("lost")
        light.shows("Disconnected. What you see is")
        light.page.screenshot(path=SHOTS / "disconnected.png")


def _keyboard(page: Any) -> None:
    """The first stop of the tab key leads past the head of the page; what can be reached shows where it is."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the accounts"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#accounts"
    assert page.get_by_role("table").first.get_by_role("row").count() == 4
    assert page.get_by_role("rowheader", name="ALICE").first.is_visible()


def test_without_a_stream_it_asks_and_without_a_script_it_is_a_plain_table(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service, chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.route("**/api/events", lambda route: route.abort())
        page.goto(service.url)
        page.wait_for_selector("body[data-link=polling]")
        sim.revoke("BOB")
        page.get_by_text("BOB is not available").first.wait_for()

        plain = browser.new_context(java_script_enabled=False).new_page()
        plain.goto(service.url)
        assert plain.get_by_role("row", name="ALICE").first.is_visible()
        assert "key refused" in plain.locator(".accounts").inner_text()
        assert plain.locator(".chart").count() == 4
        assert not plain.locator(".chart").first.is_visible()
