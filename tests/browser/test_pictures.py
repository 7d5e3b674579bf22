"""Take the pictures of README and docs. Each test also checks what its picture shows.

They are saved only with --screenshots. test_setup.py and test_releases.py take the other pictures.
"""

from collections.abc import Generator
import re

from playwright.sync_api import Locator, Page, expect
import pytest

from . import command, device_ids, navigate, open_start_page, refresh
from .accessibility import use_colors
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(240)

kiosks = pytest.mark.parametrize("demo", ["kiosks"], indirect=True)
fleet = pytest.mark.parametrize("demo", ["fleet"], indirect=True)
WIDE = {"width": 1280, "height": 860}


@pytest.fixture(autouse=True)
def _narrow_sidebar(page: Page) -> Generator[None]:
    """Leave the pictures to the pages: the sidebar shows icons only."""
    script = "localStorage.dockedSidebar = JSON.stringify('auto')"
    with page.add_init_script(script):
        yield
    page.evaluate("localStorage.removeItem('dockedSidebar')")


def device_card(page: Page, name: str) -> Locator:
    """Return the visible card of a device."""
    return page.locator("balena-device-card:visible").filter(has_text=name)


def expect_lines(card: Locator, count: int) -> None:
    """Wait until a log card has this many lines, or more."""
    expect(card.locator(".line").nth(count - 1)).to_be_attached()


def open_kiosks(demo: Demo, page: Page) -> None:
    """Open the page of two kiosks: one downloads an update, a service of the other one stops."""
    page.set_viewport_size(WIDE)
    open_start_page(demo, page)
    demo.simulate("begin-update", "kiosk-lobby")
    demo.simulate("download", "kiosk-lobby", percent=62)
    demo.simulate("container-exit", "kiosk-shop", service="grafana")
    for name in ("kiosk_lobby", "kiosk_shop"):
        refresh(page, f"sensor.{name}_status")
    progress = device_card(page, "kiosk-lobby").get_by_role("progressbar")
    expect(progress).to_have_attribute("value", "62")
    problem = device_card(page, "kiosk-shop").get_by_text("Service stopped: grafana")
    expect(problem).to_be_visible(timeout=90_000)


@kiosks
def test_pages_of_home_assistant(demo: Demo, page: Page, picture: Picture) -> None:
    """A kiosk and its services have pages with their entities and what happened."""
    open_start_page(demo, page)
    for is_connected, status in ((False, "exited"), (True, "Running")):
        demo.simulate("vpn", "kiosk-shop", value=is_connected)
        demo.simulate(
            "container-status", "kiosk-shop", service="browser", status=status
        )
        refresh(page, "sensor.kiosk_shop_status")
    ids = device_ids(page)
    page.set_viewport_size({"width": 1200, "height": 1400})
    navigate(page, f"/config/devices/device/{ids['kiosk-shop']}")
    rows = page.locator("hui-sensor-entity-row, hui-simple-entity-row")
    for name, state in (("Status", "Idle"), ("VPN", "Connected"), ("Fleet", "kiosks")):
        expect(rows.filter(has_text=name).first).to_contain_text(state)
    expect(page.locator("ha-logbook")).to_contain_text("Disconnected")
    picture("device", page)

    page.set_viewport_size({"width": 1200, "height": 620})
    # The services of the two kiosks have the same names. This is the last one.
    navigate(page, f"/config/devices/device/{ids['browser']}")
    expect(page.get_by_role("link", name="kiosk-shop")).to_be_visible()
    expect(page.locator("hui-button-entity-row")).to_contain_text("Restart")
    expect(page.locator("ha-logbook")).to_contain_text("Off")
    picture("service", page)


@kiosks
def test_two_kiosks(demo: Demo, page: Page, picture: Picture) -> None:
    """Two kiosks have a card each, with what is wrong and log lines, and a page each with all commands."""
    open_kiosks(demo, page)
    logs = page.locator("balena-logs-card:visible")
    expect(logs).to_have_count(2)
    expect_lines(logs.first, 24)
    picture("kiosks", page)

    page.get_by_role("link", name="kiosk-lobby").first.click()
    card = device_card(page, "kiosk-lobby")
    for name in ("Identify", "Check for updates", "Restart services", "Reboot"):
        expect(card.get_by_role("button", name=name)).to_be_visible()
    expect(logs).to_have_count(1)
    expect_lines(logs, 12)
    picture("dashboard", page)
    picture("logs-card", logs)

    page.go_back()
    demo.simulate("lock", "kiosk-shop", service="browser")
    page.get_by_role("link", name="kiosk-shop").first.click()
    card = device_card(page, "kiosk-shop")
    card.get_by_role("button", name="Reboot").click()
    page.get_by_role("button", name="OK", exact=True).click()
    expect(card.get_by_text("Update locked")).to_be_visible()
    expect_lines(logs, 12)
    use_colors(page, "dark")
    picture("dashboard-trouble", page)


@kiosks
def test_a_conversation(demo: Demo, page: Page, picture: Picture) -> None:
    """Assist says what is wrong, solves it, and tells how an update proceeds."""
    open_kiosks(demo, page)
    page.set_viewport_size({"width": 900, "height": 700})
    page.keyboard.press("a")
    box = page.locator("ha-voice-command-dialog input, ha-assist-chat input").first
    for question, answer in (
        ("Are there any problems?", re.compile("grafana on kiosk-shop has stopped")),
        ("Start grafana on kiosk-shop", "Started grafana on kiosk-shop."),
        ("How far is the update on the lobby kiosk?", re.compile("at 62 percent")),
    ):
        box.fill(question)
        box.press("Enter")
        last = page.get_by_text(answer).first
        expect(last).to_be_visible()
        last.scroll_into_view_if_needed()
    picture("assist", page)


@fleet
def test_a_fleet(demo: Demo, page: Page, picture: Picture) -> None:
    """The overview of two fleets shows who needs attention and why; the list can be searched."""
    page.set_viewport_size({"width": 1280, "height": 700})
    open_start_page(demo, page)
    demo.simulate("begin-update", "kiosk-warehouse")
    demo.simulate("fail-update", "kiosk-warehouse", message="the image is missing")
    refresh(page, "sensor.kiosks_devices")
    for problem in ("Offline", "Undervoltage", "Update failed"):
        expect(page.get_by_text(problem).first).to_be_visible()
    picture("fleet", page)

    config = {"strategy": {"type": "custom:balena", "layout": "list"}}
    command(page, "lovelace/config/save", url_path="balena-demo", config=config)
    page.goto(demo.url)
    devices = page.locator("balena-devices-card").filter(
        has=page.locator("h2").filter(has_text=re.compile("^Devices$"))
    )
    search = devices.locator(".search").get_by_role("searchbox")
    search.or_(devices.locator("input.search")).first.fill("kiosk")
    expect(devices.get_by_role("status")).to_have_text("Devices found: 7")
    use_colors(page, "dark")
    picture("list", page)
