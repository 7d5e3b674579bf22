"""The dashboard that the integration generates."""

from collections.abc import Callable, Generator
import re
from typing import Any, Final

from playwright.sync_api import Locator, Page, Route, expect
import pytest

from . import ATTACKED, MARKDOWN_ATTACK, command, device_ids, open_start_page, refresh
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(180)

fleet = pytest.mark.parametrize("demo", ["fleet"], indirect=True)
STATUS = "sensor.holy_wildflower_status"
VPN = "binary_sensor.holy_wildflower_vpn"


def tile(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Return the visible tiles with a text."""
    return page.locator("hui-tile-card:visible").filter(has_text=text)


def title(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Return the title of a section."""
    return page.locator("hui-heading-card").filter(
        has=page.get_by_role("heading", name=text, exact=True)
    )


def generate(page: Page, strategy: str, config: object, hass: str = "hass") -> Any:
    """Return the configuration that a strategy generates. `hass` is a JavaScript expression."""
    return page.evaluate(
        f"""([tag, config]) => {{
            const {{hass}} = document.querySelector("home-assistant");
            return customElements.get(tag).generate(config, {hass});
        }}""",
        [f"ll-strategy-{strategy}", config],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("width", "height"), [(1400, 1000), (390, 844)], ids=["desk", "phone"]
)
def test_a_device_has_the_first_page(
    demo: Demo, page: Page, width: int, height: int, scheme: Any
) -> None:
    """With one device, the dashboard shows its state, commands, services, versions and logs."""
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    open_start_page(demo, page)
    expect(title(page, "holy-wildflower")).to_be_visible()
    for text in ("StatusIdle", "OnlineYes", "VPNConnected", "UpdateUp-to-date"):
        expect(tile(page, re.compile(rf"^\s*{_spread(text)}"))).to_be_visible()
    for text in ("Commands", "Services", "History", "Versions and addresses", "Logs"):
        expect(title(page, text)).to_be_visible()
    for text in ("main", "redis"):
        expect(tile(page, text)).to_contain_text("Running")
    expect(page.locator("balena-logs-card .line").first).to_be_visible()
    expect(page.locator("hui-error-card, hui-warning")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


RED: Final = re.compile(r"--tile-color:\s*var\(--red-color\)")


def _spread(text: str) -> str:
    """Return a pattern that matches the name and the state of a tile, with whitespace in between."""
    return re.sub(r"(?<=[a-zN])(?=[A-Z])", r"\\s*", text)


def test_a_command_asks_first(demo: Demo, page: Page) -> None:
    """The reboot button asks for a confirmation, and the status shows the reboot."""
    open_start_page(demo, page)
    tile(page, "Reboot").click()
    expect(page.get_by_text("Reboot holy-wildflower?")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(tile(page, "Idle")).to_be_visible()

    tile(page, "Reboot").click()
    page.get_by_role("button", name="OK").click()
    expect(tile(page, re.compile(r"^\s*Online\s*No"))).to_be_visible()


def test_override_of_a_lock(demo: Demo, page: Page) -> None:
    """A refused reboot offers the button that overrides the lock, which asks first."""
    open_start_page(demo, page)
    expect(tile(page, "Override update lock")).to_have_count(0)
    demo.simulate("lock")
    tile(page, "Reboot").click()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("press Override update lock").first).to_be_visible()
    tile(page, "Override update lock").click()
    expect(page.get_by_text("Override the update lock of holy-wild")).to_be_visible()
    page.get_by_role("button", name="OK").click()
    expect(tile(page, re.compile(r"^\s*Online\s*No"))).to_be_visible()
    expect(tile(page, "Override update lock")).to_have_count(0)


def test_troubles_of_a_device(demo: Demo, page: Page, picture: Picture) -> None:
    """An update that is blocked by a lock is shown with the available buttons until it is applied."""
    page.set_viewport_size({"width": 1300, "height": 900})
    open_start_page(demo, page)
    demo.simulate("lock")
    for step in ("begin-update", "finish-download", "apply"):
        demo.simulate(step)
    refresh(page, STATUS)
    failed = tile(page, "Update failed")
    expect(failed).to_contain_text("Yes")
    # A lock is detected when it rejects something.
    update = tile(page, "Update available")
    tile(page, "Reboot").click()
    page.get_by_role("button", name="OK").click()
    locked = tile(page, "Update locked")
    expect(locked).to_contain_text("Yes")
    picture("dashboard-trouble", page)

    demo.simulate("unlock")
    update.get_by_role("button", name="Install").click()
    expect(failed).to_have_count(0)
    expect(locked).to_have_count(0)


def test_a_download_is_seen(demo: Demo, page: Page, picture: Picture) -> None:
    """The progress is visible only while a release is downloaded."""
    page.set_viewport_size({"width": 1300, "height": 900})
    open_start_page(demo, page)
    progress = tile(page, re.compile(r"Installing \(\d+%\)"))
    expect(progress).to_have_count(0)
    demo.simulate("begin-update")
    demo.simulate("download", percent=45)
    refresh(page, STATUS)
    expect(progress).to_contain_text("45%")
    picture("dashboard", page)


@fleet
def test_fleets_and_what_needs_attention(
    demo: Demo, page: Page, picture: Picture
) -> None:
    """The overview shows problems first, then counts, then all devices by fleet."""
    open_start_page(demo, page)
    for text in ("Needs attention", "Offline (2)"):
        expect(title(page, text)).to_be_visible()
    for text in ("kiosks", "gateways"):
        expect(title(page, text)).to_have_count(2)
    expect(tile(page, re.compile(r"Devices\s*7\s*$"))).to_be_visible()
    # In the section of problems, and in the section of the fleet.
    away = tile(page, "kiosk-showroom")
    expect(away).to_have_count(2)
    expect(away.first).to_contain_text("Yesterday")
    expect(away.first.locator("ha-card")).to_have_attribute("style", RED)
    expect(away.last).to_contain_text("Offline")
    expect(tile(page, "kiosk-reception")).to_contain_text("Operational")

    demo.simulate("begin-update", "gateway-boiler-room")
    demo.simulate("fail-update", "gateway-boiler-room")
    refresh(page, "sensor.kiosks_devices")
    # Updates of another device fail at intervals.
    expect(title(page, re.compile(r"^Update failed \([12]\)$"))).to_be_visible()
    picture("fleet", page)

    tile(page, "kiosk-reception").click()
    expect(title(page, "Services")).to_be_visible()
    expect(tile(page, "signage")).to_contain_text("Running")
    expect(page.locator("balena-logs-card .line").first).to_be_visible()
    page.go_back()
    expect(title(page, "Needs attention")).to_be_visible()


@fleet
def test_an_exited_service_needs_attention(demo: Demo, page: Page) -> None:
    """A stopped service is shown with the name of its device."""
    open_start_page(demo, page)
    command(
        page,
        "call_service",
        domain="switch",
        service="turn_off",
        service_data={"entity_id": "switch.kiosk_reception_signage_running"},
    )
    # Other services of the simulated fleets may stop, too.
    expect(title(page, re.compile(r"Service stopped \(\d+\)"))).to_be_visible()
    expect(tile(page, "kiosk-reception signage")).to_contain_text("Exited")


@pytest.fixture
def update_device(page: Page) -> Generator[Callable[..., None]]:
    """Return a function that changes a registered device. Undo the changes at the end."""
    changed: list[str] = []

    def update(device_id: str, **changes: str | None) -> None:
        changed.append(device_id)
        kind = "config/device_registry/update"
        command(page, kind, device_id=device_id, **changes)

    yield update
    for device_id in set(changed):
        update(device_id, name_by_user=None, disabled_by=None)


def open_page(demo: Demo, page: Page, name: str) -> str:
    """Open the page of a device, and return the id of the device."""
    open_start_page(demo, page)
    device_id = device_ids(page)[name]
    tile(page, name).click()
    expect(page).to_have_url(re.compile(f"/device-{device_id}$"))
    expect(title(page, name)).to_be_visible()
    return device_id


@fleet
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("kiosk-entrance", {"name_by_user": "zoo"}),
        ("kiosk-warehouse", {"name_by_user": "a kiosk"}),
        ("kiosk-entrance", {"disabled_by": "user"}),
    ],
    ids=["renamed to the end", "renamed to the beginning", "gone"],
)
def test_page_stays_with_its_device(
    demo: Demo,
    page: Page,
    update_device: Callable[..., None],
    name: str,
    change: dict[str, str],
) -> None:
    """The open page of a device does not become another device's page."""
    device_id = open_page(demo, page, "kiosk-lobby")
    other = device_ids(page)[name]
    update_device(other, **change)
    page.wait_for_timeout(2000)
    expect(page).to_have_url(re.compile(f"/device-{device_id}$"))
    expect(title(page, "kiosk-lobby")).to_be_visible()
    tile(page, "Reboot").click()
    expect(page.get_by_text("Reboot kiosk-lobby?")).to_be_visible()


