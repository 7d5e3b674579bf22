"""Tells how long the import of the integration takes in a process that has imported Home Assistant."""

from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Final

import homeassistant.bootstrap  # noqa: F401

_PACKAGE: Final = "custom_components.balena_supervisor"


def import_all() -> float:
    """Import every module of the integration; returns how long that took."""
    began = perf_counter()
    for path in sorted(Path(*_PACKAGE.split(".")).glob("*.py")):
        module = f".{path.stem}" if path.stem != "__init__" else ""
        import_module(f"{_PACKAGE}{module}")
    return perf_counter() - began


if __name__ == "__main__":
    print(import_all())
