"""Makes the screenshots of docs/images; scripts/screenshots runs it."""

from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
import json
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs/images"
PORT = 18123
DEVICE_PORT = 18484
URL = f"http://127.0.0.1:{PORT}"
# Of updates one after the other: long enough for the history to have something to show.
LIFE = 150
LOOK_INTERVAL = 3
UPDATE = "update.holy_wildflower_release"


def take(
    page: Page,
    name: str,
    text: str,
    *,
    width: int = 1300,
    height: int = 900,
    part: str | None = None,
) -> None:
    """Wait for a text and for what moves, and store what is seen, in few colours.

    With `part` only this element of the page is stored.
    """
    page.set_viewport_size({"width": width, "height": height})
    page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    seen = page.locator(part).screenshot() if part else page.screenshot()
    image = Image.open(BytesIO(seen)).convert("RGB")
    target = TARGET / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    print(target.relative_to(ROOT), image.size, target.stat().st_size, "bytes")


def begin_registration(page: Page, way: str) -> None:
    """Open the config flow, and choose how the devices are reached."""
    page.goto(f"{URL}/config/integrations/dashboard/add?domain=balena_supervisor")
    page.get_by_role("button", name="OK").click()
    page.get_by_text(way, exact=True).click()


def look(page: Page) -> None:
    """Have the device polled, and wait a little: a download may be over before the next poll."""
    page.evaluate(
        """() => document.querySelector('home-assistant').hass.callService(
            'homeassistant', 'update_entity', {entity_id: 'sensor.holy_wildflower_status'}
        )"""
    )
    page.wait_for_timeout(LOOK_INTERVAL * 1000)


def is_half_done(page: Page) -> bool:
    """Return whether an update is being downloaded that shows how far it is."""
    percentage = page.evaluate(
        f"""() => document.querySelector('home-assistant')
            .hass?.states['{UPDATE}']?.attributes.update_percentage"""
    )
    return percentage is not None and 20 < percentage < 80


def show_errors() -> None:
    """Have the device log something that went wrong."""
    for message in (
        "GET /menu.json failed: connect ECONNREFUSED 127.0.0.1:6379",
        "Showing the menu of yesterday",
    ):
        line = {"source": "main", "message": message, "priority": 3}
        request = Request(
            f"http://127.0.0.1:{DEVICE_PORT - 1}/devices/0/log",
            json.dumps(line).encode(),
            {"Content-Type": "application/json"},
        )
        urlopen(request).close()


def visit_device(page: Page) -> None:
    """Go through the pages of a device."""
    page.goto(URL)
    page.get_by_text("holy-wildflower", exact=True).first.wait_for()
    for _ in range(LIFE // LOOK_INTERVAL):
        look(page)
    # The history is drawn from its beginning when the page is opened anew.
    page.goto(URL)
    downloading = page.get_by_text("Downloading", exact=True).first
    while not downloading.is_visible():
        look(page)
    take(page, "dashboard", "Downloading")
    show_errors()
    take(page, "logs-card", "Pause", height=1500, part="balena-logs-card")

    page.goto(f"{URL}?more-info-entity-id={UPDATE}")
    while not is_half_done(page):
        look(page)
    take(page, "update", "Installed version", height=700)

    ids = page.evaluate(
        """() => Object.fromEntries(
            Object.values(document.querySelector('home-assistant').hass.devices)
                .map(({id, name}) => [name, id])
        )"""
    )
    page.goto(f"{URL}/config/devices/device/{ids['holy-wildflower']}")
    take(page, "device", "Restart services", height=1320)
    page.goto(f"{URL}/config/devices/device/{ids['main']}")
    take(page, "service", "Restart", height=640)

    begin_registration(page, "A device in reach")
    page.locator("step-flow-form input[name=host]").fill("192.168.1.20")
    take(page, "config-flow", "A device in reach", height=700)


def visit_fleets(page: Page) -> None:
    """Go through the pages of an account."""
    page.goto(URL)
    # Updates take their time to fail, and to be heard of.
    for text in ("Problem", "Updating"):
        page.get_by_text(text, exact=True).first.wait_for(timeout=300_000)
    take(page, "fleet", "kiosks", width=1900, height=1210)

    begin_registration(page, "balenaCloud or openBalena")
    take(page, "account-flow", "balenaCloud or openBalena", height=700)


@contextmanager
def running(scenario: str) -> Generator[None]:
    """Run a demo that nobody used before."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "demo", "--folder", folder]
        command += ["--port", str(PORT), "--device-port", str(DEVICE_PORT)]
        command += ["--scenario", scenario]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert demo.stdout is not None
            next(line for line in demo.stdout if "Ready after" in line)
            yield
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()


def main() -> None:
    """Visit both demos with a browser."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        for scenario, visit in (("fleet", visit_fleets), ("update", visit_device)):
            with running(scenario):
                page = browser.new_page(viewport={"width": 1300, "height": 900})
                visit(page)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
