"""The dashboard that the integration generates."""

from collections.abc import Callable, Generator
import re
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect
import pytest

from . import (
    ATTACKED,
    MARKDOWN_ATTACK,
    add_dashboard,
    command,
    device_ids,
    navigate,
    open_start_page,
    refresh,
)
from .accessibility import COLORS, use_colors, violations, weak_borders
from .demo import Demo

pytestmark = pytest.mark.timeout(180)

fleet = pytest.mark.parametrize("demo", ["fleet"], indirect=True)
STATUS = "sensor.holy_wildflower_status"


def title(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Return the visible title of a section. Before 2026.10, it has the role of a paragraph."""
    return (
        page.locator("hui-heading-card")
        .get_by_text(text, exact=True)
        .filter(visible=True)
    )


def device_card(page: Page) -> Locator:
    """Return the card of a device."""
    return page.locator("balena-device-card")


def devices_card(page: Page, heading: str | re.Pattern[str]) -> Locator:
    """Return the card with many devices that has a title."""
    return page.locator("balena-devices-card").filter(
        has=page.locator("h2").filter(
            has_text=re.compile(f"^{heading}$") if isinstance(heading, str) else heading
        )
    )


def tile(card: Locator, text: str) -> Locator:
    """Return the tiles of devices with a text."""
    return card.locator("a.tile").filter(has_text=text)


def confirm(page: Page, question: str) -> None:
    """Expect a question, and confirm it."""
    expect(page.get_by_text(question)).to_be_visible()
    page.get_by_role("button", name="OK", exact=True).click()


def save_config(page: Page, **strategy: Any) -> None:
    """Store the options of the dashboard."""
    config = {"strategy": {"type": "custom:balena", **strategy}}
    command(page, "lovelace/config/save", url_path="balena-demo", config=config)


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(1400, 1000, "light"), (390, 844, "dark")],
    ids=["desk", "phone"],
)
def test_a_device_has_the_first_page(
    demo: Demo, page: Page, width: int, height: int, scheme: Any
) -> None:
    """With one device, the dashboard shows its state, commands, services, versions and logs."""
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    open_start_page(demo, page)
    card = device_card(page)
    for text in ("holy-wildflower", "Idle", "Up to date", "Online", "now", "Identify"):
        expect(card).to_contain_text(text)
    for name in ("main", "redis"):
        expect(card.locator(".services li").filter(has_text=name)).to_contain_text(
            "Running"
        )
        for action in ("Stop", "Restart"):
            button = card.get_by_role("button", name=f"{action} {name}")
            expect(button).to_have_attribute("title", f"{action} {name}")
    for text in ("Activity", "Versions and addresses"):
        expect(title(page, text)).to_be_visible()
    expect(page.locator("balena-logs-card .line").first).to_be_visible()
    expect(page.locator("balena-logs-card")).to_have_count(1)
    expect(page.locator("hui-error-card, hui-warning")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(card) == []
    assert weak_borders(card.locator("button.command")) == []


def test_commands_ask_first(demo: Demo, page: Page) -> None:
    """What interrupts something asks first, and a lock that refuses it can be overridden."""
    open_start_page(demo, page)
    card = device_card(page)
    for button, question in (
        ("Restart main", "Restart main of holy-wildflower?"),
        ("Restart services", "Restart all services of holy-wildflower?"),
        ("Reboot", "Reboot holy-wildflower?"),
    ):
        card.get_by_role("button", name=button).first.click()
        expect(page.get_by_text(question)).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text(question)).to_have_count(0)
    expect(card).to_contain_text("Idle")

    override = card.get_by_role("button", name="Override lock")
    expect(override).to_have_count(0)
    demo.simulate("lock")
    card.get_by_role("button", name="Reboot").click()
    confirm(page, "Reboot holy-wildflower?")
    expect(page.get_by_text("press Override update lock").first).to_be_visible()
    expect(card).to_contain_text("Update locked")
    override.click()
    confirm(page, "Override the update lock of holy-wild")
    expect(card.locator(".panel.busy")).to_contain_text("Rebooting")
    expect(override).to_have_count(0)


def test_a_service_is_stopped_and_started(demo: Demo, page: Page) -> None:
    """The card asks before it stops a service. Only a service that stops by itself is a problem."""
    open_start_page(demo, page)
    card = device_card(page)
    row = card.locator(".services li").filter(has_text="main")
    card.get_by_role("button", name="Stop main").click()
    confirm(page, "Stop holy-wildflower main? It stays stopped until")
    expect(row).to_contain_text("Stopped")
    expect(card.locator(".panel.warning, .problem")).to_have_count(0)
    card.get_by_role("button", name="Start main", exact=True).click()
    expect(row).to_contain_text("Running")

    demo.simulate("container-exit", service="redis")
    refresh(page, STATUS)
    problem = card.locator(".problem").filter(has_text="Service stopped: redis")
    expect(problem).to_be_visible(timeout=90_000)
    expect(card.locator(".panel.warning")).to_contain_text("Needs attention")
    problem.get_by_role("button", name="Start redis", exact=True).click()
    expect(problem).to_have_count(0)


def test_an_update_that_waits_at_a_lock(demo: Demo, page: Page) -> None:
    """The card shows the progress of an update and what is wrong, and offers to try again."""
    page.set_viewport_size({"width": 1300, "height": 900})
    open_start_page(demo, page)
    card = device_card(page)
    progress = card.get_by_role("progressbar", name="Progress of the update")
    expect(progress).to_have_count(0)
    demo.simulate("lock")
    demo.simulate("begin-update")
    demo.simulate("download", percent=45)
    refresh(page, STATUS)
    expect(progress).to_have_attribute("value", "45")

    for step in ("finish-download", "apply"):
        demo.simulate(step)
    refresh(page, STATUS)
    # One problem is in the title. A lock is detected when it rejects something.
    expect(card.locator(".title")).to_contain_text("Update failed")
    card.get_by_role("button", name="Reboot").click()
    confirm(page, "Reboot holy-wildflower?")
    problems = card.locator(".problem")
    expect(problems).to_have_text(
        [re.compile("Update failed"), re.compile("Update locked")]
    )
    expect(card.locator(".panel.warning")).to_be_visible()

    demo.simulate("unlock")
    card.get_by_role("button", name="Install the update on holy-wildflower").click()
    confirm(page, "Its services restart.")
    expect(problems).to_have_count(0)
    expect(card).to_contain_text("Up to date")


@fleet
def test_fleets_and_what_needs_attention(demo: Demo, page: Page) -> None:
    """The overview shows who needs attention and why, then all devices by fleet."""
    open_start_page(demo, page)
    attention = devices_card(page, re.compile("^Needs attention"))
    kiosks = devices_card(page, "kiosks")
    for card in (attention, kiosks):
        away = tile(card, "kiosk-showroom")
        expect(away).to_contain_text(re.compile("Offline.*yesterday"))
        expect(away).to_have_class("tile error")
    expect(kiosks.locator("small")).to_contain_text("Devices: 7")
    expect(devices_card(page, "gateways")).to_have_count(1)
    reception = tile(kiosks, "kiosk-reception")
    expect(reception).to_have_class("tile ok")
    for word in ("Disconnected", "Problem"):
        expect(page.get_by_text(word, exact=True).filter(visible=True)).to_have_count(0)

    for colors in COLORS:
        use_colors(page, colors)
        assert [violations(card) for card in (attention, kiosks)] == [[], []]

    # A tile that changes is the same element, and keeps the focus.
    reception.focus()
    page.evaluate("() => window.tiles = 0")
    kiosks.evaluate(
        """card => new MutationObserver(changes => {
            window.tiles += changes.filter(({addedNodes}) => addedNodes.length).length;
        }).observe(card.shadowRoot.querySelector("ul"), {childList: true})"""
    )
    demo.simulate("begin-update", "kiosk-reception")
    demo.simulate("fail-update", "kiosk-reception")
    refresh(page, "sensor.kiosks_devices")
    expect(reception).to_contain_text("Update failed")
    expect(tile(attention, "kiosk-reception")).to_be_visible()
    expect(reception).to_be_focused()
    assert page.evaluate("window.tiles") == 0

    page.keyboard.press("Enter")
    card = device_card(page)
    expect(card).to_contain_text("kiosk-reception")
    expect(card.locator(".services li").filter(has_text="signage")).to_be_visible()
    expect(page.locator("balena-logs-card .line").first).to_be_visible()
    page.go_back()
    expect(attention).to_be_visible()
    kiosks.locator("a.head").click()
    expect(page).to_have_url(re.compile("/fleet-"))
    expect(tile(devices_card(page, "kiosks"), "kiosk-lobby")).to_be_visible()
    expect(page.get_by_text("gateway-garage").filter(visible=True)).to_have_count(0)


@fleet
def test_search_and_filters(demo: Demo, page: Page) -> None:
    """A list of many devices can be searched, and keeps what was chosen when the card is new."""
    open_start_page(demo, page)
    save_config(page, layout="list")
    page.goto(demo.url)
    devices = devices_card(page, "Devices")
    expect(devices.locator("a.tile")).to_have_count(12)
    expect(devices_card(page, "Fleets").locator("a.tile")).to_have_count(2)
    devices.locator(".search").get_by_role("searchbox").or_(
        devices.locator("input.search")
    ).first.fill("gateway")
    expect(devices.locator("a.tile")).to_have_count(5)
    expect(devices.get_by_role("status")).to_have_text("Devices found: 5")
    devices.get_by_label("Status").select_option("Offline")
    expect(devices.locator("a.tile")).to_have_count(1)

    tile(devices, "gateway-roof").click()
    expect(device_card(page).locator(".panel.error")).to_contain_text("Offline")
    page.go_back()
    expect(devices.locator("a.tile")).to_have_count(1)
    expect(devices.get_by_role("status")).to_have_text("Devices found: 1")


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


@fleet
def test_page_stays_with_its_device(
    demo: Demo, page: Page, update_device: Callable[..., None]
) -> None:
    """The open page of a device does not become another device's page."""
    open_start_page(demo, page)
    ids = device_ids(page)
    # It comes before the device whose page is open, and is added later.
    update_device(ids["kiosk-canteen"], disabled_by="user")
    tile(devices_card(page, "kiosks"), "kiosk-lobby").click()
    card = device_card(page)
    expect(card).to_contain_text("kiosk-lobby")
    for name, change in (
        ("kiosk-canteen", {"disabled_by": None}),
        ("kiosk-entrance", {"name_by_user": "zoo"}),
        ("kiosk-warehouse", {"name_by_user": "a kiosk"}),
        ("kiosk-entrance", {"disabled_by": "user"}),
    ):
        update_device(ids[name], **change)
        page.wait_for_timeout(1000)
        expect(page).to_have_url(re.compile(f"/device-{ids['kiosk-lobby']}$"))
        expect(card.locator(".title")).to_contain_text("kiosk-lobby")
    card.get_by_role("button", name="Reboot").click()
    expect(page.get_by_text("Reboot kiosk-lobby?")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()

    update_device(ids["kiosk-lobby"], disabled_by="user")
    gone = page.get_by_text("This device was removed or disabled").filter(visible=True)
    expect(gone.first).to_be_visible()
    expect(device_card(page).locator(".panel:visible")).to_have_count(0)
    page.reload()
    expect(gone.first).to_be_visible()


@fleet
def test_devices_of_the_same_name(
    demo: Demo, page: Page, update_device: Callable[..., None]
) -> None:
    """Devices with the same name and fleet show the beginning of their UUID."""
    open_start_page(demo, page)
    ids = device_ids(page)
    update_device(ids["kiosk-canteen"], name_by_user="kiosk-lobby")
    names = [
        f"kiosk-lobby ({demo.devices[name].device.uuid[:7]})"
        for name in ("kiosk-canteen", "kiosk-lobby")
    ]
    tiles = devices_card(page, "kiosks").locator("a.tile .name")
    expect(tiles.filter(has_text="kiosk-lobby")).to_have_text(sorted(names))


@fleet
def test_only_a_fleet(demo: Demo, page: Page) -> None:
    """A dashboard can be limited to selected devices. A fleet includes all of its devices."""
    open_start_page(demo, page)
    ids = device_ids(page)
    for chosen, there, away in (
        ("gateways", "gateway-garage", "kiosk-lobby"),
        ("kiosk-lobby", "kiosk-lobby", "gateway-garage"),
    ):
        save_config(page, device_id=[ids[chosen]])
        page.goto(demo.url)
        cards = page.locator("balena-device-card, balena-devices-card")
        expect(cards.get_by_text(there, exact=True).first).to_be_visible()
        expect(cards.get_by_text(away, exact=True)).to_have_count(0)


def test_entities_that_are_renamed_hidden_or_disabled(demo: Demo, page: Page) -> None:
    """The dashboard supports renamed entities, and omits hidden and disabled ones."""
    open_start_page(demo, page)
    card = device_card(page)
    kind = "config/entity_registry/update"
    renamed = "sensor.quite_another"
    command(page, kind, entity_id=STATUS, new_entity_id=renamed)
    button = "button.holy_wildflower_reboot"
    command(page, kind, entity_id=button, disabled_by="user")
    expect(card.get_by_role("button", name="Reboot")).to_have_count(0)
    expect(card).to_contain_text("Idle")
    rows = page.locator("hui-entities-card:visible")
    expect(rows).to_contain_text("VPN")
    vpn = "binary_sensor.holy_wildflower_vpn"
    command(page, kind, entity_id=vpn, hidden_by="user")
    expect(rows).not_to_contain_text("VPN")
    expect(page.locator("hui-error-card, hui-warning")).to_have_count(0)


def test_names_are_text(demo: Demo, page: Page) -> None:
    """Names of devices and services that look like HTML or Markdown are shown as plain text."""
    open_start_page(demo, page)
    demo.simulate("add-service", service=MARKDOWN_ATTACK)
    refresh(page, STATUS)
    card = device_card(page)
    service = card.locator(".services .name").filter(has_text="attack.example")
    expect(service).to_have_text(MARKDOWN_ATTACK)
    command(
        page,
        "config/device_registry/update",
        device_id=device_ids(page)["holy-wildflower"],
        name_by_user=MARKDOWN_ATTACK,
    )
    expect(card.locator(".title .name")).to_have_text(MARKDOWN_ATTACK)
    card.get_by_role("button", name="Reboot").click()
    expect(page.get_by_text(f"Reboot {MARKDOWN_ATTACK}?")).to_be_visible()
    expect(page.locator(ATTACKED)).to_have_count(0)
    assert page.evaluate("window.attacked") is None


@pytest.mark.parametrize(
    ("late", "seconds"),
    [("/frontend_latest/app", 1.5), ("/balena_supervisor/balena.js", 7)],
    ids=["the app", "our modules"],
)
def test_what_arrives_late(demo: Demo, page: Page, late: str, seconds: float) -> None:
    """The dashboard also appears if the app of Home Assistant or our modules load late."""

    def delay(route: Route) -> None:
        page.wait_for_timeout(seconds * 1000)
        route.continue_()

    page.route(re.compile(re.escape(late)), delay)
    page.goto(demo.url)
    expect(device_card(page)).to_contain_text("holy-wildflower")
    expect(page.locator("balena-logs-card .line").first).to_be_visible()
    expect(page.get_by_text("Timeout waiting")).to_have_count(0)


@fleet
def test_a_dashboard_is_made_in_the_ui(demo: Demo, page: Page) -> None:
    """The dashboard is offered by name, has an editor, and stays alive after "Take control"."""
    page.goto(f"{demo.url}/config/lovelace/dashboards")
    page.get_by_role("button", name="Add dashboard").click()
    card = page.locator("ha-dialog dashboard-card")
    card.filter(has_text="Your balena devices").or_(
        card.filter(has_text="Overview of your balena devices")
    ).first.click()
    page.get_by_role("button", name="Create").click()
    names = page.locator("ha-data-table").get_by_text("balena", exact=True)
    expect(names).to_have_count(2)
    # A dialog that closes leaves its page in the history, and would leave the next one.
    expect(page.locator("ha-dialog")).to_have_count(0)

    navigate(page, "/dashboard-balena")
    expect(devices_card(page, "kiosks")).to_be_visible()
    page.get_by_role("button", name="Edit dashboard").click()
    editor = page.locator("balena-dashboard-editor")
    expect(editor).to_contain_text("Devices and fleets")
    editor.locator("ha-picker-field[aria-label='Layout of the overview']").click()
    page.get_by_role("menuitem", name="One list with search").click()
    page.get_by_role("button", name="Save").click()
    expect(devices_card(page, "Fleets")).to_be_visible()
    config = command(page, "lovelace/config", url_path="dashboard-balena")
    assert config == {"strategy": {"type": "custom:balena", "layout": "list"}}

    page.get_by_role("button", name="Edit dashboard").click()
    page.locator("dialog-dashboard-strategy-editor ha-dropdown").get_by_role(
        "button"
    ).first.click()
    page.get_by_role("menuitem", name="Take control").click()
    page.get_by_role("button", name="Take control").click()
    devices = devices_card(page, "Devices")
    expect(tile(devices, "kiosk-lobby")).to_contain_text("Operational")
    demo.simulate("off", "kiosk-lobby")
    refresh(page, "sensor.kiosks_devices")
    expect(tile(devices, "kiosk-lobby")).to_contain_text("Offline")
    config = command(page, "lovelace/config", url_path="dashboard-balena")
    assert all(view["title"] and view["icon"] for view in config["views"])
    assert "strategy" not in str(config)


@fleet
def test_a_tile_leads_to_a_page_that_exists(demo: Demo, page: Page) -> None:
    """Without a view for a device, its tile leads to its page in Home Assistant."""
    open_start_page(demo, page)
    ids = device_ids(page)
    view = f"device-{ids['kiosk-lobby']}"
    card = {"type": "custom:balena-devices-card", "views": True}
    config = {"views": [{"path": "all", "cards": [card]}, {"path": view}]}
    command(page, "lovelace/config/save", url_path="balena-demo", config=config)
    page.goto(f"{demo.url}/balena-demo/all")
    devices = devices_card(page, "Devices")
    for name, path in (
        ("kiosk-lobby", f"/balena-demo/{view}"),
        ("gateway-roof", f"/config/devices/device/{ids['gateway-roof']}"),
    ):
        expect(tile(devices, name)).to_have_attribute("href", path)


def test_cards_are_offered_with_a_preview(demo: Demo, page: Page) -> None:
    """The card picker shows our cards, and the editor names devices."""
    open_start_page(demo, page)
    stubs = page.evaluate(
        """async () => {
            const {hass} = document.querySelector("home-assistant");
            return Promise.all(window.customCards.map(async ({type, preview}) => {
                const card = await customElements.whenDefined(type);
                return {type: `custom:${type}`, preview, ...await card.getStubConfig(hass)};
            }));
        }"""
    )
    assert len(stubs) == 3
    assert all(stub.pop("preview") for stub in stubs)
    add_dashboard(page, "card-page", *stubs)
    page.goto(f"{demo.url}/card-page?edit=1")
    for tag in ("balena-device-card", "balena-devices-card"):
        expect(page.locator(tag)).to_contain_text("holy-wildflower")
    card = page.locator("hui-card-edit-mode").filter(has=device_card(page))
    card.hover()
    card.click()
    editor = page.locator("balena-device-card-editor")
    expect(editor.locator("ha-picker-field[aria-label='Device']")).to_contain_text(
        "holy-wildflower"
    )
    editor.locator("ha-switch").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Done").click()
    expect(device_card(page).get_by_role("button", name="Identify")).to_be_visible()


@fleet
def test_the_preview_of_many_devices_is_short(demo: Demo, page: Page) -> None:
    """The card picker shows a few devices, so that the previews of other cards are in sight."""
    open_start_page(demo, page)
    add_dashboard(page, "card-page")
    page.goto(f"{demo.url}/card-page?edit=1")
    page.get_by_role("button", name="Add card").first.click()
    page.get_by_text("By card", exact=True).click()
    picker = page.locator("hui-card-picker")
    picker.locator("input").first.fill("balena")
    expect(picker.locator("balena-devices-card a.tile")).to_have_count(3)
    expect(picker.locator("balena-device-card .title")).to_be_in_viewport()


def show_issues(page: Page, *issues: dict[str, Any], failure: str = "") -> Locator:
    """Show the card of the device as if Home Assistant had these issues. Returns its notices.

    Home Assistant creates most issues when a problem has lasted for a minute or longer. An id
    that ends with "_" gets the id of the entry of the device. `failure` is the translation key
    of the reason why the entry cannot read its device.
    """
    page.evaluate(
        """([issues, failure]) => {
            const {hass} = document.querySelector("home-assistant");
            const device = Object.values(hass.devices).find(({name}) => name === "holy-wildflower");
            for (const issue of issues.filter(({issue_id: id}) => id.endsWith("_"))) {
                issue.issue_id += device.primary_config_entry;
            }
            const card = document.createElement("balena-device-card");
            card.setConfig({});
            const failed = {
                entry_id: device.config_entry_id ?? device.primary_config_entry,
                translation_key: failure,
                translation_placeholders: {device: device.name},
            };
            const answers = {
                "repairs/list_issues": {issues},
                "balena_supervisor/failures": [failed].slice(failure ? 0 : 1),
            };
            card.hass = {...hass, callWS: async ({type}) => answers[type]};
            document.querySelector("home-assistant").replaceWith(card);
        }""",
        [issues, failure],
    )
    return page.get_by_role("alert")


def test_a_refused_key(demo: Demo, page: Page) -> None:
    """If its key is refused, the card says why all is unavailable, and leads to the fix."""
    open_start_page(demo, page)
    refused = {
        "domain": "homeassistant",
        "issue_domain": "balena_supervisor",
        "issue_id": "config_entry_reauth_balena_supervisor_",
        "translation_key": "config_entry_reauth",
        "translation_placeholders": {"name": "holy-wildflower"},
    }
    # This one is about another entry.
    other = {
        **refused,
        "issue_id": "config_entry_reauth_balena_supervisor_1",
        "translation_placeholders": {"name": "silent-river"},
    }
    notice = show_issues(page, refused, other)
    expect(notice).to_contain_text("The key of holy-wildflower is refused.")
    link = notice.get_by_role("link", name="Enter a new key")
    path = "/config/integrations/integration/balena_supervisor"
    expect(link).to_have_attribute("href", path)


def test_a_failure(demo: Demo, page: Page) -> None:
    """Before Home Assistant asks for a key, the card already says why the device is offline."""
    open_start_page(demo, page)
    notice = show_issues(page, failure="authentication_failed")
    expect(notice).to_contain_text("holy-wildflower refused the API key. Enter the")
    path = "/config/integrations/integration/balena_supervisor"
    expect(notice.get_by_role("link", name="Show")).to_have_attribute("href", path)


def test_the_only_repair(demo: Demo, page: Page) -> None:
    """The card says what the only repair is, and leads to it."""
    open_start_page(demo, page)
    repair = {
        "domain": "balena_supervisor",
        "issue_id": "address_taken_",
        "translation_key": "address_taken",
        "translation_placeholders": {"device": "holy-wildflower"},
    }
    notice = show_issues(page, repair)
    expect(notice).to_contain_text("answer at the address of holy-wildflower")
    link = notice.get_by_role("link", name="Show")
    expect(link).to_have_attribute("href", "/config/repairs")


def test_nothing_is_set_up(demo: Demo, page: Page) -> None:
    """Without a device, the dashboard shows a link to add one, and no errors."""
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
    expect(page.locator("hui-error-card, hui-warning")).to_have_count(0)
    page.get_by_role("button", name="Add devices").click()
    expect(page.get_by_text("Do you want to set up balena?")).to_be_visible()
