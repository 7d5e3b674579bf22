"""Prints requirements_test.txt for the installed Home Assistant.

Packages of its components get the versions that it pins. Tools and test packages keep theirs.
"""

import json
from pathlib import Path

import homeassistant

# It pins Home Assistant, which is already installed.
_SKIPPED = "pytest-homeassistant-custom-component"

manifests = Path(homeassistant.__file__).parent.glob("components/*/manifest.json")
pinned = {
    requirement.partition("==")[0]: requirement
    for manifest in manifests
    for requirement in json.loads(manifest.read_text()).get("requirements", ())
}
for line in Path("requirements_test.txt").read_text().splitlines():
    name, is_pin, _ = line.partition("==")
    if is_pin and name != _SKIPPED:
        print(pinned.get(name, line))
