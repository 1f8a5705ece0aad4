"""The dashboard in a real browser: outage, silence and recovery as they happen, in light and dark, wide and narrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.simulator import Fault, Simulator
from tests.served import served
from tests.stopwatch import PATIENCE
from tests.web.browser import SHAPES, Tab, chromium, needs_axe, needs_chromium

EVIL = "<img src=x onerror=alert(1)>"

pytestmark = needs_chromium


def test_the_page_shows_an_outage_and_the_recovery_as_they_happen(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "18000.0000", EVIL: "1.5"})
    with served(sim, tmp_path, "--live") as service, chromium() as browser:
        tabs = {name: Tab(browser, service.url, **shape) for name, shape in SHAPES.items()}
        light = tabs["light"]
        light.link("live")
        light.shows("All accounts are available")
        for name, tab in tabs.items():
            tab.link("live")
            tab.page.wait_for_selector('.chart[data-chart="balance"] canvas')
            tab.page.wait_for_selector('.chart[data-chart="latency"] canvas')
            tab.shot(f"{name}-whole", full=True)
            tab.shot(name)
            assert tab.width() <= tab.page.viewport_size["width"], name
        assert light.page.title() == "✓ 3 of 3 available · simulator · kraken-engine"
        _keyboard(light.page)
        light.page.locator("summary", has_text="MASTER").last.click()  # its assets
        light.page.locator("#assets th", has_text=EVIL).wait_for()
        light.page.locator('.accounts data[value="18000.0000"]', has_text="18,000.00").first.wait_for()

        with sim.outage(Fault.error(f"EService:Busy {EVIL}")):
            light.headline("bad", "Kraken has given no good reply since")
            light.shows(f"'EService:Busy {EVIL}'")
            for name, tab in tabs.items():
                tab.headline("bad")
                tab.shot(f"{name}-outage")
            assert light.page.locator("h1 .glyph").inner_text() == "✕", "not by colour alone"
            assert light.page.title().startswith("✕ ")
            assert light.page.locator("#icon").get_attribute("href") == "/static/icon-bad.svg"
        light.headline("good", "All accounts are available")
        light.title("✓ 3 of 3 available")
        light.page.locator("tbody[data-rows=events]").get_by_text("MASTER is not available").first.wait_for()

        said = [each for tab in tabs.values() for each in tab.told]
        assert said == [], "what came as text ran, or something failed"

        service.process.kill()
        light.link("lost")
        light.shows("Disconnected. What you see is")
        assert light.page.title() == "✕ disconnected · kraken-engine"
        light.shot("disconnected")


def _keyboard(page: Any) -> None:
    """The first stop of the tab key leads past the head of the page; what can be reached shows where it is."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the accounts"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#accounts"
    assert page.get_by_role("table").first.get_by_role("row").count() == 4
    assert page.get_by_role("rowheader", name="ALICE").first.is_visible()


def test_silence_is_told_within_seconds_with_its_time_and_grey_ticks(sim: Simulator, tmp_path: Path) -> None:
    """The accounts still count as available then: it takes a minute of silence until they do not."""
    with served(sim, tmp_path, "--live") as service, chromium() as browser:
        tab = Tab(browser, service.url, script=SPY, permissions=["notifications"], **SHAPES["light"])
        tab.headline("good")
        tab.page.get_by_role("button", name="Notify").click()
        tab.page.wait_for_selector('#notify[aria-pressed="true"]')
        tab.page.get_by_role("button", name="Sound").click()
        tab.page.wait_for_selector('#sound[aria-pressed="true"]')
        fault = sim.fault(Fault.hang())
        tab.headline("bad", "Kraken has not answered since")
        tab.shows("Nothing is being placed.")
        tab.page.locator('.accounts td[data-state="old"]', has_text="available at the last reply").first.wait_for()
        tab.title("✕ Kraken silent")
        tab.page.wait_for_selector("body[data-notified*='Kraken has not answered']")
        when = tab.page.locator("h1 time")
        assert when.get_attribute("title").endswith(" UTC"), "one clock, the browser's, with UTC on hover"
        tab.shot("silence")
        fault.remove()
        tab.headline("good", "All accounts are available")
        assert tab.told == []


