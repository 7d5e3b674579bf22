"""Browser tests, and their shared helpers."""

from typing import Any

from playwright.sync_api import Page, expect

from .demo import Demo

# Names and messages of a device that must not become part of a page.
ATTACK = "<img src=x onerror=window.attacked=1>"
# The same for texts that are rendered as Markdown.
MARKDOWN_ATTACK = (
    f"[a](https://attack.example) ![b](https://attack.example/b.png) {ATTACK}"
    " https://attack.example www.attack.example"
)
ATTACKED = "img[src=x], [src*='attack.example'], [href*='attack.example']"


def command(page: Page, kind: str, **arguments: Any) -> Any:
    """Send a WebSocket command to Home Assistant from an open page, and return the response."""
    return page.evaluate(
        "command => document.querySelector('home-assistant').hass.callWS(command)",
        {"type": kind, **arguments},
    )


def refresh(page: Page, entity_id: str) -> None:
    """Poll the device of an entity."""
    command(
        page,
        "call_service",
        domain="homeassistant",
        service="update_entity",
        service_data={"entity_id": entity_id},
    )


def device_ids(page: Page) -> dict[str, str]:
    """Return the registry ids of all devices by name."""
    ids: dict[str, str] = page.evaluate(
        """() => Object.fromEntries(
            Object.values(document.querySelector('home-assistant').hass.devices)
                .map(({id, name}) => [name, id])
        )"""
    )
    return ids


def open_start_page(demo: Demo, page: Page) -> None:
    """Open the dashboard and wait for its cards."""
    page.goto(demo.url)
    cards = page.locator("balena-device-card .panel, balena-devices-card .tile")
    expect(cards.first).to_be_visible()


def navigate(page: Page, path: str) -> None:
    """Go to another page as a link does, without loading the frontend again."""
    page.evaluate(
        """path => {
            history.pushState(null, "", path);
            window.dispatchEvent(new CustomEvent("location-changed", {detail: {}}));
        }""",
        path,
    )


def add_dashboard(page: Page, path: str, *cards: dict[str, Any]) -> None:
    """Add a dashboard with a section of some cards, and wait until the open page knows it."""
    command(
        page,
        "lovelace/dashboards/create",
        url_path=path,
        title="Cards",
        mode="storage",
    )
    view = {"type": "sections", "sections": [{"type": "grid", "cards": cards}]}
    command(page, "lovelace/config/save", url_path=path, config={"views": [view]})
    page.wait_for_function(
        "path => path in document.querySelector('home-assistant').hass.panels", arg=path
    )


def begin_registration(page: Page, way: str) -> None:
    """Open the config flow from another page, and select a connection."""
    navigate(page, "/config/integrations/dashboard/add?domain=balena_supervisor")
    page.get_by_role("button", name="OK", exact=True).click()
    page.get_by_text(way, exact=True).click()
