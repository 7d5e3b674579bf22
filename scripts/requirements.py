"""Prints requirements_test.txt as the Home Assistant wants it that this Python has installed.

It pins what its components load; checks, and what tests use, stay as they are.
"""

import json
from pathlib import Path

import homeassistant

# This pins Home Assistant, which is chosen already.
_NOT_AGAIN = "pytest-homeassistant-custom-component"

manifests = Path(homeassistant.__file__).parent.glob("components/*/manifest.json")
pinned = {
    requirement.partition("==")[0]: requirement
    for manifest in manifests
    for requirement in json.loads(manifest.read_text()).get("requirements", ())
}
for line in Path("requirements_test.txt").read_text().splitlines():
    name, is_pin, _ = line.partition("==")
    if is_pin and name != _NOT_AGAIN:
        print(pinned.get(name, line))
