"""Makes the screenshots of docs/images; scripts/screenshots runs it."""

from io import BytesIO
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs/images"
PORT = 18123
DEVICE_PORT = 18484
URL = f"http://127.0.0.1:{PORT}"
# Of updates one after the other: long enough for the history to have something to show.
SCENARIO = "update"
LIFE = 150


def take(page: Page, name: str, text: str, *, height: int = 900) -> None:
    """Wait for a text and for what moves, and store what is seen, in few colours."""
    page.set_viewport_size({"width": 1300, "height": height})
    page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    target = TARGET / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    print(target.relative_to(ROOT), image.size, target.stat().st_size, "bytes")


def visit(page: Page) -> None:
    """Go through the pages."""
    page.goto(URL)
    page.get_by_text("holy-wildflower", exact=True).first.wait_for()
    page.wait_for_timeout(LIFE * 1000)
    # The history is drawn from its beginning when the page is opened anew.
    page.goto(URL)
    take(page, "dashboard", "Downloading")

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

    page.goto(f"{URL}/config/integrations/dashboard/add?domain=balena_supervisor")
    page.get_by_role("button", name="OK").click()
    page.locator("step-flow-form input[name=host]").fill("192.168.1.20")
    take(page, "config-flow", "A device in reach", height=700)


def main() -> None:
    """Run a demo that nobody used before, and a browser."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "demo", "--folder", folder]
        command += ["--port", str(PORT), "--device-port", str(DEVICE_PORT)]
        command += ["--scenario", SCENARIO]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert demo.stdout is not None
            next(line for line in demo.stdout if "Ready after" in line)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
                )
                visit(browser.new_page(viewport={"width": 1300, "height": 900}))
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()


if __name__ == "__main__":
    main()
