"""The log card on a dashboard."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
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


def show(demo: Demo, page: Page, *, count: int = 1, **config: Any) -> Locator:
    """Open a dashboard that contains only the card, and return the card."""
    page.goto(f"{demo.url}/profile")
    page.locator("ha-panel-profile").wait_for()
    card = {"type": "custom:balena-logs-card", "title": "Kiosk", **config}
    add_dashboard(page, "logs-page", *[card] * count)
    navigate(page, "/logs-page")
    return page.locator("balena-logs-card")


def choose(card: Locator, label: str, option: str) -> None:
    """Choose an option of one of the card's fields."""
    card.locator(f"ha-picker-field[aria-label='{label}']").click()
    card.get_by_role("menuitem", name=option, exact=True).click()


def chosen(card: Locator, label: str) -> Locator:
    """Return the field of a choice, which shows what is chosen."""
    return card.locator("ha-select").filter(
        has=card.page.locator(f"ha-picker-field[aria-label='{label}']")
    )


def leave_and_return(page: Page) -> None:
    """Open another page of Home Assistant and come back."""
    card = page.locator("balena-logs-card")
    navigate(page, "/profile")
    expect(card).to_have_count(0)
    navigate(page, "/logs-page")
    expect(card).to_be_visible()


def add_card(page: Page, *, config: str = "{}", changes: str = "{}") -> Locator:
    """Add a card with a configuration and a changed `hass` to the page."""
    page.evaluate(
        f"""() => {{
            document.querySelector("#own")?.remove();
            const {{hass}} = document.querySelector("home-assistant");
            const card = document.createElement("balena-logs-card");
            card.id = "own";
            card.setConfig({config});
            card.hass = {{...hass, ...{changes}}};
            document.body.append(card);
        }}"""
    )
    return page.locator("#own")


