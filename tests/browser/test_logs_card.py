"""The log card on a dashboard."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
import pytest

from . import ATTACKED, MARKDOWN_ATTACK, command, device_ids, open_start_page, refresh
from .conftest import Picture
from .demo import Demo

pytestmark = pytest.mark.timeout(180)


def show(demo: Demo, page: Page, *, count: int = 1, **config: Any) -> Locator:
    """Open a dashboard that contains only the card, and return the card."""
    open_start_page(demo, page)
    card = {"type": "custom:balena-logs-card", "title": "Kiosk", **config}
    sections = [{"type": "grid", "cards": [card] * count}]
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
    """Open another page of Home Assistant and come back, without a reload of the browser page."""
    for path in ("/profile", "/logs-page"):
        page.evaluate(
            """path => {
                history.pushState(null, "", path);
                window.dispatchEvent(new CustomEvent("location-changed"));
            }""",
            path,
        )
        page.locator("balena-logs-card").wait_for(
            state="detached" if path == "/profile" else "visible"
        )


def add_card(page: Page, changes: str) -> Locator:
    """Add a card with a changed `hass` to a page on which another card shows lines."""
    page.locator("balena-logs-card .line").first.wait_for()
    page.evaluate(
        f"""() => {{
            const {{hass}} = document.querySelector("home-assistant");
            const card = document.createElement("balena-logs-card");
            card.id = "own";
            card.setConfig({{device_id: "kiosk"}});
            card.hass = {{...hass, ...{changes}}};
            document.body.append(card);
        }}"""
    )
    return page.locator("#own")


def connection_with(time: str) -> str:
    """Return a connection in JavaScript that has one line; its time may be now."""
    return f"""{{
        addEventListener() {{}},
        removeEventListener() {{}},
        sendMessagePromise: () => Promise.resolve([]),
        subscribeMessage: receive => {{
            const time = "{time}" === "now" ? new Date().toISOString() : "{time}";
            receive({{entries: [{{time, source: "main", message: "hello", level: "info"}}]}});
            return Promise.resolve(() => Promise.resolve());
        }},
    }}"""


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
    # There is no other device to choose.
    expect(chosen(card, "Device")).to_have_count(0)

    demo.simulate("log", source="main", message="it broke", priority=3)
    expect(lines(card, "it broke")).to_have_class(re.compile("error"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture("logs-card", card)

    card.get_by_role("searchbox", name="Filter").fill("IT BROKE")
    expect(lines(card)).to_have_count(1)
    card.get_by_role("searchbox", name="Filter").fill("nothing has this")
    expect(card.get_by_text("No line matches the filter.")).to_be_visible()
    card.get_by_role("searchbox", name="Filter").fill("")

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
    card.get_by_role("searchbox", name="Filter").fill("copy me")
    expect(lines(card)).to_have_count(1)
    card.get_by_role("button", name="Copy").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"20[\d-]+T[\d:.]+\+00:00 main copy me", text)


def test_device_comes_back(demo: Demo, page: Page) -> None:
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


def test_a_new_card_continues(demo: Demo, page: Page) -> None:
    """A card that Home Assistant creates again keeps choices and lines, and repeats no line."""
    card = show(demo, page)
    choose(card, "Service", "main")
    demo.simulate("log", source="main", message="before")
    expect(lines(card, "before")).to_have_count(1)
    card.get_by_role("searchbox", name="Filter").fill("fore")
    card.get_by_role("button", name="Do not wrap long lines").click()
    leave_and_return(page)
    expect(chosen(card, "Service")).to_contain_text("main")
    expect(card.get_by_role("searchbox", name="Filter")).to_have_value("fore")
    expect(
        card.get_by_role("button", name="Wrap long lines", exact=True)
    ).to_be_visible()
    demo.simulate("log", source="main", message="before the end")
    expect(lines(card)).to_have_text([re.compile("before$"), re.compile("the end$")])


def test_a_new_card_stays_paused(demo: Demo, page: Page) -> None:
    """A card that was paused is still paused when Home Assistant creates it again."""
    card = show(demo, page)
    expect(lines(card, "main is ready")).to_be_visible()
    card.get_by_role("button", name="Pause").click()
    leave_and_return(page)
    demo.simulate("log", source="main", message="while paused")
    expect(card.get_by_text(re.compile("new lines while paused"))).to_be_visible()
    card.get_by_role("button", name="Resume").click()
    expect(lines(card, "while paused")).to_have_count(1)


def test_a_new_card_stays_at_its_line(demo: Demo, page: Page) -> None:
    """A card that does not follow shows the same lines when Home Assistant creates it again."""
    card = show(demo, page, lines=1000)
    for number in range(100):
        demo.simulate("log", source="main", message=f"number {number}")
    expect(lines(card, "number 99")).to_be_in_viewport()
    lines(card, "number 20").scroll_into_view_if_needed()
    newest = card.get_by_role("button", name="Go to the newest line")
    expect(newest).to_be_visible()
    leave_and_return(page)
    expect(lines(card, "number 20")).to_be_in_viewport()
    expect(newest).to_be_visible()


def test_new_connection(demo: Demo, page: Page) -> None:
    """After a reconnect of the browser, the card continues with the lines that it had."""
    card = show(demo, page)
    demo.simulate("log", source="main", message="before")
    expect(lines(card, "before")).to_be_visible()
    page.evaluate(
        "document.querySelector('home-assistant').hass.connection.reconnect(true)"
    )
    demo.simulate("log", source="main", message="afterwards")
    expect(lines(card, "afterwards")).to_have_count(1)
    expect(lines(card, "before")).to_have_count(1)


def test_levels(demo: Demo, page: Page) -> None:
    """The card can show only warnings and errors, or only errors."""
    card = show(demo, page)
    for priority, message in enumerate(("bad", "odd", "fine"), 3):
        demo.simulate("log", source="main", message=message, priority=priority)
    expect(lines(card, "fine")).to_be_visible()
    choose(card, "Level", "Warnings and errors")
    expect(lines(card)).to_have_text([re.compile("bad$"), re.compile("odd$")])
    choose(card, "Level", "Errors only")
    expect(lines(card)).to_have_text([re.compile("bad$")])


def test_text_can_be_selected(demo: Demo, page: Page) -> None:
    """The text of lines can be selected with the mouse."""
    card = show(demo, page)
    demo.simulate("log", source="main", message="select_me")
    lines(card, "select_me").evaluate("line => getSelection().selectAllChildren(line)")
    assert "select_me" in page.evaluate("getSelection().toString()")
    assert (
        lines(card).first.evaluate("line => getComputedStyle(line).userSelect")
        == "text"
    )


def test_lines_are_downloaded(demo: Demo, page: Page) -> None:
    """The visible lines can be downloaded with their full times."""
    card = show(demo, page)
    demo.simulate("log", source="main", message="save me")
    card.get_by_role("searchbox", name="Filter").fill("save me")
    expect(lines(card)).to_have_count(1)
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    assert re.fullmatch(
        r"holy-wildflower_20[\dT-]+\.log", download.value.suggested_filename
    )
    text = download.value.path().read_text("utf-8")
    assert re.fullmatch(r"20[\d-]+T[\d:.]+\+00:00 main save me", text)


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


def test_all_cards_of_a_page_are_translated(demo: Demo, page: Page) -> None:
    """Cards that load their texts at the same time all get them."""
    open_start_page(demo, page)
    set_language(page, "de")
    try:
        cards = show(demo, page, count=3)
        expect(cards.get_by_role("button", name="Kopieren")).to_have_count(3)
    finally:
        set_language(page, "en")


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
    editor = page.locator("balena-logs-card-editor")
    choose(editor, "Device", "holy-wildflower")
    choose(editor, "Service", "redis")
    preview = page.locator("hui-card-preview, .element-preview").locator(
        "balena-logs-card"
    )
    expect(chosen(preview, "Service")).to_contain_text("redis")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Done").click()
    expect(chosen(card, "Service")).to_contain_text("redis")
    expect(lines(card, "redis is ready")).to_be_visible()


def test_card_picker_shows_a_preview(demo: Demo, page: Page) -> None:
    """The card picker creates the card for a device."""
    show(demo, page)
    stub = page.evaluate(
        """async () => {
            const card = await customElements.whenDefined("balena-logs-card");
            const {hass} = document.querySelector("home-assistant");
            return card.getStubConfig(hass);
        }"""
    )
    assert stub == {"device_id": device_ids(page)["holy-wildflower"]}
    assert page.evaluate("window.customCards.every(card => card.preview)")


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
    card = add_card(page, "{user: {is_admin: false}}")
    expect(card.get_by_text("Only administrators can see logs.")).to_be_visible()
    expect(card.get_by_role("log")).to_have_count(0)


def test_removed_device(demo: Demo, page: Page) -> None:
    """For a device that does not exist any more, the card says so and does not retry."""
    card = show(demo, page, device_id="gone")
    status = card.get_by_role("status")
    expect(status).to_have_text(
        "This device no longer exists in Home Assistant. Choose another device."
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            '{code: "unknown_command", message: "Unknown command."}',
            "The balena integration is not loaded in Home Assistant.",
        ),
        ("3", "The connection to Home Assistant was lost."),
        ("undefined", "Home Assistant could not read the logs."),
        ("new TypeError('x is not y')", "Home Assistant could not read the logs."),
    ],
)
def test_errors_are_sentences(demo: Demo, page: Page, error: str, text: str) -> None:
    """An error without a translation has a sentence of the card."""
    show(demo, page)
    connection = f"""{{
        addEventListener() {{}},
        removeEventListener() {{}},
        sendMessagePromise: () => Promise.reject({error}),
    }}"""
    card = add_card(page, f"{{connection: {connection}}}")
    expect(card.get_by_role("status")).to_have_text(
        f"{text} The card retries automatically."
    )


@pytest.mark.parametrize(
    ("time_format", "language", "pattern"),
    [
        ("12", "de", r"\d\d:\d\d:\d\d [AP]M"),
        ("24", "en", r"\d\d:\d\d:\d\d"),
        ("language", "de", r"\d\d:\d\d:\d\d"),
        # The browser of the tests is American.
        ("system", "de", r"\d\d:\d\d:\d\d [AP]M"),
    ],
)
def test_time_formats(
    demo: Demo, page: Page, time_format: str, language: str, pattern: str
) -> None:
    """Times have the format of the profile, or that of the browser."""
    show(demo, page)
    locale = (
        f"{{language: '{language}', time_format: '{time_format}', time_zone: 'server'}}"
    )
    card = add_card(page, f"{{locale: {locale}, connection: {connection_with('now')}}}")
    expect(card.locator("time")).to_have_text(re.compile(rf"^{pattern}$"))


def test_time_of_another_day(demo: Demo, page: Page) -> None:
    """Lines of another day have their date."""
    show(demo, page)
    locale = "{language: 'en', time_format: '24', time_zone: 'server'}"
    old = connection_with("2026-01-05T12:00:00+00:00")
    card = add_card(page, f"{{locale: {locale}, connection: {old}}}")
    expect(card.locator("time")).to_have_text(re.compile(r"^Jan [45], \d\d:00:00$"))


def test_right_to_left(demo: Demo, page: Page) -> None:
    """Log lines read from left to right, also on a page from right to left."""
    card = show(demo, page)
    page.evaluate("document.dir = 'rtl'")
    demo.simulate("log", source="main", message="ready.")
    line = lines(card, "ready.")
    expect(line.locator("time")).to_be_visible()
    assert line.evaluate(
        "line => line.children[0].getBoundingClientRect().x < line.children[1].getBoundingClientRect().x"
    )


def test_screen_readers_are_not_flooded(demo: Demo, page: Page) -> None:
    """Screen readers do not read each new line aloud, and do read the status."""
    card = show(demo, page)
    expect(card.get_by_role("log")).to_have_attribute("aria-live", "off")
    expect(card.get_by_role("status")).to_have_count(1)


def test_native_controls(demo: Demo, page: Page) -> None:
    """Where Home Assistant does not define its controls, the card has native ones."""
    card = show(demo, page)
    expect(lines(card).first).to_be_visible()
    page.evaluate(
        """() => {
            const get = customElements.get.bind(customElements);
            const hidden = ["ha-form", "ha-icon-button", "ha-input-search"];
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