@fleet
def test_page_stays_when_a_device_is_added(
    demo: Demo, page: Page, update_device: Callable[..., None]
) -> None:
    """A device that comes before the one whose page is open gets another place."""
    open_start_page(demo, page)
    other = device_ids(page)["kiosk-entrance"]
    update_device(other, disabled_by="user")
    device_id = open_page(demo, page, "kiosk-lobby")
    update_device(other, disabled_by=None)
    page.wait_for_timeout(2000)
    expect(page).to_have_url(re.compile(f"/device-{device_id}$"))
    expect(title(page, "kiosk-lobby")).to_be_visible()


@fleet
def test_page_of_a_device_that_is_gone(
    demo: Demo, page: Page, update_device: Callable[..., None]
) -> None:
    """The page of a device that does not exist any more says so, also after a reload."""
    device_id = open_page(demo, page, "kiosk-lobby")
    update_device(device_id, disabled_by="user")
    expect(title(page, "This device no longer exists")).to_be_visible()
    expect(page.locator("hui-tile-card:visible")).to_have_count(0)
    page.reload()
    expect(title(page, "This device no longer exists")).to_be_visible()


def test_restart_of_a_service_asks_first(demo: Demo, page: Page) -> None:
    """A service is restarted when that is confirmed."""
    open_start_page(demo, page)
    cards = page.locator("hui-button-card:visible")
    cards.get_by_role("button", name=re.compile("main Restart")).click()
    expect(page.get_by_text("Restart main of holy-wildflower?")).to_be_visible()


