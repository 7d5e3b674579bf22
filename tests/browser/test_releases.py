"""Releases, update locks and options on the pages of Home Assistant."""

import re

from playwright.sync_api import Locator, Page, expect
import pytest

from simulator import CloudDevice, Release
from simulator.fleets import KIOSK_RELEASE
from simulator.scenarios import release_after

from . import ATTACK, device_ids, navigate, open_start_page, refresh
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(180)

fleet = pytest.mark.parametrize("demo", ["fleet"], indirect=True)
# What people write in release notes, and what no page must load or run.
NOTES = f"**Faster start** ![b](https://attack.example/b.png) {ATTACK}"


def open_device(demo: Demo, page: Page, name: str) -> None:
    """Open the page of a device."""
    open_start_page(demo, page)
    navigate(page, f"/config/devices/device/{device_ids(page)[name]}")
    expect(page.get_by_text("Device info")).to_be_visible()


def device_of_account(demo: Demo, name: str) -> CloudDevice:
    """Return a simulated device of the account."""
    device = demo.devices[name]
    assert isinstance(device, CloudDevice)
    return device


def choose_release(page: Page, option: str) -> None:
    """Select a release on the page of a device."""
    row = page.locator("hui-select-entity-row").filter(has_text="Release")
    row.locator("ha-select").click()
    row.get_by_role("menuitem", name=option, exact=True).click()


def expect_release(page: Page, entity_id: str, option: str) -> None:
    """Wait until a select has an option. Its row shows the choice before it is sent."""
    page.wait_for_function(
        """([entity_id, option]) => document.querySelector("home-assistant")
            .hass.states[entity_id].state === option""",
        arg=[entity_id, option],
    )


@fleet
@pytest.mark.parametrize(
    ("name", "option", "state", "pinned"),
    [
        ("kiosk-reception", "2.4.1", "2.4.1", KIOSK_RELEASE),
        ("kiosk-entrance", "Track the fleet", "track_fleet", None),
    ],
    ids=["pin", "unpin"],
)
def test_release_is_chosen(
    demo: Demo, page: Page, name: str, option: str, state: str, pinned: Release | None
) -> None:
    """The select on the page of a device pins a release, or lets it track its fleet."""
    device = device_of_account(demo, name)
    assert device.pinned != pinned
    open_device(demo, page, name)
    choose_release(page, option)
    expect_release(page, f"select.{name.replace('-', '_')}_release", state)
    assert device.pinned == pinned


def open_update(demo: Demo, page: Page) -> Locator:
    """Open the dialog of an update, and return it."""
    page.goto(f"{demo.url}?more-info-entity-id=update.kiosk_entrance_release")
    dialog = page.locator("ha-more-info-dialog")
    expect(dialog.get_by_text("2.4.2", exact=True).first).to_be_visible()
    expect(dialog.get_by_text("Faster start")).to_be_visible()
    return dialog


@fleet
def test_release_notes(demo: Demo, page: Page, picture: Picture) -> None:
    """The update dialog shows the version and its notes, without images and HTML."""
    page.set_viewport_size({"width": 900, "height": 700})
    device = device_of_account(demo, "kiosk-entrance")
    target = release_after(KIOSK_RELEASE)
    device.pinned = target
    open_start_page(demo, page)
    refresh(page, "update.kiosk_entrance_release")
    open_update(demo, page)
    picture("update", page)

    device.fleet.releases[target.id].note = NOTES
    notes = open_update(demo, page).locator("ha-markdown-element")
    expect(notes.locator("strong")).to_have_text("Faster start")
    expect(notes).to_contain_text("onerror")
    expect(notes.locator("img")).to_have_count(0)
    assert page.evaluate("window.attacked") is None


def button(page: Page, name: str) -> Locator:
    """Return the button in a row of the page of a device."""
    row = page.locator("hui-button-entity-row").filter(has_text=name)
    return row.get_by_role("button", name="Press")


@pytest.mark.parametrize(
    ("name", "command"), [("Restart services", "restart"), ("Reboot", "reboot")]
)
def test_press_at_a_lock(demo: Demo, page: Page, name: str, command: str) -> None:
    """A refused press says which button overrides the lock, and that button does."""
    commands = demo.devices["holy-wildflower"].device.commands
    demo.simulate("lock")
    open_device(demo, page, "holy-wildflower")
    override = button(page, "Override update lock")
    expect(override).to_be_disabled()
    button(page, name).click()
    message = page.locator("ha-toast").get_by_text("press Override update lock")
    expect(message.first).to_be_visible()
    override.click()
    expect(override).to_be_disabled()
    sent, arguments = commands[-1]
    assert (sent, arguments["force"]) == (command, True)


def open_options(page: Page) -> Locator:
    """Open the options of the only entry on the page of the integration, and return their form."""
    page.get_by_role("button", name="Configure").first.click()
    return page.locator("step-flow-form")


def option(form: Locator, name: str) -> Locator:
    """Return the switch of an option."""
    return (
        form.locator("ha-selector-boolean").filter(has_text=name).get_by_role("switch")
    )


@fleet
def test_options_of_an_account(demo: Demo, page: Page) -> None:
    """The options of an account are shown, and kept when they are saved."""
    page.goto(f"{demo.url}/config/integrations/integration/balena_supervisor")
    form = open_options(page)
    every_entity = form.get_by_role("radio", name=re.compile("^All"))
    standard = form.get_by_role("radio", name=re.compile("^Standard"))
    questions = option(form, "Answer questions about all devices")
    commands = option(form, "Allow voice commands")
    expect(every_entity).to_be_checked()
    expect(questions).to_be_checked()
    expect(commands).not_to_be_checked()
    standard.click(force=True)
    commands.click(force=True)
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name=re.compile("finish", re.IGNORECASE)).click()

    open_options(page)
    expect(standard).to_be_checked()
    expect(questions).to_be_checked()
    expect(commands).to_be_checked()
