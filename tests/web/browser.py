"""A real browser for the tests of the page. Screenshots go to `.screenshots/`, for a person to look at."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.stopwatch import PATIENCE

CHROMIUM = shutil.which("chromium")
SHOTS = ROOT / ".screenshots"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
"""From npm, and not a part of the package: npm install --no-save --no-package-lock axe-core@4."""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)")
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed: npm install --no-save --no-package-lock axe-core@4"
)
WIDE = {"viewport": {"width": 1280, "height": 800}}
SHAPES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", **WIDE},
    "dark": {"color_scheme": "dark", **WIDE},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "narrow": {"viewport": {"width": 320, "height": 640}, "has_touch": True},
}


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, for some time."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One page, which remembers what its console said. `token`: what its user types when asked."""

    def __init__(self, browser: Any, url: str, *, token: str | None = None, script: str = "", **options: Any) -> None:
        if token is not None:
            options["http_credentials"] = {"username": "carol", "password": token}
        self.context = browser.new_context(**options)
        if script:
            self.context.add_init_script(script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.told: list[str] = []
        self.page.on("console", lambda message: self.told.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.told.append(f"ran: {dialog.message}"), dialog.dismiss()))
        self.page.goto(url)

    def shows(self, text: str) -> None:
        """Wait until it can be seen."""
        self.page.get_by_text(text).first.wait_for()

    def headline(self, state: str, text: str = "") -> None:
        """Wait until the headline is in that state, and has that text."""
        self.page.locator(f'.headline[data-state="{state}"] h1', has_text=text).wait_for()

    def title(self, beginning: str) -> None:
        """Wait until the tab's title begins so."""
        begins_so = re.compile(f"^{re.escape(beginning)}")
        playwright.expect(self.page).to_have_title(begins_so, timeout=PATIENCE * 1000)

    def link(self, state: str) -> None:
        """Wait until the page says so of its link to the service."""
        self.page.wait_for_selector(f"body[data-link={state}]")

    def shot(self, name: str, *, full: bool = False) -> None:
        """For a person to look at."""
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=full)

    def width(self) -> int:
        """How wide the document is; wider than the screen, it would have to be scrolled sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def findings(self) -> list[str]:
        """What axe finds that is serious or critical."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run()")["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        return [json.dumps([each["id"], each["help"], each["nodes"][0]["html"]]) for each in serious]


def token_file(directory: Path, name: str, token: str) -> Path:
    """A file with a token, for the service."""
    path = directory / name
    path.write_text(token, encoding="utf-8")
    path.chmod(0o600)
    return path