@fleet
def test_only_a_fleet(demo: Demo, page: Page) -> None:
    """A dashboard can be limited to selected devices. A fleet includes all of its devices."""
    open_start_page(demo, page)
    ids = device_ids(page)
    for chosen, there, away in (
        ("gateways", "gateway-garage", "kiosk-lobby"),
        ("kiosk-lobby", "Services", "gateway-garage"),
    ):
        command(
            page,
            "lovelace/config/save",
            url_path="balena-demo",
            config={"strategy": {"type": "custom:balena", "device_id": [ids[chosen]]}},
        )
        page.goto(demo.url)
        expect(page.get_by_text(there, exact=True).first).to_be_visible()
        # The log card lists all devices.
        others = page.get_by_text(away, exact=True).filter(visible=True)
        expect(others).to_have_count(0)


def test_entities_that_are_renamed_hidden_or_disabled(demo: Demo, page: Page) -> None:
    """The dashboard supports renamed entities, and omits hidden and disabled ones."""
    open_start_page(demo, page)
    command(
        page,
        "config/entity_registry/update",
        entity_id=STATUS,
        new_entity_id="sensor.quite_another",
        name="What it does",
    )
    expect(tile(page, "What it does")).to_contain_text("Idle")
    command(page, "config/entity_registry/update", entity_id=VPN, hidden_by="user")
    expect(tile(page, "VPN")).to_have_count(0)
    command(
        page,
        "config/entity_registry/update",
        entity_id="button.holy_wildflower_reboot",
        disabled_by="user",
    )
    expect(tile(page, "Reboot")).to_have_count(0)
    expect(page.locator("hui-error-card, hui-warning")).to_have_count(0)


