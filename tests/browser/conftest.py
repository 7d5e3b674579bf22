"""Fixtures of the browser tests.

All tests of a worker share one Home Assistant, one browser and one tab. Each test has new simulated devices.
"""

from base64 import b64decode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BytesIO
import shutil
from typing import Final
from urllib.parse import urlsplit

from anyio.from_thread import BlockingPortal, start_blocking_portal
from PIL import Image
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)
import pytest
import pytest_socket

from tests.demo.process import ROOT, DemoProcess, run_demo

from .demo import Demo, set_up

# Pixels of a picture per pixel of the page.
_SCALE: Final = 1.5
_SIZE: Final[ViewportSize] = {"width": 1400, "height": 1000}

type Picture = Callable[[str, Page | Locator], None]

BROWSER: Final = next(
    filter(
        None,
        map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
    ),
    None,
)

# What Home Assistant's own page requests: its source for errors, and pictures for previews of its cards.
_OF_HOME_ASSISTANT: Final = (
    "https://raw.githubusercontent.com/home-assistant/frontend/",
    "https://demo.home-assistant.io/stub_config/",
)

expect.set_options(timeout=30_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option that updates the images of README and docs."""
    parser.addoption(
        "--screenshots", action="store_true", help="update the images of docs/images"
    )


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """Return a function that updates an image of the docs if --screenshots is given."""

    def save(name: str, subject: Page | Locator) -> None:
        page = subject if isinstance(subject, Page) else subject.page
        # A message covers a part of the page.
        expect(page.locator("ha-toast")).not_to_be_visible(timeout=60_000)
        # Wait for animations, and move the pointer away from what it highlights.
        page.mouse.move(0, 0)
        page.wait_for_timeout(2000)
        box = {"x": 0, "y": 0, **(page.viewport_size or {})}
        if isinstance(subject, Locator):
            box |= subject.bounding_box() or {}
        # Playwright sets the scale of a context, and not of a single page.
        result = page.context.new_cdp_session(page).send(
            "Page.captureScreenshot", {"clip": {**box, "scale": _SCALE}}
        )
        image = Image.open(BytesIO(b64decode(result["data"]))).convert("RGB")
        small = image.quantize(256, dither=Image.Dither.NONE)
        small.save(ROOT / f"docs/images/{name}.png", "PNG", optimize=True)

    def skip(name: str, subject: Page | Locator) -> None:
        """Save nothing."""

    # The option does not exist when other directories are tested, too.
    return save if request.config.getoption("--screenshots", default=False) else skip


@pytest.fixture(autouse=True)
def _loopback(socket_enabled: None) -> None:
    """Allow connections to loopback. Home Assistant runs in another process."""


# Playwright occupies the event loop of this thread until the browser is closed. These
# fixtures of the test helpers would use the loop for each test.


@pytest.fixture(autouse=True)
def configure_event_loop() -> None:
    """Replace a fixture that needs an event loop."""


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Replace a fixture that needs an event loop."""


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Replace a fixture that needs an event loop."""


@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """Start a browser."""
    if BROWSER is None:
        pytest.skip("No browser was found; scripts/browser installs one")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        ) as browser,
    ):
        yield browser


@contextmanager
def _open_tab(browser: Browser) -> Generator[Page]:
    """Open a tab with its own cache, data and clock."""
    with (
        browser.new_context(
            viewport=_SIZE,
            reduced_motion="reduce",
            # A service worker would answer requests that a test wants to delay.
            service_workers="block",
        ) as context,
        context.new_page() as tab,
    ):
        tab.set_default_timeout(30_000)
        yield tab


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Generator[Page]:
    """Open the tab that the tests share.

    From the second test on, it has the frontend in its cache, and its process has the compiled
    code of the frontend. Compiling it takes longer than most tests.
    """
    with _open_tab(browser) as tab:
        yield tab


@pytest.fixture(scope="package")
def portal() -> Generator[BlockingPortal]:
    """Start a thread with an event loop for the simulated devices."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="package")
def process(tmp_path_factory: pytest.TempPathFactory) -> Generator[DemoProcess]:
    """Start the demo. Only its Home Assistant is used; its device is replaced."""
    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp("demo")
    with run_demo(folder, "--scenario", "calm") as process:
        yield process


@pytest.fixture
def demo(
    request: pytest.FixtureRequest, portal: BlockingPortal, process: DemoProcess
) -> Generator[Demo]:
    """Set up new simulated devices in Home Assistant; the parameter is the scenario."""
    scenario = getattr(request, "param", "calm")
    manager = set_up(portal, process.url, process.folder, scenario)
    with portal.wrap_async_context_manager(manager) as demo:
        yield demo


@contextmanager
def _only_local_requests(page: Page) -> Generator[None]:
    """Fail if our part of a page sends a request to the internet."""
    foreign: list[str] = []

    def note(request: Request) -> None:
        is_local = urlsplit(request.url).hostname in {"127.0.0.1", None, ""}
        if not is_local and not request.url.startswith(_OF_HOME_ASSISTANT):
            foreign.append(request.url)

    page.on("request", note)
    yield
    page.remove_listener("request", note)
    assert not foreign


@pytest.fixture
def page(demo: Demo, tab: Page) -> Generator[Page]:
    """Return the tab, which is empty."""
    with _only_local_requests(tab):
        yield tab
        # Leave the page before its devices disappear, and undo what a test can change.
        tab.goto("about:blank")
    tab.unroute_all()
    tab.mouse.move(0, 0)
    tab.set_viewport_size(_SIZE)
    tab.emulate_media(color_scheme="light")
    tab.context.clear_permissions()


@pytest.fixture
def timed_page(demo: Demo, browser: Browser) -> Generator[Page]:
    """Return a tab of its own, whose clock the test can change. Playwright cannot undo that."""
    with _open_tab(browser) as tab, _only_local_requests(tab):
        tab.clock.install()
        yield tab
