"""Every example of the documentation runs."""

from pathlib import Path
import re
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from simulator import CloudDevice, Device

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES: Final = {
    f"{page.name}:{number}": yaml.safe_load(block)
    for page in PAGES
    for number, block in enumerate(
        re.findall(
            r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ),
        1,
    )
}
AUTOMATIONS: Final = {
    name: example for name, example in EXAMPLES.items() if "actions" in example
}


def test_examples_are_yaml() -> None:
    """There are examples, and most of them are automations."""
    assert len(AUTOMATIONS) > 9


@pytest.mark.parametrize("example", AUTOMATIONS.values(), ids=AUTOMATIONS)
async def test_example(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    account: MockConfigEntry,
    device: Device,
    cloud_device: CloudDevice,
    example: dict[str, Any],
) -> None:
    """An example is a valid automation, and does what it says without an error."""
    # That is where a state of one's own may be set.
    device.local_mode = "set_target_state" in str(example)
    assert await async_setup_component(hass, "persistent_notification", {})
    automation = {"alias": "example", "triggers": [], **example}
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.services.async_call(
        "automation", "trigger", {"entity_id": "automation.example"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "automation.example"}, blocking=True
    )
    trace = hass.states.get("automation.example")
    assert trace is not None
    assert trace.attributes["last_triggered"] is not None
    assert device.commands or cloud_device.device.commands or "get_" in str(example)