def test_names_are_text(demo: Demo, page: Page) -> None:
    """Names of devices and services that look like HTML or Markdown are shown as plain text."""
    open_start_page(demo, page)
    demo.simulate("add-service", service=MARKDOWN_ATTACK)
    refresh(page, STATUS)
    expect(tile(page, MARKDOWN_ATTACK)).to_be_visible()
    command(
        page,
        "config/device_registry/update",
        device_id=device_ids(page)["holy-wildflower"],
        name_by_user=MARKDOWN_ATTACK,
    )
    expect(title(page, MARKDOWN_ATTACK)).to_be_visible()
    tile(page, "Reboot").click()
    expect(page.get_by_text(f"Reboot {MARKDOWN_ATTACK}?")).to_be_visible()
    expect(page.locator(ATTACKED)).to_have_count(0)
    assert page.evaluate("window.attacked") is None


def test_modules_are_there_before_the_app(demo: Demo, page: Page) -> None:
    """The dashboard and the card also load if the Home Assistant app loads late."""

    def delay(route: Route) -> None:
        page.wait_for_timeout(1500)
        route.continue_()

    page.route(re.compile("/frontend_latest/app"), delay)
    page.goto(demo.url)
    expect(title(page, "holy-wildflower")).to_be_visible()
    expect(page.locator("balena-logs-card .line").first).to_be_visible()


def test_all_sections_have_texts(demo: Demo, page: Page) -> None:
    """Sections that load their texts at the same time all get them."""
    page.goto(f"{demo.url}/profile/general")
    page.wait_for_function("document.querySelector('home-assistant')?.hass?.config")
    views = page.evaluate(
        """async () => {
            const {hass} = document.querySelector("home-assistant");
            const tag = "ll-strategy-view-balena-device";
            const strategy = await customElements.whenDefined(tag);
            const config = {device_id: "gone"};
            return Promise.all([1, 2, 3].map(() => strategy.generate(config, hass)));
        }"""
    )
    assert str(views).count("This device no longer exists") == 3


def test_it_is_among_new_dashboards(demo: Demo, page: Page) -> None:
    """The dialog for a new dashboard offers the dashboard by its name."""
    page.goto(f"{demo.url}/config/lovelace/dashboards")
    page.get_by_role("button", name="Add dashboard").click()
    card = page.locator("ha-dialog dashboard-card").filter(
        has_text="Your balena devices"
    )
    expect(card).to_be_visible()
    card.click()
    page.get_by_role("button", name="Create").click()
    expect(
        page.locator("ha-data-table").get_by_text("balena", exact=True)
    ).to_have_count(2)
    page.goto(f"{demo.url}/dashboard-balena")
    expect(title(page, "holy-wildflower")).to_be_visible()


def test_nothing_is_set_up(demo: Demo, page: Page) -> None:
    """Without a device, the dashboard shows a link to add one."""
    open_start_page(demo, page)
    page.evaluate(
        """async () => {
            const {hass} = document.querySelector("home-assistant");
            const path = "config/config_entries/entry";
            const [entry] = await hass.callApi("GET", `${path}?domain=balena_supervisor`);
            await hass.callApi("DELETE", `${path}/${entry.entry_id}`);
        }"""
    )
    expect(page.get_by_text("No balena devices are set up")).to_be_visible()
    page.get_by_role("button", name="Add devices").click()
    expect(page.get_by_text("Do you want to set up balena?")).to_be_visible()


def test_others_see_no_logs(demo: Demo, page: Page) -> None:
    """Users who are not administrators do not see logs and links to the settings."""
    open_start_page(demo, page)
    config = {"device_id": device_ids(page)["holy-wildflower"]}
    view = generate(page, "view-balena-device", config)
    assert "custom:balena-logs-card" in str(view)
    assert "/config/" in str(view)
    guest = "{...hass, user: {...hass.user, is_admin: false}}"
    view = generate(page, "view-balena-device", config, guest)
    assert "custom:balena-logs-card" not in str(view)
    assert "/config/" not in str(view)


