"""Sentence files that people wrote for version 0.1.0 keep working, or a repair says why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from simulator import Device

from .assist import answer, expose, set_up_assist

# Home Assistant parses all sentences first, which takes long beside other workers.
pytestmark = pytest.mark.timeout(120)

FILES: Final = Path(__file__).parent / "sentence_files"
ENGLISH: Final = (FILES / "en.yaml").read_text("utf-8")
GERMAN: Final = (FILES / "de.yaml").read_text("utf-8")
UNREADABLE: Final = "sentence_file_unreadable_en"
INVALID: Final = "sentence_file_invalid_en"

type Write = Callable[[str, str], Path]


@pytest.fixture
def write(hass: HomeAssistant, tmp_path: Path) -> Write:
    """Return a function that writes a sentence file."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "configuration.yaml").touch()

    def write(language: str, text: str) -> Path:
        path = tmp_path / "custom_sentences" / language / f"{DOMAIN}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Start Assist with all entities exposed."""
    await set_up_assist(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    expose(hass, entry)


def find_issue(hass: HomeAssistant, issue_id: str) -> ir.IssueEntry | None:
    """Return a repair issue of the integration."""
    return ir.async_get(hass).async_get_issue(DOMAIN, issue_id)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("is holy wildflower online", "Yes, holy-wildflower is online."),
        ("is main running on holy wildflower", "Yes, main is running on"),
        ("is everything running on holy wildflower", "Yes, main and redis are running"),
        ("what is the status of holy wildflower", "holy-wildflower is idle."),
        ("is holy wildflower up to date", "Yes, holy-wildflower is up to date."),
        ("which balena devices are offline", "No balena device is offline."),
        ("restart redis on holy wildflower", "Restarted redis on holy-wildflower."),
        ("reboot holy wildflower", "holy-wildflower is rebooting."),
    ],
)
async def test_english_file(
    hass: HomeAssistant,
    write: Write,
    loaded: MockConfigEntry,
    sentence: str,
    expected: str,
) -> None:
    """The English file of version 0.1.0 works."""
    write("en", ENGLISH)
    await start(hass, loaded)
    assert (await answer(hass, sentence)).startswith(expected)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("ist holy wildflower online", "Ja, holy-wildflower ist online."),
        ("läuft main auf holy wildflower", "Ja, main läuft auf"),
        ("starte holy wildflower neu", "holy-wildflower startet neu."),
    ],
)
async def test_german_file(
    hass: HomeAssistant,
    write: Write,
    loaded: MockConfigEntry,
    sentence: str,
    expected: str,
) -> None:
    """The German file of version 0.1.0 works."""
    hass.config.language = "de"
    write("de", GERMAN)
    await start(hass, loaded)
    assert (await answer(hass, sentence, "de")).startswith(expected)


async def test_own_words(
    hass: HomeAssistant, write: Write, loaded: MockConfigEntry, device: Device
) -> None:
    """Words and answers that a person changed work, and there is no repair."""
    own = ENGLISH.replace("(restart|reboot) <balena_device>", "kick <balena_device>")
    write("en", own.replace("is rebooting.", "got kicked."))
    await start(hass, loaded)
    assert await answer(hass, "kick holy wildflower") == "holy-wildflower got kicked."
    assert device.commands == [("reboot", {"force": False})]
    assert find_issue(hass, INVALID) is None
    assert find_issue(hass, UNREADABLE) is None


@pytest.mark.expects_log("while parsing a flow node")
@pytest.mark.expects_log("are not read")
async def test_unreadable_file(
    hass: HomeAssistant, write: Write, loaded: MockConfigEntry
) -> None:
    """A file that is no YAML creates a repair with the reason."""
    write("en", "intents: [")
    await start(hass, loaded)
    issue = find_issue(hass, UNREADABLE)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["file"] == (
        "custom_sentences/en/balena_supervisor.yaml"
    )
    assert "flow node" in issue.translation_placeholders["error"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("(restart|reboot) <", "(restart|reboot <", "restart"),
        ("<balena_please> (restart", "<pretty_please> (restart", "pretty_please"),
    ],
)
@pytest.mark.expects_log("The sentences of en are not used")
async def test_invalid_file(
    hass: HomeAssistant,
    write: Write,
    loaded: MockConfigEntry,
    old: str,
    new: str,
    reason: str,
) -> None:
    """A file with an invalid sentence creates a repair with the reason."""
    write("en", ENGLISH.replace(old, new))
    await start(hass, loaded)
    issue = find_issue(hass, INVALID)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert reason in issue.translation_placeholders["error"].replace("\\", "")


@pytest.mark.expects_log("The sentences of en are not used")
async def test_corrected_file(
    hass: HomeAssistant, write: Write, loaded: MockConfigEntry
) -> None:
    """The repair disappears once the file is correct."""
    write("en", "language: en")
    await start(hass, loaded)
    assert find_issue(hass, INVALID) is not None
    write("en", ENGLISH)
    await hass.services.async_call("conversation", "reload", {}, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert find_issue(hass, INVALID) is None
