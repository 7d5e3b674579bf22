"""Measure the import time of the integration in a process that has already imported Home Assistant."""

from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Final

import homeassistant.bootstrap  # noqa: F401

_PACKAGE: Final = "custom_components.balena_supervisor"


def import_all() -> float:
    """Import every module of the integration. Returns the processor time in seconds."""
    began = process_time()
    for path in sorted(Path(*_PACKAGE.split(".")).glob("*.py")):
        module = f".{path.stem}" if path.stem != "__init__" else ""
        import_module(f"{_PACKAGE}{module}")
    return process_time() - began


if __name__ == "__main__":
    print(import_all())