def hide(page: Page, is_hidden: bool) -> None:
    """Tell the page that its tab is hidden or visible."""
    page.evaluate(
        """isHidden => {
            Object.defineProperty(document, "hidden", {configurable: true, get: () => isHidden});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def top_line(log: Locator) -> str:
    """Return the text of the first line that is in sight."""
    text: str = log.evaluate(
        """log => {
            const {left, top} = log.getBoundingClientRect();
            const element = log.getRootNode().elementFromPoint(left + 20, top + 12);
            return element.closest(".line")?.textContent ?? "";
        }"""
    )
    return text


def lines(card: Locator, text: str = "") -> Locator:
    """Return the visible lines with a text."""
    return card.locator(".line:visible").filter(has_text=text)


def test_lines_are_shown_and_filtered(demo: Demo, page: Page) -> None:
    """New lines appear. The card can select a service and a level, filter by text, pause and clear."""
    card = show(demo, page)
    expect(card.get_by_role("heading", name="Kiosk")).to_be_visible()
    expect(lines(card, "NetworkManager")).not_to_have_count(0)
    # There is no other device to choose.
    expect(chosen(card, "Device")).to_have_count(0)
    for priority, message in enumerate(("it broke", "odd", "fine"), 3):
        demo.simulate("log", source="main", message=message, priority=priority)
    expect(lines(card, "it broke")).to_have_class(re.compile("error"))

    filter_box = card.get_by_role("searchbox", name="Filter")
    filter_box.fill("IT BROKE")
    expect(lines(card)).to_have_count(1)
    filter_box.fill("nothing has this")
    expect(card.get_by_text("No line matches the filter.")).to_be_visible()
    filter_box.fill("")
    choose(card, "Level", "Warnings and errors")
    expect(lines(card)).to_have_text(
        [re.compile("it broke$"), re.compile("odd$")], use_inner_text=True
    )
    choose(card, "Level", "All levels")

    choose(card, "Service", "redis")
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

    page.set_viewport_size({"width": 360, "height": 800})
    expect(card.get_by_role("button", name="Clear")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_lines_are_selected_copied_and_downloaded(demo: Demo, page: Page) -> None:
    """The text of lines can be selected. The visible lines can be copied and downloaded with full times."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = show(demo, page)
    demo.simulate("log", source="main", message="keep_me")
    card.get_by_role("searchbox", name="Filter").fill("keep_me")
    expect(lines(card)).to_have_count(1)
    lines(card, "keep_me").evaluate("line => getSelection().selectAllChildren(line)")
    assert "keep_me" in page.evaluate("getSelection().toString()")
    assert lines(card).evaluate("line => getComputedStyle(line).userSelect") == "text"

    line = r"20[\d-]+T[\d:.]+\+00:00 main keep_me"
    card.get_by_role("button", name="Copy").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    assert re.fullmatch(line, page.evaluate("navigator.clipboard.readText()"))
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    assert re.fullmatch(
        r"holy-wildflower_20[\dT-]+\.log", download.value.suggested_filename
    )
    assert re.fullmatch(line, download.value.path().read_text("utf-8"))


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
    refresh(page, "sensor.holy_wildflower_status")
    expect(lines(card, "main is ready")).to_have_count(1)
    expect(card.locator("ha-dropdown-item").filter(has_text="main")).to_have_text(
        ["main (another)", "main (demo-fleet)"]
    )
    demo.simulate("log", source="main", message="of the fleet", app_id=1658654)
    demo.simulate("log", source="main", message="of the other app", app_id=7)
    expect(lines(card, "of the other app")).to_be_visible()
    expect(lines(card, "of the fleet")).to_have_count(0)

    choose(card, "Service", "main (demo-fleet)")
    expect(lines(card, "of the fleet")).to_be_visible()
    expect(lines(card, "of the other app")).to_have_count(0)


def test_position(demo: Demo, page: Page) -> None:
    """Scrolling up stops the automatic scrolling, also for the next card, until a button returns to the end."""
    card = show(demo, page, lines=1000)
    for number in range(200):
        demo.simulate("log", source="main", message=f"number {number}.")
    expect(lines(card, "number 199.")).to_be_in_viewport()
    # The page contains only the lines near the visible part, but the filter searches all lines.
    assert card.locator(".line").count() < 150
    filter_box = card.get_by_role("searchbox", name="Filter")
    filter_box.fill("number 1.")
    expect(lines(card)).to_have_count(1)
    filter_box.fill("")
    expect(lines(card, "number 199.")).to_be_in_viewport()

    log = card.get_by_role("log")
    log.focus()
    log.press("Home")
    newest = card.get_by_role("button", name="Go to the newest line")
    expect(newest).to_be_visible()
    expect(lines(card).first).to_be_in_viewport()
    demo.simulate("log", source="main", message="at the end")
    expect(lines(card, "at the end")).not_to_be_in_viewport()

    log.evaluate("log => { log.scrollTop = log.scrollHeight / 2; }")
    expect(lines(card, "number 100.")).to_have_count(1)
    page.wait_for_timeout(500)
    before = top_line(log)
    assert "number" in before
    leave_and_return(page)
    expect(newest).to_be_visible()
    assert top_line(log) == before
    newest.click()
    expect(lines(card, "at the end")).to_be_in_viewport()


def test_device_reboots(demo: Demo, page: Page) -> None:
    """While a device is away, the card says why. Its lines stay, and a mark shows the interruption."""
    card = show(demo, page)
    expect(lines(card, "main is ready")).to_be_visible()
    demo.simulate("off")
    expect(card.get_by_text(re.compile("offline|could not reach"))).to_be_visible()
    demo.simulate("on")
    refresh(page, "sensor.holy_wildflower_status")
    demo.simulate("log", source="main", message="back again")
    expect(lines(card, "back again")).to_be_visible()
    expect(lines(card, "main is ready")).not_to_have_count(0)
    expect(lines(card, "Interrupted from")).to_have_count(1)


def test_a_new_card_continues(demo: Demo, timed_page: Page) -> None:
    """A card keeps choices and lines on another page, through a reconnect, and in a hidden tab. No line comes twice."""
    page = timed_page
    card = show(demo, page)
    filter_box = card.get_by_role("searchbox", name="Filter")
    choose(card, "Service", "main")
    demo.simulate("log", source="main", message="before")
    expect(lines(card, "before")).to_have_count(1)
    filter_box.fill("fore")
    card.get_by_role("button", name="Do not wrap long lines").click()
    leave_and_return(page)
    expect(chosen(card, "Service")).to_contain_text("main")
    expect(filter_box).to_have_value("fore")
    expect(
        card.get_by_role("button", name="Wrap long lines", exact=True)
    ).to_be_visible()

    page.evaluate(
        "document.querySelector('home-assistant').hass.connection.reconnect(true)"
    )
    demo.simulate("log", source="main", message="before two")
    expect(lines(card)).to_have_text([re.compile("before$"), re.compile("two$")])

    card.get_by_role("button", name="Pause").click()
    hide(page, True)
    page.clock.fast_forward("06:00")
    expect(card).to_have_count(0)
    demo.simulate("log", source="main", message="before three")
    hide(page, False)
    expect(card.get_by_text("1 new lines while paused")).to_be_visible()
    expect(filter_box).to_have_value("fore")
    card.get_by_role("button", name="Resume").click()
    expect(lines(card)).to_have_text(
        [re.compile("before$"), re.compile("two$"), re.compile("three$")]
    )


@pytest.mark.parametrize("demo", ["fleet"], indirect=True)
def test_device_of_an_account(demo: Demo, page: Page) -> None:
    """The card follows a device of an account, whose lines come from the balena API."""
    card = show(demo, page)
    choose(card, "Device", "kiosk-reception")
    # The device writes lines at intervals, so the card may have some already.
    expect(lines(card).first).to_be_visible()
    demo.simulate(
        "log", "kiosk-reception", source="signage", message="it broke", priority=3
    )
    expect(lines(card, "signage it broke")).to_have_class(re.compile("error"))

    choose(card, "Service", "browser")
    demo.simulate("log", "kiosk-reception", source="signage", message="of another")
    demo.simulate("log", "kiosk-reception", source="browser", message="of this one")
    expect(lines(card, "browser of this one")).to_be_visible()
    expect(lines(card, "of another")).to_have_count(0)


def set_language(page: Page, language: str) -> None:
    """Set the language of the user. The next page that is opened uses it."""
    formats = dict.fromkeys(
        ("number_format", "time_format", "date_format", "first_weekday"), "language"
    )
    value = {"language": language, "time_zone": "local", **formats}
    command(page, "frontend/set_user_data", key="language", value=value)


def test_languages(demo: Demo, page: Page) -> None:
    """All cards of a page and their names in the card picker are translated. On a page from right to left, lines still read from left to right."""
    page.goto(f"{demo.url}/profile")
    page.locator("ha-panel-profile").wait_for()
    set_language(page, "de")
    try:
        cards = show(demo, page, count=3)
        expect(cards.get_by_role("button", name="Kopieren")).to_have_count(3)
        offered = page.evaluate("customCards.map(({name}) => name).sort()")
        assert offered == ["balena-Gerät", "balena-Geräte", "balena-Protokolle"]
    finally:
        set_language(page, "en")
    page.evaluate("document.dir = 'rtl'")
    line = lines(cards.first, "main is ready")
    expect(line.locator("time")).to_be_visible()
    time, source = (line.locator(part).bounding_box() for part in ("time", ".source"))
    assert time is not None
    assert source is not None
    assert time["x"] < source["x"]


def test_problems_are_sentences(demo: Demo, page: Page) -> None:
    """The card says why it has no lines. It repeats no message that names an id or a command."""
    card = show(demo, page)
    expect(lines(card).first).to_be_visible()

    user = add_card(page, changes="{user: {is_admin: false}}")
    expect(user.get_by_text("Only administrators can see logs.")).to_be_visible()
    expect(user.get_by_role("log")).to_have_count(0)
    removed = add_card(page, config="{device_id: 'gone'}")
    expect(removed.get_by_role("status")).to_have_text(
        "This device no longer exists in Home Assistant. Choose another device."
    )
    unknown = '{code: "unknown_command", message: "Unknown command."}'
    connection = f"""{{
        addEventListener() {{}},
        removeEventListener() {{}},
        sendMessagePromise: () => Promise.reject({unknown}),
    }}"""
    failing = add_card(page, changes=f"{{connection: {connection}}}")
    expect(failing.get_by_role("status")).to_have_text(
        "The balena integration is not loaded in Home Assistant."
        " The card retries automatically."
    )

    (entry,) = command(page, "config_entries/get", domain="balena_supervisor")
    command(
        page,
        "config_entries/disable",
        entry_id=entry["entry_id"],
        disabled_by="user",
    )
    expect(card.get_by_text("No device with logs is set up")).to_be_visible()


def test_outage_that_is_expected(demo: Demo, timed_page: Page) -> None:
    """A card that opens while its device reboots says so until the device is back, as no problem."""
    page = timed_page
    show(demo, page)
    # The reason can arrive before the response to the subscription.
    event = """{
        interrupted: true,
        translation_key: "logs_rebooting",
        translation_placeholders: {device: "holy-wildflower"},
    }"""
    connection = f"""{{
        addEventListener() {{}},
        removeEventListener() {{}},
        sendMessagePromise: () => Promise.resolve([]),
        subscribeMessage: async (callback) => {{
            callback({event});
            return async () => {{}};
        }},
    }}"""
    card = add_card(page, changes=f"{{connection: {connection}}}")
    status = card.get_by_role("status")
    text = "holy-wildflower is rebooting. Its log continues when it is back."
    expect(status).to_have_text(text)
    page.clock.run_for(5000)
    expect(status).to_have_text(text)
    expect(status).not_to_have_class(re.compile("problem"))


def test_card_is_offered_and_configured(demo: Demo, page: Page) -> None:
    """The card picker offers the card with a preview, and the card has an accessible editor."""
    card = show(demo, page, lines=0)
    expect(page.locator("hui-error-card")).to_be_visible()
    offered = page.evaluate(
        """async () => {
            const card = await customElements.whenDefined("balena-logs-card");
            const {hass} = document.querySelector("home-assistant");
            const {preview} = customCards.find(({type}) => type === "balena-logs-card");
            return [preview, card.getStubConfig(hass)];
        }"""
    )
    assert offered == [True, {"device_id": device_ids(page)["holy-wildflower"]}]

    navigate(page, "/logs-page?edit=1")
    page.locator("hui-card-edit-mode").first.hover()
    page.locator("hui-card-edit-mode").first.click()
    editor = page.locator("balena-logs-card-editor")
    choose(editor, "Device", "holy-wildflower")
    choose(editor, "Service", "redis")
    editor.get_by_role("spinbutton").fill("50")
    preview = page.locator("hui-card-preview, .element-preview").locator(
        "balena-logs-card"
    )
    expect(chosen(preview, "Service")).to_contain_text("redis")
    assert violations(editor) == []
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Done").click()
    expect(chosen(card, "Service")).to_contain_text("redis")
    expect(lines(card, "redis is ready")).to_be_visible()


def reachable(page: Page, presses: int) -> list[str]:
    """Press Tab several times. Returns the names of the controls that had the focus."""
    return [
        page.keyboard.press("Tab")
        or page.evaluate(
            """() => {
                let name = "";
                for (let node = document.activeElement; node; node = node.shadowRoot?.activeElement) {
                    name = node.ariaLabel || node.title || node.label || name;
                }
                return name;
            }"""
        )
        for _ in range(presses)
    ]


def test_accessibility(demo: Demo, page: Page) -> None:
    """The card has no serious violation, light and dark. Each control can be used with the keyboard."""
    card = show(demo, page)
    demo.simulate("log", source="main", message="it broke", priority=3)
    expect(lines(card, "it broke")).to_be_visible()
    for scheme in COLORS:
        use_colors(page, scheme)
        assert violations(card) == []
        assert weak_borders(card.locator(".lines")) == []
    # Screen readers read the status aloud, and not each new line.
    expect(card.get_by_role("log")).to_have_attribute("aria-live", "off")
    expect(card.get_by_role("status")).to_have_count(1)
    heading = card.get_by_role("heading", name="Kiosk")
    heading.evaluate("heading => { heading.tabIndex = -1; heading.focus(); }")
    assert reachable(page, 9) == [
        "Service",
        "Level",
        "Filter",
        "Pause",
        "Do not wrap long lines",
        "Copy",
        "Download",
        "Clear",
        "Log lines",
    ]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(lines(card, "it broke")).to_have_count(0)


def test_native_controls(demo: Demo, page: Page) -> None:
    """Where Home Assistant does not define its controls, the card has native ones."""
    card = show(demo, page)
    expect(lines(card).first).to_be_visible()
    page.evaluate(
        """() => {
            const get = customElements.get.bind(customElements);
            const hidden = ["ha-select", "ha-icon-button", "ha-input-search"];
            customElements.get = name => hidden.includes(name) ? undefined : get(name);
        }"""
    )
    leave_and_return(page)
    card.get_by_label("Service").select_option("redis")
    expect(lines(card, "redis is ready")).to_be_visible()
    card.get_by_role("searchbox", name="Filter").fill("redis is")
    card.get_by_role("button", name="Pause").click()
    demo.simulate("log", source="redis", message="while paused")
    expect(card.get_by_text(re.compile("new lines while paused"))).to_be_visible()
    expect(lines(card)).to_have_count(1)
    for scheme in COLORS:
        use_colors(page, scheme)
        assert violations(card) == []
        assert weak_borders(card.locator("select, input, button, .lines")) == []


def test_page_offers_a_reload_after_an_update(demo: Demo, page: Page) -> None:
    """A page that has the modules of another version offers to reload."""
    open_start_page(demo, page)
    hint = page.locator(".message", has_text="The balena integration was updated.")
    expect(hint).to_have_count(0)
    page.evaluate("import('/balena_supervisor/update-hint.js?v=before')")
    expect(hint).to_be_visible()
    with page.expect_event("load"):
        page.get_by_role("button", name="Reload").click()
    expect(page.locator("balena-device-card .panel").first).to_be_visible()
    expect(hint).to_have_count(0)