SPY = """
window.Notification = class {
  static permission = "granted";
  static async requestPermission() { return "granted"; }
  constructor(title, { body }) { document.body.dataset.notified = body; }
};
"""


@needs_axe
def test_axe_finds_nothing_serious(sim: Simulator, tmp_path: Path) -> None:
    """Without the transition of colours, which it would measure halfway."""
    sim.set_balance("BOB", {"ZEUR": "5000.0000"})
    with served(sim, tmp_path) as service, chromium() as browser:
        shapes = [SHAPES[name] for name in ("light", "dark", "narrow")]
        tabs = [Tab(browser, service.url, reduced_motion="reduce", **shape) for shape in shapes]
        for tab in tabs:
            tab.headline("good")
            tab.page.wait_for_selector('.chart[data-chart="balance"] canvas')
            assert tab.findings() == []
        with sim.outage(Fault.http(502)):
            for tab in tabs:
                tab.headline("bad")
                assert tab.findings() == []


def tagged(rows: Any, name: str) -> list[str]:
    """A tag of all rows at one moment."""
    found: list[str] = rows.evaluate_all(f"rows => rows.map(each => each.dataset.{name})")
    return found


def test_events_are_filtered_and_the_log_is_downloaded(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service, chromium() as browser:
        tab = Tab(browser, service.url, **SHAPES["light"])
        tab.headline("good")
        sim.revoke("BOB")
        rows = tab.page.locator("tbody[data-rows=events] tr:visible")
        tab.page.locator("tbody[data-rows=events] tr[data-kind=key]").first.wait_for()
        tab.page.get_by_label("Kind").select_option("key")
        assert set(tagged(rows, "kind")) == {"key"}
        tab.page.get_by_label("Kind").select_option("")
        tab.page.get_by_role("search").get_by_label("Account").select_option("ALICE")
        assert set(tagged(rows, "account")) <= {"ALICE"}
        tab.page.get_by_role("search").get_by_label("Account").select_option("")
        tab.page.get_by_label("Search").fill("bob is not AVAILABLE")
        rows.first.wait_for()
        assert all("BOB is not available" in text for text in rows.all_inner_texts())
        with tab.page.expect_download() as download:
            tab.page.get_by_text("Download the log").click()
        assert "BOB is not available" in Path(download.value.path()).read_text(encoding="utf-8")


def test_a_currency_is_chosen_and_kept(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "18000.0000", "XXBT": "0.5"})
    with served(sim, tmp_path) as service, chromium() as browser:
        tab = Tab(browser, service.url, **SHAPES["light"])
        tab.page.locator(".accounts data[title$=' USD']").first.wait_for()
        tab.page.get_by_label("Totals in").select_option("EUR")
        tab.page.wait_for_url("**/?currency=EUR")
        tab.page.locator(".accounts data[title$=' EUR']").first.wait_for()
        tab.page.goto(service.url)
        assert tab.page.get_by_label("Totals in").input_value() == "EUR"


def test_without_a_stream_it_asks_and_without_a_script_it_is_a_readable_page(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path) as service, chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.route("**/api/events", lambda route: route.abort())
        page.goto(service.url)
        page.wait_for_selector("body[data-link=polling]")
        sim.revoke("BOB")
        page.get_by_text("BOB is not available").first.wait_for()

        plain = browser.new_context(java_script_enabled=False, **SHAPES["light"]).new_page()
        plain.goto(service.url)
        assert plain.get_by_role("row", name="ALICE").first.is_visible()
        assert "key refused" in plain.locator(".accounts").inner_text()
        assert "BOB is not available" in plain.locator("h1").inner_text()
        assert "UTC" in plain.locator(".events").inner_text()
        assert plain.locator(".chart").count() == 4
        assert not plain.locator(".chart").first.is_visible()
        assert not plain.locator("#filter").is_visible()
        plain.get_by_label("Totals in").select_option("EUR")
        plain.get_by_role("button", name="Show").click()
        assert plain.get_by_label("Totals in").input_value() == "EUR"
