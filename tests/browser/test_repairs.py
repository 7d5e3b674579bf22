"""Texts of Home Assistant that contain the name of a device."""

from playwright.sync_api import Page, expect
import pytest

from . import ATTACKED, MARKDOWN_ATTACK, command, navigate, open_start_page
from .demo import Demo

pytestmark = pytest.mark.timeout(180)


def test_names_in_issues_are_text(demo: Demo, page: Page) -> None:
    """An issue shows a name that looks like a link, an image or HTML as plain text."""
    open_start_page(demo, page)
    (entry,) = command(page, "config_entries/get", domain="balena_supervisor")
    command(
        page,
        "config_entries/update",
        entry_id=entry["entry_id"],
        title=MARKDOWN_ATTACK,
    )
    # This Supervisor cannot report another name, and creates an issue immediately.
    demo.simulate("version", value="6.6.0")
    command(
        page,
        "call_service",
        domain="homeassistant",
        service="reload_config_entry",
        service_data={"entry_id": entry["entry_id"]},
    )
    navigate(page, "/config/repairs")
    page.get_by_text("Outdated Supervisor").click()
    text = page.locator("ha-markdown-element")
    expect(text).to_contain_text("is older than version 7.12")
    shown = text.inner_text().replace("\N{WORD JOINER}", "")
    assert f"The Supervisor of {MARKDOWN_ATTACK} is older" in shown
    expect(page.locator(ATTACKED)).to_have_count(0)
    assert page.evaluate("window.attacked") is None
