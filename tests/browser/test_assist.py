"""Assist answers in Home Assistant's own dialog, with nothing set up for it."""

from playwright.sync_api import Page, expect
import pytest

from tests.demo.running import Demo

from . import open_start_page
from .conftest import Picture

pytestmark = pytest.mark.timeout(180)


def test_ask_assist(demo: Demo, page: Page, picture: Picture) -> None:
    """A visitor asks whether a device is online, and is told so."""
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
    picture("assist", page)
