"""The log card on a dashboard."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
import pytest

from . import ATTACKED, MARKDOWN_ATTACK, command, open_start_page, refresh
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(180)


def show(demo: Demo, page: Page, **config: Any) -> Locator:
    """Open a dashboard that contains only the card, and return the card."""
    open_start_page(demo, page)
    card = {"type": "custom:balena-logs-card", "title": "Kiosk", **config}
    sections = [{"type": "grid", "cards": [card]}]
    command(
        page,
        "lovelace/dashboards/create",
        url_path="logs-page",
        title="Logs",
        mode="storage",
    )
    command(
        page,
        "lovelace/config/save",
        url_path="logs-page",
        config={"views": [{"type": "sections", "sections": sections}]},
    )
    page.goto(f"{demo.url}/logs-page")
    return page.locator("balena-logs-card")


def lines(card: Locator, text: str = "") -> Locator:
    """Return the visible lines with a text."""
    return card.locator(".line:visible").filter(has_text=text)


@pytest.mark.parametrize(
    # The layout for desktops is last, because the image of the docs shows it.
    ("width", "height"),
    [(360, 800), (1400, 1000)],
    ids=["phone", "desk"],
)
def test_lines_are_followed_chosen_and_filtered(
    demo: Demo, page: Page, picture: Picture, width: int, height: int
) -> None:
    """New lines appear. The card can select a service, filter by text and pause."""
    page.set_viewport_size({"width": width, "height": height})
    card = show(demo, page)
    expect(card.get_by_role("heading", name="Kiosk")).to_be_visible()
    expect(lines(card, "NetworkManager")).not_to_have_count(0)
    expect(card.get_by_label("Device").locator("option:checked")).to_have_text(
        "holy-wildflower"
    )

    demo.simulate("log", source="main", message="it broke", priority=3)
    expect(lines(card, "it broke")).to_have_class(re.compile("error"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture("logs-card", card)

    card.get_by_label("Filter").fill("IT BROKE")
    expect(lines(card)).to_have_count(1)
    card.get_by_label("Filter").fill("nothing has this")
    expect(card.get_by_text("No line matches the filter.")).to_be_visible()
    card.get_by_label("Filter").fill("")

    card.get_by_label("Service").select_option("redis")
    expect(lines(card, "redis is ready")).to_be_visible()
    expect(lines(card, "NetworkManager")).to_have_count(0)

    card.get_by_role("button", name="Pause").click()
    demo.simulate("log", source="redis", message="while paused")
    expect(card.get_by_text(re.compile("new lines while paused"))).to_be_visible()
    expect(lines(card, "while paused")).to_have_count(0)
    card.get_by_role("button", name="Resume").click()
    expect(lines(card, "while paused")).to_be_visible()

    card.get_by_role("button", name="Clear").click()
    expect(lines(card, "while paused")).to_have_count(0)


def test_names_and_messages_are_text(demo: Demo, page: Page) -> None:
    """Names and messages that look like HTML are shown as plain text."""
    demo.simulate("add-service", service=MARKDOWN_ATTACK)
    card = show(demo, page)
    demo.simulate("log", source="main", message=f"message {MARKDOWN_ATTACK}")
    expect(lines(card, f"message {MARKDOWN_ATTACK}")).to_be_visible()
    expect(lines(card, f"{MARKDOWN_ATTACK} is ready")).to_be_visible()
    expect(page.locator(ATTACKED)).to_have_count(0)
    assert page.evaluate("window.attacked") is None


def test_services_of_the_same_name(demo: Demo, page: Page) -> None:
    """Services with the same name in two apps have separate lines."""
    demo.simulate("run-app", app_id=7, name="another", service="main")
    card = show(demo, page, service="main", app_id=7)
    expect(lines(card, "main is ready")).to_have_count(1)
    refresh(page, "sensor.holy_wildflower_status")
    expect(card.get_by_label("Service").locator("option")).to_have_text(
        ["All", "main (another)", "main (demo-fleet)", "redis"]
    )
    demo.simulate("log", source="main", message="of the fleet", app_id=1658654)
    demo.simulate("log", source="main", message="of the other app", app_id=7)
    expect(lines(card, "of the other app")).to_be_visible()
    expect(lines(card, "of the fleet")).to_have_count(0)

    card.get_by_label("Service").select_option("main (demo-fleet)")
    expect(lines(card, "of the fleet")).to_be_visible()
    expect(lines(card, "of the other app")).to_have_count(0)


def test_scrolling_up_stops_following(demo: Demo, page: Page) -> None:
    """Scrolling up stops the automatic scrolling. A button returns to the newest line."""
    card = show(demo, page, lines=1000)
    for number in range(60):
        demo.simulate("log", source="main", message=f"number {number}")
    expect(lines(card, "number 59")).to_be_in_viewport()
    log = card.get_by_role("log")
    log.focus()
    log.press("Home")
    newest = card.get_by_role("button", name="Go to the newest line")
    expect(newest).to_be_visible()
    expect(lines(card).first).to_be_in_viewport()
    demo.simulate("log", source="main", message="at the end")
    expect(lines(card, "at the end")).to_have_count(1)
    expect(lines(card, "at the end")).not_to_be_in_viewport()
    newest.click()
    expect(lines(card, "at the end")).to_be_in_viewport()


def test_lines_are_copied(demo: Demo, page: Page) -> None:
    """The visible lines can be copied with their full times."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = show(demo, page)
    demo.simulate("log", source="main", message="copy me")
    card.get_by_label("Filter").fill("copy me")
    expect(lines(card)).to_have_count(1)
    card.get_by_role("button", name="Copy").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"20[\d-]+T[\d:.]+\+00:00 main copy me", text)


