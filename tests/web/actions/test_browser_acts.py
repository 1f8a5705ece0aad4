"""Acting in a real browser: an order that was placed is canceled by its button, and not without the token."""

from __future__ import annotations

from pathlib import Path

from engine.simulator import Fault, Simulator
from tests.served import FAST, Served, served
from tests.web.browser import SHAPES, Tab, chromium, needs_axe, needs_chromium, token_file

pytestmark = needs_chromium

LOOKS, ACTS = "a-token-to-look-with", "a-token-to-act-with"
SETTLES_LATE = FAST + 'order_deadline = 2.0\nsettle_margin = 60.0\n'
ORDER = ("--pair", "XBTUSD", "--side", "buy", "--volume", "0.01", "--type", "limit", "--price", "30000")


def options(directory: Path) -> list[str]:
    return [
        "--live", "--allow-actions", "--token-file", str(token_file(directory, "look", LOOKS)),
        "--acting-token-file", str(token_file(directory, "act", ACTS)),
    ]  # fmt: skip


def placed(service: Served) -> None:
    done = service.command("trade", "MASTER", *ORDER, "--live")
    assert done.returncode == 0, done.stdout + done.stderr


def foreign(service: Served) -> None:
    wire = ("pair=XBTUSD", "type=sell", "ordertype=limit", "volume=0.002", "price=90000")
    done = service.command("call", "MASTER", "AddOrder", *wire, "--live")
    assert done.returncode == 0, done.stdout + done.stderr


def confirm(tab: Tab, button: str) -> None:
    tab.page.get_by_label("Type MASTER to confirm").fill("MASTER")
    tab.page.get_by_role("button", name=button).click()


@needs_axe
def test_an_order_is_placed_and_canceled_by_its_button(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "18000.0000", "XXBT": "1"})
    with served(sim, tmp_path, *options(tmp_path)) as service, chromium() as browser:
        placed(service)
        foreign(service)
        tab = Tab(browser, service.url, token=ACTS, **SHAPES["light"])
        tab.headline("good")
        orders = tab.page.locator("tbody[data-rows=orders] tr")
        tab.shows("not ours")
        assert orders.count() == 2
        assert "30,000" in orders.filter(has_not_text="not ours").inner_text()
        orders.get_by_text("% below").wait_for()
        tab.shot("orders")
        orders.filter(has_not_text="not ours").get_by_role("link", name="Cancel order").click()
        tab.shows("buy 0.01 XBTUSD limit at 30,000")
        tab.shot("confirm")
        assert tab.findings() == []
        confirm(tab, "Cancel an order")
        tab.shows("Cancel an order: done")
        tab.page.get_by_role("link", name="Back to the dashboard").click()
        tab.page.locator("tbody[data-rows=events] tr[data-kind=action]", has_text="carol at 127.0.0.1").wait_for()
        orders.filter(has_text="30,000").wait_for(state="detached")
        tab.page.get_by_role("link", name="Pause trading of MASTER").click()
        confirm(tab, "Pause trading")
        tab.page.get_by_role("link", name="Back to the dashboard").click()
        tab.headline("warn", "Trading of MASTER is paused since")
        tab.shot("paused")
        assert tab.told == []
        denied = service.command("trade", "MASTER", *ORDER, "--live")
        assert denied.returncode != 0
        assert "paused" in denied.stdout + denied.stderr


def test_it_is_refused_without_the_token_that_may_act(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path, *options(tmp_path)) as service, chromium() as browser:
        tab = Tab(browser, service.url, token=LOOKS, **SHAPES["light"])
        tab.headline("good")
        assert tab.page.get_by_role("link", name="Pause trading of MASTER").count() == 0
        tab.page.get_by_role("link", name="Log in to act").click()
        tab.shows("This needs a token that may act.")
        tab.page.goto(service.url)
        tab.headline("good", "All accounts are available")


def test_an_unknown_order_is_shown_with_what_is_being_done(sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path, "--live", settings=SETTLES_LATE) as service, chromium() as browser:
        tabs = [Tab(browser, service.url, **SHAPES[name]) for name in ("light", "narrow")]
        lost = sim.fault(Fault.close(executed=True, endpoint="AddOrder"))
        hidden = sim.fault(Fault.error("EService:Busy", endpoint="OpenOrders"))
        done = service.command("trade", "MASTER", *ORDER, "--live", "--timeout", "8")
        assert done.returncode == 5, done.stdout + done.stderr
        for tab, name in zip(tabs, ("unknown", "unknown-narrow"), strict=True):
            tab.headline("bad", "1 order is unknown (MASTER) since")
            row = tab.page.locator("tbody[data-rows=unknown] tr")
            assert "Do not place it again under another id." in row.inner_text()
            tab.shot(name)
        lost.remove()
        hidden.remove()
        tabs[0].headline("good")
        tabs[0].page.locator("tbody[data-rows=orders] tr", has_text="30,000").wait_for()
        assert [each for tab in tabs for each in tab.told] == []