@pytest.mark.parametrize(
    ("state", "expected"), [("off", "Offline"), ("unavailable", "Unavailable")]
)
def test_a_device_that_is_away(
    demo: Demo, page: Page, state: str, expected: str
) -> None:
    """An offline device is red everywhere, and an unknown time is not shown."""
    open_start_page(demo, page)
    hass = f"""{{...hass, states: {{
        ...hass.states,
        "binary_sensor.holy_wildflower_online": {{state: "{state}"}},
        "{STATUS}": {{state: "unavailable"}},
    }}}}"""
    for section in ("section-balena-attention", "section-balena-devices"):
        card = generate(page, section, {}, hass)["cards"][-1]
        del card["icon"]
        assert card == {
            "type": "shortcut",
            "label": "holy-wildflower",
            "description": expected,
            "color": "red",
            "tap_action": {
                "action": "navigate",
                "navigation_path": f"device-{device_ids(page)['holy-wildflower']}",
            },
        }


@pytest.mark.parametrize("name", ["main", "holy-wildflower main"])
def test_name_of_a_service(demo: Demo, page: Page, name: str) -> None:
    """The device is named once. Before 2026.10, the name of a service begins with its device."""
    open_start_page(demo, page)
    device_id = device_ids(page)["holy-wildflower"]
    hass = f"""{{...hass,
        devices: Object.fromEntries(Object.entries(hass.devices).map(([id, item]) => [
            id,
            item.name === "main" ? {{...item, name: "{name}"}} : item,
        ])),
        states: {{...hass.states, "sensor.holy_wildflower_main_status": {{state: "exited"}}}},
    }}"""
    card = generate(page, "section-balena-attention", {}, hass)["cards"][-1]
    assert card["name"] == "holy-wildflower main"
    view = generate(page, "view-balena-device", {"device_id": device_id}, hass)
    cards = [card for section in view["sections"] for card in section["cards"]]
    (stop,) = (card for card in cards if card.get("name") == "Stop main")
    question = stop["tap_action"]["confirmation"]["text"]
    assert question.startswith("Stop holy-wildflower main?")


def test_a_thousand_devices(demo: Demo, page: Page) -> None:
    """With many devices, the overview shows counts and only some of the problems."""
    open_start_page(demo, page)
    hass = """{
        ...hass,
        devices: Object.fromEntries(
            ["fleet", ...Array(1000).keys()].map((id) => [
                id,
                {
                    id: String(id),
                    name: `device ${id}`,
                    entry_type: id === "fleet" ? "service" : null,
                    via_device_id: id === "fleet" ? null : "fleet",
                },
            ]),
        ),
        entities: Object.fromEntries(
            [...Array(1000).keys()].map((id) => [
                `binary_sensor.online_${id}`,
                {
                    entity_id: `binary_sensor.online_${id}`,
                    device_id: String(id),
                    platform: "balena_supervisor",
                    translation_key: "online",
                },
            ]),
        ),
        states: Object.fromEntries(
            [...Array(1000).keys()].map((id) => [
                `binary_sensor.online_${id}`,
                {state: id < 100 ? "off" : "on"},
            ]),
        ),
    }"""
    dashboard = generate(page, "dashboard-balena", {}, hass)
    overview = dashboard["views"][0]
    # The page of the device that was open before keeps its place, without a title.
    fleet, *devices = [view for view in dashboard["views"] if "title" in view]
    assert len(devices) == 1000
    # The views are strategies, which are generated only when they are opened.
    assert all(view["subview"] and "strategy" in view for view in (fleet, *devices))
    view = generate(page, "view-balena-overview", overview["strategy"], hass)
    attention, counts = view["sections"]
    assert counts["cards"][0]["tap_action"]["navigation_path"] == fleet["path"]
    section = generate(page, "section-balena-attention", attention["strategy"], hass)
    headings = [card.get("heading") for card in section["cards"]]
    assert headings[:2] == ["Needs attention", "Offline (100)"]
    assert headings[-1] == "76 more"
    assert len(section["cards"]) == 27
