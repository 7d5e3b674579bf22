"""Assist in the dialog of Home Assistant, without any setup."""

from playwright.sync_api import Page, expect
import pytest

from . import ATTACKED, MARKDOWN_ATTACK, open_start_page, refresh
from .demo import Demo

pytestmark = pytest.mark.timeout(180)


def test_ask_assist(demo: Demo, page: Page) -> None:
    """Assist answers whether a device is online."""
    open_start_page(demo, page)
    page.keyboard.press("a")
    box = page.locator("ha-voice-command-dialog input, ha-assist-chat input").first
    for question, answer in (
        ("Is holy-wildflower online?", "Yes, holy-wildflower is online."),
        ("Find the holy wildflower", "holy-wildflower is blinking."),
        ("Is main running on holy wildflower?", "Yes, main is running"),
    ):
        box.fill(question)
        box.press("Enter")
        expect(page.get_by_text(answer).first).to_be_visible()


def test_names_in_answers_are_text(demo: Demo, page: Page) -> None:
    """Assist shows a name that looks like a link, an image or HTML as plain text."""
    open_start_page(demo, page)
    demo.simulate("add-service", service=MARKDOWN_ATTACK)
    demo.simulate("container-exit", service=MARKDOWN_ATTACK)
    refresh(page, "sensor.holy_wildflower_status")
    service = page.locator(".services li").filter(has_text="attack.example")
    expect(service).to_contain_text("Stopped")
    page.keyboard.press("a")
    box = page.locator("ha-voice-command-dialog input, ha-assist-chat input").first
    box.fill("Is everything running on holy-wildflower?")
    box.press("Enter")
    answer = page.locator("ha-markdown-element").filter(has_text="attack.example")
    expect(answer).to_be_visible()
    assert MARKDOWN_ATTACK in answer.inner_text().replace("\N{WORD JOINER}", "")
    expect(page.locator(ATTACKED)).to_have_count(0)
    assert page.evaluate("window.attacked") is None
