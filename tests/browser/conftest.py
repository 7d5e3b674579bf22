"""The demo runs in a process of its own, and a browser looks at it."""

from collections.abc import Callable, Generator
from io import BytesIO
from pathlib import Path
import shutil
from typing import Final
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright
import pytest

from tests.demo.running import ROOT, Demo, running

type Picture = Callable[[str, Page | Locator], None]

BROWSER: Final = next(
    filter(
        None,
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
    ),
    None,
)

expect.set_options(timeout=30_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have an option to renew what README and docs show."""
    parser.addoption(
        "--screenshots", action="store_true", help="renew the images of docs/images"
    )


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """Return what keeps a picture of a page or a part of it for the docs, if that is wanted."""

    def keep(name: str, seen: Page | Locator) -> None:
        page = seen if isinstance(seen, Page) else seen.page
        # What moves, and the pointer's shadow, are none of its business.
        page.mouse.move(0, 0)
        page.wait_for_timeout(2000)
        image = Image.open(BytesIO(seen.screenshot())).convert("RGB")
        small = image.quantize(256, dither=Image.Dither.NONE)
        small.save(ROOT / f"docs/images/{name}.png", "PNG", optimize=True)

    def skip(name: str, seen: Page | Locator) -> None:
        """Leave the tree as it is."""

    # Not known when other tests are run, too.
    return keep if request.config.getoption("--screenshots", default=False) else skip


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
