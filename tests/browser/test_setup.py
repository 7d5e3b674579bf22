"""The setup of devices and accounts."""

import re

from playwright.sync_api import Page, expect
import pytest

from . import begin_registration, navigate, open_start_page
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(180)


def remove_entries(demo: Demo, page: Page) -> None:
    """Remove all entries."""
    open_start_page(demo, page)
    page.evaluate(
        """async () => {
            const {hass} = document.querySelector("home-assistant");
            const path = "config/config_entries/entry";
            for (const entry of await hass.callApi("GET", `${path}?domain=balena_supervisor`)) {
                await hass.callApi("DELETE", `${path}/${entry.entry_id}`);
            }
        }"""
    )


def finish(page: Page) -> None:
    """Close the dialog that lists the new devices."""
    page.get_by_role("button", name=re.compile("finish", re.IGNORECASE)).click()
    expect(page.locator("step-flow-form, step-flow-create-entry")).to_have_count(0)


def test_a_device_is_added(demo: Demo, page: Page, picture: Picture) -> None:
    """The flow reports an address without a server, and adds a device with the correct address and key."""
    remove_entries(demo, page)
    page.set_viewport_size({"width": 1100, "height": 700})
    begin_registration(page, "Local device")
    form = page.locator("step-flow-form")
    form.locator("input[name=host]").fill("192.168.1.20")
    picture("config-flow", page)

    form.locator("input[name=host]").fill("127.0.0.1:9")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Home Assistant could not connect").first).to_be_visible()

    form.locator("input[name=host]").fill(demo.api_url.removeprefix("http://"))
    form.locator("input[name=api_key]").fill(demo.api_key)
    page.get_by_role("button", name="Submit").click()
    finish(page)
    navigate(page, "/balena-demo")
    expect(page.get_by_role("link", name="holy-wildflower").first).to_be_visible()


@pytest.mark.parametrize("demo", ["fleet"], indirect=True)
def test_an_account_is_added(demo: Demo, page: Page, picture: Picture) -> None:
    """The flow reports a wrong key. With the correct key, the user deselects a fleet."""
    remove_entries(demo, page)
    page.set_viewport_size({"width": 1100, "height": 700})
    begin_registration(page, "balenaCloud or openBalena")
    form = page.locator("step-flow-form")
    form.locator("input[name=token]").wait_for()
    picture("account-flow", page)
    form.locator("input[name=token]").fill("not-the-key")
    form.get_by_text("Server", exact=True).click()
    form.locator("input[name=url]").fill(demo.api_url)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("The balena API refused the API key").first).to_be_visible()

    form.locator("input[name=token]").fill(demo.api_key)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Choose fleets")).to_be_visible()
    expect(form.get_by_role("checkbox", name="demo/gateways (5)")).to_be_checked()
    form.get_by_role("checkbox", name="demo/kiosks (7)").uncheck(force=True)
    page.get_by_role("button", name="Submit").click()
    finish(page)
    navigate(page, "/balena-demo")
    expect(page.get_by_role("link", name="gateway-garage").first).to_be_visible()
    expect(page.get_by_text("kiosk-lobby")).to_have_count(0)


@pytest.mark.parametrize("demo", ["fleet"], indirect=True)
def test_server_is_shown(demo: Demo, page: Page) -> None:
    """The form opens its section of the server if the error is there."""
    remove_entries(demo, page)
    begin_registration(page, "balenaCloud or openBalena")
    form = page.locator("step-flow-form")
    form.locator("input[name=token]").fill("the-key")
    header = form.get_by_text("Server", exact=True)
    header.click()
    form.locator("input[name=url]").fill("127.0.0.1:9")
    header.click()
    expect(form.locator("input[name=url]")).not_to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("could not reach the balena API").first).to_be_visible()
    expect(form.locator("input[name=url]")).to_be_visible()


def test_automation_editor_offers_triggers(
    demo: Demo, page: Page, picture: Picture
) -> None:
    """The automation editor finds the triggers by the name of the integration."""
    page.set_viewport_size({"width": 1000, "height": 760})
    page.goto(f"{demo.url}/config/automation/edit/new")
    page.get_by_text("Add trigger").first.click()
    page.locator("add-automation-element-dialog input").first.fill("balena")
    page.get_by_text("more triggers").click()
    expect(page.get_by_text("Service stopped unexpectedly").first).to_be_visible()
    picture("triggers", page)
