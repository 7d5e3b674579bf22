"""Control of a device with the pages of Home Assistant."""

from dataclasses import replace
import json
from pathlib import Path
import re

from playwright.sync_api import Page, expect
import pytest

from . import device_ids, open_start_page
from .demo import TIMINGS, Demo

pytestmark = pytest.mark.timeout(180)


def open_device(demo: Demo, page: Page, name: str) -> None:
    """Open the page of a device or a service."""
    open_start_page(demo, page)
    page.goto(f"{demo.url}/config/devices/device/{device_ids(page)[name]}")
    expect(page.get_by_text("Device info")).to_be_visible()


def test_reboot(demo: Demo, page: Page) -> None:
    """The button reboots the device, which goes offline and comes back."""
    open_device(demo, page, "holy-wildflower")
    page.set_viewport_size({"width": 1300, "height": 1320})
    online = page.locator("hui-simple-entity-row").filter(has_text="Online")
    expect(online).to_contain_text("Yes")
    reboot = page.locator("hui-button-entity-row").filter(has_text="Reboot")
    reboot.get_by_role("button", name="Press").click()
    expect(online).to_contain_text("No")
    expect(online).to_contain_text("Yes", timeout=60_000)


def test_update(demo: Demo, page: Page) -> None:
    """The button starts an update, and the update dialog shows its progress."""
    page.set_viewport_size({"width": 1300, "height": 700})
    # The download goes on when the test says so: a slow browser could miss its progress.
    device = demo.devices["holy-wildflower"].device
    device.timings = replace(TIMINGS, download=3600, apply=0.1)
    demo.simulate("new-release")
    open_start_page(demo, page)
    card = page.locator("balena-device-card")
    card.get_by_role("button", name="Check for updates").click()
    card.get_by_role("button", name=re.compile("^Update Update to")).click()
    dialog = page.locator("ha-more-info-dialog")
    demo.simulate("download", percent=40)
    expect(dialog.get_by_text(re.compile(r"\b40\s?%")).first).to_be_visible()
    demo.simulate("finish-download")
    demo.simulate("apply")
    expect(dialog.get_by_text("Up-to-date")).to_be_visible(timeout=90_000)


def test_diagnostics(demo: Demo, page: Page, tmp_path: Path) -> None:
    """Diagnostics can be downloaded, and contain no key."""
    open_device(demo, page, "holy-wildflower")
    with page.expect_download() as download:
        page.get_by_text("Download diagnostics").click()
    file = tmp_path / "diagnostics.json"
    download.value.save_as(file)
    data = json.loads(file.read_text())
    assert data["integration_manifest"]["domain"] == "balena_supervisor"
    assert demo.api_key not in file.read_text()
