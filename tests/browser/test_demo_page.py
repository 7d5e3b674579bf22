"""What a visitor of the demo sees."""

from playwright.sync_api import Page, expect
import pytest

from tests.demo.running import Demo

pytestmark = pytest.mark.timeout(180)


def _begin_registration(demo: Demo, page: Page, way: str) -> None:
    """Open the config flow, and choose how the devices are reached."""
    page.goto(f"{demo.url}/config/integrations/dashboard/add?domain=balena_supervisor")
    page.get_by_role("button", name="OK").click()
    page.get_by_text(way, exact=True).click()


def test_start_page_and_registration(demo: Demo, page: Page) -> None:
    """The start page shows the device without a login; the flow asks for address and key."""
    page.goto(demo.url)
    for text in (
        "holy-wildflower",
        "Update status",
        "Up to date",
        "Reboot",
        "VPN",
        "main",
    ):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()

    _begin_registration(demo, page, "A device in reach")
    form = page.locator("step-flow-form")
    expect(form.locator("input[name=host]")).to_be_visible()
    expect(page.get_by_text("A device in reach").first).to_be_visible()

    # Nothing listens there.
    form.locator("input[name=host]").fill("127.0.0.1:9")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("No connection could be made").first).to_be_visible()


def test_a_service_is_stopped_and_started(demo: Demo, page: Page) -> None:
    """The switch of a service stops it and starts it, and its status follows."""
    page.goto(demo.url)
    switches = page.locator("hui-tile-card").filter(has_text="Running")
    off = switches.filter(has_text="Off")
    exited = page.get_by_text("Exited", exact=True)
    switches.filter(has_text="On").first.locator("ha-tile-icon").click()
    expect(off).to_have_count(1)
    expect(exited.first).to_be_visible()

    off.locator("ha-tile-icon").click()
    expect(off).to_have_count(0)
    expect(exited).to_have_count(0)


@pytest.mark.parametrize("demo", ["fleet"], indirect=True)
def test_fleets_and_the_registration_of_an_account(demo: Demo, page: Page) -> None:
    """The start page shows the fleets and who is offline; the flow asks for the account's key."""
    page.goto(demo.url)
    for text in ("kiosks", "gateways", "Devices failing", "kiosk-lobby", "2.4.2"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    tiles = page.locator("hui-tile-card:visible")
    showroom = tiles.filter(has_text="kiosk-showroom")
    expect(showroom).to_have_count(1)
    expect(showroom).to_contain_text("Disconnected")

    _begin_registration(demo, page, "balenaCloud or openBalena")
    form = page.locator("step-flow-form")
    form.locator("input[name=token]").fill("not-the-key")
    form.get_by_text("Server", exact=True).click()
    form.locator("input[name=url]").fill(f"http://127.0.0.1:{demo.device_port}")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("The API key was refused").first).to_be_visible()


def test_automation_editor_offers_triggers(demo: Demo, page: Page) -> None:
    """The automation editor finds our triggers by the name of the integration."""
    page.goto(f"{demo.url}/config/automation/edit/new")
    page.get_by_text("Add trigger").first.click()
    page.locator("add-automation-element-dialog input").first.fill("balena")
    expect(page.get_by_text("The VPN was lost").first).to_be_visible()
