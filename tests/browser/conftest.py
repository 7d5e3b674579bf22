"""The demo runs in a process of its own, and a browser looks at it."""

from collections.abc import Generator
from pathlib import Path
import shutil
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect, sync_playwright
import pytest

from tests.demo.running import Demo, running

BROWSER: Final = next(
    filter(
        None,
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
    ),
    None,
)

expect.set_options(timeout=30_000)


@pytest.fixture(autouse=True)
def _own_integration(socket_enabled: None) -> None:
    """Do without a Home Assistant in this process, but allow connections to loopback."""


@pytest.fixture
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Demo]:
    """Run the demo; the parameter is the scenario."""
    scenario = getattr(request, "param", "calm")
    with running(tmp_path, "--scenario", scenario) as demo:
        yield demo


@pytest.fixture
def page(demo: Demo) -> Generator[Page]:
    """Open a browser that nobody used before; it must not ask anything of the internet."""
    if BROWSER is None:
        pytest.skip("no browser is there; scripts/browser installs one")
    foreign: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        page.on(
            "request",
            lambda request: (
                foreign.append(request.url)
                if urlsplit(request.url).hostname not in {"127.0.0.1", None, ""}
                else None
            ),
        )
        yield page
        browser.close()
    assert not foreign