def test_device_comes_back(demo: Demo, page: Page) -> None:
    """The card reports an offline device, and follows it again when it is back."""
    card = show(demo, page)
    expect(lines(card, "main is ready")).to_be_visible()
    demo.simulate("off")
    expect(card.get_by_text(re.compile("could not reach"))).to_be_visible()
    demo.simulate("on")
    demo.simulate("log", source="main", message="back again")
    expect(lines(card, "back again")).to_be_visible()
    expect(lines(card, "main is ready")).to_have_count(1)


@pytest.mark.parametrize("demo", ["fleet"], indirect=True)
def test_device_of_an_account(demo: Demo, page: Page) -> None:
    """The card follows a device of an account, whose lines come from the balena API."""
    card = show(demo, page)
    card.get_by_label("Device").select_option("kiosk-reception")
    # The device writes lines at intervals, so the card may have some already.
    expect(lines(card).first).to_be_visible()
    demo.simulate(
        "log", "kiosk-reception", source="signage", message="it broke", priority=3
    )
    expect(lines(card, "signage it broke")).to_have_class(re.compile("error"))

    card.get_by_label("Service").select_option("browser")
    demo.simulate("log", "kiosk-reception", source="signage", message="of another")
    demo.simulate("log", "kiosk-reception", source="browser", message="of this one")
    expect(lines(card, "browser of this one")).to_be_visible()
    expect(lines(card, "of another")).to_have_count(0)


def test_nothing_to_choose(demo: Demo, page: Page) -> None:
    """If no device supports logs, the card says so."""
    card = show(demo, page)
    expect(lines(card).first).to_be_visible()
    (entry,) = command(page, "config_entries/get", domain="balena_supervisor")
    command(
        page,
        "config_entries/disable",
        entry_id=entry["entry_id"],
        disabled_by="user",
    )
    expect(card.get_by_text("No device with logs is set up")).to_be_visible()


def test_card_is_offered_and_configured(demo: Demo, page: Page) -> None:
    """The card picker offers the card, and the card has an editor."""
    card = show(demo, page)
    expect(lines(card, "main is ready")).to_be_visible()
    offered = page.evaluate("window.customCards.map(card => card.type)")
    assert offered == ["balena-logs-card"]

    page.goto(f"{demo.url}/logs-page?edit=1")
    page.locator("balena-logs-card").wait_for()
    page.locator("hui-card-edit-mode").first.hover()
    page.locator("hui-card-edit-mode").first.click()
    form = page.locator("hui-form-editor")
    for label in ("Device", "Service", "App ID", "Title", "Lines to load"):
        expect(form.get_by_text(label).first).to_be_visible()


@pytest.mark.parametrize(
    "config", [{"lines": 0}, {"lines": "many"}, {"service": 5}, {"app_id": "main"}]
)
def test_wrong_configuration(demo: Demo, page: Page, config: dict[str, object]) -> None:
    """An invalid configuration shows an error instead of the card."""
    show(demo, page, **config)
    expect(page.locator("hui-error-card")).to_be_visible()


def test_administrators_only(demo: Demo, page: Page) -> None:
    """Users who are not administrators see a message, and the card sends no request for them."""
    expect(lines(show(demo, page)).first).to_be_visible()
    page.evaluate(
        """() => {
            const {hass} = document.querySelector("home-assistant");
            const card = document.createElement("balena-logs-card");
            card.id = "of-a-guest";
            card.setConfig({});
            card.hass = {...hass, user: {is_admin: false}};
            document.body.append(card);
        }"""
    )
    card = page.locator("#of-a-guest")
    expect(card.get_by_text("Only administrators can see logs.")).to_be_visible()
    expect(card.get_by_role("log")).to_have_count(0)
